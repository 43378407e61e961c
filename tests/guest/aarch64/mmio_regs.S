/* SPDX-License-Identifier: Apache-2.0 */
/* A device access with every register and the flags watched. */

/* x0: base. Fills all other registers: x<n> = 0xc0de0000 + n. */
    .macro regs_fill
    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    movz    x\n, #\n
    movk    x\n, #0xc0de, lsl #16
    .endr
    .endm

/*
 * Register n against what was filled in; a difference sets bit n of the word at [sp]. Uses x0 and,
 * saved, x30.
 */
    .macro regs_check n
    movz    x0, #\n
    movk    x0, #0xc0de, lsl #16
    eor     x0, x0, x\n
    cmp     x0, #0
    cset    x0, ne
    lsl     x0, x0, #\n
    str     x0, [sp, #-16]!
    .endm

    .macro regs_save
    stp     x19, x20, [sp, #-112]!
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    stp     x18, x1, [sp, #96]
    .endm

    .macro regs_restore
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    ldp     x18, x1, [sp, #96]
    ldp     x19, x20, [sp], #112
    .endm

/* Flags as N..V: 1010 before; each that differs sets bit 31. Pushes, as regs_check. */
    .macro flags_check
    mrs     x0, nzcv
    lsr     x0, x0, #28
    sub     x0, x0, #0xa
    cmp     x0, #0
    cset    x0, ne
    lsl     x0, x0, #31
    str     x0, [sp, #-16]!
    .endm

    .macro flags_set
    str     x0, [sp, #-16]!
    mov     x0, #0xa0000000
    msr     nzcv, x0
    ldr     x0, [sp], #16
    .endm

    .macro all_check
    .irp n, 1,2,3,4,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    regs_check \n
    .endr
    .endm

/* Pops the 30 words of flags_check and all_check, and x5's, to x0. */
    .macro all_sum
    mov     x0, #0
    mov     x1, #31
1:  ldr     x2, [sp], #16
    orr     x0, x0, x2
    subs    x1, x1, #1
    b.ne    1b
    .endm

    .text
    .global mmio_read_watched
mmio_read_watched:
    regs_save
    regs_fill
    flags_set
    ldr     w5, [x0]
    str     x5, [sp, #-16]!         /* Kept below the words, to be taken last. */
    str     xzr, [sp, #-16]!        /* x5 is not to be checked. */
    flags_check
    all_check
    all_sum
    ldr     x5, [sp], #16
    regs_restore
    str     x5, [x1]
    ret

    .global mmio_write_watched
mmio_write_watched:
    regs_save
    regs_fill
    flags_set
    str     w5, [x0]
    str     x0, [sp, #-16]!
    flags_check
    regs_check 5
    all_check
    all_sum
    ldr     x5, [sp], #16
    regs_restore
    ret
