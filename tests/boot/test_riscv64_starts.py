# SPDX-License-Identifier: Apache-2.0
"""The machines that riscv64 starts on: consoles, boot loaders, harts of all kinds and numbers."""
import re
import subprocess

import pytest

from caisson import (CACHE, SHELL, TOOL, Console, Machine, Packed, build, compile_unchecked, config,
                     debian, pack, qemu, vm)

ARCHS = ["riscv64"]
UART = "/soc/serial@10000000"
U_BOOT = CACHE / "riscv64/root/usr/lib/u-boot/qemu-riscv64_smode/uboot.elf"


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def tree(folder, *edits, **options):
    """The emulator's own device tree, with edits by fdtput."""
    path = folder / "host.dtb"
    command = qemu("riscv64", [], **options)
    command[command.index("-M") + 1] += f",dumpdtb={path}"
    subprocess.run(command, check=True, timeout=30, stdin=subprocess.DEVNULL, capture_output=True)
    for edit in edits:
        subprocess.run(["fdtput", *edit[:1], path, *edit[1:]], check=True, timeout=30)
    return path


def test_without_a_uart_the_console_is_that_of_the_firmware(arch, folder):
    host = tree(folder, ("-d", "/chosen", "stdout-path"))
    with Machine(arch, config(vm("one", "echo.img")), folder, extra=["-dtb", str(host)]) as machine:
        machine.expect("platform: .*: 2 processors, PLIC, no UART that we know, SBI")
        machine.expect("echo: ready")
        machine.line("hello")
        machine.expect(r"echo\[5\]: hello")


def efi_disk(folder, dts):
    disk = folder / "disk.img"
    program = pack("riscv64", dts, folder / "machine.efi", efi=True)
    subprocess.run([TOOL, "disk", program, "-o", disk], check=True, timeout=60)
    return disk


def edk2(disk, limit=120, **options):
    root = CACHE / "riscv64/root/usr/share/qemu-efi-riscv64"
    flash = "if=pflash,format=raw,snapshot=on"
    return Console(qemu("riscv64", [
        "-drive", f"{flash},unit=0,file={root}/RISCV_VIRT_CODE.fd",
        "-drive", f"{flash},unit=1,file={root}/RISCV_VIRT_VARS.fd",
        "-drive", f"file={disk},if=none,id=disk,format=raw,snapshot=on",
        "-device", "virtio-blk-pci,drive=disk,bootindex=0"], **options), limit)


def u_boot(folder, dts=None, disk=None, **options):
    """U-Boot over OpenSBI, with a disk: of the image and its configuration, if no other."""
    if disk is None:
        disk = folder / "fat.img"
        disk.write_bytes(b"\0" * (32 << 20))
        tree_file = pack("riscv64", dts, folder / "config.dtb")
        subprocess.run(["mkfs.vfat", disk], check=True, timeout=30, capture_output=True)
        subprocess.run(["mcopy", "-i", disk, build("riscv64") / "caisson.img", tree_file, "::"],
                       check=True, timeout=30)
    what = ["-kernel", str(U_BOOT), "-drive", f"file={disk},if=none,id=disk,format=raw,snapshot=on",
            "-device", "virtio-blk-device,drive=disk"]
    return Console(qemu("riscv64", what, **options), 120)


def test_u_boots_booti_starts_the_image_with_a_configuration_and_a_tree(arch, folder):
    dts = config(vm("one", "echo.img"))
    with u_boot(folder, dts) as machine:
        machine.expect("Hit any key")
        machine.send("\r\r")
        machine.expect("=> ")
        # A configuration is a device tree, which U-Boot takes for a FIT image: no initrd for booti.
        machine.line("virtio scan; load virtio 0 ${kernel_addr_r} caisson.img && "
                     "load virtio 0 ${ramdisk_addr_r} config.dtb && "
                     "setexpr end ${ramdisk_addr_r} + 0x${filesize}")
        machine.expect("=> ")
        machine.line("fdt move ${fdtcontroladdr} ${fdt_addr_r}; fdt resize 1000; "
                     "fdt chosen ${ramdisk_addr_r} ${end}; "
                     "booti ${kernel_addr_r} - ${fdt_addr_r}")
        machine.expect("platform: from device tree: 2 processors, PLIC, 16550")
        machine.expect("echo: ready")
        machine.line("hello")
        machine.expect(r"echo\[5\]: hello")


def timers(*pcpus):
    return [vm(f"vm{i}", "timer.img", cmdline="rounds=20", affinity=str(pcpu))
            for i, pcpu in enumerate(pcpus)]


def all_run(machine, count):
    """Guests with names like those of timers() find nothing wrong."""
    left = {f"vm{i}" for i in range(count)}
    while left:
        left.discard(machine.expect(r"(vm\d): powered off", 60).group(1))
    for number in range(2, count + 1):  # The first has been shown already.
        machine.focus(number)
        machine.expect(r"guest done: \d+ passed, 0 failed")
    text = re.sub(r"\r*\n\[ *\d+\.\d+\] [^\n]*\n", "", machine.text)  # Log lines cut others.
    assert len(re.findall(r"guest done: \d+ passed, 0 failed", text)) == count


@pytest.mark.parametrize("aia", ["", "aia=aplic-imsic,aia-guests=3"], ids=["PLIC", "AIA"])
def test_caisson_uses_eight_harts(arch, folder, aia):
    with Machine(arch, config(*timers(1, 5, 7)), folder, smp=8, aia=aia) as machine:
        machine.expect("cpu: 8 x")
        all_run(machine, 3)
        assert "did not start" not in machine.text and "cannot be used" not in machine.text


