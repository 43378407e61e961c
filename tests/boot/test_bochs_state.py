# SPDX-License-Identifier: Apache-2.0
"""A VM's state, on Intel's VMX, which Bochs has: snapshots and the register file, while the
hardware has the vectors; and stolen time."""
import pytest

import test_regs
import test_snapshot
from caisson import Bochs, config, vm
from test_bochs import POSTS, SLOW
from test_guests import judge

ARCHS = ["x86_64"]
MACHINE = "bochs"
# A character of a fault report takes the UART so long that beside busy guests a second has few.
HASTY = SLOW | {"ips": 20000000}


@pytest.fixture(scope="module")
def machine(folder):
    """Vectors are in hardware, and not posted."""
    vms = [vm("again", "again.img", "4M", cpus=2),
           vm("golden", "again.img", "4M", cpus=2, on_crash="restore"),
           vm("small", "again.img", "2M", cpus=2, autostart="no"),
           vm("regs", "regs.img", "16M")]
    with Bochs(config(*vms, console="prompt"), folder, limit=600, **HASTY) as started:
        started.expect("regs: started", 240)
        started.focus(1)
        started.expect("again: remembers", 60)
        yield started


def test_a_guest_goes_on_from_its_snapshots_on_vmx(machine):
    test_snapshot.test_a_guest_goes_on_from_its_snapshot_as_often_as_it_is_asked(machine)
    test_snapshot.test_a_handler_goes_on_and_what_is_pending_comes_after_it_once(machine)


def test_a_second_one_goes_on_beside_it_on_vmx(machine):
    test_snapshot.test_a_second_one_goes_on_beside_it(machine)
    test_snapshot.test_a_stopped_guest_goes_on_from_its_snapshot(machine)


def test_a_crashed_guest_is_back_where_it_was_ready_on_vmx(machine):
    test_snapshot.test_a_crashed_guest_is_back_where_it_was_ready(machine)


def test_a_guest_finds_all_its_registers_on_vmx(machine, count_checks):
    test_regs.taken_and_put_back("x86_64", machine, 4, count_checks, 60)


def test_what_was_posted_is_in_a_snapshot_on_vmx(folder):
    guest = vm("again", "again.img", "4M", cpus=2)
    with Bochs(config(guest, console="prompt"), folder, **POSTS) as machine:
        machine.expect("vmx: vectors of guests in hardware, posted", 240)
        machine.expect("again: started", 240)
        machine.focus(1)
        machine.expect("again: remembers", 60)
        test_snapshot.test_a_handler_goes_on_and_what_is_pending_comes_after_it_once(machine)


def test_a_vcpu_is_told_how_much_of_its_time_another_vm_stole_on_vmx(folder, count_checks):
    vms = [vm("steal", "steal.img"), vm("spin", "spin.img")]
    with Bochs(config(*vms), folder, smp=1, **SLOW) as machine:
        machine.expect("steal: powered off")
        judge(machine.text, count_checks)
