# SPDX-License-Identifier: Apache-2.0
"""x86_64: the ways to start, with and without ACPI, and what is said when the machine breaks."""
import contextlib
import re
import shutil
import socket
import subprocess
import time

import pytest

from caisson import TOOL, Console, build, config, debian, direct, firmware, grub_by_uefi, pack, qemu

ARCHS = ["x86_64"]
VM_CR = 0xc0010114  # AMD's, of SVM.
DIRECT_BASE = 0x200000  # Of the image, when QEMU loads it.
NO_GUESTS = r"no guest configuration came with this image[^\n]*\n[^\n]*caisson> "


@pytest.fixture(scope="module")
def disk(arch, folder):
    """UEFI starts it: Caisson without guests."""
    program = folder / "BOOTX64.EFI"
    shutil.copyfile(build(arch) / "caisson.efi", program)
    subprocess.run([TOOL, "disk", program, "-o", folder / "disk.img"], check=True, timeout=60)
    return folder / "disk.img"


@pytest.fixture(scope="module")
def cdrom(arch, folder):
    """GRUB starts it, by multiboot2, with the configuration as a module."""
    root = folder / "cdrom"
    (root / "boot/grub").mkdir(parents=True)
    shutil.copyfile(build(arch) / "caisson-boot.elf", root / "boot/caisson")
    tree = pack(arch, config(debian("web", "128M")), folder / "config.dtb")
    shutil.move(tree, root / "boot/config.dtb")
    (root / "boot/grub/grub.cfg").write_text(
        "serial --unit=0\nterminal_output serial\nset timeout=0\nmenuentry caisson {\n"
        "  multiboot2 /boot/caisson\n  module2 /boot/config.dtb\n}\n")
    subprocess.run(["grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o", folder / "cdrom.iso",
                    root], check=True, timeout=60, capture_output=True)
    return folder / "cdrom.iso"


class Broken(Console):
    """Caisson at its prompt, started directly, with ways to do it harm."""

    def __init__(self, arch, folder, *options):
        self.monitor_path, self.gdb_path = folder / "monitor", folder / "gdb"
        for path in (self.monitor_path, self.gdb_path):
            path.unlink(missing_ok=True)
        extra = ["-monitor", f"unix:{self.monitor_path},server=on,wait=off",
                 "-gdb", f"unix:{self.gdb_path},server=on,wait=off"]
        super().__init__(qemu(arch, direct(arch, None) + extra + list(options), smp=1), 60)
        if "-S" not in options:
            self.expect(NO_GUESTS)

    def monitor(self, command):
        with socket.socket(socket.AF_UNIX) as to:
            to.connect(str(self.monitor_path))
            to.sendall(command.encode() + b"\n")
            time.sleep(0.5)

    @contextlib.contextmanager
    def stopped(self):
        """The machine stands; gives a function that speaks gdb's remote protocol."""
        for _ in range(50):
            if self.gdb_path.exists():
                break
            time.sleep(0.1)
        with socket.socket(socket.AF_UNIX) as to:
            to.connect(str(self.gdb_path))
            to.settimeout(30)

            def ask(text):
                to.sendall(b"+$%s#%02x" % (text.encode(), sum(text.encode()) % 256))
                answer = b""
                while not re.search(rb"\$([^#]*)#..", answer):
                    answer += to.recv(4096)
                return re.search(rb"\$([^#]*)#..", answer).group(1).decode()
            ask("?")
            yield ask
            to.sendall(b"+$D#44")
            time.sleep(0.5)

    def address_after(self, pattern):
        """Where the instruction lies that follows those of a pattern."""
        code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", build("x86_64") /
                               "caisson.elf"], check=True, capture_output=True, text=True).stdout
        at = re.search(rf"{pattern} *\n *([0-9a-f]+):", code).group(1)
        return DIRECT_BASE + int(at, 16)

    def set_register(self, change):
        """Gives rip or rsp of the idle processor another value: change(registers)."""
        idle = self.address_after(r"sti *\n[^\n]*hlt")
        for _ in range(20):
            with self.stopped() as ask:
                registers = ask("g")
                values = [int.from_bytes(bytes.fromhex(registers[16 * i:16 * i + 16]), "little")
                          for i in range(17)]
                if values[16] != idle:
                    continue  # At an interrupt: soon idle again.
                number, value = change({"rsp": values[7], "rip": values[16]})
                assert ask(f"P{number:x}={value.to_bytes(8, 'little').hex()}") == "OK"
                return
        pytest.fail(f"the processor is at {values[16]:#x}, not idle at {idle:#x}")

    def answer_rdmsr(self, msr, value):
        """What the first read of an MSR gives, which QEMU does not have."""
        at = self.address_after(rf"mov +\$0x{msr:x},%ecx\n[^\n]*rdmsr")
        with self.stopped() as ask:
            assert ask(f"Z1,{at:x},1") == "OK"
            assert ask("c").startswith("T05")
            assert ask(f"P0={value.to_bytes(8, 'little').hex()}") == "OK"


