# SPDX-License-Identifier: Apache-2.0
"""The conformance suite on the backends that QEMU has; test_bochs.py has it on VMX."""
import conformance
from caisson import Console, program, qemu

# What lets a guest cause more: SVE, which is hidden; system registers of the AIA, WRS.
HOST = {"aarch64": {"cpu": "max"},
        "riscv64": {"aia": "aia=aplic-imsic", "cpu": "rva22s64,h=true,zawrs=true"}}


def test_every_conformance_case_holds(arch):
    command = qemu(arch, program(arch, "conform"), **HOST.get(arch, {}))
    with Console(command, 180) as machine:
        conformance.judge(arch, conformance.BACKENDS[arch], machine, 150)
