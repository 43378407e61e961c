/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world switch of VMX. Entries and exits exchange all but the general registers, whose place is
 * here, and what vmx_regs.c leaves in the processor while a vCPU is bound. Exits come with RSP as
 * HOST_RSP says; it is written only when the stack is another one than last time. Interrupts stay
 * masked: what is pending ends the guest's run by itself. [SDM 3, 27.3 and 28.5]
 */
#include "entry_regs.inc"
#include "vcpu_asm.h"

        .text

/* bool vmx_enter(struct arch_vcpu *vcpu, bool launched) */
        .balign 16
        .global vmx_enter, vmx_exit_point
        .hidden vmx_enter, vmx_exit_point
vmx_enter:
        push    %rbp
        push    %rbx
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        push    %rdi                    /* vCPU */
        cmp     %rsp, VCPU_HOST_RSP(%rdi)
        je      1f
        mov     %rsp, VCPU_HOST_RSP(%rdi)
        mov     $VMCS_HOST_RSP_, %eax
        vmwrite %rsp, %rax
1:      mov     $VMCS_GUEST_RSP_, %eax
        vmwrite 32(%rdi), %rax
        mov     $VMCS_GUEST_RIP_, %eax
        vmwrite VCPU_RIP(%rdi), %rax
        test    %sil, %sil              /* The flags stay until the jump. */
        mov     0(%rdi), %rax
        guest_load %rdi
        mov     24(%rdi), %rbx
        mov     56(%rdi), %rdi
        jnz     2f
        vmlaunch
        jmp     3f
2:      vmresume
3:      pop     %rdi                    /* It failed; nothing but RFLAGS has changed. */
        xor     %eax, %eax
        jmp     4f

vmx_exit_point:
        push    %rdi
        mov     8(%rsp), %rdi
        mov     %rax, 0(%rdi)
        guest_save %rdi
        mov     %rbx, 24(%rdi)
        pop     56(%rdi)
        mov     $VMCS_GUEST_RSP_, %eax
        vmread  %rax, 32(%rdi)
        mov     $VMCS_GUEST_RIP_, %eax
        vmread  %rax, VCPU_RIP(%rdi)
        mov     $VMCS_GUEST_CS_BASE_, %eax
        vmread  %rax, VCPU_CODE_BASE(%rdi)
        pop     %rdi
        mov     $1, %eax
4:      pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbx
        pop     %rbp
        ret

        .section .note.GNU-stack, "", @progbits
