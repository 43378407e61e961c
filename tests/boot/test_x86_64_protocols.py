# SPDX-License-Identifier: Apache-2.0
"""x86_64: programs of a few instructions, one for each way in which a guest may begin.

Each looks at what it was handed, prints the command line (a firmware: its own words) and powers
off.
"""
import shutil
import subprocess

import pytest

from caisson import Machine, config, vm

ARCHS = ["x86_64"]

# Prints the text at SI, powers off through PM1a's control register.
END = """
print:  mov $0x3f8, %dx
1:      lodsb
        test %al, %al
        jz 2f
        out %al, %dx
        jmp 1b
2:      mov $0x604, %dx
        mov $0x3400, %ax
        out %ax, %dx
3:      hlt
        jmp 3b
"""

PVH = """
        .section .note, "a", @note
        .long 4, 4, 18
        .asciz "Xen"
        .long start
        .text
        .code32
        .globl start
start:  cmpl $0x336ec578, (%ebx)        /* hvm_start_info, version 1, */
        jne 3f
        cmpl $1, 4(%ebx)
        jne 3f
        mov 32(%ebx), %eax              /* with the root pointer of ACPI. */
        cmpl $0x20445352, (%eax)
        jne 3f
        mov 24(%ebx), %esi
""" + END

MULTIBOOT = """
        .text
        .code32
        .align 4
        .long 0x1badb002, 3, -0x1badb005
        .globl start
start:  cmp $0x2badb002, %eax
        jne 3f
        testl $4, (%ebx)                /* There is a command line. */
        jz 3f
        mov 16(%ebx), %esi
""" + END

LONG = """
        .text
        .code64
        .globl start
start:  cmpl $0x20445352, 0xe0000       /* ACPI's root pointer, where boot_params says. */
        jne 3f
        cmpq $0xe0000, 0x70(%rsi)
        jne 3f
        mov 0x228(%rsi), %esi
""" + END

# 64 KiB: reset goes from the copy below 4 GiB to that below 1 MiB.
FIRMWARE = """
        .text
        .code16
        .globl start
words:  .asciz "began at the reset vector\\r\\n"
start:  cs lidt %cs:words               /* Real mode. */
        mov %cs, %ax
        cmp $0xf000, %ax
        jne 3f
        mov %ax, %ds
        mov $words, %si
        cld
""" + END + """
        .org 0xfff0
        ljmp $0xf000, $start
        .org 0x10000
"""

WORDS = "what the guest was handed"


def assemble(folder, name, text, bits, base, flat=False):
    """An ELF file of 32 or 64 bits linked to the address, or its bytes."""
    source, object_file, out = (folder / f"{name}{end}" for end in (".S", ".o", ".elf"))
    source.write_text(text)
    subprocess.run(["as", f"--{bits}", "-o", object_file, source], check=True, timeout=60)
    subprocess.run(["ld", "-m", {32: "elf_i386", 64: "elf_x86_64"}[bits], "-static", "-n",
                    "-e", "start", f"-Ttext{'' if flat else '-segment'}={base:#x}", "-o", out,
                    object_file],
                   check=True, timeout=60)
    if flat:
        subprocess.run(["objcopy", "-O", "binary", out, folder / f"{name}.bin"], check=True,
                       timeout=60)


def test_seabios_comes_up_to_its_boot_menu(arch, folder):
    shutil.copy("/usr/share/seabios/bios-256k.bin", folder / "bios.bin")  # QEMU brings it.
    node = vm("guest", "bios.bin", "16M").replace("boot { ", 'boot { format = "firmware"; ')
    with Machine(arch, config(node), folder, limit=60) as machine:
        machine.expect("guest: started", 60)
        machine.expect(r"RamSize: 0x01000000 \[cmos\]", 20)
        machine.expect("Found 1 PCI devices", 20)
        machine.expect("Press ESC for boot menu", 20)


@pytest.mark.parametrize("name, text, bits, base, words", [
    ("a PVH note", PVH, 32, 0x100000, WORDS),
    ("a multiboot header", MULTIBOOT, 32, 0x100000, WORDS),
    ("64-bit ELF", LONG, 64, 0x200000, WORDS),
    ("64-bit raw", LONG, 64, 0x100000, WORDS),
    ("firmware", FIRMWARE, 32, 0, "began at the reset vector"),
], ids=["PVH", "multiboot", "ELF with 64 bits", "raw", "firmware"])
def test_a_guest_begins_as_its_file_says(arch, folder, name, text, bits, base, words):
    stem = name.replace(" ", "-")
    form = {"64-bit raw": "raw", "firmware": "firmware"}.get(name, "auto")
    assemble(folder, stem, text, bits, base, flat=form != "auto")
    file = f"{stem}.{'elf' if form == 'auto' else 'bin'}"
    node = vm("guest", file, "16M", WORDS).replace("boot { ", f'boot {{ format = "{form}"; ')
    with Machine(arch, config(node), folder, limit=60) as machine:
        machine.expect("guest: started", 60)
        machine.expect(words, 20)
        machine.expect("guest: powered off", 20)
