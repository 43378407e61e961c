# SPDX-License-Identifier: Apache-2.0
"""The life of VMs, and how they share processors, on Intel's VMX, which Bochs has."""
import pytest

import test_configurations
from caisson import Bochs, config, debian, vm
from test_bochs import SLOW
from test_guests import judge
from test_life import free_pages

ARCHS = ["x86_64"]
MACHINE = "bochs"
CYCLES = 3

# What the VMs have, in this order, and the guest that shows it. Debian takes too long but for the
# soak.
MESSAGES = ("ipis", "count=400")
SHARED = {
    "four VMs of two vCPUs": (MESSAGES, [{"cpus": 2}] * 4),
    "one VM of eight vCPUs": (MESSAGES, [{"cpus": 8}]),
    "one exclusive VM and three shared": (("fp", "rounds=50"),
                                          [{"affinity": "1", "exclusive": True}] +
                                          [{"affinity": "0"}] * 3),
}


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        cases = SHARED if not metafunc.config.getoption("--soak") else test_configurations.CASES
        metafunc.parametrize("case", cases.values(), ids=cases)


def all_done(machine, names, count_checks):
    """Waits until all have powered off, and judges each."""
    left = set(names)
    while left:
        left.discard(machine.expect(r"(\w+): powered off", 600).group(1))
    for number in range(1, len(names) + 1):
        start = len(machine.text) if number > 1 else 0
        if number > 1:
            machine.focus(number)
            machine.expect(r"guest done: \d+ passed, \d+ failed", 30)
        judge(machine.text[start:], count_checks)


def test_vms_come_and_go_and_a_pause_is_not_noticed_on_vmx(folder, count_checks):
    vms = [vm("watch", "pause.img", "4M", "idle=1", cpus=2),
           vm("spin", "spin.img", "4M", cpus=2, autostart="no")]
    pages = set()
    with Bochs(config(*vms, console="prompt"), folder, **SLOW) as machine:
        machine.expect("watch: started", 240)
        machine.prompt()
        for _ in range(CYCLES):
            for command, answer in [("start", "started"), ("pause", "paused"),
                                    ("resume", "resumed"), ("reset", "stopped, restarting")]:
                machine.command(f"{command} spin", f"spin: {answer}")
            machine.expect("spin: started")
            machine.command("stop spin", "spin: stopped")
            machine.command("destroy spin", "spin: destroyed")
            pages.add(free_pages(machine))
            machine.command("create spin")
        assert len(pages) == 1, pages
        machine.command("pause watch", "watch: paused")
        machine.quiet(1)
        machine.command("resume watch", "watch: resumed")
        machine.focus(1)
        machine.send("q")
        machine.expect(r"guest done: 4 passed, 0 failed")
        judge(machine.text, count_checks)


@pytest.mark.soak
@pytest.mark.parametrize("how, options", [("in hardware", ""),
                                          ("by software", "vmx.virtual-interrupts=off")],
                         ids=["in hardware", "by software"])
def test_messages_between_vcpus_that_share_a_processor_are_not_lost_on_vmx(folder, count_checks,
                                                                           soak, how, options):
    count = 1000000 if soak else 20000
    guest = vm("ipis", "ipis.img", "4M", f"count={count}", cpus=2)
    with Bochs(config(guest, options=options), folder, smp=1, limit=3600 if soak else 300,
               **SLOW) as machine:
        machine.expect(f"vectors of guests {how}", 240)
        machine.expect("ipis: powered off", 3600)
        judge(machine.text, count_checks)


@pytest.mark.soak
def test_guests_share_two_processors_on_vmx(folder, count_checks, soak, case):
    if soak:
        guests = [debian(f"vm{i}", "128M", "console=ttyS0 quiet", **how)
                  for i, how in enumerate(case)]
        with Bochs(config(*guests), folder, limit=1800, ram=1024) as machine:
            test_configurations.all_do_their_job(machine, case, 900)
        return
    (guest, cmdline), vms = case
    names = [f"vm{i}" for i in range(len(vms))]
    guests = [vm(name, f"{guest}.img", "4M", cmdline, **how) for name, how in zip(names, vms)]
    with Bochs(config(*guests), folder, **SLOW) as machine:
        all_done(machine, names, count_checks)


def test_a_vcpu_that_waits_goes_to_an_idle_processor_on_vmx(folder):
    how = {"affinity": "0-1", "balance": True}
    vms = [vm("first", "spin.img", "4M", autostart="no", **how), vm("own", "spin.img", "4M", **how),
           vm("second", "spin.img", "4M", autostart="no", **how)]
    with Bochs(config(*vms, console="prompt"), folder, **SLOW) as machine:
        machine.expect("own: started", 240)
        machine.prompt()
        machine.command("stop own", "own: stopped")
        placed = machine.command("list", r"first +created[^\n]* (\d)\r*\n[\s\S]*"
                                 r"second +created[^\n]* (\d)\r*\n")
        assert placed.group(1) == placed.group(2), "they would not have to move"
        machine.command("start first", "first: started")
        machine.command("start second", "second: started")
        before = machine.stat()
        machine.quiet(8)
        after = machine.stat()
        ran = {name: after[name, 0][1] - before[name, 0][1] for name in ("first", "second")}
        assert min(ran.values()) > 0.7 * max(ran.values()) > 0, ran
