/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runs in 16 bits; start.S includes it into what is copied below 1 MiB. Segments have base 0
 * and reach all 4 GiB, in real mode too.
 */
#include "mode_body.inc"

/* From mode_call.S, in 32 bits without paging; bx: the routine, esi: its argument. */
    .code16
    .global low_protected16
low_protected16:
    call    *%bx
    ljmpl   $SEL_CODE32, $mode_back

    .global low_real
low_real:
    movl    %cr0, %eax
    andl    $~1, %eax
    movl    %eax, %cr0
    ljmp    $0, $LOW(1f)
1:  xorw    %ax, %ax
    movw    %ax, %ss                /* The limits of ds and es stay. */
    call    *%bx
    movl    %cr0, %ecx
    orl     $1, %ecx
    movl    %ecx, %cr0
    ljmpl   $SEL_CODE32, $mode_back

    .global low_device
low_device:
    device_body
    ret

/* INT by the table at 0, %esi: times. Returns how often the handler ran. */
    .global low_interrupts
low_interrupts:
    movl    %esi, %ecx
    xorl    %edi, %edi
    movl    $0x200, %ebx
    movl    $LOW(3f), (%ebx)        /* Segment 0. */
    sidtl   LOW(low_kept)
    lidtl   LOW(low_table)
1:  int     $0x80
    loopl   1b
    lidtl   LOW(low_kept)
    movl    %edi, %eax
    ret
3:  incl    %edi
    pushl   %ecx
    xorl    %eax, %eax
    cpuid
    popl    %ecx
    iretw
    .balign 8
low_table:
    .word   0x3ff
    .long   0
    .balign 8
low_kept:
    .space  6
