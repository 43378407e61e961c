/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world switch. Only what the two worlds share in hardware is exchanged: general registers, pc
 * and pstate. The EL1 registers stay the guest's while it is bound; EL2 uses no FP register.
 */
#include "asm.h"

        .text

/*
 * x0 = vcpu: run the guest until a vector is taken; returns which in x0. Called from vcpu_exit.c
 * only, which expects every other register but sp and x29 to be changed. On the stack while the
 * guest runs: x29, the return address, the vcpu.
 */
        .global vcpu_enter
vcpu_enter:
        stp     x29, x30, [sp, #-32]!
        str     x0, [sp, #16]
        ldp     x1, x2, [x0, #VCPU_PC]
        msr     elr_el2, x1
        msr     spsr_el2, x2
        ldp     x2, x3, [x0, #16]
        ldp     x4, x5, [x0, #32]
        ldp     x6, x7, [x0, #48]
        ldp     x8, x9, [x0, #64]
        ldp     x10, x11, [x0, #80]
        ldp     x12, x13, [x0, #96]
        ldp     x14, x15, [x0, #112]
        ldp     x16, x17, [x0, #128]
        ldp     x18, x19, [x0, #144]
        ldp     x20, x21, [x0, #160]
        ldp     x22, x23, [x0, #176]
        ldp     x24, x25, [x0, #192]
        ldp     x26, x27, [x0, #208]
        ldp     x28, x29, [x0, #224]
        ldr     x30, [x0, #240]
        ldp     x0, x1, [x0]
        eret
        dsb     nsh                     /* No speculation past the eret. */
        isb

/* From the vectors: the guest's x0, x1 are on the stack, x1 = what to return. */
        .global vcpu_exit_common
vcpu_exit_common:
        ldr     x0, [sp, #32]
        stp     x2, x3, [x0, #16]
        stp     x4, x5, [x0, #32]
        stp     x6, x7, [x0, #48]
        stp     x8, x9, [x0, #64]
        stp     x10, x11, [x0, #80]
        stp     x12, x13, [x0, #96]
        stp     x14, x15, [x0, #112]
        stp     x16, x17, [x0, #128]
        stp     x18, x19, [x0, #144]
        stp     x20, x21, [x0, #160]
        stp     x22, x23, [x0, #176]
        stp     x24, x25, [x0, #192]
        stp     x26, x27, [x0, #208]
        stp     x28, x29, [x0, #224]
        str     x30, [x0, #240]
        ldp     x2, x3, [sp], #16
        stp     x2, x3, [x0]
        mrs     x2, elr_el2
        mrs     x3, spsr_el2
        stp     x2, x3, [x0, #VCPU_PC]
        ldp     x29, x30, [sp], #32
        mov     x0, x1
        ret

/*
 * void fp_save(struct arch_fp_state *), fp_restore(): the only code of ours that touches FP
 * registers.
 */
        .arch_extension fp
        .arch_extension simd
        .global fp_save
fp_save:
        stp     q0, q1, [x0, #0]
        stp     q2, q3, [x0, #32]
        stp     q4, q5, [x0, #64]
        stp     q6, q7, [x0, #96]
        stp     q8, q9, [x0, #128]
        stp     q10, q11, [x0, #160]
        stp     q12, q13, [x0, #192]
        stp     q14, q15, [x0, #224]
        stp     q16, q17, [x0, #256]
        stp     q18, q19, [x0, #288]
        stp     q20, q21, [x0, #320]
        stp     q22, q23, [x0, #352]
        stp     q24, q25, [x0, #384]
        stp     q26, q27, [x0, #416]
        stp     q28, q29, [x0, #448]
        stp     q30, q31, [x0, #480]
        mrs     x1, fpcr
        mrs     x2, fpsr
        add     x0, x0, #512
        stp     x1, x2, [x0]
        ret

        .global fp_restore
fp_restore:
        ldp     q0, q1, [x0, #0]
        ldp     q2, q3, [x0, #32]
        ldp     q4, q5, [x0, #64]
        ldp     q6, q7, [x0, #96]
        ldp     q8, q9, [x0, #128]
        ldp     q10, q11, [x0, #160]
        ldp     q12, q13, [x0, #192]
        ldp     q14, q15, [x0, #224]
        ldp     q16, q17, [x0, #256]
        ldp     q18, q19, [x0, #288]
        ldp     q20, q21, [x0, #320]
        ldp     q22, q23, [x0, #352]
        ldp     q24, q25, [x0, #384]
        ldp     q26, q27, [x0, #416]
        ldp     q28, q29, [x0, #448]
        ldp     q30, q31, [x0, #480]
        add     x0, x0, #512
        ldp     x1, x2, [x0]
        msr     fpcr, x1
        msr     fpsr, x2
        ret
