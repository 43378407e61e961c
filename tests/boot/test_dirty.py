# SPDX-License-Identifier: Apache-2.0
"""Which pages a guest writes: the set that the prompt tells is that which the guest has written,
page by page, in whatever way the hardware finds it out."""
import re

import pytest

from caisson import PROMPT, Machine, config, vm

ARCHS = ["aarch64", "riscv64", "x86_64"]
PAGE = 4096
WINDOW = 1024  # Pages, if the guest is told nothing else.
FAULTS, BITS = "the faults of first writes", "dirty bits of the hardware"
LOG = "a log of the hardware"
HOSTS = {
    "aarch64": [("", FAULTS), ("max", BITS)],
    "riscv64": [("", FAULTS), ("rva22s64,h=true,svadu=true", BITS)],
    "x86_64": [("", BITS)],
}


def pytest_generate_tests(metafunc):
    if "host" in metafunc.fixturenames:
        cases = HOSTS.get(metafunc.config.getoption("--arch"), [])
        metafunc.parametrize("host", cases, ids=[f"{how} ({cpu or 'default'})"
                                                 for cpu, how in cases])


class Watched:
    """A guest that writes, and the prompt's view of it."""

    def __init__(self, machine, pages=WINDOW):
        self.machine, self.pages = machine, pages
        found = machine.expect(r"dirty: window (0x[0-9a-f]+), (\d+) CPUs", 60)
        self.window, self.rounds = int(found.group(1), 16), 0

    def command(self, word, answer):
        """The next one is typed when this one is over: a slow machine would lose a part of it."""
        self.machine.command(f"dirty writer {word}", answer)
        self.machine.expect(re.escape(PROMPT))

    def start(self, how):
        self.machine.prompt()
        self.command("start", f"known from now on, by {how}")

    def take(self):
        """Numbers of the window's pages in the set."""
        start = len(self.machine.text)
        self.command("take", r"(\d+) pages written, in \d+ runs")
        text, pages = self.machine.text[start:], set()
        assert "more" not in text
        for first, last in re.findall(r"^  0x([0-9a-f]+)-0x([0-9a-f]+)\r*$", text, re.M):
            pages |= set(range(int(first, 16) // PAGE, int(last, 16) // PAGE + 1))
        base = self.window // PAGE
        return {page - base for page in pages if base <= page < base + self.pages}

    def send(self, key, answer):
        self.machine.focus(1)
        self.machine.send(key)
        self.machine.expect(answer, 60)

    def write(self):
        self.rounds += 1
        self.send("w", f"dirty: round {self.rounds}, ")
        self.machine.prompt()
        return self.written()

    def written(self):
        """The pages that the guest writes in its last round, as tests/guest/dirty.c has it."""
        step = self.rounds * 2654435761
        return {page for page in range(self.pages)
                if (page * 40503 + step) % 2**32 >> 7 & 3 == 0}


def watched_while_it_writes(watched):
    """Each page comes, and again only if it was being written when a set was taken."""
    watched.rounds += 1
    watched.send("s", f"dirty: round {watched.rounds}\r*\n")
    watched.machine.prompt()
    sets = []
    while sum(map(bool, sets)) < 2 and len(sets) < 40:  # A slow one has to write first.
        sets.append(watched.take())
    watched.send("", f"dirty: round {watched.rounds}, ")
    watched.machine.prompt()
    sets.append(watched.take())
    assert set().union(*sets) == watched.written()
    assert sum(map(len, sets)) <= len(watched.written()) + 2 * len(sets)
    return sum(map(bool, sets)) > 1


def check_sets(watched, how):
    """The scenes that every machine plays."""
    machine = watched.machine
    machine.prompt()
    watched.command("take", "is not watched")
    watched.write()
    watched.start(how)
    assert watched.take() == set()
    for _ in range(3):
        assert watched.take() == set()
        expected = watched.write()
        assert watched.take() == expected
    first, second = watched.write(), watched.write()
    assert watched.take() == first | second
    watched.send("r", "dirty: all read")
    machine.prompt()
    assert watched.take() == set()
    # A guest that is done before a second set is taken was not watched while it wrote.
    assert any(watched_while_it_writes(watched) for _ in range(8))
    watched.command("start", "known from now on")
    expected = watched.write()
    watched.command("stop", "no longer known")
    watched.command("stop", "no longer known")
    watched.start(how)
    assert watched.take() == set()
    assert watched.write() == watched.take()
    watched.command("stop", "no longer known")
    watched.send("q", r"guest done: \d+ passed, 0 failed")


def free_pages(machine):
    return int(machine.command("memory", r"\((\d+) pages\)").group(1))


def test_the_pages_that_are_told_are_those_that_were_written(arch, folder, host):
    cpu, how = host
    vms = [vm("writer", "dirty.img", "16M", cpus=2)]
    with Machine(arch, config(*vms), folder, smp=2, cpu=cpu or None) as machine:
        check_sets(Watched(machine), how)


def test_vcpus_that_share_a_processor_are_watched_and_nothing_is_left(arch, folder):
    vms = [vm("writer", "dirty.img", "16M", cpus=3, on_poweroff="stop")]
    with Machine(arch, config(*vms), folder, smp=1) as machine:
        watched = Watched(machine)
        machine.prompt()
        before = free_pages(machine)
        watched.command("start", "known from now on")
        assert free_pages(machine) < before
        assert watched.write() == watched.take()
        watched.command("stop", "no longer known")
        assert free_pages(machine) == before
        watched.command("start", "known from now on")
        machine.command("stop writer", "writer: stopped")
        machine.command("destroy writer", "writer: destroyed")
        machine.command("create writer", "")
        watched.command("take", "is not watched")
