/* SPDX-License-Identifier: Apache-2.0 */
/* Holds values in all general registers while it polls the UART. */
    .arch armv8-a
    .text

/*
 * void regs_hold(uint64_t seed, uint64_t device, uint64_t *result, bool pair)
 * x2 to x30 are seed + n while the register at device has its bit 4 (nothing typed), read by LDR
 * or, pair, by LDP, which traps without a syndrome. Then result[n] = xn, and result[31] is by how
 * much sp has moved.
 */
    .global regs_hold
regs_hold:
    stp     x29, x30, [sp, #-112]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    stp     x18, x2, [sp, #96]
    adrp    x4, hold_sp
    mov     x5, sp
    str     x5, [x4, :lo12:hold_sp]
    mov     x30, x0
    mov     x0, x1
    cmp     x3, #0
    .irp n, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29
    add     x\n, x30, #\n
    .endr
    add     x30, x30, #30
    b.ne    2f
1:  ldr     w1, [x0]
    tbnz    w1, #4, 1b
    b       3f
2:  ldp     w1, wzr, [x0]
    tbnz    w1, #4, 2b
3:  adrp    x0, hold_sp
    ldr     x0, [x0, :lo12:hold_sp]
    ldr     x0, [x0, #104]
    .irp n, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    str     x\n, [x0, #8 * \n]
    .endr
    adrp    x1, hold_sp
    ldr     x1, [x1, :lo12:hold_sp]
    mov     x2, sp
    sub     x2, x2, x1
    str     x2, [x0, #8 * 31]
    mov     sp, x1
    ldp     x18, x2, [sp, #96]
    ldp     x27, x28, [sp, #80]
    ldp     x25, x26, [sp, #64]
    ldp     x23, x24, [sp, #48]
    ldp     x21, x22, [sp, #32]
    ldp     x19, x20, [sp, #16]
    ldp     x29, x30, [sp], #112
    ret

    .bss
    .balign 8
hold_sp:
    .skip   8
