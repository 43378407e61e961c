#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""VMs that come and go for hours, on one machine, and leave nothing behind: `make soak`.

    tests/soak/soak.py --arch aarch64 [--machine bochs] [--kilobyte 10000] [--linux 100]

Beside them a guest runs that must not notice, and answers keys. Prints the count of free pages as
it goes; ends with 1 and the console when it changes, or when an answer does not come.
"""
import argparse
import pathlib
import random
import re
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "boot"))
from caisson import ESCAPE, PROMPT, SHELL, Bochs, ConsoleError, Machine, config, debian, vm

CMDLINE = {"aarch64": "quiet", "riscv64": "quiet", "x86_64": "console=ttyS0 quiet"}
LOOK_EVERY = 100
STEADY = 1  # Its place among the consoles; those of the others come and go behind it.
START = time.monotonic()
# Lives of the kilobyte guest and of Debian, in an hour or so. Bochs takes ten times as long.
LIVES = {"": (10000, 100), "bochs": (1000, 10)}


def free_pages(machine):
    return int(machine.command("memory", r"\((\d+) pages\)").group(1))


def forget(machine):
    """What the console printed so far is not kept: it would be all in memory."""
    machine.log.seek(0)
    machine.log.truncate()


class Count:
    """The free pages after each life, which must not change."""

    def __init__(self, machine, what):
        self.machine, self.what, self.pages = machine, what, None

    def look(self, cycle):
        pages = free_pages(self.machine)
        if self.pages is None:
            self.pages = pages
        passed = time.monotonic() - START
        print(f"{passed:6.0f} s: {self.what} {cycle}: {pages} pages free", flush=True)
        self.machine.focus(STEADY)
        self.machine.send("p")
        self.machine.expect("pause: at most", 30)
        self.machine.prompt()
        wrong = re.search(r"steady: crashed|not paused|panic|assertion.*", self.machine.text)
        if wrong:
            self.machine.fail(f"the console says '{wrong.group(0)}'")
        if pages != self.pages:
            self.machine.fail(f"{self.pages} pages were free, and now {pages}")


def kilobyte(machine, cycles):
    """Made, started, mostly paused, resumed or reset, stopped, destroyed."""
    count = Count(machine, "kilobyte guest")
    for cycle in range(1, cycles + 1):
        machine.line("create spin")
        machine.command("start spin", "spin: started")
        for what, answer in random.choice([[], [("pause", "paused")],
                                           [("pause", "paused"), ("resume", "resumed")],
                                           [("reset", "started")]]):
            machine.command(f"{what} spin", f"spin: {answer}")
        machine.command("stop spin", "spin: stopped")
        machine.command("destroy spin", "spin: destroyed")
        if cycle == 1 or cycle % LOOK_EVERY == 0 or cycle == cycles:
            count.look(cycle)
            forget(machine)


def linux(machine, cycles, number):
    """Stopped in its boot at any moment, or when its shell idles; then the prompt must answer."""
    count = Count(machine, "Debian")
    for cycle in range(1, cycles + 1):
        machine.line("create deb")
        machine.command("start deb", "deb: started")
        if cycle % 4 == 0:
            machine.focus(number)
            machine.expect(re.escape(SHELL), 300)
            machine.quiet(random.uniform(0, 3))
            machine.prompt()
        else:
            machine.quiet(random.uniform(0, 5))
        if cycle % 3 == 0:
            machine.command("pause deb", "deb: paused")
        machine.command("stop deb", "deb: stopped")
        machine.command("list", r"deb +stopped")
        machine.command("destroy deb", "deb: destroyed")
        machine.expect(re.escape(PROMPT))
        count.look(cycle)
        forget(machine)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--arch", default="aarch64")
    parser.add_argument("--machine", default="")
    parser.add_argument("--kilobyte", type=int)
    parser.add_argument("--linux", type=int)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    kilobytes, linuxes = LIVES.get(options.machine, LIVES[""])
    kilobytes = kilobytes if options.kilobyte is None else options.kilobyte
    linuxes = linuxes if options.linux is None else options.linux
    random.seed(options.seed)
    vms = [vm("spin", "spin.img", "2M", cpus=2, autostart="no"),
           debian("deb", "192M", CMDLINE[options.arch], cpus=2, autostart="no"),
           vm("steady", "pause.img", "2M", "idle=1", cpus=2)]
    dts = config(*vms, console="prompt")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        started = (Bochs(dts, folder, limit=10**6) if options.machine == "bochs" else
                   Machine(options.arch, dts, folder, limit=10**6))
        with started as machine:
            try:
                machine.expect("steady: started", 300)
                machine.prompt()
                machine.command("destroy spin", "spin: destroyed")
                machine.command("destroy deb", "deb: destroyed")
                kilobyte(machine, kilobytes)
                linux(machine, linuxes, STEADY + 1)
                machine.focus(STEADY)
                machine.send("q")
                machine.expect("guest done: 4 passed, 0 failed", 30)
            except ConsoleError as error:
                machine.send(ESCAPE + "h\rlist\rstat\rmemory\r")
                print(error, machine.quiet(2))
                return 1
    print(f"{options.arch} {options.machine}: nothing left of {kilobytes} kilobyte guests "
          f"and {linuxes} Debian guests")
    return 0


if __name__ == "__main__":
    sys.exit(main())
