/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of the IDT, and the stacks that exceptions come on. */
#pragma once

#include "kernel/types.h"

enum trap_vector {
    TRAP_DE = 0,
    TRAP_DB = 1,
    TRAP_NMI = 2,
    TRAP_BP = 3,
    TRAP_UD = 6,
    TRAP_DF = 8,
    TRAP_GP = 13,
    TRAP_PF = 14,
    TRAP_MC = 18,
};

#define VECTOR_PIC       0x20u /* 16, of the two 8259, which are masked: only spurious ones. */
#define VECTOR_GSI       0x30u /* VECTOR_GSI + n: global system interrupt n. */
#define VECTOR_GSI_COUNT 0xc0u
#define VECTOR_TIMER     0xf0u /* Of the local APIC, the most urgent but for these: */
#define VECTOR_REMOTE    0xf1u /* remote_call(), */
#define VECTOR_IPI       0xf2u /* ipi_taken(). */
#define VECTOR_POSTED    0xf3u /* arch_apic_notify(): VMX takes it without us in the guest. */
#define VECTOR_SPURIOUS  0xffu /* Known to trap.S; never recorded, never ended. */

/*
 * Stacks of each pCPU for its traps, by IST number from 1: exceptions, which are fatal; and each of
 * those that may come on top of them.
 */
enum trap_stack { TRAP_IST_FAULT = 1, TRAP_IST_DF, TRAP_IST_NMI, TRAP_IST_MC, TRAP_ISTS };

#define TRAP_STACK_ORDER 2u /* All of a pCPU's. */
#define TRAP_STACK_SIZE  4096u

_Static_assert((TRAP_ISTS - 1) * TRAP_STACK_SIZE <= PAGE_SIZE << TRAP_STACK_ORDER, "they fit");
