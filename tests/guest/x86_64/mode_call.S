/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From long mode to another and back:
 *
 *     uint32_t mode_call(enum mode mode, uint32_t routine, uint32_t argument);
 *
 * Interrupts are masked. In 32 bits the routine is called with its argument in %esi, in 16 bits it
 * must lie in what start.S copies to LOW_BASE. It returns in %eax and may change all others. The
 * stack is the page below LOW_BASE.
 */
#include "machine.h"
#include "mode_body.inc"

#define MSR_EFER    0xc0000080
#define MSR_GS_BASE 0xc0000101
#define EFER_LME    0x100
#define CR0_PG      0x80000000
#define CR4_PSE     0x10
#define CR4_PAE     0x20

    .text
    .code64
    .global mode_call
mode_call:
    pushq   %rbx
    pushq   %rbp
    pushq   %r12
    pushq   %r13
    pushq   %r14
    pushq   %r15
    pushfq
    cli
    movl    %edi, mode
    movl    %esi, routine
    movl    %edx, argument
    movq    %rsp, stack
    movl    $MSR_GS_BASE, %ecx
    rdmsr
    movl    %eax, gs_base
    ljmpl   *compat_far

    .code32
compat:
    movl    $SEL_DATA, %eax
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %ss
    movl    $LOW_BASE, %esp
    cmpl    $0, mode
    je      in_32                   /* Compatibility mode. */
    movl    %cr0, %eax
    andl    $~CR0_PG, %eax
    movl    %eax, %cr0
    movl    $MSR_EFER, %ecx
    rdmsr
    andl    $~EFER_LME, %eax
    wrmsr
    movl    %cr4, %eax
    andl    $~CR4_PAE, %eax
    orl     $CR4_PSE, %eax
    movl    %eax, %cr4
    movl    routine, %ebx
    movl    argument, %esi
    cmpl    $1, mode
    je      in_32
    cmpl    $2, mode
    je      in_paging
    cmpl    $3, mode
    je      in_pae
    cmpl    $4, mode
    movl    $low_real, %eax
    jne     1f
    movl    $low_protected16, %eax
1:  addl    $LOW_BASE, %eax         /* Where it was copied to. */
    subl    $low_start, %eax
    movl    %eax, far16
    ljmp    *far16

in_paging:
    movl    $mode_directory, %eax
    jmp     1f
in_pae:
    movl    %cr4, %eax
    orl     $CR4_PAE, %eax
    movl    %eax, %cr4
    movl    $mode_pdpt, %eax
1:  movl    %eax, %cr3
    movl    %cr0, %eax
    orl     $CR0_PG, %eax
    movl    %eax, %cr0
in_32:
    movl    argument, %esi
    call    *routine
    cmpl    $0, mode
    je      compat_back
    movl    %eax, %ebx
    movl    %cr0, %eax
    andl    $~CR0_PG, %eax
    movl    %eax, %cr0
    movl    %ebx, %eax

    .global mode_back
mode_back:
    movl    $SEL_DATA, %ecx
    movl    %ecx, %ds
    movl    %ecx, %es
    movl    %ecx, %ss
    movl    $LOW_BASE, %esp
    movl    %eax, %ebx
    call    long_enable
    movl    %ebx, %eax
compat_back:
    ljmp    $SEL_CODE64, $long_back

    .code64
long_back:
    movl    %eax, %ebx
    movq    stack, %rsp
    movl    $SEL_DATA, %ecx
    movl    %ecx, %ss
    movl    $MSR_GS_BASE, %ecx
    movl    gs_base, %eax
    xorl    %edx, %edx
    wrmsr
    movl    %ebx, %eax
    popfq
    popq    %r15
    popq    %r14
    popq    %r13
    popq    %r12
    popq    %rbp
    popq    %rbx
    ret

    .code32
    .global mode_device
mode_device:
    device_body
    ret

    .data
    .balign 8
compat_far:
    .long   compat
    .word   SEL_CODE32
    .balign 4
far16:
    .long   0
    .word   SEL_CODE16

    .bss
    .balign 8
stack:
    .space  8
mode:
    .space  4
routine:
    .space  4
argument:
    .space  4
gs_base:
    .space  4
    .global mode_directory
    .balign 4096
mode_directory:
    .space  4096
    .global mode_pdpt
    .balign 32
mode_pdpt:
    .space  32
