/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that assembly and C share; cpu.c checks offsets against the structs. */
#pragma once

#define R_X86_64_RELATIVE 8

/* Where boot/elf_x86_64.S has the image loaded; EFI puts it anywhere. */
#define DIRECT_BASE       0x200000
/* Of the first instruction of 32-bit boot loaders, in the image. */
#define DIRECT_ENTRY      0x80

#define MULTIBOOT2_MAGIC  0xe85250d6
#define MULTIBOOT2_LOADER 0x36d76289 /* In eax. */

/* Selectors, in the first table and in those of the pCPUs. */
#define SEL_CODE          0x08
#define SEL_DATA          0x10
#define SEL_TSS           0x18

#define TRAP_STUB_SIZE    9 /* Of each gate's first instructions. */

#define PCPU_STACK_TOP    24
#define PCPU_SELF         32 /* arch.self, first in struct arch_pcpu, */
#define PCPU_VECTOR       48 /* and arch.vector. */

#define TRAP_FRAME_RSP    32 /* gpr[4] */
#define TRAP_FRAME_CR2    128
#define TRAP_FRAME_PUSHED 176 /* rsp */

/* The page below 1 MiB that other pCPUs start in; smp.S says what lies where. */
#define TRAMPOLINE_DATA   0xf00
#define TRAMPOLINE_ROOT   (TRAMPOLINE_DATA + 0x00)
#define TRAMPOLINE_ENTRY  (TRAMPOLINE_DATA + 0x08)
#define TRAMPOLINE_PCPU   (TRAMPOLINE_DATA + 0x10)
