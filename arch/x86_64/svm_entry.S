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
#include "entry_regs.inc"
#include "vcpu_asm.h"

        .text

/*
 * Runs the guest until #VMEXIT. rbx: the vCPU that is bound, rax: its block, after it in rsi. Kept
 * are rbx, rbp and rsp.
 */
        .balign 16
        .global svm_enter
svm_enter:
        push    %rbp
        push    %rbx
        clgi
        sti                             /* VMRUN, VMLOAD and VMSAVE take the block in rax, */
        mov     0(%rbx), %rcx
        mov     %rcx, VMCB_RAX(%rax)
        mov     32(%rbx), %rcx
        mov     %rcx, VMCB_RSP(%rax)
        mov     VCPU_RIP(%rbx), %rcx
        mov     %rcx, VMCB_RIP(%rax)
        guest_load %rbx
        mov     56(%rbx), %rdi
        mov     24(%rbx), %rbx
        vmload  %rax
        vmrun   %rax                    /* which #VMEXIT restores. */
        vmsave  %rax
        mov     VMCB_HOST(%rax), %rax
        vmload  %rax
        cli
        stgi
        mov     (%rsp), %rax
        guest_save %rax
        mov     %rdi, 56(%rax)
        mov     %rbx, 24(%rax)
        pop     %rbx
        mov     VCPU_BLOCK(%rbx), %rsi
        mov     VMCB_RAX(%rsi), %rcx
        mov     %rcx, 0(%rbx)
        mov     VMCB_RSP(%rsi), %rcx
        mov     %rcx, 32(%rbx)
        mov     VMCB_RIP(%rsi), %rcx
        mov     %rcx, VCPU_RIP(%rbx)
        mov     VMCB_CS_BASE(%rsi), %rcx
        mov     %rcx, VCPU_CODE_BASE(%rbx)
        pop     %rbp
        ret