# --- Starts ---

@pytest.mark.parametrize("cpu, apic", [("-x2apic", "xAPIC"), ("+x2apic", "x2APIC")])
def test_caisson_boots_by_uefi_on_four_pcpus(arch, disk, cpu, apic):
    with Console(qemu(arch, firmware(arch, disk), smp=4, cpu=cpu)) as machine:
        machine.expect("platform: from ACPI: 4 processors, APIC, 16550 at 0x3f8")
        machine.expect(rf"cpu: 4 x AMD EPYC.*, TSC at \d+ kHz \(measured\), {apic}, SMEP, SMAP")
        machine.expect(NO_GUESTS)
        assert "did not start" not in machine.text


@pytest.mark.parametrize("cpu, apic", [("-x2apic", "xAPIC"), ("+x2apic", "x2APIC")])
def test_caisson_boots_by_pvh_on_four_pcpus(arch, cpu, apic):
    with Console(qemu(arch, direct(arch, None), smp=4, cpu=cpu)) as machine:
        machine.expect(rf"cpu: 4 x .*, {apic}")
        machine.expect(NO_GUESTS)
        assert "did not start" not in machine.text


def test_caisson_boots_by_multiboot2_on_four_pcpus_and_five_gib(arch, cdrom):
    with Console(qemu(arch, ["-cdrom", str(cdrom)], smp=4, ram="5G")) as machine:
        machine.expect("platform: from ACPI: 4 processors")
        free = int(machine.expect(r"memory: (\d+) of \d+ MiB free").group(1))
        assert 5000 < free <= 5120, "memory above 4 GiB is used"
        machine.expect("web: started")
        assert "did not start" not in machine.text


def test_caisson_boots_by_multiboot2_from_a_grub_of_uefi(arch, folder):
    tree = pack(arch, config(debian("web", "128M")), folder / "config.dtb")
    commands = ["multiboot2 (memdisk)/caisson", "module2 (memdisk)/config"]
    program = grub_by_uefi(folder, commands, config=tree,
                           caisson=build(arch) / "caisson-boot.elf")
    subprocess.run([TOOL, "disk", program, "-o", folder / "grub.img"], check=True, timeout=60)
    with Console(qemu(arch, firmware(arch, folder / "grub.img"))) as machine:
        machine.expect("platform: from ACPI: 2 processors")
        machine.expect("web: started")
        assert "did not start" not in machine.text


def test_without_acpi_uefi_tells_of_the_processors(arch, disk):
    with Console(qemu(arch, firmware(arch, disk), smp=2, machine="q35,acpi=off")) as machine:
        machine.expect("platform: from the boot loader: 2 processors, APIC, 16550 at 0x3f8")
        machine.expect(NO_GUESTS)
        assert "did not start" not in machine.text


