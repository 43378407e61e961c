/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the SVM backend, and what it gives to backend.h. */
#pragma once

#include "arch/x86_64/svm_event.h"
#include "arch/x86_64/vcpu.h"

extern const struct virt_backend svm_backend;

/* What this processor can, of what is optional. Bits of CPUID 0x8000000a, EDX. */
#define SVM_NPT             BIT(0)
#define SVM_NEXT_RIP        BIT(3)
#define SVM_DECODE_ASSISTS  BIT(7)
#define SVM_PAUSE_FILTER    BIT(10)
#define SVM_PAUSE_THRESHOLD BIT(12)

struct svm_host {
    uint32_t features; /* On all pCPUs. */
    bool leaves_1gib;
    struct svm_limits limits;
};

extern struct svm_host svm_host;

static inline struct vmcb *svm_vmcb(const struct arch_vcpu *vcpu)
{
    return vcpu->block;
}

/* A part of the block was changed by us. */
static inline void svm_dirty(struct vmcb *vmcb, uint64_t clean_bits)
{
    vmcb->control.clean &= (uint32_t)~clean_bits;
}

/* svm.c: an address space number that no translation has been cached under. */
void svm_renew_asid(struct arch_vcpu *vcpu);

/* svm_exit.c */
void svm_run(struct arch_vcpu *vcpu, struct vcpu_exit *exit);
/* The same, where all that can be done without another event is an IRET. */
void svm_run_iret(struct arch_vcpu *vcpu, struct vcpu_exit *exit);
void svm_exit_print(const struct vcpu_exit *exit, struct fmt_sink *out);

/* svm_virq.c: see arch_virq_*(). */
uint64_t svm_virq_read(const struct arch_vcpu *vcpu, unsigned slot);
void svm_virq_write(struct arch_vcpu *vcpu, unsigned slot, uint64_t value);
void svm_virq_set_control(struct arch_vcpu *vcpu, uint64_t value);
void svm_virq_window(struct arch_vcpu *vcpu, unsigned slot);
/* After any exit: whether an NMI that was waited for can come now. */
bool svm_virq_nmi_window(struct arch_vcpu *vcpu);
void svm_virq_set_nmi_blocked(struct arch_vcpu *vcpu, bool blocked);

/* svm_iret.c: the guest is at the IRET that ends an NMI. *exit: what comes of it. */
void svm_iret(struct arch_vcpu *vcpu, struct vcpu_exit *exit);

/* A #DB, of which DR6 gets to say more. */
void svm_inject_debug(struct vmcb *vmcb, uint64_t dr6);
/* Its last steps, where flags say that there are more than to go on. */
void svm_step_flags(struct vmcb *vmcb);

static inline void svm_step_over(struct arch_vcpu *vcpu, unsigned length)
{
    struct vmcb *vmcb = svm_vmcb(vcpu);
    uint64_t rip = vcpu->rip + length;

    if (unlikely(!(vmcb->save.segment[SEGMENT_CS].attributes & SEGMENT_LONG)))
        rip = (uint32_t)rip;
    vcpu->rip = rip;
    vmcb->control.int_state = 0;
    if (unlikely(vmcb->save.rflags & (RFLAGS_TF | RFLAGS_RF)))
        svm_step_flags(vmcb);
}
