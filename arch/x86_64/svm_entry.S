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
#include "entry_regs.inc"
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
        guest_load
        vmload  %rax
        vmrun   %rax                    /* which #VMEXIT restores. */
        vmsave  %rax
        mov     VMCB_HOST(%rax), %rax
        vmload  %rax
        cli
        stgi
        mov     %gs:PCPU_BOUND, %rax
        guest_save %rax
        mov     %rdi, 56(%rax)
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
