/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where another pCPU starts: copied to a page below 1 MiB, which the start-up IPI names, it goes
 * from real mode to 64 bits in one step and leaves for start_secondary(). The page above holds a
 * copy of the first level-4 table, because cr3 is loaded when it has 32 bits only.
 *
 *   0                 this code
 *   TRAMPOLINE_ROOT   the table's address (4 bytes)
 *   TRAMPOLINE_ENTRY  start_secondary
 *   TRAMPOLINE_PCPU   struct pcpu; taken with an exchange, so that a pCPU that comes late, when
 *                     another has been asked for, gets none and stays here
 *
 * [SDM 3, 8.4 Multiple-Processor Initialization; 9.8.5 Initializing IA-32e Mode]
 */
#include "asm.h"

        .section .rodata
        .balign 16
        .code16
        .global trampoline, trampoline_end
        .hidden trampoline, trampoline_end
trampoline:
        cli
        cld
        movw    %cs, %ax
        movw    %ax, %ds
        movzwl  %ax, %ebp
        shll    $4, %ebp                /* Where we are. */
        leal    trampoline_gdt - trampoline(%ebp), %eax
        movl    %eax, trampoline_gdtr - trampoline + 2
        leal    trampoline_64 - trampoline(%ebp), %eax
        movl    %eax, trampoline_far - trampoline
        movl    $0x20, %eax             /* PAE */
        movl    %eax, %cr4
        movl    TRAMPOLINE_ROOT, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx       /* EFER: LME, and NXE, which our tables need. */
        rdmsr
        orl     $0x900, %eax
        wrmsr
        lgdtl   trampoline_gdtr - trampoline
        movl    $0x80000011, %eax       /* PG, ET, PE: caches on. */
        movl    %eax, %cr0
        ljmpl   *(trampoline_far - trampoline)

        .balign 8
trampoline_gdt:
        .quad   0
        .quad   0x00af9b000000ffff
        .quad   0x00cf93000000ffff
trampoline_gdtr:
        .word   23
        .long   0
        .balign 4
trampoline_far:
        .long   0
        .word   SEL_CODE

        .code64
trampoline_64:
        movl    $SEL_DATA, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    %ebp, %ebp              /* The upper half is undefined after the switch. */
        xorl    %edi, %edi
        xchgq   %rdi, TRAMPOLINE_PCPU(%rbp)
        testq   %rdi, %rdi
        jz      1f
        jmp     *TRAMPOLINE_ENTRY(%rbp)
1:      cli
        hlt
        jmp     1b
trampoline_end:

        .section .note.GNU-stack, "", @progbits
