/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fills and compares the registers of x87 (as MMX) and SSE or, where fp_enable() turned it on, AVX;
 * the guests' C code does not use them.
 */
    .text

    .macro each_pair op
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    \op     \n
    .endr
    .endm

/* Register n is rax in all its quarters; then rax grows. */
    .macro fill_one n
    movq    %rax, %xmm\n
    punpcklqdq %xmm\n, %xmm\n
    addq    %rcx, %rax
    .endm

    .macro fill_upper n
    vinsertf128 $1, %xmm\n, %ymm\n, %ymm\n
    .endm

    .macro fill_mmx n
    movq    %rax, %mm\n
    addq    %rcx, %rax
    .endm

/* rdi: seed. */
    .global fp_fill
fp_fill:
    subq    $48, %rsp
    movq    %rdi, %rax
    movabsq $1 << 40, %rcx
    each_pair fill_one
    cmpb    $0, fp_has_avx
    je      1f
    each_pair fill_upper
1:  .irp    n, 0,1,2,3,4,5,6,7
    fill_mmx \n
    .endr
    movl    %edi, %eax              /* Rounding; all exceptions masked, flags of the seed. */
    andl    $0x603f, %eax
    orl     $0x1f80, %eax
    movl    %eax, 40(%rsp)
    ldmxcsr 40(%rsp)
    movl    %edi, %eax
    andl    $0x0c00, %eax
    orl     $0x037f, %eax
    movw    %ax, 40(%rsp)
    fldcw   40(%rsp)
    addq    $48, %rsp
    ret

    .macro differ
    xorq    %rax, %rdx
    negq    %rdx                    /* Carry: it was not 0. */
    adcq    $0, %r8
    .endm

    .macro compare_one n
    movq    %xmm\n, %rdx
    differ
    movdqu  %xmm\n, 24(%rsp)
    movq    32(%rsp), %rdx
    differ
    addq    %rcx, %rax
    .endm

    .macro compare_upper n
    vmovdqu %ymm\n, 8(%rsp)
    movq    24(%rsp), %rdx
    differ
    movq    32(%rsp), %rdx
    differ
    addq    %rcx, %rax
    .endm

/* rdi: seed. Returns how many differ. */
    .global fp_compare
fp_compare:
    subq    $48, %rsp
    xorl    %r8d, %r8d
    movabsq $1 << 40, %rcx
    movq    %rdi, %rax
    each_pair compare_one
    movq    %rax, %rsi
    cmpb    $0, fp_has_avx
    je      1f
    movq    %rdi, %rax
    each_pair compare_upper
1:  movq    %rsi, %rax
    .irp    n, 0,1,2,3,4,5,6,7
    movq    %mm\n, %rdx
    differ
    addq    %rcx, %rax
    .endr
    stmxcsr 40(%rsp)
    movl    40(%rsp), %edx
    movl    %edi, %eax
    andl    $0x603f, %eax
    orl     $0x1f80, %eax
    differ
    fnstcw  40(%rsp)
    movzwl  40(%rsp), %edx
    movl    %edi, %eax
    andl    $0x0c00, %eax
    orl     $0x037f, %eax
    differ
    movq    %r8, %rax
    addq    $48, %rsp
    ret

    .macro or_one n
    vmovdqu %ymm\n, 8(%rsp)
    orq     8(%rsp), %rax
    orq     16(%rsp), %rax
    orq     24(%rsp), %rax
    orq     32(%rsp), %rax
    .endm

    .macro or_one_sse n
    movdqu  %xmm\n, 24(%rsp)
    orq     24(%rsp), %rax
    orq     32(%rsp), %rax
    .endm

/* Everything or-ed; modes as what differs from those of a reset, precision aside. */
    .global fp_or
fp_or:
    subq    $48, %rsp
    xorl    %eax, %eax
    cmpb    $0, fp_has_avx
    je      1f
    each_pair or_one
    jmp     2f
1:  each_pair or_one_sse
2:  fnstcw  40(%rsp)
    movzwl  40(%rsp), %edx
    andl    $0x0c00, %edx
    orq     %rdx, %rax
    stmxcsr 40(%rsp)
    movl    40(%rsp), %edx
    xorl    $0x1f80, %edx
    orq     %rdx, %rax
    .irp    n, 0,1,2,3,4,5,6,7
    movq    %mm\n, %rdx
    orq     %rdx, %rax
    .endr
    fninit
    addq    $48, %rsp
    ret
