# SPDX-License-Identifier: Apache-2.0
"""Debian's riscv64 kernel in a VM, with each interrupt controller that host and guest may have."""
import hashlib
import re

import pytest

from caisson import SHELL, Machine, config, debian

ARCHS = ["riscv64"]
COUNT = 20000  # Numbers to write down.

# Name, what the host has, what the guest is given.
CONTROLLERS = {
    "PLIC": ("", "plic"),
    "AIA, interrupt files by software": ("aia=aplic-imsic", "aia"),
    "AIA, interrupt files by hardware": ("aia=aplic-imsic,aia-guests=3", "aia"),
}


@pytest.fixture(scope="module", params=CONTROLLERS)
def machine(request, arch, tmp_path_factory):
    host, guest = CONTROLLERS[request.param]
    vms = [debian("web", cpus=2, interrupt_controller=guest)]
    with Machine(arch, config(*vms), tmp_path_factory.mktemp("machine"), limit=400,
                 aia=host) as started:
        started.expect("web: started", 60)
        started.expect(re.escape(SHELL), 180)
        started.at_shell(1)
        yield started


def test_a_debian_guest_sees_its_harts_and_memory(machine):
    assert machine.shell("nproc").strip() == "2"
    total = int(re.search(r"MemTotal: +(\d+) kB", machine.shell("cat /proc/meminfo")).group(1))
    assert 180 * 1024 < total < 256 * 1024


def test_each_vcpu_gets_its_timer_interrupts(machine):
    def counts():
        text = machine.shell("cat /proc/interrupts")
        return [int(n) for n in re.search(r"^.*riscv-timer.*", text, re.M).group(0).split()[1:3]]
    before = counts()
    machine.shell("sleep 2; taskset 2 sleep 1; taskset 1 sleep 1")
    assert all(new > old for new, old in zip(counts(), before))


def test_what_a_debian_guest_computes_is_right(machine):
    text = "".join(f"{i}\n" for i in range(1, COUNT + 1)).encode()
    assert hashlib.sha256(text).hexdigest() in machine.shell(f"seq 1 {COUNT} | sha256sum", 180)


def test_reboot_restarts_and_poweroff_stops_the_vm(machine):
    machine.line("reboot -f")
    machine.expect("web: reset, restarting", 60)
    machine.expect(re.escape(SHELL), 180)
    machine.at_shell(1)
    machine.line("poweroff -f")
    machine.expect("web: powered off", 60)
    machine.prompt()
    machine.command("list", r"web +stopped")


def test_debian_boots_on_harts_with_all_that_the_emulator_has(arch, folder):
    vms = [debian("web", cpus=2)]
    with Machine(arch, config(*vms), folder, cpu="max,h=true", limit=200) as machine:
        machine.expect(re.escape(SHELL), 180)
        machine.at_shell(1)
        assert machine.shell("nproc").strip() == "2"
