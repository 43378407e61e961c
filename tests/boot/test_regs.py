# SPDX-License-Identifier: Apache-2.0
"""The register file of a vCPU: taken from a guest that has a value of its own in each register, and
put back into a vCPU that has forgotten all, it is complete."""
import re

import pytest

from caisson import Machine, config, vm
from test_guests import HOSTS, judge

ARCHS = ["aarch64", "riscv64", "x86_64"]
ROUNDS = 4
HOSTS_OF = {"aarch64": ["", "GICv2"], "riscv64": ["", "Sstc", "AIA by software", "AIA by hardware"],
            "x86_64": [""]}
# Bytes, at least: more registers than this are no mistake.
SIZE = {"aarch64": 1300, "riscv64": 700, "x86_64": 3500}
MEMORY = {"aarch64": "2M", "riscv64": "2M", "x86_64": "16M"}
# Of the dump: a register's value, and the name of one of the last.
SHOWN = {"aarch64": r"x20 5eed000000000114[\s\S]*fpcr",
         "riscv64": r"x20 5eed000000000114[\s\S]*fcsr",
         "x86_64": r"r12 +5eed00000000010c[\s\S]*tsc_aux"}


def pytest_generate_tests(metafunc):
    if "host" in metafunc.fixturenames:
        metafunc.parametrize("host", HOSTS_OF[metafunc.config.getoption("--arch")])


def taken_and_put_back(arch, machine, guest, count_checks, limit=20):
    """Of the guest regs, which has the console with this number."""
    start = len(machine.text)
    for number in range(ROUNDS):
        machine.focus(guest)
        machine.expect(f"regs: round {number}", limit)
        machine.prompt()
        for _ in range(3):  # Whatever instruction it is at.
            machine.command("pause regs", "regs: paused")
            size = machine.command("regs regs 0 again", r"written anew: (\d+) bytes\r*\n")
            assert int(size.group(1)) >= SIZE[arch]
            machine.command("resume regs", "regs: resumed")
        machine.focus(guest)
        machine.send("x")
    machine.expect(r"guest done: \d+ passed, \d+ failed", limit)
    judge(machine.text[start:], count_checks)


def test_a_guest_finds_all_its_registers_that_were_taken_and_put_back(arch, folder, host,
                                                                      count_checks):
    options, properties = HOSTS[host]
    guest = vm("regs", "regs.img", MEMORY[arch], **properties)
    with Machine(arch, config(guest, console="prompt"), folder, **options) as machine:
        machine.expect("regs: started")
        taken_and_put_back(arch, machine, 1, count_checks)


def test_a_guest_finds_all_its_registers_after_a_restore(arch, folder, host):
    options, properties = HOSTS[host]
    guest = vm("regs", "regs.img", "2M", **properties)
    with Machine(arch, config(guest, console="prompt"), folder, **options) as machine:
        machine.expect("regs: started")
        machine.focus(1)
        machine.expect("regs: round 0")
        machine.prompt()
        machine.command("snapshot regs here", "snapshot regs@here taken")
        machine.focus(1)
        machine.send("x")
        machine.expect("regs: round 1", 20)
        machine.prompt()
        machine.command("restore regs here", "regs: back at snapshot regs@here")
        for number in range(ROUNDS):
            machine.focus(1)
            machine.send("x")
            machine.expect(f"regs: round {number + 1}|guest done", 20)
        machine.expect(r"regs: powered off")
        text = machine.text
        assert len(re.findall("regs: round 1", text)) == 2
        assert not re.findall("^FAIL.*", text, re.M), text


def test_registers_are_shown_of_a_vm_that_is_paused(arch, folder):
    guest = vm("regs", "regs.img", MEMORY[arch])
    with Machine(arch, config(guest, console="prompt"), folder) as machine:
        machine.expect("regs: started")
        machine.focus(1)
        machine.expect("regs: round 0")
        machine.quiet(1)  # It has filled them by then.
        machine.prompt()
        machine.command("regs regs 0", "regs is running: registers are shown of a VM that is ")
        machine.command("pause regs", "regs: paused")
        machine.command("regs regs 1", "regs has no vCPU 1")
        machine.command("regs who 0", "there is no VM 'who'")
        machine.command("regs regs 0", SHOWN[arch])
