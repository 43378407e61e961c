/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that assembly and C share; cpu.c checks offsets against the structs. */
#pragma once

#define R_RISCV_RELATIVE 3

#define PCPU_STACK_TOP   24
#define PCPU_TRAP_STACK  32 /* arch.trap_stack_top, first in struct arch_pcpu. */

#define VCPU_PC          256
#define VCPU_HOST_SP     264
#define VCPU_HOST_TP     272
#define VCPU_HOST_RA     280
#define VCPU_HOST_S0     288

#define TRAP_FRAME_SIZE  304
