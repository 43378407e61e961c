/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gates of the IDT. Exceptions (below 32) save everything and go to trap_handle(); they are on
 * stacks of their own, by IST, because ours may be what failed. Interrupts only record their vector
 * in the pCPU and return with interrupts masked: arch_irq_take() and arch_idle() have opened them
 * for an instant. [SDM 3, chapter 6]
 */
#include "asm.h"

#define VECTOR_SPURIOUS 0xff

        .text
/* Exceptions that push an error code: 8, 10 to 14, 17, 21, 29, 30. */
#define PUSH_ERROR 0x60227d00

        .balign 16
        .global trap_stubs
        .hidden trap_stubs
trap_stubs:
        .set    vector, 0
        .rept   256
        .org    trap_stubs + vector * TRAP_STUB_SIZE
        .if     vector == VECTOR_SPURIOUS
        iretq
        .elseif vector >= 32
        pushq   $(vector ^ 0x80) - 0x80 /* One byte: only the lowest is looked at. */
        jmp     interrupt_entry
        .else
        .if     (PUSH_ERROR >> vector & 1) == 0
        pushq   $0
        .endif
        pushq   $vector
        jmp     exception_entry
        .endif
        .set    vector, vector + 1
        .endr

/* On the stack: vector, rip, cs, rflags, rsp, ss. */
interrupt_entry:
        pushq   %rax
        movq    8(%rsp), %rax
        movb    %al, %gs:PCPU_VECTOR
        andl    $~0x200, 32(%rsp)       /* IF, for the return. */
        popq    %rax
        addq    $8, %rsp
        iretq

/* On the stack: vector, error code, rip, cs, rflags, rsp, ss: the end of struct arch_trap_frame. */
exception_entry:
        subq    $TRAP_FRAME_CR2 + 8, %rsp
        movq    %rax, 0(%rsp)
        movq    %rcx, 8(%rsp)
        movq    %rdx, 16(%rsp)
        movq    %rbx, 24(%rsp)
        movq    TRAP_FRAME_PUSHED(%rsp), %rax
        movq    %rax, TRAP_FRAME_RSP(%rsp)
        movq    %rbp, 40(%rsp)
        movq    %rsi, 48(%rsp)
        movq    %rdi, 56(%rsp)
        movq    %r8, 64(%rsp)
        movq    %r9, 72(%rsp)
        movq    %r10, 80(%rsp)
        movq    %r11, 88(%rsp)
        movq    %r12, 96(%rsp)
        movq    %r13, 104(%rsp)
        movq    %r14, 112(%rsp)
        movq    %r15, 120(%rsp)
        movq    %cr2, %rax
        movq    %rax, TRAP_FRAME_CR2(%rsp)
        cld
        movq    %rsp, %rdi
        call    trap_handle
        movq    0(%rsp), %rax
        movq    8(%rsp), %rcx
        movq    16(%rsp), %rdx
        movq    24(%rsp), %rbx
        movq    40(%rsp), %rbp
        movq    48(%rsp), %rsi
        movq    56(%rsp), %rdi
        movq    64(%rsp), %r8
        movq    72(%rsp), %r9
        movq    80(%rsp), %r10
        movq    88(%rsp), %r11
        movq    96(%rsp), %r12
        movq    104(%rsp), %r13
        movq    112(%rsp), %r14
        movq    120(%rsp), %r15
        addq    $TRAP_FRAME_CR2 + 24, %rsp
        iretq

/* bool msr_probe(uint32_t msr, uint64_t *value): trap_handle() goes on at msr_probe_fault. */
        .global msr_probe, msr_probe_access, msr_probe_fault
        .hidden msr_probe, msr_probe_access, msr_probe_fault
msr_probe:
        movl    %edi, %ecx
msr_probe_access:
        rdmsr
        shlq    $32, %rdx
        orq     %rdx, %rax
        movq    %rax, (%rsi)
        movl    $1, %eax
        ret
msr_probe_fault:
        movq    $0, (%rsi)
        xorl    %eax, %eax
        ret

        .section .note.GNU-stack, "", @progbits
