# SPDX-License-Identifier: Apache-2.0
"""The kilobyte guests: each runs its own checks, and all of them must hold."""
import re

import pytest

from caisson import ESCAPE, Machine, config, vm


def run(arch, folder, vms, limit=90, **options):
    """Runs VMs until each has powered off; returns the output of each by name."""
    texts = {}
    names = re.findall(r"^(\S+) \{ memory", "\n".join(vms), re.M)
    with Machine(arch, config(*vms), folder, limit=limit, **options) as machine:
        left = set(names)
        while left:
            left.discard(machine.expect(r"(\S+): powered off", limit).group(1))
        for number, name in enumerate(names, 1):
            start = len(machine.text) if number > 1 else 0
            if number > 1:
                machine.send(f"{ESCAPE}{number}")
                machine.expect(r"guest done: \d+ passed, \d+ failed")
            texts[name] = machine.text[start:]
        return texts


def judge(text, count_checks):
    """The guest's sum agrees with its lines, and nothing failed."""
    text = text.rpartition("# start ")[2]  # After a reset it counts anew.
    # A line of the log may have come into the middle of a word, when the rest took long.
    text = re.sub(r"^(ok?|FA?I?L?)\r*\n((?:\[ *\d+\.\d+\] [^\n]*\n)+)", r"\2\1", text, flags=re.M)
    ok = len(re.findall(r"^ok ", text, re.M))
    failed = re.findall(r"^FAIL .*", text, re.M)
    done = re.search(r"guest done: (\d+) passed, (\d+) failed", text)
    assert not failed and done and int(done.group(2)) == 0, text
    assert int(done.group(1)) == ok > 0, text
    count_checks(ok)


ARCHS = ["aarch64", "riscv64", "x86_64"]

# What the emulator has, and the guest's controller, by the words for it.
HOSTS = {
    "": ({}, {}),
    "GICv2": ({"gic": 2}, {}),
    "Sstc": ({"cpu": "rva22s64,h=true,sstc=true"}, {}),
    "vectors, Sv57, Zcb": ({"cpu": "rva22s64,h=true,v=true,sv57=true,zcb=true"}, {}),
    "AIA by software": ({"aia": "aia=aplic-imsic"}, {"interrupt_controller": "aia"}),
    "x2APIC": ({"cpu": "+x2apic"}, {}),
    "no AVX": ({"cpu": "-avx"}, {}),
    "no XSAVE": ({"cpu": "-xsave"}, {}),
    "AIA by hardware": ({"aia": "aia=aplic-imsic,aia-guests=3"}, {"interrupt_controller": "aia"}),
}
# Guest, vCPUs, pCPUs, command line, host. More vCPUs than pCPUs take turns, so they get fewer
# rounds.
GUESTS = {
    "aarch64": [
        ("mmio", 1, 1, "", ""), ("mmio", 1, 2, "", ""),
        ("timer", 1, 1, "", ""), ("timer", 2, 2, "", ""), ("timer", 4, 2, "rounds=100", ""),
        ("irq", 1, 1, "", ""), ("irq", 2, 2, "", ""), ("irq", 2, 1, "", ""),
        ("sgi", 2, 2, "rounds=300", ""), ("sgi", 4, 4, "rounds=50", ""),
        ("sgi", 4, 2, "rounds=10", ""), ("sgi", 2, 1, "rounds=30", ""),
        ("ipis", 2, 1, "count=100000", ""), ("ipis", 8, 2, "count=2000", ""),
        ("psci", 2, 2, "", ""), ("psci", 4, 1, "", ""),
        ("fp", 2, 2, "", ""), ("fp", 3, 1, "rounds=600", ""),
        ("sysreg", 1, 2, "", ""),
        ("reset", 1, 1, "", ""), ("reset", 2, 2, "", ""),
        ("timer", 2, 2, "", "GICv2"), ("psci", 2, 2, "", "GICv2"), ("fp", 2, 2, "", "GICv2"),
        ("reset", 2, 2, "", "GICv2"),
    ],
    "riscv64": [
        ("mmio", 1, 1, "", ""), ("mmio", 1, 2, "", "vectors, Sv57, Zcb"),
        ("timer", 1, 1, "", ""), ("timer", 2, 2, "", ""), ("timer", 4, 2, "rounds=100", ""),
        ("timer", 2, 2, "", "Sstc"), ("timer", 4, 2, "rounds=100", "Sstc"),
        ("timer", 2, 2, "", "AIA by hardware"),
        ("irq", 1, 1, "", ""), ("irq", 2, 2, "", ""), ("irq", 2, 1, "rounds=30", ""),
        ("aia", 1, 1, "", "AIA by software"), ("aia", 2, 2, "rounds=100", "AIA by software"),
        ("aia", 2, 1, "rounds=30", "AIA by software"),
        ("aia", 1, 1, "hardware=1", "AIA by hardware"),
        ("aia", 2, 2, "rounds=50 hardware=1", "AIA by hardware"),
        ("aia", 2, 1, "rounds=30 hardware=1", "AIA by hardware"),
        ("ipi", 2, 2, "rounds=100", ""), ("ipi", 4, 4, "rounds=30", ""),
        ("ipi", 4, 2, "rounds=10", ""), ("ipi", 2, 1, "rounds=30", ""),
        ("ipi", 2, 2, "rounds=50", "AIA by hardware"),
        ("ipis", 2, 1, "count=100000", ""), ("ipis", 8, 2, "count=2000", ""),
        ("ipis", 2, 1, "count=100000 msi=1", "AIA by software"),
        ("ipis", 2, 1, "count=100000 msi=1", "AIA by hardware"),
        ("ipis", 8, 2, "count=2000 msi=1", "AIA by hardware"),
        ("sbi", 2, 2, "", ""), ("sbi", 4, 1, "", ""), ("sbi", 2, 2, "", "Sstc"),
        ("fp", 2, 2, "", ""), ("fp", 3, 1, "rounds=600", ""),
        ("csr", 1, 2, "", ""), ("csr", 1, 1, "", "vectors, Sv57, Zcb"), ("csr", 1, 1, "", "Sstc"),
        ("csr", 1, 1, "", "AIA by software"), ("csr", 1, 1, "", "AIA by hardware"),
        ("paging", 2, 2, "", ""), ("paging", 2, 1, "", ""),
        ("paging", 1, 1, "", "vectors, Sv57, Zcb"), ("paging", 2, 2, "", "AIA by software"),
        ("reset", 1, 1, "", ""), ("reset", 2, 2, "", ""), ("reset", 2, 2, "", "AIA by software"),
        ("reset", 2, 2, "", "AIA by hardware"),
    ],
    "x86_64": [
        ("timer", 1, 1, "", ""), ("timer", 2, 2, "", "x2APIC"), ("timer", 4, 2, "rounds=100", ""),
        ("timer", 2, 2, "x2=0", ""),
        ("irq", 1, 1, "", ""), ("irq", 1, 2, "", "x2APIC"), ("irq", 2, 1, "rounds=300", ""),
        ("ipi", 2, 2, "", ""), ("ipi", 4, 4, "rounds=50", "x2APIC"), ("ipi", 4, 2, "rounds=30", ""),
        ("ipi", 2, 1, "rounds=50", ""),
        ("ipis", 2, 1, "count=100000", ""), ("ipis", 8, 2, "count=2000", "x2APIC"),
        ("modes", 1, 1, "", ""), ("modes", 2, 2, "", ""),
        ("mmio", 1, 1, "", ""), ("mmio", 1, 2, "rounds=40", ""), ("pio", 1, 2, "", ""),
        ("code", 1, 1, "", ""),
        ("exceptions", 1, 1, "", ""), ("exceptions", 2, 1, "", ""),
        ("clocks", 1, 2, "", ""), ("clocks", 1, 1, "x2=0", "x2APIC"),
        ("msr", 2, 2, "", ""), ("cpuid", 1, 1, "", ""), ("cpuid", 3, 2, "", ""),
        ("cpuid", 2, 2, "", "no AVX"), ("hypercall", 1, 2, "", ""), ("tables", 4, 2, "", ""),
        ("fp", 2, 2, "", ""), ("fp", 3, 1, "rounds=600", ""), ("fp", 2, 2, "", "no AVX"),
        ("fp", 3, 1, "rounds=600", "no XSAVE"), ("cpuid", 1, 1, "", "no XSAVE"),
        ("reset", 1, 1, "", ""), ("reset", 2, 2, "", ""),
    ],
}


