# SPDX-License-Identifier: Apache-2.0
"""x86_64 on Intel's VMX, which Bochs has: the same image, the kilobyte guests and Debian. And on an
SVM that has more than QEMU's."""
import re

import pytest

import conformance
import hostile
from caisson import ESCAPE, SHELL, Bochs, build, config, debian, grub_by_uefi, vm
from test_dirty import BITS, LOG, Watched, check_sets
from test_guests import judge

ARCHS = ["x86_64"]
MACHINE = "bochs"

# Guest, vCPUs, command line. All run in one machine, for its start takes longest.
GUESTS = [("memory", 1, ""), ("modes", 1, ""), ("irq", 1, "rounds=100"), ("fp", 2, "rounds=100")]
ALONE = [("mmio", 1, ""), ("pio", 1, ""), ("exceptions", 1, ""), ("hypercall", 1, ""),
         ("msr", 1, ""), ("cpuid", 1, "")]
# A second of Skylake has 3500 million instructions, as its CPUID says. Broadwell says nothing of
# its frequency, so that a guest need not wait so long for its timers. Each runs alone: a second in
# which others do not halt takes ten times as long.
TIMED = [("clocks", 1, ""), ("timer", 2, "rounds=100"), ("ipi", 2, "rounds=50")]
SLOW = {"cpu": "broadwell_ult", "ips": 200000000}
POSTS = {"cpu": "corei7_skylake_x", "ips": 200000000}  # Posted interrupts.
READER = ("irq", 1, "rounds=20")
MESSENGER = ("ipi", 2, "rounds=50 both=0")
# Local APICs in xAPIC mode: in hardware, and where a boot option is against it.
OLD = ("irq", 1, "rounds=20 x2=0 exits=0")
OLD_MESSENGER = ("ipi", 2, "rounds=20 x2=0")
OLD_SOFTWARE = ("irq", 1, "rounds=20 x2=0")
# How vectors come to guests, with which boot options, on which processor.
VECTORS = [("in hardware", "", SLOW, guest) for guest in TIMED]
VECTORS += [("by software", "vmx.virtual-interrupts=off", SLOW, guest) for guest in TIMED]
VECTORS += [("in hardware, reads by software", "vmx.apic-registers=off", SLOW, READER),
            ("in hardware, posted", "", POSTS, MESSENGER),
            ("in hardware", "", SLOW, OLD), ("in hardware, posted", "", POSTS, OLD_MESSENGER),
            ("in hardware, x2APIC alone", "vmx.apic-access=off", SLOW, OLD_SOFTWARE)]
# Without an instruction that is single-stepped and intercepted, at which Bochs' SVM ends.
SVM_GUESTS = [("msr", 1, ""), ("modes", 1, ""), ("mmio", 1, "rounds=1")]
SVM_CPU = "ryzen,add_features=svm"


def vms_of(guests):
    return [vm(name, f"{name}.img", memory="16M", cmdline=cmdline, cpus=cpus)
            for name, cpus, cmdline in guests]


def run(machine, guests, count_checks):
    """Waits until all have powered off, and judges each."""
    left = {name for name, _, _ in guests}
    while left:
        left.discard(machine.expect(r"(\S+): powered off", 300).group(1))
    judge(machine.text, count_checks)  # The first has the console.
    for number in range(2, len(guests) + 1):
        start = len(machine.text)
        machine.send(f"{ESCAPE}{number}")
        machine.expect(r"guest done: \d+ passed, \d+ failed", 30)
        judge(machine.text[start:], count_checks)


def test_kilobyte_guests_find_the_machine_as_it_must_be_on_vmx(folder, count_checks):
    with Bochs(config(*vms_of(GUESTS)), folder) as machine:
        run(machine, GUESTS, count_checks)


def test_kilobyte_guests_on_one_processor_find_vmx_as_it_must_be(folder, count_checks):
    with Bochs(config(*vms_of(ALONE)), folder, smp=1) as machine:
        run(machine, ALONE, count_checks)


@pytest.mark.parametrize("how,options,cpu,guest", VECTORS,
                         ids=[f"{guest[0]}{', xAPIC' * ('x2=0' in guest[2])}, {how}"
                              for how, _, _, guest in VECTORS])
def test_clocks_timers_and_messages_of_a_guest_go_right_on_vmx(folder, count_checks, how, options,
                                                              cpu, guest):
    with Bochs(config(*vms_of([guest]), options=options), folder, **cpu) as machine:
        machine.expect(rf"vmx: vectors of guests {how}\r*\n", 240)
        run(machine, [guest], count_checks)


def test_kilobyte_guests_run_on_a_processor_with_little_more_than_vmx_needs(folder, count_checks):
    """Westmere has no APIC virtualization, EPT's A/D bits and leaves of 1 GiB."""
    guests = [("modes", 1, ""), ("memory", 1, ""), READER]
    cpu = "corei5_arrandale_m520,add_features=1g_pages"
    with Bochs(config(*vms_of(guests)), folder, smp=1, cpu=cpu) as machine:
        machine.expect(r"vmx: vectors of guests by software\r*\n", 240)
        run(machine, guests, count_checks)


