# SPDX-License-Identifier: Apache-2.0
"""More vCPUs than processors, with Debian's kernel: each VM comes to its shell and does a job."""
import hashlib
import re

import pytest

from caisson import SHELL, Machine, config, debian

ARCHS = ["aarch64", "riscv64", "x86_64"]
CMDLINE = {"aarch64": "quiet", "riscv64": "quiet", "x86_64": "console=ttyS0 quiet"}
SUM = hashlib.sha256("".join(f"{i}\n" for i in range(1, 2001)).encode()).hexdigest()

# One after the other: many vCPUs that wait in a queue for a lock, of which some wait for a pCPU,
# take very long where the emulator traps no WFE, and on riscv64 everywhere.
JOB = "for i in $(seq {}); do taskset $((1 << (i - 1))) sh -c 'seq 2000 | sha256sum'; done"

# What the VMs have, in this order.
CASES = {
    "four VMs of two vCPUs": [{"cpus": 2}] * 4,
    "one VM of eight vCPUs": [{"cpus": 8}],
    "one exclusive VM and three shared": [{"affinity": "1", "exclusive": True}] +
                                         [{"affinity": "0"}] * 3,
}


def all_do_their_job(machine, vms, limit):
    """Each has so many processors as it was given, and each of these counts right."""
    machine.expect(re.escape(SHELL), limit)
    for number, how in enumerate(vms, 1):
        cpus = how.get("cpus", 1)
        machine.at_shell(number, limit)
        assert machine.shell("nproc", limit).strip() == str(cpus)
        sums = machine.shell(JOB.format(cpus), limit)
        assert re.findall(r"^([0-9a-f]{64}) ", sums, re.M) == [SUM] * cpus, sums
    machine.prompt()
    for number in range(len(vms)):
        machine.command("list", rf"vm{number} +running")


@pytest.mark.parametrize("vms", CASES.values(), ids=CASES)
def test_debian_guests_share_two_processors(arch, vms, folder):
    guests = [debian(f"vm{i}", "128M", CMDLINE[arch], **how) for i, how in enumerate(vms)]
    with Machine(arch, config(*guests), folder, limit=400, smp=2) as machine:
        all_do_their_job(machine, vms, 200)
