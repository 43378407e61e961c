/* SPDX-License-Identifier: Apache-2.0 */
/* Fills and compares the FP registers; the guests' C code does not use them. */
    .option arch, +d
    .option norelax
    .text

/* a0: seed. f<n> = seed + n * 2^40; fflags and rounding mode from its low bits. Changes t0, t1. */
    .global fp_fill
fp_fill:
    mv      t0, a0
    li      t1, 1 << 40
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fmv.d.x f\n, t0
    add     t0, t0, t1
    .endr
    andi    t0, a0, 0x7f            /* Modes up to 3 are there. */
    fscsr   t0
    ret

/* a0: seed. Returns how many registers differ. */
    .global fp_compare
fp_compare:
    mv      t0, a0
    li      t1, 1 << 40
    li      a1, 0
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fmv.x.d t2, f\n
    xor     t2, t2, t0
    snez    t2, t2
    add     a1, a1, t2
    add     t0, t0, t1
    .endr
    andi    t0, a0, 0x7f
    frcsr   t2
    xor     t2, t2, t0
    snez    t2, t2
    add     a0, a1, t2
    ret

/* Returns the OR of all FP registers. */
    .global fp_or
fp_or:
    li      a0, 0
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fmv.x.d t0, f\n
    or      a0, a0, t0
    .endr
    frcsr   t0
    or      a0, a0, t0
    ret
