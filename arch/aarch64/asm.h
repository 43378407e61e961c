/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that assembly and C share; cpu.c checks offsets against the structs. */
#pragma once

#define R_AARCH64_RELATIVE 1027
#define HCR_RW_BIT         0x80000000
#define SCTLR_EL2_OFF      0x30c51830 /* RES1 bits and I: MMU, data cache off. */
#define SCTLR_EL2_EARLY    0x30c5183d /* M, C, SA, I. */
#define SCTLR_EL2_ON       0x30cd183d /* And WXN: nothing that is writable is executable. */
#define SCTLR_EL1_OFF      0x30d01980
#define MAIR_VALUE         0x4404ff   /* 0 Normal write-back, 1 Device-nGnRE, 2 non-cacheable. */
#define TCR_VALUE          0x80803510 /* 48 bits, 4 KiB, inner shareable, write-back walks. */

#define PCPU_STACK_TOP     24
#define PCPU_TRAP_STACK    32 /* arch.trap_stack_top, first in struct arch_pcpu. */

#define VCPU_PC            248
#define VCPU_PSTATE        256

#define TRAP_FRAME_SIZE    288

/* What ended a guest's run: the vector taken. */
#define VECTOR_SYNC        0
#define VECTOR_IRQ         1
#define VECTOR_FIQ         2
#define VECTOR_SERROR      3
#define VECTOR_32BIT       4 /* or-ed: from AArch32 */
