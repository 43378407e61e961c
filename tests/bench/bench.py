# SPDX-License-Identifier: Apache-2.0
"""
Measures what guests pay, in instructions: on an emulator that counts them, with one processor,
where one takes a nanosecond, or (vmx) a tick of the TSC. Prints a table with a column for each
backend, writes build/bench.json.

    tests/bench/bench.py [--arch aarch64,riscv64] [--machine bochs] [--quick]

--quick: without Debian's boot; --machine: only what is measured there, as in MACHINE.

Clearing memory is left out of the time to a guest's first instruction: what 2 MiB more take is
taken off once more. So is the firmware before us, as a guest sees it that is started in our place,
and the firmware's part of a deadline where riscv64 has no Sstc.
Of Debian's boot the time is counted in which its kernel was not idle; what that is more than on
the bare emulator, until all is quiet, is set against the time to the first process there.
"""
import argparse
import base64
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/boot"))

# pylint: disable=wrong-import-position
from caisson import (CACHE, COUNTED, EPYC, Bochs, Console, Machine, build, config,  # noqa: E402
                     debian, pack, vm)

# By emulator.
BACKENDS = {"aarch64": {"qemu": "el2"}, "riscv64": {"qemu": "h"},
            "x86_64": {"qemu": "svm", "bochs": "vmx"}}
CPU = {"aarch64": "cortex-a72,cntfrq=1000000000", "riscv64": "rva22s64,h=true,sstc=true",
       "x86_64": EPYC}
CONSOLE = {"aarch64": "ttyAMA0", "riscv64": "ttyS0", "x86_64": "ttyS0"}
BARE = {"aarch64": "virt,gic-version=3,dtb-randomness=off", "riscv64": "virt", "x86_64": "q35"}
# The emulator's PC that is nearest to our guests': without the devices of a chipset.
MICROVM = ("microvm,acpi=on,pcie=on,pit=on,pic=on,rtc=on,isa-serial=on,"
           "auto-kernel-cmdline=off")
CONTROLLER = "interrupt-controller register that looks at many lines"
TIMER = "timer deadline to the handler"

# How processors are shared, over so many seconds of the machine's time.
SHARING_S = 10
SHARES = "CPU shares of 3 busy vCPUs, worst deviation from their weights"
BUDGET = "budget of a busy vCPU, deviation"
SLOTS = "time table, worst deviation of a slot"
GOLDEN = "golden restart of 256 MiB, 32 written"
TICKS = "exits of an exclusive vCPU that does not exit"

# Of the design: what each backend may cost. None: no budget.
SHARED = {
    SHARES: 3,
    BUDGET: 1,
    SLOTS: 1,
    TICKS: 0,
    CONTROLLER: 500,
    "self-IPI, send to the handler": 500,
    "halt to timer wake, exclusive pCPU": 200,
    "yield and switch between two vCPUs": 1000,
    "entry to the guest's first instruction, 1 GiB": 1000000,
    "entry to the guest's first instruction, 8 GiB": 1000000,
    GOLDEN: 100 * 10**6,
    "hypervisor image": 256 << 10,
    "memory beyond the guests', 2 vCPUs": (2 << 20) + 2 * (32 << 10),
    "Debian's boot to its first process, quiet": 1.01,
    "Debian's boot to its first process, console": 1.03,
}
BUDGETS = {
    "el2": SHARED | {
        "null hypercall, round trip": 150,
        "read of a device register": 220,
        TIMER: 200,
    },
    "h": SHARED | {
        "null hypercall, round trip": 200,
        "read of a device register": 260,
        TIMER: 100,  # No exit: what is left is the length of a tick.
        f"{TIMER}, without Sstc: beyond the firmware's part": 400,
        f"{CONTROLLER}, AIA by software": 500,
        "self-IPI by an MSI, AIA by software": 500,
        "self-IPI by an MSI, AIA by hardware": 10,  # No exit.
    },
    "svm": SHARED | {
        "null hypercall, round trip": 200,
        "read of a device register": 400,
        "read of a device's port": 400,
        TIMER: 600,
        "self-IPI, send to the handler": 900,
        "halt to timer wake, exclusive pCPU": 600,
    },
    "vmx": SHARED | {
        "null hypercall, round trip": 250,
        "read of a device register": 400,
        "read of a device's port": 400,
        TIMER: 600,
        "self-IPI, send to the handler": 900,
        "halt to timer wake, exclusive pCPU": 600,
    },
}
NAMES = {
    "hypercall": "null hypercall, round trip",
    "device": "read of a device register",
    "timer": TIMER,
    "ipi": "self-IPI, send to the handler",
    "yield": "yield and switch between two vCPUs",
}
CONTROLLERS = ("gic", "plic", "aplic", "imsic", "lapic", "ioapic")
RTC_BASE = 1767225600 * 10**9  # What COUNTED makes the emulator's RTC begin with.
# The first process tells, and nobody types: while a guest waits for that, its time flies. Before,
# it lets the kernel end what it does beside.
SETTLE_S = 3
FIRST_PROCESS = "; ".join(f"/bin/busybox {command}" for command in (
    f"sleep {SETTLE_S}", "mount -t proc proc /proc", "echo BEGIN",
    "grep -e ^now -e sleeptime /proc/timer_list",
    "mount -t sysfs sysfs /sys", "echo TREE", "base64 /sys/firmware/fdt", "echo END",
    "sleep 1000000"))
