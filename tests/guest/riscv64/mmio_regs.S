/* SPDX-License-Identifier: Apache-2.0 */
/* Device accesses by forms that C has not, and with every register watched. */

    .text
    .option norelax

/* x<n> = 0xc0de0000 + n, but a0. */
    .macro regs_fill
    .irp n, 1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    li      x\n, 0xc0de0000 + \n
    .endr
    .endm

    .macro regs_each op base
    .irp n, 1,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    \op     x\n, \n*8(\base)
    .endr
    .endm

/*
 * a0: address, a1: 32 words for x0 to x31 as the access leaves them. Interrupts are masked: sp is
 * filled as well, and sscratch keeps our own.
 */
    .macro watched insn:vararg
    addi    sp, sp, -272
    regs_each sd sp
    sd      a1, 256(sp)
    csrw    sscratch, sp
    regs_fill
    \insn
    csrrw   a0, sscratch, a0        /* Ours, for the address that must be as it was. */
    ld      a0, 256(a0)
    regs_each sd a0
    sd      sp, 16(a0)
    csrr    a1, sscratch
    sd      a1, 80(a0)
    sd      zero, 0(a0)
    .endm

    .global mmio_read_watched
mmio_read_watched:
    la      t0, watched_sp
    sd      sp, 0(t0)
    watched lw a5, 0(a0)
    j       watched_end

    .global mmio_write_watched
mmio_write_watched:
    la      t0, watched_sp
    sd      sp, 0(t0)
    watched sw a5, 0(a0)
watched_end:
    la      a0, watched_sp
    ld      sp, 0(a0)
    addi    sp, sp, -272
    regs_each ld sp
    addi    sp, sp, 272
    ret

/* By sp: a0 is the address less 8; a1 the value. */
    .global mmio_stack_load
mmio_stack_load:
    mv      t0, sp
    mv      sp, a0
    c.lwsp  a0, 8(sp)
    mv      sp, t0
    ret

    .global mmio_stack_store
mmio_stack_store:
    mv      t0, sp
    mv      sp, a0
    c.swsp  a1, 8(sp)
    mv      sp, t0
    ret

    .global mmio_stack_load8
mmio_stack_load8:
    mv      t0, sp
    mv      sp, a0
    c.ldsp  a0, 8(sp)
    mv      sp, t0
    ret

    .global mmio_stack_store8
mmio_stack_store8:
    mv      t0, sp
    mv      sp, a0
    c.sdsp  a1, 8(sp)
    mv      sp, t0
    ret

    .bss
    .balign 8
watched_sp:
    .space  8
