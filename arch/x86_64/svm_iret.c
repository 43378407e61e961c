/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IRET that ends an NMI: when it is done the guest is open for the next one. Without virtual
 * NMIs the hardware does not say when that is; so we have the guest execute it with TF set, and
 * take what comes: the trap after it, or anything else before it. Then all is as it was, and the
 * guest comes to its IRET again. Its faults are intercepted too, for the guest's handler would find
 * our TF in its frame. [AMD APM 2, 15.12, 15.20]
 */
#include "arch/x86_64/svm.h"

#define IRET_FAULTS                                                                                \
    ((uint32_t)(BIT(VECTOR_TS) | BIT(VECTOR_NP) | BIT(VECTOR_SS) | BIT(VECTOR_GP) | BIT(VECTOR_PF)))

struct iret_before {
    uint64_t rip, rsp, rflags, dr6, dr7;
};

/* The debug registers as they were before our trap, which may have told of breakpoints besides. */
static void iret_done(struct arch_vcpu *vcpu, const struct iret_before *before)
{
    struct vmcb *vmcb = svm_vmcb(vcpu);
    uint64_t matched = vmcb->save.dr6 & ~before->dr6 & DR6_MATCHED;

    vmcb->control.event_inj = 0;
    vmcb->save.dr6 = before->dr6;
    vmcb->save.dr7 = before->dr7;
    svm_dirty(vmcb, VMCB_CLEAN_DEBUG);
    if (before->rflags & RFLAGS_TF)
        svm_inject_debug(vmcb, matched | DR6_STEP);
    else if (matched)
        svm_inject_debug(vmcb, matched);
}

void svm_iret(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    struct vmcb *vmcb = svm_vmcb(vcpu);
    const struct iret_before before = {
        .rip = vcpu->rip,
        .rsp = vcpu->gpr[INSN_RSP],
        .rflags = vmcb->save.rflags,
        .dr6 = vmcb->save.dr6,
        .dr7 = vmcb->save.dr7,
    };

    vmcb->control.intercept[0] &= (uint32_t)~VMCB_IRET;
    vmcb->control.intercept_exceptions |= IRET_FAULTS;
    svm_dirty(vmcb, VMCB_CLEAN_INTERCEPTS);
    vmcb->save.rflags |= RFLAGS_TF;
    svm_run_iret(vcpu, exit);
    vmcb->control.intercept_exceptions &= ~IRET_FAULTS;
    if (exit->cause[0] == VMEXIT_EXCEPTION + VECTOR_DB &&
        (vcpu->rip != before.rip || vcpu->gpr[INSN_RSP] != before.rsp)) {
        iret_done(vcpu, &before);
        svm_virq_set_nmi_blocked(vcpu, false);
        if (svm_virq_nmi_window(vcpu))
            exit->kind = EXIT_INTERRUPT_WINDOW;
        return;
    }
    svm_virq_set_nmi_blocked(vcpu, true); /* IRET exits again. */
    vmcb->save.rflags &= ~RFLAGS_TF | (before.rflags & RFLAGS_TF);
}
