/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vectors of EL2. From a guest they end vcpu_enter() with a value (vcpu_entry.S); from our own
 * code they are fatal, for we run with interrupts masked. [Arm ARM D1.3.1]
 */
#include "asm.h"

/* A trap of our own: onto the emergency stack, for the current one may be what failed. */
.macro own_trap what
        .balign 0x80
        msr     sp_el0, x0              /* The guest's, but no guest runs again. */
        mrs     x0, tpidr_el2
        cbz     x0, 1f
        ldr     x0, [x0, #PCPU_TRAP_STACK]
        cbz     x0, 1f
        b       2f
1:      mov     x0, sp
2:      sub     x0, x0, #TRAP_FRAME_SIZE
        stp     x1, x2, [x0, #8]
        mov     x2, #\what
        b       own_trap_common
.endm

.macro guest_exit what
        .balign 0x80
        stp     x0, x1, [sp, #-16]!
        mov     x1, #\what
        b       vcpu_exit_common
.endm

        .text
        .balign 0x800
        .global vectors
vectors:
        own_trap VECTOR_SYNC            /* Current EL, SP_EL0: never used. */
        own_trap VECTOR_IRQ
        own_trap VECTOR_FIQ
        own_trap VECTOR_SERROR
        own_trap VECTOR_SYNC            /* Current EL, SP_EL2. */
        own_trap VECTOR_IRQ
        own_trap VECTOR_FIQ
        own_trap VECTOR_SERROR
        guest_exit VECTOR_SYNC          /* Lower EL, AArch64. */
        guest_exit VECTOR_IRQ
        guest_exit VECTOR_FIQ
        guest_exit VECTOR_SERROR
        guest_exit VECTOR_SYNC | VECTOR_32BIT
        guest_exit VECTOR_IRQ | VECTOR_32BIT
        guest_exit VECTOR_FIQ | VECTOR_32BIT
        guest_exit VECTOR_SERROR | VECTOR_32BIT

/* x0 = frame, x1 and x2 saved in it, x2 = vector; x0 itself is in SP_EL0. */
own_trap_common:
        mrs     x1, sp_el0
        str     x1, [x0]
        stp     x3, x4, [x0, #24]
        stp     x5, x6, [x0, #40]
        stp     x7, x8, [x0, #56]
        stp     x9, x10, [x0, #72]
        stp     x11, x12, [x0, #88]
        stp     x13, x14, [x0, #104]
        stp     x15, x16, [x0, #120]
        stp     x17, x18, [x0, #136]
        stp     x19, x20, [x0, #152]
        stp     x21, x22, [x0, #168]
        stp     x23, x24, [x0, #184]
        stp     x25, x26, [x0, #200]
        stp     x27, x28, [x0, #216]
        stp     x29, x30, [x0, #232]
        mov     x3, sp
        mrs     x4, elr_el2
        stp     x3, x4, [x0, #248]
        mrs     x3, spsr_el2
        mrs     x4, esr_el2
        stp     x3, x4, [x0, #264]
        mrs     x3, far_el2
        str     x3, [x0, #280]
        mov     sp, x0
        mov     x1, x2
        bl      trap_fatal
