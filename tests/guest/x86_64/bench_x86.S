/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of the hypervisor, and what the benchmark measures to the instruction, where one takes a
 * nanosecond and the TSC counts these.
 */
#include "machine.h"

#define LEN_IDT_GATE 16

    .macro clock_read_rax
    rdtsc
    shlq    $32, %rdx
    orq     %rdx, %rax
    .endm

/* VMMCALL, which hypercall_setup() makes VMCALL. */
    .macro hypervisor_call
9:  vmmcall
    .pushsection .data.calls, "aw"
    .quad   9b
    .popsection
    .endm

    .text
    .global hypercall_number
hypercall_number:
    pushq   %rbx
    movq    %rdi, %rax
    hypervisor_call
    popq    %rbx
    ret

/* With one argument. */
    .global hypercall_one
hypercall_one:
    pushq   %rbx
    movq    %rdi, %rax
    movq    %rsi, %rbx
    hypervisor_call
    popq    %rbx
    ret

/* Four words to (%rsi). */
    .global hypercall_words
hypercall_words:
    pushq   %rbx
    movq    %rdi, %rax
    hypervisor_call
    movq    %rax, (%rsi)
    movq    %rbx, 8(%rsi)
    movq    %rcx, 16(%rsi)
    movq    %rdx, 24(%rsi)
    popq    %rbx
    ret

    .global bench_start
bench_start:
    .global bench_stop
bench_stop:
    clock_read_rax
    ret

/* A null hypercall: the clock after less the clock before. */
    .global bench_hypercall
bench_hypercall:
    pushq   %rbx
    call    bench_start
    movq    %rax, %r8
    xorl    %eax, %eax
    hypervisor_call
    call    bench_stop
    subq    %r8, %rax
    subq    $2, %rax                /* What keeps the start, and the number. */
    popq    %rbx
    ret

/*
 * Each of the next returns from bench_vector, which their caller has put into the IDT, with
 * interrupts masked and in rax the nanosecond of the vector's first instruction.
 */
    .global bench_spin
bench_spin:
    sti
1:  jmp     1b

    .global bench_wait
bench_wait:
    sti
    hlt
1:  jmp     1b

/* An IPI to this CPU by the x2APIC, from the instruction that sends it; rax is the difference. */
    .global bench_self_ipi
bench_self_ipi:
    sti
    movl    $0x83f, %ecx
    rdtsc
    movl    %eax, %r8d
    movl    $IPI_IRQ, %eax
    xorl    %edx, %edx
    wrmsr
1:  jmp     1b

/* rdx: of bench_self_ipi, less the three instructions between. */
    .global bench_vector
bench_vector:
    rdtsc
    shlq    $32, %rdx
    orq     %rdx, %rax
    leal    -4(%rax), %ecx
    subl    %r8d, %ecx
    movl    %ecx, bench_ipi_took
    movq    24(%rsp), %rsp          /* That of whom it interrupted. */
    ret

    .bss
    .balign 4
    .global bench_ipi_took
bench_ipi_took:
    .space  4
