# SPDX-License-Identifier: Apache-2.0
"""Hostile guests and the neighbours that must not notice: for the boot tests and for the soak."""
import re

from caisson import ESCAPE, Machine, config, vm

SLICE_US = 2000
CPUS = "cpus { " + " ".join(f"cpu@{i} {{ slice-us = <{SLICE_US}>; }};" for i in (0, 1)) + " };\n"
POLICY = {"on_crash": "restart", "on_reset": "restart", "on_poweroff": "restart"}

# What a neighbour may be late, in microseconds, besides for the slices of its equals: a pCPU is
# kept as long as a report is printed, or a piece of a VM's memory is cleared. Where an instruction
# that repeats is counted each time, QEMU's other processors are late with it.
KEPT_US = {"aarch64": 2000, "riscv64": 2000, "x86_64": 5000}
FAR_US = {"aarch64": 1000, "riscv64": 1000, "x86_64": 2000}
REPORT_LINES = 60

# Whose work is done beside them: pCPU 2 has no hostile vCPU.
NEIGHBOURS = {
    "far": {"affinity": "2"},
    "equal": {"affinity": "0"},
    "urgent": {"affinity": "0", "priority": 20},
}


def configuration(arch, seed, ms, properties):
    """Two hostile VMs with five vCPUs on pCPUs 0 and 1, two of them on that of the neighbours."""
    late = {"far": FAR_US[arch], "urgent": KEPT_US[arch], "equal": KEPT_US[arch] + 2 * SLICE_US}
    vms = [vm(name, "steady.img", "4M", f"seed={5 + i} ms={ms} late={late[name]}", **how,
              **properties) for i, (name, how) in enumerate(NEIGHBOURS.items())]
    vms += [vm(f"hostile{i}", "hostile.img", "4M", f"seed={seed * 10 + i} counted=1 ms=80",
               affinity="0-1", cpus=2 + i, **POLICY, **properties) for i in (0, 1)]
    return config(*vms).replace("vms {", CPUS + "vms {", 1)


def log_is_short(text):
    """A report and a line or two for each time that a VM stopped: nothing besides."""
    lines = re.findall(r"^\[ *\d+\.\d{6}\] cpu\d.*", text, re.M)
    crashes = len(re.findall(r"^\[.*\] cpu\d error: hostile\d: vCPU \d+ on cpu\d: ", text, re.M))
    lives = len(re.findall(r"^\[.*\] cpu\d hostile\d: started", text, re.M))
    assert lives > 2, text
    assert len(lines) <= 20 + 2 * lives + REPORT_LINES * crashes, text


def run(arch, folder, seed, ms, limit=150, properties=None, **options):
    """Returns what the neighbours say, all of it and each of it, when they are done."""
    dts = configuration(arch, seed, ms, properties or {})
    with Machine(arch, dts, folder, limit=limit, smp=3, counted=True, **options) as machine:
        left = set(NEIGHBOURS)
        while left:
            left.discard(machine.expect(r"(far|equal|urgent): powered off", limit).group(1))
        log_is_short(machine.text)
        assert not re.search(r"assertion|panic|could not be restarted", machine.text), machine.text
        said = {}
        for number, name in enumerate(NEIGHBOURS, 1):
            start = len(machine.text) if number > 1 else 0
            if number > 1:
                machine.send(f"{ESCAPE}{number}")
                machine.expect(r"guest done: \d+ passed, \d+ failed")
            said[name] = machine.text[start:]
        return said


def latest(text):
    return int(re.search(r"latest (\d+) us", text).group(1))