DEBIAN_CMDLINE = ("initcall_blacklist=jent_mod_init rdinit=/bin/busybox -- sh -c "
                  f'"{FIRST_PROCESS}"')


class Bench:
    def __init__(self, arch, backend, folder):
        self.arch = arch
        self.folder = folder
        self.backend = backend
        self.rows = []

    def row(self, name, value, unit="instructions"):
        self.rows.append({"backend": self.backend, "name": name, "value": value, "unit": unit,
                          "budget": BUDGETS[self.backend].get(name)})

    def machine(self, dts, **options):
        if self.backend == "vmx":
            return Bochs(dts, self.folder, limit=900, smp=1)
        options = {"smp": 1, "counted": True, "cpu": CPU[self.arch], "limit": 600} | options
        return Machine(self.arch, dts, self.folder, **options)

    def guest(self, options=None, **properties):
        """The bench guest's figures: name to median."""
        dts = config(vm("bench", "bench.img", **properties))
        with self.machine(dts, **(options or {})) as machine:
            machine.expect("guest done: 1 passed, 0 failed", 300)
            return {name: int(value) for name, value in
                    re.findall(r"^bench (\S+) (\d+)", machine.text, re.M)}

    def controller(self, figures, suffix=""):
        """The worst of its registers."""
        lines = {key: value for key, value in figures.items() if key.startswith(CONTROLLERS)}
        self.row(CONTROLLER + suffix, max(lines.values()))
        print(f"registers of the interrupt controller{suffix}:",
              ", ".join(f"{key} {value}" for key, value in lines.items()))

    def costs(self):
        own = self.guest(affinity="0", exclusive=True)
        shared = self.guest(affinity="0", cpus=2)
        for key, name in NAMES.items():
            self.row(name, own.get(key, shared.get(key)))
        self.row("halt to timer wake, exclusive pCPU", own["wait"])
        self.row("halt to timer wake, shared pCPU", shared["wait"])
        self.controller(own)
        if "port" in own:
            self.row("read of a device's port", own["port"])

    def costs_riscv64(self):
        """On harts that have less, or more."""
        cpu = "rva22s64,h=true"
        old = self.guest({"cpu": cpu}, affinity="0", exclusive=True)["timer"]
        self.row(f"{TIMER}, without Sstc: beyond the firmware's part",
                 old - self.timer_bare(cpu))
        self.row(f"{TIMER}, without Sstc", old)
        for files, how in ((0, "software"), (3, "hardware")):
            aia = self.guest({"aia": f"aia=aplic-imsic,aia-guests={files}"}, affinity="0",
                             exclusive=True, interrupt_controller="aia")
            self.controller(aia, f", AIA by {how}")
            self.row(f"self-IPI by an MSI, AIA by {how}", aia["imsic-msi"])

    def first(self, memory, ram):
        """The machine's clock at a guest's first instruction."""
        with self.machine(config(vm("bench", "bench.img", memory)), ram=ram) as machine:
            return int(machine.expect(r"bench start (\d+)\r").group(1)) % RTC_BASE

    def first_bare(self, ram):
        """The same when the guest is all that the emulator starts."""
        image = build(self.arch) / "guests/bench.img"
        tree = pack(self.arch, config(vm("bench", "bench.img")), self.folder / "bare.dtb")
        with self.bare(["-kernel", str(image), "-initrd", str(tree), "-m", ram]) as machine:
            return int(machine.expect(r"bench start (\d+)\r").group(1)) % RTC_BASE

    def timer_bare(self, cpu):
        """From a deadline to the handler when the guest is all that the emulator starts: what the
        firmware's way takes, whoever is above it."""
        image = build(self.arch) / "guests/bench.img"
        tree = pack(self.arch, config(vm("bench", "bench.img")), self.folder / "bare.dtb")
        with self.bare(["-kernel", str(image), "-initrd", str(tree), "-m", "256M"], cpu) as machine:
            return int(machine.expect(r"bench timer (\d+)", 300).group(1))

    def start(self):
        for ram in ("1G", "8G"):
            small, large = self.first("2M", ram), self.first("4M", ram)
            self.row(f"entry to the guest's first instruction, {ram[0]} GiB",
                     2 * small - large - self.first_bare(ram))

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

    def took(self, vms, policy="", smp=1):
        """Exits and milliseconds of each VM. With one pCPU: with several the emulator's timers come
        late."""
        dts = config(*(vm(name, "spin.img", "2M", **how) for name, how in vms.items()))
        dts = dts.replace("vms {", f"cpus {{ cpu@0 {{ {policy} }}; }}; vms {{", 1)
        with self.machine(dts, smp=smp, hasty=True) as machine:
            starting = set(vms)
            while starting:
                starting.discard(machine.expect(r"(\w+): started").group(1))
            machine.quiet(1)
            before = after = machine.stat()
            while sum(after[name, 0][1] - before[name, 0][1] for name in vms) < \
                    SHARING_S * smp * 1000:
                machine.quiet(1)
                after = machine.stat()
        return {name: [b - a for a, b in zip(before[name, 0], after[name, 0])] for name in vms}

    def shares(self, name, parts, took):
        """The worst deviation from parts of what all had, in percent of them; milliseconds are cut
        off."""
        whole = sum(ms for _, ms in took.values())
        print(f"{name}:", ", ".join(f"{one} {ms} ms" for one, (_, ms) in took.items()))
        self.row(name, round(max(max(abs(took[one][1] - part * whole) - 1, 0) / (part * whole)
                                 for one, part in parts.items()) * 100, 2), "%")

    def sharing(self):
        took = self.took({"light": {"weight": 5}, "middle": {"weight": 20},
                          "heavy": {"weight": 75}}, "slice-us = <2000>;")
        self.shares(SHARES, {"light": 0.05, "middle": 0.2, "heavy": 0.75}, took)
        took = self.took({"capped": {"priority": 20, "budget_us": 2000, "period_us": 10000},
                          "rest": {}})
        self.shares(BUDGET, {"capped": 0.2}, took)
        slots = [("long", 0, 4000), ("often", 4000, 1000), ("short", 6000, 500),
                 ("often", 8000, 1000)]
        nodes = "".join(f'{name}{start} {{ vm = "{name}"; start-us = <{start}>; '
                        f"length-us = <{length}>; }};" for name, start, length in slots)
        took = self.took({"long": {}, "often": {}, "short": {}},
                         f'policy = "table"; cycle-us = <10000>; slots {{ {nodes} }};')
        self.shares(SLOTS, {"long": 4 / 6.5, "often": 2 / 6.5, "short": 0.5 / 6.5}, took)
        took = self.took({"own": {"affinity": "1", "exclusive": True}, "other": {"affinity": "0"}},
                         smp=2)
        self.row(TICKS, took["own"][0], "exits")

    def watching(self):
        """What it costs to know which pages are written. The prompt's clock counts nanoseconds."""
        def writes(machine):
            machine.focus(1)
            machine.send("b")
            pages, ticks, hz = map(int, machine.expect(
                r"dirty: (\d+) pages in (\d+) ticks, (\d+) a second").groups())
            machine.prompt()
            scale.append(hz / 10**9 if self.backend == "vmx" else 1)
            return ticks * (1 if self.backend == "vmx" else 10**9 / hz) * 1000 / pages

        def take(machine):
            found = machine.command("dirty writer take", r"(\d+) pages written.* in (\d+) ns")
            return int(found.group(2)) * scale[0] * 1000 / int(found.group(1))

        scale, figures = [], {}
        with self.machine(config(vm("writer", "dirty.img", "16M", affinity="0"))) as machine:
            machine.expect("dirty: window", 300)
            figures["not watched"] = [writes(machine) for _ in range(5)]
            machine.command("dirty writer start", "known from now on")
            figures["first after a take"] = []
            takes = []
            for _ in range(5):
                figures["first after a take"].append(writes(machine))
                takes.append(take(machine))
            writes(machine)
            figures["second after a take"] = [writes(machine) for _ in range(5)]
        for name, values in figures.items():
            self.row(f"writes to 1000 pages, {name}", round(sorted(values)[2]))
        self.row("take of 1000 written pages", round(sorted(takes)[2]))

    def keeping(self):
        """Snapshots of 256 MiB, of which 32 are written (in Bochs an eighth of that), and the ways
        back: what the guest stands still for, as the log tells."""
        memory, written = (32, 4) if self.backend == "vmx" else (256, 32)

        def write():
            machine.focus(1)
            machine.send("b")
            hz = int(machine.expect(r"dirty: \d+ pages in \d+ ticks, (\d+) a second").group(1))
            machine.prompt()
            return hz / 10**6 if self.backend == "vmx" else 1000  # Instructions a microsecond.

        def stood(command):
            found = machine.command(command, r"writer: .*?(\d+) pages.*, (\d+) (KiB|zeroed); "
                                    r"(?:it|the guest) stood still for (\d+) us", 200)
            size.append(int(found.group(2)) * 1024 - int(found.group(1)) * 4096)
            return int(found.group(4))

        def row(name, microseconds, mib=1):
            self.row(name, round(microseconds * scale / mib))

        size = []

        dts = config(vm("writer", "dirty.img", f"{memory}M", f"pages={written * 256}",
                        affinity="0"))
        with self.machine(dts) as machine:
            machine.expect("dirty: window", 300)
            machine.prompt()
            empty = stood("snapshot writer empty")
            write()
            full = stood("snapshot writer full")
            other = stood("restore writer empty")
            stood("restore writer full")
            same = stood("restore writer full")
            write()
            golden = stood("restore writer full")
            scale = write()
            more = stood("snapshot writer more full")
            machine.command("stop writer", "writer: stopped")
            stopped = stood("restore writer full")
            machine.command("stop writer", "writer: stopped")
            machine.command("destroy writer")
            machine.command("create writer")
            new = stood("restore writer full")
        row("snapshot, a MiB of zeros", empty, memory)
        row("snapshot, a MiB of contents", empty / memory + (full - empty) / written)
        row("incremental snapshot, a MiB that was written", more, written)
        self.row("size of a snapshot beyond its pages", size[1], "bytes")
        row("restore to a new VM, a MiB", new, memory)
        row("restore after a stop, a MiB of contents", stopped, written)
        if self.backend != "vmx":  # Where a line of the log, while it stands still, takes longer.
            row("restore of another snapshot, a MiB that differs", other, written)
            row("golden restart of 256 MiB, nothing written", same)
            row(GOLDEN, golden)

    def boot_time(self, machine):
        """Instructions until SETTLE_S seconds after the first process's start: all, and those that
        the guest was not idle; and all that it told."""
        text = machine.expect(r"BEGIN([\s\S]*)END\r", 300).group(1)
        now = int(re.search(r"now at (\d+) nsecs", text).group(1))
        idle = re.findall(r"(?:idle|iowait)_sleeptime *: (\d+) nsecs", text)
        return now, now - sum(map(int, idle)), text

    def bare(self, what, cpu=None, machine=None):
        """The emulator alone."""
        return Console([
            f"qemu-system-{self.arch}", "-M", machine or BARE[self.arch], "-accel", "tcg",
            "-cpu", cpu or CPU[self.arch], "-smp", "1", "-display", "none", "-nodefaults",
            "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console", *COUNTED,
            *what], 600)

    def bare_tree_aarch64(self, tree):
        """That of our guest: its machine is the emulator's."""
        return tree

    def bare_tree_riscv64(self, _):
        """The emulator's, for its firmware needs more; without what our guest has not."""
        path = self.folder / "emulator.dtb"
        subprocess.run([f"qemu-system-{self.arch}", "-M", f"{BARE[self.arch]},dumpdtb={path}",
                        "-cpu", CPU[self.arch], "-smp", "1", "-m", "256M", "-display", "none"],
                       check=True, timeout=60, stdout=subprocess.DEVNULL)
        for node in subprocess.run(["fdtget", "-l", path, "/soc"], check=True, timeout=60,
                                   capture_output=True, text=True).stdout.split():
            if node.startswith(("pci", "virtio_mmio")):
                subprocess.run(["fdtput", "-r", path, f"/soc/{node}"], check=True, timeout=60)
        for node in ("/flash@20000000", "/fw-cfg@10100000"):
            subprocess.run(["fdtput", "-r", path, node], check=True, timeout=60)
        subprocess.run(["fdtput", "-d", path, "/chosen", "rng-seed"], check=True, timeout=60)
        return path.read_bytes()

    def boot_bare(self, tree, cmdline):
        """The same kernel on the emulator alone, on the machine that our guest has."""
        path = self.folder / "bare.dtb"
        what = ["-m", "256M", "-kernel", str(CACHE / self.arch / "vmlinuz"),
                "-initrd", str(build(self.arch) / "initrd.gz")]
        if self.arch == "x86_64":
            cmdline = f"tsc_early_khz=1000000 {cmdline}"  # Our guest is told it, too.
            return self.bare(what + ["-append", cmdline], machine=MICROVM)
        path.write_bytes(getattr(self, f"bare_tree_{self.arch}")(tree))
        return self.bare(what + ["-append", cmdline, "-dtb", str(path)])

    def boots(self):
        tree = None
        for name, cmdline in (("quiet", "quiet "), ("console", "")):
            cmdline = f"console={CONSOLE[self.arch]} {cmdline}{DEBIAN_CMDLINE}"
            dts = config(debian("web", cmdline=cmdline.replace('"', r'\"'), affinity="0",
                                exclusive=True))
            with self.machine(dts) as machine:
                _, ours, text = self.boot_time(machine)
            tree = tree or base64.b64decode(text[text.index("TREE") + 4:])  # The quiet one's.
            with self.boot_bare(tree, cmdline) as machine:
                end, bare, _ = self.boot_time(machine)
            boot = end - SETTLE_S * 10**9
            print(f"Debian's boot, {name}: {boot} instructions on the bare emulator, "
                  f"{ours - bare} more here")
            self.row(f"Debian's boot to its first process, {name}",
                     round(1 + (ours - bare) / boot, 4), "times")