@pytest.mark.parametrize("cpu, feature", [
    ("core2_penryn_t9600", "EPT"), ("corei5_lynnfield_750", "unrestricted guests"),
])
def test_a_processor_without_what_vmx_needs_is_told_in_one_sentence(folder, cpu, feature):
    cpu += ",add_features=1g_pages"
    with Bochs(None, folder, smp=1, cpu=cpu, name="caisson") as machine:
        machine.expect(f"error: cpu0 has VMX, but not {feature}, which we need", 240)


def test_vmx_that_firmware_has_locked_is_told_in_one_sentence(folder):
    commands = ["wrmsr 0x3a 1", "multiboot2 (memdisk)/caisson"]  # IA32_FEATURE_CONTROL.
    grub = grub_by_uefi(folder, commands, caisson=build("x86_64") / "caisson-boot.elf")
    with Bochs(None, folder, smp=1, program=grub) as machine:
        machine.expect("error: cpu0 has VMX, but its firmware has turned it off and locked it: "
                       "look for it in the setup", 240)


def test_kilobyte_guests_run_on_svm_that_says_where_the_next_instruction_is(folder, count_checks):
    """QEMU's SVM has neither next-RIP save nor decode assists."""
    with Bochs(config(*vms_of(SVM_GUESTS)), folder, smp=1, cpu=SVM_CPU) as machine:
        machine.expect("svm: .*, next-RIP save", 240)
        run(machine, SVM_GUESTS, count_checks)


@pytest.mark.parametrize("how,options", [(LOG, ""), (BITS, "vmx.pml=off")], ids=[LOG, BITS])
def test_the_pages_that_are_told_are_those_that_were_written_on_vmx(folder, how, options):
    guest = vm("writer", "dirty.img", "16M", "pages=128 slow=1", cpus=2)
    with Bochs(config(guest, options=options), folder, limit=480, **POSTS) as machine:
        machine.expect("writer: started", 240)
        check_sets(Watched(machine, 128), how)


def test_a_log_of_written_pages_that_fills_up_loses_none_on_vmx(folder):
    """It has place for 512."""
    guest = vm("writer", "dirty.img", "16M", "pages=1200", cpus=2)
    with Bochs(config(guest), folder, **POSTS) as machine:
        machine.expect("writer: started", 240)
        watched = Watched(machine, 1200)
        watched.start(LOG)
        for _ in range(2):
            watched.send("b", "dirty: 1200 pages in ")
            machine.prompt()
            assert watched.take() == set(range(1200))
            assert watched.take() == set()
        watched.send("q", r"guest done: \d+ passed, 0 failed")


def test_debian_runs_on_two_vcpus_on_vmx(folder):
    cmdline = "console=ttyS0 quiet initcall_blacklist=jent_mod_init"
    guest = debian("web", "192M", cmdline, cpus=2, affinity="0-1")
    with Bochs(config(guest), folder, limit=480) as machine:
        machine.expect("web: started", 240)
        machine.expect(re.escape(SHELL), 300)
        machine.line("nproc; grep -c GenuineIntel /proc/cpuinfo")
        machine.expect(r"^2\r*\n2\r*\n", 60)


def test_a_hostile_guest_does_not_disturb_its_neighbour_on_vmx(folder, count_checks):
    vms = [vm("steady", "steady.img", "4M", f"ms=100 late={hostile.KEPT_US['x86_64']}",
              affinity="1", priority=20),
           vm("hostile0", "hostile.img", "4M", "seed=1 ms=20", affinity="0-1", cpus=2,
              **hostile.POLICY)]
    with Bochs(config(*vms), folder) as machine:
        machine.expect("steady: powered off", 300)
        judge(machine.text, count_checks)


def test_a_report_does_not_keep_the_processor_for_longer_than_a_line_takes_on_vmx(folder,
                                                                                 count_checks):
    """Bochs' UART takes 87 us for a character, and so the longest line 12 ms, the report 380 ms."""
    vms = [vm("steady", "steady.img", "4M", "ms=500 late=18000", affinity="1", priority=20),
           vm("hole", "fault_hole.img", "4M", affinity="1")]
    with Bochs(config(*vms, console="prompt"), folder, **SLOW) as machine:
        machine.expect("hole: crashed", 280)
        machine.expect("steady: powered off", 280)
        machine.focus(1)
        machine.expect(r"guest done: \d+ passed, \d+ failed", 60)
        judge(machine.text, count_checks)
        print(re.search(r"latest \d+ us", machine.text).group())


def test_a_purpose_built_hypervisor_runs_its_guest_by_hand_on_vmx(folder):
    with Bochs(None, folder, smp=1, name="example") as machine:
        machine.expect("the guest says: 12 \\* 12 is 144", 200)
        machine.expect("example: ended by hypercall", 30)


def test_every_conformance_case_holds_on_vmx(folder):
    with Bochs(None, folder, name="conform") as machine:
        conformance.judge("x86_64", "vmx", machine, 250)
