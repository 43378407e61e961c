# SPDX-License-Identifier: Apache-2.0
"""VMs that go wrong: each stops with a report, and what runs beside it does not notice."""
import re

import pytest

from caisson import SHELL, Machine, config, debian, vm

# Started by hand, one after the other, while a Debian guest on the same pCPUs computes.
GUILTY = {
    "hole": ("fault_hole.img", 1, "access to an address where nothing is", "0x30000000"),
    "beyond": ("fault_beyond.img", 1, "access to an address where nothing is", "0x44000000"),
    "exec": ("fault_exec.img", 1, "instruction fetch where no memory is", "0x9000000"),
    "undef": ("fault_undef.img", 1, "instruction fetch where no memory is", "0x30000200"),
}


@pytest.fixture(scope="module")
def machine(arch, folder):
    vms = [debian("web", "192M", cpus=2)]
    vms += [vm(name, image, cpus=cpus, autostart="no")
            for name, (image, cpus, *_) in GUILTY.items()]
    vms += [vm("loop", "fault_loop.img", autostart="no"),
            vm("spin", "spin.img", cpus=2, autostart="no"),
            vm("again", "fault_hole.img", autostart="no", on_crash="restart")]
    with Machine(arch, config(*vms), folder, limit=600, smp=2) as started:
        started.expect(re.escape(SHELL), 120)
        started.shell("seq 1 300000 >/tmp/n; sha256sum </tmp/n >/tmp/first")
        started.line("while :; do sha256sum </tmp/n | cmp - /tmp/first && echo same || "
                     "echo different; done >/tmp/log 2>&1 &")
        started.expect(re.escape(SHELL))
        started.prompt()
        yield started


def start(machine, name):
    machine.prompt()
    machine.command(f"start {name}", f"{name}: started")


@pytest.mark.parametrize("name", GUILTY)
def test_a_vm_that_fails_stops_with_a_report(machine, name):
    _, _, why, address = GUILTY[name]
    start(machine, name)
    machine.expect(f"{name}: crashed")
    report = machine.text.rpartition(f"{name}: vCPU 0 on cpu")[2]
    assert re.match(rf"\d: {why}\n", report), machine.text
    assert re.search(rf"stage 1: guest-virtual {address} -> guest-physical {address}\b", report)
    assert re.search(rf"stage 2: guest-physical {address} is not mapped", report)
    assert "nearest region: RAM 0x40000000-0x43ffffff" in report
    assert re.search(r"pc +[0-9a-f]{16}", report) and re.search(r"x30 +[0-9a-f]{16}", report)
    assert "SCTLR_EL1" in report and re.search(r"last \d+ of \d+ exits", report)
    machine.prompt()
    machine.command("list", rf"{name} +stopped")
    machine.command("list", r"web +running")


def test_a_failed_vm_can_be_started_again(machine):
    start(machine, "hole")
    machine.expect("hole: crashed")


def test_a_vm_that_fails_for_ever_restarts_by_its_policy_and_does_not_flood(machine):
    start(machine, "again")
    machine.quiet(5)
    text = machine.text
    crashes = len(re.findall(r"again: crashed", text))
    assert 3 <= crashes <= 12, text
    machine.prompt()
    machine.command("stop again")
    machine.quiet(1)
    crashes = len(re.findall(r"again: crashed", machine.text))
    machine.quiet(8)
    if len(re.findall(r"again: crashed", machine.text)) != crashes:
        machine.fail("it goes on after its stop")


@pytest.mark.parametrize("name, says", [("loop", "exceptions for ever"),
                                        ("spin", "2 vCPUs with interrupts masked")])
def test_a_vm_that_never_gives_up_can_be_stopped(machine, name, says):
    start(machine, name)
    machine.focus("n")  # To the first guest, and on to this one.
    names = ["web", *GUILTY, "loop", "spin", "again"]
    machine.focus(names.index(name) + 1)
    machine.expect(says)
    machine.prompt()
    machine.command(f"stop {name}", f"{name}: stopped")
    machine.command("list", rf"{name} +stopped")


def test_the_other_vm_has_computed_the_same_all_the_time(machine):
    machine.at_shell(1)
    machine.shell("kill %1; wait")
    same = int(machine.shell("grep -c same /tmp/log").strip())
    assert same > 5
    assert machine.shell("grep -c different /tmp/log").strip() == "0"
    log = machine.shell("dmesg")
    assert not re.findall(r".*(?:BUG:|Call trace|Unable to handle).*", log)
