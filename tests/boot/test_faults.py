# SPDX-License-Identifier: Apache-2.0
"""VMs that go wrong: each stops with a report, and what runs beside it does not notice."""
import re

import pytest

from caisson import QUIET, SHELL, Machine, config, debian, vm

NOTHING = "access to an address where nothing is"
NO_MEMORY = "instruction fetch where no memory is"
NO_INSN = "access by an instruction that cannot be emulated"
# Started by hand, one after the other, while a Debian guest on the same pCPUs computes. The address
# is the guest's, virtual and physical; None: its tables do not say.
GUILTY = {
    "aarch64": {
        "hole": (NOTHING, "0x30000000"),
        "beyond": (NOTHING, "0x44000000"),
        "exec": (NO_MEMORY, "0x9000000"),
        "undef": (NO_MEMORY, "0x30000200"),
    },
    "riscv64": {
        "hole": (NOTHING, "0x18000000"),
        "beyond": (NOTHING, "0x84000000"),
        "exec": (NO_MEMORY, "0x10000000"),
        "undef": (NO_MEMORY, "0x18000000"),
        "amo": (NO_INSN, "0x101000"),
        "fp": (NO_INSN, "0x101000"),
        "walk": ("page tables where no memory is", None),
    },
    "x86_64": {
        "hole": (NOTHING, "0x80000000"),
        "beyond": (NOTHING, "0x4000000"),
        "exec": (NO_MEMORY, "0xfec00000"),
        "undef": (NO_MEMORY, "0x80000000"),
        "insn": (NO_INSN, "0xfec00000"),
        "walk": ("page tables where no memory is", "0x80000000"),
        "delivery": ("an event is taken by tables or a stack where no memory is", "0xfec00030"),
        "triple": ("the processor shut down after a triple fault", None),
    },
}
ARCHS = list(GUILTY)
# Where memory is, a register of the system, those of the program.
MACHINE = {"aarch64": ("0x40000000-0x43ffffff", "SCTLR_EL1", ("pc", "x30")),
           "riscv64": ("0x80000000-0x83ffffff", "vsstatus", ("pc", "x30")),
           "x86_64": ("0-0x3ffffff", "cr3", ("rip", "r15"))}
NEAREST = {("aarch64", "exec"): "ROM 0x90a0000-0x90a0fff"}  # Stolen time; else the memory.
FIRST_STAGE = ["aarch64", "riscv64"]  # These report the guest-virtual address.


def pytest_generate_tests(metafunc):
    if "guilty" in metafunc.fixturenames:
        metafunc.parametrize("guilty", GUILTY.get(metafunc.config.getoption("--arch"), []))


@pytest.fixture(scope="module")
def machine(arch, folder):
    vms = [debian("web", "192M", QUIET[arch], cpus=2)]  # What is looked at is among the first nine.
    vms += [vm("loop", "fault_loop.img", autostart="no"),
            vm("spin", "spin.img", cpus=2, autostart="no"),
            vm("again", "fault_hole.img", autostart="no", on_crash="restart")]
    vms += [vm(name, f"fault_{name}.img", autostart="no") for name in GUILTY[arch]]
    with Machine(arch, config(*vms), folder, limit=600, smp=2) as started:
        started.expect(re.escape(SHELL), 120)
        started.shell("seq 1 100000 >/tmp/n; sha256sum </tmp/n >/tmp/first")
        started.line("while :; do sha256sum </tmp/n | cmp - /tmp/first && echo same || "
                     "echo different; done >/tmp/log 2>&1 &")
        started.expect(re.escape(SHELL))
        started.prompt()
        yield started


def start(machine, name):
    machine.prompt()
    machine.command(f"start {name}", f"{name}: started")


def test_a_vm_that_fails_stops_with_a_report(arch, machine, guilty):
    why, address = GUILTY[arch][guilty]
    memory, register, program = MACHINE[arch]
    start(machine, guilty)
    machine.expect(f"{guilty}: crashed")
    report = machine.text.rpartition(f"{guilty}: vCPU 0 on cpu")[2]
    assert re.match(rf"\d: {why}\n", report), machine.text
    if address and arch not in FIRST_STAGE:
        assert "guest-virtual" not in report
    elif address:
        assert re.search(rf"stage 1: guest-virtual {address} -> guest-physical {address}\b", report)
    if address:
        assert re.search(rf"stage 2: guest-physical {address} is not mapped", report)
        nearest = NEAREST.get((arch, guilty), f"RAM {memory}")
        assert f"nearest region: {nearest}" in report
    assert all(re.search(rf"{name} +[0-9a-f]{{16}}", report) for name in program), report
    assert register in report and re.search(r"last \d+ of \d+ exits", report)
    machine.prompt()
    machine.command("list", rf"{guilty} +stopped")
    machine.command("list", r"web +running")


def test_a_failed_vm_can_be_started_again(machine):
    start(machine, "hole")
    machine.expect("hole: crashed")


def test_a_vm_that_fails_for_ever_restarts_by_its_policy_and_does_not_flood(machine):
    start(machine, "again")
    for _ in range(3):
        machine.expect("again: crashed")
    machine.quiet(4)
    text = machine.text
    assert len(re.findall(r"again: crashed", text)) <= 12, text
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
    machine.focus(2 if name == "loop" else 3)
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
