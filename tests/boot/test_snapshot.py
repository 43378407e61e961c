# SPDX-License-Identifier: Apache-2.0
"""Snapshots: a guest goes on from where it was, after a crash too, and beside itself."""
import re

import pytest

from caisson import QUIET, SHELL, Machine, config, debian, vm

ARCHS = ["aarch64", "riscv64", "x86_64"]
HOLE = {"aarch64": "0x30000000", "riscv64": "0x18000000", "x86_64": "0x80000000"}  # Nothing there.
BACK_US = 100000  # A crashed guest of 256 MiB is back by then.


@pytest.fixture(scope="module")
def machine(arch, folder):
    vms = [vm("again", "again.img", "4M", cpus=2),
           vm("golden", "again.img", "4M", cpus=2, on_crash="restore"),
           vm("small", "again.img", "2M", cpus=2, autostart="no"),
           vm("steady", "pause.img", "2M", cpus=2)]
    with Machine(arch, config(*vms, console="prompt"), folder, limit=300) as started:
        started.expect("steady: started", 60)
        started.focus(1)
        started.expect("again: remembers", 60)
        yield started


def key(machine, guest, letter, answer):
    """A key typed at a guest, by the number of its console."""
    machine.focus(guest)
    machine.send(letter)
    machine.expect(answer, 60)
    machine.prompt()


def done(machine, guest, name):
    machine.focus(guest)
    machine.send("q")
    assert machine.expect(r"guest done: \d+ passed, (\d+) failed", 60).group(1) == "0"
    machine.expect(f"{name}: powered off")
    machine.prompt()


def test_a_guest_goes_on_from_its_snapshot_as_often_as_it_is_asked(machine):
    key(machine, 1, "n", "again: 1\r")
    machine.command("snapshot again one", "snapshot again@one taken")
    key(machine, 1, "n", "again: 2\r")
    machine.command("snapshot again two one", "snapshot again@two taken")
    key(machine, 1, "n", "again: 3\r")
    for _ in range(2):
        machine.command("restore again two", "again: back at snapshot again@two")
        key(machine, 1, "n", "again: 3\r")
    machine.command("restore again one", "again: back at snapshot again@one")
    key(machine, 1, "n", "again: 2\r")
    machine.command("verify again@one", "again@one is whole")


def test_a_handler_goes_on_and_what_is_pending_comes_after_it_once(machine):
    key(machine, 1, "i", "again: in a handler\r")
    machine.command("snapshot again held", "snapshot again@held taken")
    for _ in range(2):
        key(machine, 1, "k", "again: 2 messages\r")
        machine.command("restore again held", "again: back at snapshot again@held")
    key(machine, 1, "k", "again: 2 messages\r")
    machine.command("forget again@held")


def test_a_second_one_goes_on_beside_it(machine):
    machine.command("restore again two as twin", "twin: back at snapshot again@two")
    key(machine, 1, "n", "again: 3\r")
    key(machine, 5, "n", "again: 3\r")
    key(machine, 5, "n", "again: 4\r")
    machine.command("list", r"twin +running")
    done(machine, 5, "twin")
    machine.command("destroy twin", "twin: destroyed")


def test_a_stopped_guest_goes_on_from_its_snapshot(machine):
    machine.command("stop again", "again: stopped")
    machine.command("restore again two", "again: back at snapshot again@two")
    key(machine, 1, "n", "again: 3\r")
    done(machine, 1, "again")


def test_a_crashed_guest_is_back_where_it_was_ready(machine):
    key(machine, 2, "n", "again: 1\r")
    key(machine, 2, "r", "again: is ready")
    machine.command("snapshots", "golden@golden")
    key(machine, 2, "n", "again: 2\r")
    for _ in range(2):
        key(machine, 2, "x", "golden: back at snapshot golden@golden")
        key(machine, 2, "n", "again: 2\r")
    done(machine, 2, "golden")


