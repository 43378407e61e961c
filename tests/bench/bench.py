# SPDX-License-Identifier: Apache-2.0
"""
Measures what guests pay, in instructions: on an emulator that counts them, with one processor and a
clock of one tick an instruction. Prints a table, writes build/bench.json. Debian's boot holds waits
of its kernel for ticks: that figure is good to about 3 percent.

    tests/bench/bench.py [--arch aarch64] [--quick]      --quick: without Debian's boot
"""
import argparse
import base64
import json
import pathlib
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/boot"))

# pylint: disable=wrong-import-position
from caisson import CACHE, COUNTED, SHELL, Console, Machine, build, config, debian, vm  # noqa: E402

BACKENDS = {"aarch64": "el2"}
CPU = {"aarch64": "cortex-a72,cntfrq=1000000000"}
CONTROLLER = "interrupt-controller register that looks at many lines"

# Of the design: what each backend may cost. None: no budget.
BUDGETS = {
    "el2": {
        "null hypercall, round trip": 150,
        "read of a device register": 220,
        CONTROLLER: 500,
        "timer deadline to the handler": 200,
        "self-IPI, send to the handler": 500,
        "halt to timer wake, exclusive pCPU": 200,
        "yield and switch between two vCPUs": 1000,
        "entry to the guest's first instruction, 1 GiB": 1000000,
        "entry to the guest's first instruction, 8 GiB": 1000000,
        "hypervisor image": 256 << 10,
        "memory beyond the guests', 2 vCPUs": (2 << 20) + 2 * (32 << 10),
        "Debian's boot to its first process, quiet": 1.01,
        "Debian's boot to its first process, console": 1.03,
    },
}
NAMES = {
    "hypercall": "null hypercall, round trip",
    "device": "read of a device register",
    "timer": "timer deadline to the handler",
    "ipi": "self-IPI, send to the handler",
    "yield": "yield and switch between two vCPUs",
}
DEBIAN_CMDLINE = "initcall_blacklist=jent_mod_init"


class Bench:
    def __init__(self, arch, folder):
        self.arch = arch
        self.folder = folder
        self.backend = BACKENDS[arch]
        self.rows = []

    def row(self, name, value, unit="instructions"):
        self.rows.append({"backend": self.backend, "name": name, "value": value, "unit": unit,
                          "budget": BUDGETS[self.backend].get(name)})

    def machine(self, dts, **options):
        options = {"smp": 1, "counted": True, "cpu": CPU[self.arch], "limit": 600} | options
        return Machine(self.arch, dts, self.folder, **options)

    def guest(self, **properties):
        """The bench guest's figures: name to median."""
        with self.machine(config(vm("bench", "bench.img", **properties))) as machine:
            machine.expect("guest done: 1 passed, 0 failed", 300)
            return {name: int(value) for name, value in
                    re.findall(r"^bench (\S+) (\d+)", machine.text, re.M)}

    def costs(self):
        own = self.guest(affinity="0", exclusive=True)
        shared = self.guest(affinity="0", cpus=2)
        for key, name in NAMES.items():
            self.row(name, own.get(key, shared.get(key)))
        self.row("halt to timer wake, exclusive pCPU", own["wait"])
        self.row("halt to timer wake, shared pCPU", shared["wait"])
        lines = {key: value for key, value in own.items() if key.startswith("gic")}
        worst = max(lines, key=lines.get)
        self.row(CONTROLLER, lines[worst])
        print("registers of the interrupt controller:",
              ", ".join(f"{key} {value}" for key, value in lines.items()))

    def start(self):
        """A guest of 2 MiB: little to clear, little to copy."""
        for ram in (1, 8):
            with self.machine(config(vm("bench", "bench.img", "2M")), ram=f"{ram}G") as machine:
                clock = machine.expect(r"bench start (\d+)\r").group(1)
            self.row(f"entry to the guest's first instruction, {ram} GiB", int(clock))

    def sizes(self):
        self.row("hypervisor image", (build(self.arch) / "caisson.img").stat().st_size, "bytes")
        guest = vm("echo", "echo.img", "64M", cpus=2)
        with Machine(self.arch, config(guest), self.folder, ram="1G") as machine:
            machine.expect("echo: ready")
            machine.prompt()
            match = machine.command("memory", r"(\d+) of \d+ (MiB|KiB) free")
        unit = 1 << (20 if match.group(2) == "MiB" else 10)
        self.row("memory beyond the guests', 2 vCPUs",
                 (1 << 30) - (64 << 20) - int(match.group(1)) * unit, "bytes")

    def boot_time(self, machine):
        """Instructions from the kernel's first message to its first process; the machine's tree."""
        machine.expect(re.escape(SHELL), 300)
        stamp = re.search(r"\[ *(\d+)\.(\d{6})\] Run /init", machine.shell("dmesg", 300))
        tree = machine.shell("base64 /sys/firmware/fdt", 300)
        return int(stamp.group(1) + stamp.group(2)) * 1000, base64.b64decode(tree)

    def bare(self, tree, cmdline):
        """The same kernel on the emulator alone, with the device tree that our guest has."""
        (self.folder / "bare.dtb").write_bytes(tree)
        return Console([
            "qemu-system-aarch64", "-M", "virt,gic-version=3,dtb-randomness=off", "-accel", "tcg",
            "-cpu", CPU[self.arch], "-smp", "1", "-m", "256M", "-display", "none", "-nodefaults",
            "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console", *COUNTED,
            "-kernel", str(CACHE / self.arch / "vmlinuz"), "-append", cmdline,
            "-initrd", str(build(self.arch) / "initrd.gz"),
            "-dtb", str(self.folder / "bare.dtb")], 600)

    def boots(self):
        for name, cmdline in (("quiet", "quiet "), ("console", "")):
            cmdline = f"console=ttyAMA0 {cmdline}{DEBIAN_CMDLINE}"
            dts = config(debian("web", cmdline=cmdline, affinity="0", exclusive=True))
            with self.machine(dts) as machine:
                ours, tree = self.boot_time(machine)
            with self.bare(tree, cmdline) as machine:
                bare, _ = self.boot_time(machine)
            print(f"Debian's boot, {name}: {ours} instructions, {bare} on the bare emulator")
            self.row(f"Debian's boot to its first process, {name}", round(ours / bare, 4), "times")


def table(rows):
    over = 0
    for row in rows:
        budget = row["budget"]
        mark = "" if budget is None or row["value"] <= budget else "  OVER"
        over += bool(mark)
        print(f"{row['name']:58} {row['value']:>10} {row['unit']:12} "
              f"{'' if budget is None else f'of {budget}'}{mark}")
    print(f"{len(rows)} rows, {over} over budget")


def main():
    parser = argparse.ArgumentParser(description="Measures costs in instructions.")
    parser.add_argument("--arch", default="aarch64")
    parser.add_argument("--quick", action="store_true", help="without Debian's boot")
    options = parser.parse_args()
    if options.arch not in BACKENDS:
        sys.exit(f"bench: no figures for '{options.arch}' yet; there is: {', '.join(BACKENDS)}")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options.arch, pathlib.Path(folder))
        bench.costs()
        bench.start()
        bench.sizes()
        if not options.quick:
            bench.boots()
    table(bench.rows)
    out = ROOT / "build/bench.json"
    others = json.loads(out.read_text()) if out.exists() else []
    others = [row for row in others if row["backend"] != bench.backend]
    out.write_text(json.dumps(others + bench.rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
