/* SPDX-License-Identifier: Apache-2.0 */
/* Bits and numbers of registers that only guests' concern; see x86.h for those that are ours too.
 */
#pragma once

#include "arch/x86_64/x86.h"

#define RFLAGS_FIXED       BIT(1)
#define RFLAGS_TF          BIT(8)
#define RFLAGS_RF          BIT(16)
#define RFLAGS_VM          BIT(17)
#define RFLAGS_AC          BIT(18)
#define RFLAGS_GUEST       (BITS(21, 0) & ~(BIT(3) | BIT(5) | BIT(15))) /* All but reserved ones. */

#define DR6_RESET          0xffff0ff0u
#define DR6_STEP           BIT(14)
#define DR6_MATCHED        BITS(3, 0) /* Breakpoints. */
#define DR7_RESET          0x400u
#define DR7_GD             BIT(13) /* Accesses to debug registers are #DB. */

#define PAT_RESET          0x0007040600070406ull

/* arch_segment.attributes */
#define SEGMENT_PRESENT    BIT(7)
#define SEGMENT_DPL        BITS(6, 5)
#define SEGMENT_LONG       BIT(9)
#define SEGMENT_BIG        BIT(10)

#define VECTOR_DB          1u
#define VECTOR_NMI         2u
#define VECTOR_BP          3u
#define VECTOR_UD          6u
#define VECTOR_TS          10u
#define VECTOR_NP          11u
#define VECTOR_SS          12u
#define VECTOR_GP          13u
#define VECTOR_PF          14u
#define VECTOR_AC          17u
#define VECTOR_MC          18u

#define MSR_SYSENTER_CS    0x174u
#define MSR_SYSENTER_ESP   0x175u
#define MSR_SYSENTER_EIP   0x176u
#define MSR_STAR           0xc0000081u
#define MSR_LSTAR          0xc0000082u
#define MSR_CSTAR          0xc0000083u
#define MSR_SFMASK         0xc0000084u
#define MSR_FS_BASE        0xc0000100u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX        0xc0000103u