def test_what_does_not_fit_is_refused_with_the_reason(machine):
    machine.command("restore small again@one", "refused: the VM has another size of memory")
    machine.command("restore steady again@one", "refused: the VM has another size of memory")
    machine.command("restore small one", "there is no snapshot 'small@one'")
    machine.command("snapshot small", "it is created; only a VM that is running or paused")
    machine.command("restore again one as steady", "there is a VM steady already")


def test_a_neighbour_does_not_notice(machine):
    machine.focus(4)
    machine.send("p")
    machine.expect(r"pause: at most \d+ ms")
    done(machine, 4, "steady")


def test_forgotten_snapshots_give_their_memory_back(machine):
    before = int(machine.command("memory", r"\((\d+) pages\)").group(1))
    machine.command("forget again@one", "again@one cannot be forgotten")
    for name in ["again@two", "again@one", "golden@golden"]:
        machine.command(f"forget {name}")
    assert int(machine.command("memory", r"\((\d+) pages\)").group(1)) > before


@pytest.fixture(scope="module")
def web(arch, folder):
    vms = [debian("web", "256M", QUIET[arch], cpus=2, on_crash="restore"),
           vm("steady", "pause.img", "2M", "idle=1", cpus=2)]
    with Machine(arch, config(*vms), folder, limit=400) as started:
        started.expect(re.escape(SHELL), 240)
        yield started


def ask(machine, line, answer):
    machine.focus(1)
    machine.send(line + "\r")
    found = machine.expect(answer, 60)
    machine.expect(re.escape(SHELL), 60)
    machine.prompt()
    return found.group(1)


def answers(machine, *lines):
    """All that Debian prints when these are typed."""
    machine.focus(1)
    machine.expect(r"--- web [^\n]*\n")
    start = len(machine.text)
    for line in lines:
        machine.send(line + "\r")
        machine.expect(re.escape(SHELL), 60)
    text = machine.text[start:]
    machine.prompt()
    return text[:text.rindex(SHELL)]  # Half a code for the terminal may have come behind it.


def test_debian_on_two_cpus_goes_on_from_its_prompt(web):
    ask(web, "x=before; echo x > /tmp/f; echo set: $x", r"set: (before)\r")
    web.prompt()
    web.command("snapshot web", "snapshot web@1 taken", 60)
    ask(web, "x=after; rm /tmp/f; echo set: $x", r"set: (after)\r")
    printed = []
    for _ in range(3):  # The same is typed, and the same is printed.
        web.command("restore web 1", "web: back at snapshot web@1.* us", 60)
        printed.append(answers(web, "echo is: $x $(cat /tmp/f)", "sh -c 'echo pid: $$; nproc'",
                               "cut -d' ' -f1,4-8 /proc/self/stat; ls -l /tmp"))
        assert re.search(r"is: before x\n[\s\S]*pid: \d+\n2\n", printed[-1])
    assert printed[0] == printed[1] == printed[2]
    ask(web, "echo bad: $(dmesg | grep -c -e 'rcu.*stall' -e BUG -e 'soft lockup')", r"bad: (0)\r")
    ask(web, "taskset 1 sleep 1; taskset 2 sleep 1; echo slept: $((1 + 1))", r"slept: (2)\r")


def test_debian_is_back_from_a_crash_at_once_and_answers(web, arch):
    web.command("snapshot web golden", "snapshot web@golden taken", 60)
    stood = []
    while len(stood) < 2 or (min(stood) > BACK_US and len(stood) < 6):  # Others want our CPUs, too.
        web.focus(1)
        web.send(f"x=lost; devmem {HOLE[arch]}\r")
        back = web.expect(r"web: back at snapshot web@golden: .* stood still for (\d+) us", 60)
        stood.append(int(back.group(1)))
        ask(web, "echo still: $x; sleep 1", r"still: (before)\r")
    assert min(stood) <= BACK_US
    done(web, 2, "steady")


def test_two_restores_of_debian_beside_each_other_run(web):
    web.command("restore web 1 as twin", "twin: back at snapshot web@1", 60)
    web.focus(3)
    web.send("echo I am: $x\r")
    web.expect("I am: before\r", 60)
    web.prompt()
    ask(web, "echo I am: $x", r"I am: (before)\r")
