/* SPDX-License-Identifier: Apache-2.0 */
/* Fills and compares the FP and SIMD registers; the guests' C code does not use them. */
    .arch armv8-a+fp+simd
    .text

/* x0: seed. V<n> = (seed + n, seed ^ n); FPSR = low bits of the seed. Changes x1, x2. */
    .global fp_fill
fp_fill:
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    add     x1, x0, #\n
    mov     x2, #\n
    eor     x2, x0, x2
    mov     v\n\().d[0], x1
    mov     v\n\().d[1], x2
    .endr
    and     x1, x0, #0x1f
    msr     fpsr, x1
    and     x1, x0, #0x3
    lsl     x1, x1, #22             /* Rounding mode. */
    msr     fpcr, x1
    ret

/* x0: seed. Returns in x0 how many registers differ. */
    .global fp_compare
fp_compare:
    mov     x3, #0
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    add     x1, x0, #\n
    mov     x2, v\n\().d[0]
    cmp     x1, x2
    cinc    x3, x3, ne
    mov     x1, #\n
    eor     x1, x0, x1
    mov     x2, v\n\().d[1]
    cmp     x1, x2
    cinc    x3, x3, ne
    .endr
    and     x1, x0, #0x1f
    mrs     x2, fpsr
    cmp     x1, x2
    cinc    x3, x3, ne
    and     x1, x0, #0x3
    lsl     x1, x1, #22
    mrs     x2, fpcr
    cmp     x1, x2
    cinc    x3, x3, ne
    mov     x0, x3
    ret

/* Returns the OR of all FP and SIMD registers. */
    .global fp_or
fp_or:
    mov     x0, #0
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    mov     x1, v\n\().d[0]
    mov     x2, v\n\().d[1]
    orr     x0, x0, x1
    orr     x0, x0, x2
    .endr
    ret
