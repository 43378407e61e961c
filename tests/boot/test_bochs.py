# SPDX-License-Identifier: Apache-2.0
"""x86_64 on Intel's VMX, which Bochs has: the same image, the kilobyte guests and Debian."""
import re

from caisson import ESCAPE, SHELL, Bochs, config, debian, vm
from test_guests import judge

ARCHS = ["x86_64"]
MACHINE = "bochs"

# Guest, vCPUs, command line. All run in one machine, for its start takes longest.
GUESTS = [("memory", 1, ""), ("modes", 1, ""), ("irq", 1, "rounds=100"), ("fp", 2, "rounds=100")]


def test_kilobyte_guests_find_the_machine_as_it_must_be_on_vmx(folder, count_checks):
    vms = [vm(name, f"{name}.img", memory="16M", cmdline=cmdline, cpus=cpus)
           for name, cpus, cmdline in GUESTS]
    with Bochs(config(*vms), folder) as machine:
        left = {name for name, _, _ in GUESTS}
        while left:
            left.discard(machine.expect(r"(\S+): powered off", 300).group(1))
        for number in range(2, len(GUESTS) + 1):
            start = len(machine.text)
            machine.send(f"{ESCAPE}{number}")
            machine.expect(r"guest done: \d+ passed, \d+ failed", 30)
            judge(machine.text[start:], count_checks)


def test_debian_runs_on_two_vcpus_on_vmx(folder):
    cmdline = "console=ttyS0 quiet initcall_blacklist=jent_mod_init"
    guest = debian("web", "192M", cmdline, cpus=2, affinity="0-1")
    with Bochs(config(guest), folder, limit=480) as machine:
        machine.expect("web: started", 240)
        machine.expect(re.escape(SHELL), 300)
        machine.line("nproc; grep -c GenuineIntel /proc/cpuinfo")
        machine.expect(r"^2\r*\n2\r*\n", 60)
