/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First instructions of an x86_64 guest, those of its other CPUs, and its traps. The loader enters
 * by the PVH note, in 32 bits without paging; %ebx has what it tells. [Xen: x86/HVM direct boot
 * ABI] All memory below 4 GiB is mapped to itself.
 */
#include "machine.h"

#define STACK_SHIFT 14
#define CPUS        8
#define MSR_EFER    0xc0000080
#define EFER_LME    0x100
#define CR0_PE      0x1
#define CR0_PG_WP   0x80010000
#define CR4_PAE     0x20
#define PTE_TABLE   0x007           /* For user code too. */
#define PTE_LARGE   0x087
#define PTE_DEVICE  0x097
#define LOW(symbol) (LOW_BASE + (symbol) - low_start)

    .section .note.pvh, "a", @note
    .long   4, 8, 18
    .asciz  "Xen"
    .quad   pvh_entry

    .text
/*
 * The PM timer tells the machine's own time, which a guest's TSC does not. FP registers are kept as
 * found, for those who look at them.
 */
    .code32
    .global pvh_entry
pvh_entry:
    movl    $PM_TIMER_PORT, %edx
    inl     %dx, %eax
    movl    %eax, %ebp
    cld
    cli
    movl    $_bss_start, %edi
    movl    $_bss_end, %ecx
    subl    %edi, %ecx
    xorl    %eax, %eax
    rep stosb
    movl    %ebp, start_pm_timer
    movl    $pdpt + PTE_TABLE, pml4
    movl    $directories + PTE_TABLE, %eax
    movl    $pdpt, %edi
1:  movl    %eax, (%edi)
    addl    $0x1000, %eax
    addl    $8, %edi
    cmpl    $pdpt + 32, %edi
    jb      1b
    movl    $directories, %edi
    movl    $PTE_LARGE, %eax
2:  cmpl    $0xc0000000, %eax
    jb      3f
    orl     $PTE_DEVICE, %eax
3:  movl    %eax, (%edi)
    addl    $0x200000, %eax
    addl    $8, %edi
    cmpl    $directories + 0x4000, %edi
    jb      2b
    lgdt    gdt_pointer
    movl    $stack_early, %esp
    call    long_enable
    ljmp    $SEL_CODE64, $start64

/* In 32 bits, without paging. Changes eax, ecx, edx. */
    .global long_enable
long_enable:
    movl    %cr4, %eax
    orl     $CR4_PAE, %eax
    movl    %eax, %cr4
    movl    $pml4, %eax
    movl    %eax, %cr3
    movl    $MSR_EFER, %ecx
    rdmsr
    orl     $EFER_LME, %eax
    wrmsr
    movl    %cr0, %eax
    orl     $CR0_PG_WP | CR0_PE, %eax
    movl    %eax, %cr0
    ret

    .code64
start64:
    movl    $SEL_DATA, %eax
    movl    %eax, %ss
    movl    %eax, %ds
    movl    %eax, %es
    movl    $stacks + (1 << STACK_SHIFT), %esp
    movl    %ebx, %edi
    call    cpu_setup_first
    call    runtime_main

/* --- Other CPUs: copied to LOW_BASE, where a SIPI starts them in real mode. --- */

    .code16
    .global low_start
low_start:
    cli
    xorw    %ax, %ax
    movw    %ax, %ds
    lgdtl   LOW(low_gdt_pointer)
    movl    %cr0, %eax
    orl     $CR0_PE, %eax
    movl    %eax, %cr0
    ljmpl   $SEL_CODE32, $secondary32
    .balign 8
low_gdt_pointer:
    .word   gdt_end - gdt - 1
    .long   gdt
    .balign 16
    .global low_modes
low_modes:
#include "modes.S"
    .global low_end
low_end:

    .code32
secondary32:
    movl    $SEL_DATA, %eax
    movl    %eax, %ss
    movl    %eax, %ds
    movl    %eax, %es
    movl    $stack_early, %esp
    call    long_enable
    ljmp    $SEL_CODE64, $secondary64

    .code64
secondary64:
    movl    secondary_cpu, %edi
    leal    1(%rdi), %eax
    shll    $STACK_SHIFT, %eax
    leal    stacks(%rax), %esp
    call    cpu_setup
    call    secondary_main

/* --- Traps. --- */

/* 256 stubs of 16 bytes. */
    .balign 16
    .global trap_stubs
trap_stubs:
    .set    vector, 0
    .rept   256
    .balign 16
    .if     vector == 8 || (vector >= 10 && vector <= 14) || vector == 17
    .else
    pushq   $0
    .endif
    pushq   $vector
    jmp     trap_common
    .set    vector, vector + 1
    .endr

    .balign 16
trap_common:
    .irp    reg, rax,rbx,rcx,rdx,rbp,rsi,rdi,r8,r9,r10,r11,r12,r13,r14,r15
    pushq   %\reg
    .endr
    cld
    movq    %rsp, %rdi
    movq    %rsp, %rbp
    andq    $-16, %rsp
    call    trap_taken
    movq    %rbp, %rsp
    .irp    reg, r15,r14,r13,r12,r11,r10,r9,r8,rdi,rsi,rbp,rdx,rcx,rbx,rax
    popq    %\reg
    .endr
    addq    $16, %rsp
    iretq

/* unsigned probe_run(fn, arg): NO_EXCEPTION, or what the exception puts into rax. */
    .global probe_run
probe_run:
    pushq   %rbx
    pushq   %rbp
    pushq   %r12
    pushq   %r13
    pushq   %r14
    pushq   %r15
    subq    $8, %rsp
    movq    %rsp, %gs:CPU_PROBE_STACK
    movq    %rdi, %rax
    movq    %rsi, %rdi
    call    *%rax
    movl    $0x100, %eax
    .global probe_resume
probe_resume:
    movq    $0, %gs:CPU_PROBE_STACK
    addq    $8, %rsp
    popq    %r15
    popq    %r14
    popq    %r13
    popq    %r12
    popq    %rbp
    popq    %rbx
    ret

    .data
    .balign 16
    .global gdt
gdt:
    .quad   0
    .quad   0x00af9b000000ffff      /* SEL_CODE64 */
    .quad   0x00cf93000000ffff      /* SEL_DATA */
    .quad   0x00cf9b000000ffff      /* SEL_CODE32 */
    .quad   0x00009b000000ffff      /* SEL_CODE16 */
    .quad   0x000093000000ffff      /* SEL_DATA16 */
    .quad   0x00cffb000000ffff      /* SEL_USER32 */
    .quad   0x00cff3000000ffff      /* SEL_USER_DATA */
    .quad   0x00affb000000ffff      /* SEL_USER64 */
    .quad   0
    .global gdt_tss
gdt_tss:
    .fill   2 * CPUS, 8, 0
gdt_end:
    .global gdt_pointer
gdt_pointer:
    .word   gdt_end - gdt - 1
    .quad   gdt
    .global secondary_cpu
    .balign 4
secondary_cpu:
    .long   0

    .bss
    .balign 4096
    .global pml4, pdpt
pml4:
    .space  4096
pdpt:
    .space  4096
    .global directories
directories:
    .space  4 * 4096
stacks:
    .space  CPUS << STACK_SHIFT
    .space  64
stack_early:
    .global start_pm_timer
start_pm_timer:
    .space  4