def pytest_generate_tests(metafunc):
    if "guest" in metafunc.fixturenames:
        cases = GUESTS.get(metafunc.config.getoption("--arch"), [])
        metafunc.parametrize("guest", [
            pytest.param(case, marks=[pytest.mark.soak] if "count=" in case[3] else [])
            for case in cases], ids=[
                f"{name}, {vcpus} vCPUs on {pcpus} pCPUs" + (f", {host}" if host else "")
                for name, vcpus, pcpus, _, host in cases])


def test_a_guest_finds_the_machine_as_it_must_be(arch, folder, guest, count_checks, soak):
    name, vcpus, pcpus, cmdline, host = guest
    if soak:
        cmdline = re.sub(r"count=\d+", r"\g<0>0", cmdline)  # Ten times as often.
    options, properties = HOSTS[host]
    vms = [vm("guest", f"{name}.img", cmdline=cmdline, cpus=vcpus, **properties)]
    limit = 900 if soak else 90
    judge(run(arch, folder, vms, limit, smp=pcpus, **options)["guest"], count_checks)


@pytest.mark.parametrize("mib", [2, 64, 700])
def test_memory_is_zeroes_and_of_the_configured_size(arch, folder, mib, count_checks):
    guest = vm("guest", "memory.img", memory=f"{mib}M", cmdline=f"mib={mib}")
    judge(run(arch, folder, [guest])["guest"], count_checks)


@pytest.mark.only("x86_64")
def test_memory_that_does_not_fit_below_the_hole_is_behind_it(arch, folder, count_checks):
    guest = vm("guest", "tables.img", memory="3136M", cmdline="behind=64")
    judge(run(arch, folder, [guest], ram="4G", smp=1)["guest"], count_checks)


def test_fp_registers_do_not_leak_between_vms_on_one_pcpu(arch, folder, count_checks):
    vms = [vm(f"fp{seed}", "fp.img", cmdline=f"seed={seed} rounds=1500", affinity="0")
           for seed in (1, 2, 3)]
    for text in run(arch, folder, vms, smp=1).values():
        judge(text, count_checks)


def test_vms_that_spin_on_all_pcpus_do_not_keep_another_from_its_timers(arch, folder, count_checks):
    vms = [vm("timer", "timer.img", cmdline="rounds=50", cpus=2), vm("spin", "spin.img", cpus=2)]
    with Machine(arch, config(*vms), folder) as machine:
        machine.expect("timer: powered off", 90)
        judge(machine.text, count_checks)


def test_an_exclusive_vm_runs_beside_a_shared_one(arch, folder, count_checks):
    vms = [vm("own", "timer.img", cmdline="rounds=300", affinity="1", exclusive=True),
           vm("shared", "timer.img", cmdline="rounds=300", cpus=2, affinity="0")]
    for text in run(arch, folder, vms, smp=2).values():
        judge(text, count_checks)
