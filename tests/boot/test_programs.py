# SPDX-License-Identifier: Apache-2.0
"""Programs that are linked with the kernel in place of the runner of VMs."""
from caisson import Console, program, qemu


def test_a_purpose_built_hypervisor_runs_its_guest_by_hand(arch):
    with Console(qemu(arch, program(arch, "example")), 60) as machine:
        machine.expect(f"the guest says: hello from {arch}")
        machine.expect("the guest says: 12 \\* 12 is 144")
        machine.expect("example: ended by hypercall after 37 exits")
        machine.expect("example: destroyed")
        machine.ends()
