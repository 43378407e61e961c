# SPDX-License-Identifier: Apache-2.0
"""The life of VMs at the prompt: made, started, paused, resumed, stopped, reset and destroyed, and
nothing of them is left."""
import re

import pytest

from caisson import Machine, config, debian, vm
from test_guests import judge

ARCHS = ["aarch64", "riscv64", "x86_64"]
CYCLES = 50


def free_pages(machine):
    return int(machine.command("memory", r"\((\d+) pages\)").group(1))


@pytest.fixture(scope="module")
def machine(arch, folder):
    vms = [vm("watch", "pause.img", "2M", cpus=2), vm("spin", "spin.img", "2M", cpus=2),
           vm("hole", "fault_hole.img", "2M", autostart="no", on_crash="pause"),
           vm("dog", "watchdog.img", "2M", autostart="no"),
           vm("mute", "spin.img", "2M", autostart="no", watchdog_ms=1500, on_crash="restart"),
           vm("off", "memory.img", "4M", autostart="no", on_poweroff="pause"),
           debian("large", "256M", autostart="no")]
    with Machine(arch, config(*vms, console="prompt"), folder, limit=300) as started:
        started.expect("spin: started", 60)
        started.prompt()
        yield started


def watched(machine):
    """The longest time, in ms, that the first guest's clock has jumped over."""
    machine.focus(1)
    machine.send("p")
    longest = int(machine.expect(r"pause: at most (\d+) ms").group(1))
    machine.prompt()
    return longest


def test_a_guests_clock_stands_still_while_it_is_paused(machine):
    watched(machine)
    for _ in range(2):
        machine.command("pause watch", "watch: paused")
        machine.command("list", r"watch +paused")
        machine.quiet(4)
        machine.command("resume watch", "watch: resumed")
    assert watched(machine) < 3000
    machine.focus(1)
    machine.send("q")
    assert machine.expect(r"guest done: (\d+) passed, 0 failed").group(1) == "4"
    machine.expect("watch: powered off")
    machine.prompt()


def test_what_is_not_allowed_now_is_refused_with_both_states(machine):
    for command, only in [("pause hole", "created and cannot become pausing"),
                          ("resume spin", "running and cannot become running"),
                          ("start spin", "running and cannot become starting"),
                          ("stop hole", "created and cannot become stopping"),
                          ("destroy spin", "running and cannot be destroyed"),
                          ("create spin", "there is a VM 'spin' already"),
                          ("create nobody", "the configuration has no VM 'nobody'")]:
        machine.command(command, re.escape(only))


def test_vcpus_that_spin_with_interrupts_off_are_paused_reset_and_stopped(machine):
    machine.command("pause spin", "spin: paused")
    machine.command("resume spin", "spin: resumed")
    machine.command("reset spin", "spin: stopped, restarting")
    machine.expect("spin: started")
    machine.command("pause spin", "spin: paused")
    machine.command("stop spin", "spin: stopped")


def test_a_vm_is_stopped_or_reset_while_it_starts(machine):
    """Both commands come together, so that the second finds a VM whose memory is being filled."""
    for _ in range(3):
        machine.send("start large\rstop large\r")
        machine.expect("large: stopped")
        machine.command("list", r"large +stopped")
        machine.send("start large\rreset large\r")
        machine.expect("large: stopped, restarting")
        machine.expect("large: started")
        machine.command("stop large", "large: stopped")
        machine.command("destroy large", "large: destroyed")
        machine.command("create large")
    assert len(re.findall("large: started", machine.text)) >= 3  # A start may be over sooner.
    machine.command("destroy large", "large: destroyed")


def test_a_vm_that_crashes_can_be_kept_for_a_look(machine):
    machine.command("start hole", "hole: crashed, paused")
    machine.command("list", r"hole +paused")
    machine.command("resume hole", "hole: crashed, paused")  # It does the same again.
    machine.command("stop hole", "hole: stopped")


def test_a_vm_that_powers_off_can_be_kept_for_a_look(machine):
    machine.command("start off", "off: powered off, paused")
    machine.command("resume off", "off: powered off")
    machine.command("list", r"off +stopped")


def test_a_guest_that_hangs_is_found_by_its_watchdog(machine):
    machine.command("start dog", "dog: its watchdog was not fed in time")
    machine.expect("dog: crashed")
    hung = len(re.findall("dog: crashed", machine.text))
    machine.focus(2 + 2)
    machine.expect("watchdog: hangs now")
    assert "FAIL" not in machine.text and hung == 1
    machine.prompt()


def test_a_watchdog_stands_still_in_a_pause_and_its_vm_restarts(machine):
    machine.command("start mute", "mute: started")
    machine.command("pause mute", "mute: paused")
    assert "watchdog" not in machine.quiet(3)
    machine.command("resume mute", "mute: its watchdog was not fed in time")
    machine.expect("mute: crashed, restarting")
    machine.expect("mute: started")
    machine.command("stop mute", "mute: stopped")


def test_nothing_is_left_of_a_vm_however_often_it_comes_and_goes(machine):
    pages = set()
    machine.command("destroy spin", "spin: destroyed")
    for i in range(CYCLES):
        for command in ["create spin", "start spin"]:
            machine.line(command)
        machine.expect("spin: started")
        if i % 3 == 1:
            machine.command("pause spin", "spin: paused")
        machine.command("stop spin", "spin: stopped")
        machine.command("destroy spin", "spin: destroyed")
        pages.add(free_pages(machine))
    assert len(pages) == 1, pages
    machine.command("create spin")
    machine.command("start spin", "spin: started")
    machine.command("list", r"spin +running")


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_large_vm_that_comes_and_goes_does_not_hold_its_neighbours_up(arch, folder, busy,
                                                                        count_checks):
    vms = [vm("steady", "steady.img", "4M", "ms=200 late=1000", affinity="0"),
           debian("big", "256M", affinity="0", autostart="no", priority=1)]
    if busy:
        vms.append(vm("spin", "spin.img", "2M", affinity="0", priority=1))
    with Machine(arch, config(*vms, console="prompt"), folder, smp=1, counted=True) as machine:
        machine.expect("steady: started")
        machine.prompt()
        while "steady: powered off" not in machine.text:
            machine.command("start big", "big: started")
            machine.command("stop big", "big: stopped")
        machine.focus(1)
        machine.expect(r"guest done: \d+ passed, \d+ failed")
        judge(machine.text, count_checks)
