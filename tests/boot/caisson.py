# SPDX-License-Identifier: Apache-2.0
"""Boots machines in an emulator: what the boot tests and the benchmark share.

    with Machine("aarch64", config(vm("one", "timer.img", cpus=2)), folder=tmp_path) as machine:
        machine.expect("guest done: .*")

A machine is killed when its block ends, and when this process ends; it never outlives its limit. A
text that does not come in time raises ConsoleError, which shows all that the console printed.
"""
import ctypes
import io
import os
import pathlib
import re
import signal
import subprocess
import time

import pexpect

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "build/host/caisson"
CACHE = pathlib.Path(os.environ.get("CAISSON_CACHE") or pathlib.Path(
    os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "caisson")

ESCAPE = "\x14"  # Ctrl-T.
PROMPT = "caisson> "
SHELL = "guest# "  # Of tools/guest-init.
PR_SET_PDEATHSIG = 1


def build(arch):
    return ROOT / "build" / arch


# --- Configurations. ---

def vm(name, kernel, memory="64M", cmdline="", initrd=None, **properties):
    """The node of a VM. Properties: numbers, texts, True for a flag; on_crash means on-crash."""
    lines = [f'memory = "{memory}";']
    for key, value in properties.items():
        key = key.replace("_", "-")
        lines.append(f"{key};" if value is True else
                     f"{key} = <{value}>;" if isinstance(value, int) else f'{key} = "{value}";')
    boot = f'kernel = "{kernel}"; cmdline = "{cmdline}";'
    if initrd:
        boot += f' initrd = "{initrd}";'
    return f"{name} {{ {' '.join(lines)} boot {{ {boot} }}; }};"


# So that a Debian guest's console is its UART: that of stdout-path, where there is a tree.
QUIET = {"aarch64": "quiet", "riscv64": "quiet", "x86_64": "console=ttyS0 quiet"}


def debian(name, memory="256M", cmdline="quiet", **properties):
    return vm(name, "vmlinuz", memory, cmdline, "initrd.gz", **properties)


def config(*vms, **hypervisor):
    settings = " ".join(f'{key} = "{value}";' for key, value in hypervisor.items())
    return ('/dts-v1/;\n/ { compatible = "caisson,config-1";\n'
            f"hypervisor {{ {settings} }};\nvms {{\n" + "\n".join(vms) + "\n}; };\n")


def pack(arch, dts, out, efi=False):
    """Packs a configuration: alone, or into the EFI program."""
    source = out.with_suffix(".dts")
    source.write_text(dts)
    command = [TOOL, "pack", "--arch", arch, source, "-o", out, "-I", build(arch),
               "-I", build(arch) / "guests", "-I", out.parent]
    command += ["--efi", build(arch) / "caisson.efi"] if efi else ["--config-only"]
    subprocess.run(command, check=True, timeout=60)
    return out


def compile_unchecked(dts, files, out):
    """A packed tree with the mistakes that `caisson pack` refuses, for the hypervisor to find."""
    nodes = "".join(f'file@{i} {{ name = "{name}"; data = /incbin/("{path}"); }};\n'
                    for i, (name, path) in enumerate(files.items()))
    end = dts.rindex("};")
    text = dts[:end] + f"files {{ {nodes} }};\n}};\n"
    subprocess.run(["dtc", "-q", "-f", "-I", "dts", "-O", "dtb", "-o", out, "-"],
                   input=text.encode(), check=True, timeout=60)
    return out


# --- Machines. ---

def qemu_aarch64(options):
    machine = f"virt,gic-version={options['gic']}"
    machine += ",virtualization=on" if options["virtualization"] else ""
    machine += "" if options["acpi"] else ",acpi=off"
    return ["qemu-system-aarch64", "-M", machine, "-cpu", options["cpu"] or "cortex-a72"]


def one_core():
    """Where QEMU's processors change in an instruction that is not atomic what is not their own
    (HACKING.md)."""
    return ["taskset", "-c", str(max(os.sched_getaffinity(0)))]


def qemu_riscv64(options):
    machine = "virt" + (f",{options['aia']}" if options["aia"] else "")
    pinned = one_core() if "aia-guests" in options["aia"] else []
    return [*pinned, "qemu-system-riscv64", "-M", machine,
            "-cpu", options["cpu"] or "rva22s64,h=true"]


# Without what TCG does not have, and would say so.
EPYC = ("EPYC-v4,+svm,+npt,-fxsr-opt,-misalignsse,-osvw,-topoext,-perfctr-core,-clzero,-ibpb,"
        "-nrip-save,-xsavec,-xsaves")


def qemu_x86_64(options):
    cpu = options["cpu"] or EPYC
    return [*one_core(), "qemu-system-x86_64", "-M", options["machine"] or "q35",
            "-cpu", f"{EPYC},{cpu}" if cpu[0] in "+-" else cpu]


QEMU = {"aarch64": qemu_aarch64, "riscv64": qemu_riscv64, "x86_64": qemu_x86_64}
FLASH = "if=pflash,format=raw,unit"
OVMF = CACHE / "x86_64/root/usr/share/OVMF"
FIRMWARE = {
    "aarch64": ["-bios", str(CACHE / "aarch64/root/usr/share/qemu-efi-aarch64/QEMU_EFI.fd")],
    "x86_64": ["-drive", f"{FLASH}=0,file={OVMF}/OVMF_CODE_4M.fd,readonly=on",
               "-drive", f"{FLASH}=1,file={OVMF}/OVMF_VARS_4M.fd,snapshot=on"],
}
IMAGE = {"aarch64": "caisson.img", "riscv64": "caisson.img", "x86_64": "caisson-boot.elf"}
COUNTED = ["-icount", "shift=0,sleep=off", "-seed", "1", "-rtc", "clock=vm,base=2026-01-01"]
# For what takes seconds of the machine's time: an instruction is 8 ns, so that they pass sooner.
HASTY = ["-icount", "shift=3,sleep=off", *COUNTED[2:]]


def qemu(arch, what, **changes):
    """The emulator's command line; what: which programs it starts."""
    options = {"smp": 2, "ram": "1G", "gic": 3, "aia": "", "acpi": True, "cpu": None,
               "machine": None, "virtualization": True, "counted": False, "hasty": False} | changes
    return (QEMU[arch](options) +
            ["-accel", "tcg", "-smp", str(options["smp"]), "-m", options["ram"],
             "-display", "none", "-nodefaults", "-no-user-config",
             "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"] +
            (HASTY if options["hasty"] else COUNTED if options["counted"] else []) + what)


def direct(arch, tree):
    """Started by the loader of the emulator, with a packed configuration."""
    return ["-kernel", str(build(arch) / IMAGE[arch])] + (["-initrd", str(tree)] if tree else [])


def program(arch, name):
    """Started so: a program in place of the runner of VMs."""
    image = IMAGE[arch].replace("caisson", name)
    return ["-kernel", str(build(arch) / image)]


def grub_by_uefi(folder, commands, **files):
    """GRUB as a program of x86_64's UEFI: its commands, and files that it has with it."""
    commands = ["serial --speed=115200", "terminal_output serial", *commands, "boot", ""]
    (folder / "grub.cfg").write_text("\n".join(commands))
    files = {"boot/grub/grub.cfg": folder / "grub.cfg", **files}
    subprocess.run(["grub-mkstandalone", "-O", "x86_64-efi", "-o", folder / "grub.efi",
                    "--install-modules=multiboot2 wrmsr serial boot normal memdisk",
                    "--fonts=", "--locales=", "--themes=",
                    *[f"{name}={path}" for name, path in files.items()]],
                   check=True, timeout=60, capture_output=True)
    return folder / "grub.efi"


def firmware(arch, disk):
    """Started by UEFI from a disk."""
    return FIRMWARE[arch] + ["-drive", f"file={disk},if=none,id=disk,format=raw,snapshot=on",
                             "-device", "virtio-blk-pci,drive=disk,bootindex=0"]


class ConsoleError(AssertionError):
    pass


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Console:
    """An emulator that runs, and its console."""

    def __init__(self, command, limit=120):
        self.log = io.StringIO()
        self.deadline = time.monotonic() + limit
        self.child = pexpect.spawn(command[0], command[1:], encoding="utf-8", timeout=limit,
                                   codec_errors="replace", echo=False, preexec_fn=die_with_parent)
        self.child.logfile_read = self.log
        self.child.delaybeforesend = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.child.close(force=True)

    @property
    def text(self):
        """All that was printed so far, without carriage returns and colours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", self.log.getvalue())

    def fail(self, why):
        raise ConsoleError(f"{why}; the console:\n{self.text}\n--- end of the console")

    def expect(self, pattern, timeout=60):
        """Waits for a regular expression (^ and $ as ends of lines); returns its match."""
        left = max(min(timeout, self.deadline - time.monotonic()), 0.1)
        came = self.child.expect([re.compile(pattern, re.M), pexpect.TIMEOUT, pexpect.EOF], left)
        if came == 1:
            self.fail(f"'{pattern}' did not come in {left:.0f} s")
        if came == 2:
            self.fail(f"the emulator ended before '{pattern}' came")
        return self.child.match

    def send(self, text):
        self.child.send(text)

    def line(self, text):
        self.send(text + "\r")

    def ends(self, timeout=20):
        """Waits for the emulator to end."""
        if self.child.expect([pexpect.EOF, pexpect.TIMEOUT], timeout) == 1:
            self.fail("the emulator did not end")

    def quiet(self, seconds):
        """Reads for a while; returns what came."""
        start = len(self.log.getvalue())
        if self.child.expect([pexpect.TIMEOUT, pexpect.EOF], seconds) == 1:
            self.fail("the emulator ended")
        return self.log.getvalue()[start:].replace("\r", "")

    # The hypervisor's prompt, and the shell of a Debian guest.

    def prompt(self):
        self.send(ESCAPE + "h\x15\r")  # Ctrl-U: nothing is left of a line half typed.
        self.expect(re.escape(PROMPT) + r"[^\n]*\r\n[^\n]*" + re.escape(PROMPT))

    def command(self, text, pattern=None, timeout=60):
        """A command at the prompt, which has the console; returns the match of what comes."""
        self.line(text)
        return self.expect(pattern or re.escape(PROMPT), timeout)

    def stat(self):
        """What `stat` counts: exits and milliseconds of each vCPU, by VM and vCPU."""
        self.prompt()
        start = len(self.text)
        self.command("stat", r"RAN[\s\S]*caisson> ")
        rows = re.findall(r"^(\w+) +(\d+) +\d+ +(\d+) +(\d+)$", self.text[start:], re.M)
        return {(name, int(vcpu)): (int(exits), int(ms)) for name, vcpu, exits, ms in rows}

    def focus(self, number):
        self.send(f"{ESCAPE}{number}")

    def at_shell(self, number, timeout=120):
        """Gives the console to a Debian guest whose shell runs or comes up: typing is lost then."""
        self.focus(number)
        end = time.monotonic() + timeout
        while True:
            self.line("\x15echo AT''SHELL")  # Ctrl-U: what was typed before is gone.
            try:
                self.expect("ATSHELL", 5)
                break
            except ConsoleError:
                if time.monotonic() > end:
                    raise
        self.expect(re.escape(SHELL))

    def shell(self, command, timeout=90):
        """Runs a command in a Debian guest's shell; returns its output."""
        self.line(f"echo BEG''IN; {command}; echo END''$?")
        match = self.expect(r"BEGIN\r*\n([\s\S]*?)END\d+\r*\n", timeout)
        self.expect(re.escape(SHELL))
        return match.group(1).replace("\r", "")


class Machine(Console):
    """Caisson with a configuration."""

    def __init__(self, arch, dts, folder, uefi=False, limit=120, extra=(), **options):
        name = folder / "machine"
        if uefi:
            program = pack(arch, dts, name.with_suffix(".efi"), efi=True)
            disk = folder / "disk.img"
            subprocess.run([TOOL, "disk", program, "-o", disk], check=True, timeout=60)
            what = firmware(arch, disk)
        else:
            what = direct(arch, dts and pack(arch, dts, name.with_suffix(".dtb")))
        super().__init__(qemu(arch, what + list(extra), **options), limit)


class Packed(Console):
    """Caisson with a tree that was packed before."""

    def __init__(self, arch, tree, limit=120, **options):
        super().__init__(qemu(arch, direct(arch, tree), **options), limit)


class Bochs(Console):
    """Caisson on Intel's VMX, or AMD's SVM by another model, started by UEFI: slow, and what Bochs'
    log complains about is shown when a test fails."""

    def __init__(self, dts, folder, limit=300, smp=2, ram=640, cpu="corei7_skylake_x",
                 ips=3500000000, name=None, program=None):
        if name:  # In place of the runner of VMs.
            program = build("x86_64") / f"{name}.efi"
        program = program or pack("x86_64", dts, folder / "bochs.efi", efi=True)
        disk, self.complaints = folder / "bochs.img", folder / "bochs.log"
        subprocess.run([TOOL, "disk", program, "-o", disk], check=True, timeout=60)
        super().__init__(["env", f"SMP={smp}", f"MEM={ram}", f"CPU={cpu}", f"IPS={ips}",
                          f"LOG={self.complaints}",
                          str(ROOT / "tools/bochs.sh"), str(disk)], limit)

    def fail(self, why):
        lines = self.complaints.read_text(errors="replace").splitlines()
        bad = [line for line in lines if re.search(r"VMFAIL|VMENTER|VMCS|VMX|PANIC", line)]
        super().fail("\n".join([why, "Bochs' log:", *bad[-20:]]))
