/* SPDX-License-Identifier: Apache-2.0 */
/* Holds values in all general registers while it polls the UART. */
    .text

/*
 * void regs_hold(uint64_t seed, uint64_t device, uint64_t *result, bool swap)
 * x1 to x31 but a0 to a2 are seed + n while the byte at device has bit 0 clear (nothing typed).
 * swap: in between sireg is read and written by one instruction, with what is there. Then
 * result[n] = xn.
 */
    .global regs_hold
regs_hold:
    addi    sp, sp, -256
    .irp n, 1,3,4,8,9,18,19,20,21,22,23,24,25,26,27
    sd      x\n, (8 * \n)(sp)
    .endr
    lla     t0, hold_state
    sd      sp, 0(t0)
    sd      a2, 8(t0)
    sd      a3, 16(t0)
    mv      x31, a0
    mv      a0, a1
    .irp n, 1,2,3,4,5,6,7,8,9,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    addi    x\n, x31, \n
    .endr
    addi    x31, x31, 31
    lla     a1, hold_state
    ld      a1, 16(a1)
    bnez    a1, 2f
1:  lbu     a1, 0(a0)
    andi    a1, a1, 1
    beqz    a1, 1b
    j       3f
2:  csrr    a2, 0x151
4:  csrrw   a1, 0x151, a2           /* sireg */
    lbu     a1, 0(a0)
    andi    a1, a1, 1
    beqz    a1, 4b
3:  lla     a0, hold_state
    ld      a0, 8(a0)
    .irp n, 1,2,3,4,5,6,7,8,9,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd      x\n, (8 * \n)(a0)
    .endr
    lla     t0, hold_state
    ld      sp, 0(t0)
    .irp n, 1,3,4,8,9,18,19,20,21,22,23,24,25,26,27
    ld      x\n, (8 * \n)(sp)
    .endr
    addi    sp, sp, 256
    ret

    .bss
    .balign 8
hold_state:
    .skip   24
