/* SPDX-License-Identifier: Apache-2.0 */
/* Holds a value of its own in each register while it waits for a character. See regs.c. */
#define IOAPIC 0xfec00000
#define LSR    0x3fd

    .macro each op
    .irp    n, 8,9,10,11,12,13,14,15
    \op     %r\n, \n
    .endr
    \op     %rcx, 1
    \op     %rbx, 3
    \op     %rsi, 6
    \op     %rdi, 7
    .endm

    .macro fill reg, n
    leaq    \n(%rax), \reg
    .endm

    .macro keep reg, n
    movq    \reg, 8 * \n(%rax)
    .endm

    .text
/*
 * void regs_hold(uint64_t seed, uint64_t result[17]): the registers by number, and RFLAGS. It looks
 * for the character at a port, and changes nothing of a device's register by two accesses.
 */
    .global regs_hold
regs_hold:
    .irp    reg, rbx,rbp,r12,r13,r14,r15,rsi
    pushq   %\reg
    .endr
    movq    %rdi, %rax
    each    fill
    movl    $IOAPIC, %ebp
    movl    $LSR, %edx
    std
1:  orl     $0, (%rbp)
    inb     %dx, %al
    testb   $1, %al
    jz      1b
    pushfq
    movq    8(%rsp), %rax
    each    keep
    keep    %rdx, 2
    keep    %rbp, 5
    popq    8 * 16(%rax)
    cld
    .irp    reg, rsi,r15,r14,r13,r12,rbp,rbx
    popq    %\reg
    .endr
    ret