def is_over(row):
    return row["budget"] is not None and row["value"] > row["budget"]


def cell(row):
    if row is None:
        return ""
    budget = "" if row["budget"] is None else f" of {row['budget']}"
    return f"{row['value']}{budget}{' OVER' if is_over(row) else ''}"


def table(rows):
    """A line for each name, a column for each backend."""
    backends = list(dict.fromkeys(row["backend"] for row in rows))
    units = {row["name"]: row["unit"] for row in rows}
    cells = {(row["name"], row["backend"]): row for row in rows}
    width = max(map(len, units)) + 1
    print(f"{'':{width}}" + "".join(f"{backend:>26}" for backend in backends))
    for name, unit in units.items():
        print(f"{name:{width}}" +
              "".join(f"{cell(cells.get((name, backend))):>26}" for backend in backends) +
              ("" if unit == "instructions" else f" {unit}"))
    print(f"{len(rows)} rows, {sum(map(is_over, rows))} over budget")


def measure(arch, backend, quick):
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arch, backend, pathlib.Path(folder))
        bench.costs()
        bench.watching()
        bench.keeping()
        if backend == "vmx":  # The same image as svm; the firmware's start takes longer than ours.
            return bench.rows
        if arch == "riscv64":
            bench.costs_riscv64()
        bench.start()
        bench.sizes()
        bench.sharing()
        if not quick:
            bench.boots()
    return bench.rows


def main():
    parser = argparse.ArgumentParser(description="Measures costs in instructions.")
    parser.add_argument("--arch", default=",".join(BACKENDS), help="one or several, with commas")
    parser.add_argument("--machine", default="", help="only what is measured there: qemu, bochs")
    parser.add_argument("--quick", action="store_true", help="without Debian's boot")
    options = parser.parse_args()
    rows = []
    for arch in options.arch.split(","):
        for machine, backend in BACKENDS.get(arch, {}).items():
            if options.machine in ("", machine):
                rows += measure(arch, backend, options.quick)
        if arch not in BACKENDS:
            print(f"bench: no figures for '{arch}' yet; there is: {', '.join(BACKENDS)}")
    table(rows)
    out = ROOT / "build/bench.json"
    others = json.loads(out.read_text()) if out.exists() else []
    others = [row for row in others if row["backend"] not in {row["backend"] for row in rows}]
    out.write_text(json.dumps(others + rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
