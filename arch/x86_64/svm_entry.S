/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world switch of SVM. VMRUN and #VMEXIT exchange what is in the block and in the host's save
 * area; VMLOAD and VMSAVE what they leave out: FS, GS, TR, LDTR, and the MSRs of SYSCALL, SYSENTER
 * and SWAPGS. Here: the general registers.
 *
 * GIF is clear in between, so that no NMI comes while TR and GS are the guest's. IF is set under
 * it: with V_INTR_MASKING it is our IF that lets interrupts end the guest's run. [AMD APM 2, 15.5,
 * 15.17, 15.21.1]
 */
#include "asm.h"
#include "vcpu_asm.h"

        .text

/*
 * Runs the guest until #VMEXIT. rdi: the vCPU that is bound, rax: its block. After it, rax: vCPU,
 * rsi: its block; only rbp and rsp are kept.
 */
        .balign 16
        .global svm_enter
svm_enter:
        push    %rbp
        clgi
        sti                             /* VMRUN, VMLOAD and VMSAVE take the block in rax, */
        mov     0(%rdi), %rcx
        mov     %rcx, VMCB_RAX(%rax)
        mov     32(%rdi), %rcx
        mov     %rcx, VMCB_RSP(%rax)
        mov     VCPU_RIP(%rdi), %rcx
        mov     %rcx, VMCB_RIP(%rax)
        mov     8(%rdi), %rcx
        mov     16(%rdi), %rdx
        mov     24(%rdi), %rbx
        mov     40(%rdi), %rbp
        mov     48(%rdi), %rsi
        mov     64(%rdi), %r8
        mov     72(%rdi), %r9
        mov     80(%rdi), %r10
        mov     88(%rdi), %r11
        mov     96(%rdi), %r12
        mov     104(%rdi), %r13
        mov     112(%rdi), %r14
        mov     120(%rdi), %r15
        mov     56(%rdi), %rdi
        vmload  %rax
        vmrun   %rax                    /* which #VMEXIT restores. */
        vmsave  %rax
        mov     VMCB_HOST(%rax), %rax
        vmload  %rax
        cli
        stgi
        mov     %gs:PCPU_BOUND, %rax
        mov     %rcx, 8(%rax)
        mov     %rdx, 16(%rax)
        mov     %rbx, 24(%rax)
        mov     %rbp, 40(%rax)
        mov     %rsi, 48(%rax)
        mov     %rdi, 56(%rax)
        mov     %r8, 64(%rax)
        mov     %r9, 72(%rax)
        mov     %r10, 80(%rax)
        mov     %r11, 88(%rax)
        mov     %r12, 96(%rax)
        mov     %r13, 104(%rax)
        mov     %r14, 112(%rax)
        mov     %r15, 120(%rax)
        mov     VCPU_BLOCK(%rax), %rsi
        mov     VMCB_RAX(%rsi), %rcx
        mov     %rcx, 0(%rax)
        mov     VMCB_RSP(%rsi), %rcx
        mov     %rcx, 32(%rax)
        mov     VMCB_RIP(%rsi), %rcx
        mov     %rcx, VCPU_RIP(%rax)
        mov     VMCB_CS_BASE(%rsi), %rcx
        mov     %rcx, VCPU_CODE_BASE(%rax)
        pop     %rbp
        ret