@pytest.mark.parametrize("aia", ["", "aia=aplic-imsic,aia-guests=3"], ids=["PLIC", "AIA"])
def test_hart_ids_may_have_gaps(arch, folder, aia):
    options = {"smp": 6, "aia": aia}
    host = tree(folder, *(("-ts", f"/cpus/cpu@{i}", "status", "disabled") for i in (1, 2, 4)),
                **options)
    with Machine(arch, config(*timers(0, 1, 2)), folder, extra=["-dtb", str(host)],
                 **options) as machine:
        machine.expect("platform: from device tree: 3 processors")
        all_run(machine, 3)


# What differs between CPU models, and the words for it in the log.
CPUS = {
    "Sv39 and time by SBI": ("rva22s64,h=true", "with H, Sv39, .*kHz$"),
    "Sv48": ("rva22s64,h=true,sv48=on", "with H, Sv48, .*kHz$"),
    "Sstc": ("rv64,h=true", "with H, Sv48, .*Sstc$"),
    "vectors and all that there is": ("max,h=true", "with H, Sv48, .*Sstc, AIA$"),
    "indirect CSRs but no AIA": ("max,h=true,smaia=off,ssaia=off", "with H, Sv48, .*Sstc$"),
}


@pytest.mark.parametrize("name", CPUS)
def test_caisson_runs_on_harts_with(arch, folder, name):
    cpu, words = CPUS[name]
    vms = timers(0) + [vm("vm1", "csr.img", cpus=2), vm("vm2", "fp.img", cpus=2)]
    with Machine(arch, config(*vms), folder, cpu=cpu) as machine:
        machine.expect(words.replace("$", "\r"))
        all_run(machine, 3)


def test_a_guest_is_not_told_of_floating_point_that_is_not_there(arch, folder):
    cpu = "rv64,h=true,d=off"
    with Machine(arch, config(*timers(0), vm("vm1", "csr.img")), folder, cpu=cpu) as machine:
        all_run(machine, 2)
        assert re.search(r"^# rv64imac_", machine.text, re.M)


def test_a_guest_is_told_only_what_all_harts_have(arch, folder):
    isa = "rv64imach_zicsr_zifencei_zba_zbs"
    host = tree(folder, ("-d", "/cpus/cpu@1", "riscv,isa-extensions"),
                ("-d", "/cpus/cpu@1", "riscv,isa-base"),
                ("-ts", "/cpus/cpu@1", "riscv,isa", isa))
    with Machine(arch, config(vm("vm0", "csr.img")), folder, extra=["-dtb", str(host)]) as machine:
        machine.expect("# rv64imac_zicsr_zifencei_zba_zbs\r")


def test_memory_that_sv39_cannot_reach_is_left_alone(arch, folder):
    host = tree(folder, ("-tx", "/memory@80000000", "reg", "0", "80000000", "0", "40000000",
                         "40", "0", "0", "20000000"))
    with Machine(arch, config(vm("one", "memory.img", "96M", "mib=96")), folder,
                 extra=["-dtb", str(host)]) as machine:
        machine.expect(r"512 MiB at 0x4000000000 and above .* \(Sv39\): unused")
        machine.expect("guest done: 6 passed, 0 failed")


# The emulator's option, and the words for it.
TABLES = {"ACPI": ("", "ACPI"), "device tree": ("acpi=off", "device tree")}


@pytest.mark.parametrize("name", TABLES)
def test_caisson_boots_by_uefi_with(arch, folder, name):
    option, words = TABLES[name]
    dts = config(debian("web", "192M", cpus=2))
    with edk2(efi_disk(folder, dts), aia=option, limit=200) as machine:
        machine.expect(f"platform: from {words}: 2 processors, PLIC, 16550 at", 60)
        machine.expect(re.escape(SHELL), 120)
        machine.at_shell(1)
        assert machine.shell("nproc").strip() == "2"
        assert int(machine.shell("date +%Y").strip()) >= 2024, "the guest's clock is not set"


@pytest.mark.parametrize("way", ["directly", "by EDK2", "by U-Boot"])
def test_on_a_hart_without_h_caisson_says_so_and_stops(arch, folder, way):
    dts = config(vm("one", "echo.img"))
    options = {"cpu": "rva22s64,h=false"}
    if way == "directly":
        started = Machine(arch, dts, folder, **options)
    elif way == "by EDK2":
        started = edk2(efi_disk(folder, dts), **options)
    else:
        started = u_boot(folder, disk=efi_disk(folder, dts), **options)
    with started as machine:
        machine.expect("Caisson needs the H extension, .* which this hart lacks .*\n", 60)
        assert "one: started" not in machine.text + machine.quiet(2)


@pytest.mark.parametrize("value, words", [
    ("plik", r"'interrupt-controller' is \"plik\"; it must be plic or aia"),
    ("aia", r"interrupt-controller = \"aia\" needs harts with the AIA; this host has none"),
], ids=["a typo", "not on this host"])
def test_a_wrong_interrupt_controller_is_named_and_the_others_start(arch, folder, value, words):
    dts = config(vm("one", "echo.img", interrupt_controller=value), vm("two", "echo.img"))
    files = {"echo.img": build(arch) / "guests/echo.img"}
    with Packed(arch, compile_unchecked(dts, files, folder / "wrong.dtb")) as machine:
        machine.expect(f"error: /vms/one: {words}")
        machine.expect("two: started")
        assert "one: started" not in machine.text


def test_u_boots_uefi_starts_caisson_from_a_disk(arch, folder):
    dts = config(vm("one", "timer.img", cmdline="rounds=20"))
    with u_boot(folder, disk=efi_disk(folder, dts)) as machine:
        machine.expect("platform: from device tree: 2 processors, PLIC, 16550")
        machine.expect(r"guest done: \d+ passed, 0 failed")