@pytest.mark.parametrize("uefi", [True, False], ids=["by UEFI", "directly"])
def test_on_a_processor_that_is_too_old_caisson_says_so(arch, disk, uefi):
    what = firmware(arch, disk) if uefi else direct(arch, None)
    with Console(qemu(arch, what, cpu="qemu64")) as machine:
        machine.expect("Caisson needs a processor with pages of 1 GiB")


@pytest.mark.parametrize("cpu, uefi, words", [
    ("-svm", True, "Caisson needs a processor with hardware virtualization, .* its firmware hides"),
    ("-svm", False, "error: cpu0 has no hardware virtualization .* or its firmware hides it"),
    ("-npt", False, "error: cpu0 has SVM, but no nested paging, which we need"),
], ids=["no SVM, by UEFI", "no SVM, directly", "no nested paging"])
def test_a_processor_without_what_guests_need_is_told_in_one_sentence(arch, disk, cpu, uefi, words):
    what = firmware(arch, disk) if uefi else direct(arch, None)
    with Console(qemu(arch, what, cpu=cpu)) as machine:
        machine.expect(words)
        assert not re.search(r"error|panic|caisson>", machine.quiet(2))


@pytest.mark.parametrize("value, words", [
    (0x10, "its firmware has turned it off: look for it in the setup"),
    (0x18, "its firmware has turned it off and locked it: look for it in the setup"),
], ids=["off", "locked"])
def test_svm_that_firmware_has_turned_off_is_told_in_one_sentence(arch, folder, value, words):
    with Broken(arch, folder, "-S") as machine:
        machine.answer_rdmsr(VM_CR, value)
        machine.expect(f"error: cpu0 has SVM, but {words}\r")
        assert not re.search(r"error|panic|caisson>", machine.quiet(2))


def test_the_prompt_can_restart_the_machine_and_power_it_off(arch):
    with Console(qemu(arch, direct(arch, None))) as machine:
        machine.expect(NO_GUESTS)
        machine.line("reboot")
        machine.expect(NO_GUESTS)
        machine.line("poweroff")
        machine.ends()


# --- Ends ---

def test_a_panic_names_the_functions(arch, folder):
    with Broken(arch, folder) as machine:
        machine.line("panic")
        machine.expect("panic on cpu0: asked for at the prompt")
        machine.expect(r"#\d+ 0x[0-9a-f]+ sched_loop\+")
        machine.expect("the machine is halted")


def test_an_nmi_is_reported(arch, folder):
    with Broken(arch, folder) as machine:
        machine.monitor("nmi")
        machine.expect("panic on cpu0: NMI")
        machine.expect("the machine is halted")


def test_a_machine_check_is_reported_with_its_bank(arch, folder):
    with Broken(arch, folder) as machine:
        machine.monitor("mce 0 2 0xbe00000000000135 0x4 0x12340 0")
        machine.expect(r"machine check: bank 2, status be00000000000135, address 0x12340")
        machine.expect("the machine is halted")


def test_a_jump_to_nowhere_is_reported(arch, folder):
    with Broken(arch, folder) as machine:
        machine.set_register(lambda registers: (16, 0x10))
        machine.line("")
        machine.expect("panic on cpu0: page fault in the hypervisor")
        machine.expect(r"rip 0000000000000010")
        machine.expect(r"#1 0x[0-9a-f]+ boot_rest\+")
        machine.expect("the machine is halted")


def test_a_stack_overflow_is_reported(arch, folder):
    with Broken(arch, folder) as machine:
        # Idle, the stack of 16 KiB is nearly empty. Below it is a hole.
        machine.set_register(lambda registers: (7, (registers["rsp"] | 0xfff) + 1 - 0x4000))
        machine.line("")
        machine.expect("panic on cpu0: stack overflow in the hypervisor")
        machine.expect("the machine is halted")
