/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts for a guest under SVM: one event is injected at an entry. A window for a vector is a
 * virtual interrupt that is intercepted when the guest would take it. One for an NMI is found by
 * the IRET that ends the last: it is intercepted; svm_iret.c. [AMD APM 2, 15.20, 15.21]
 */
#include "arch/x86_64/svm.h"
#include "kernel/assert.h"
#include "kernel/percpu.h"

uint64_t svm_virq_read(const struct arch_vcpu *vcpu, unsigned slot)
{
    const struct vmcb_control *control = &svm_vmcb(vcpu)->control;

    switch (slot) {
    case VIRQ_SLOT_VECTOR:
        return svm_event_is(control->event_inj, SVM_EVENT_INTR)
                   ? field_get(VMCB_EVENT_VECTOR, control->event_inj)
                   : 0;
    case VIRQ_SLOT_NMI:
        return svm_event_is(control->event_inj, SVM_EVENT_NMI);
    case VIRQ_SLOT_TPR:
        return field_get(VMCB_V_TPR, control->int_control) << 4;
    }
    return 0;
}

void svm_virq_set_nmi_blocked(struct arch_vcpu *vcpu, bool blocked)
{
    struct vmcb *vmcb = svm_vmcb(vcpu);

    vcpu->nmi_blocked = blocked;
    vmcb->control.intercept[0] &= (uint32_t)~VMCB_IRET;
    if (blocked)
        vmcb->control.intercept[0] |= VMCB_IRET;
    svm_dirty(vmcb, VMCB_CLEAN_INTERCEPTS);
}

void svm_virq_write(struct arch_vcpu *vcpu, unsigned slot, uint64_t value)
{
    struct vmcb *vmcb = svm_vmcb(vcpu);
    uint64_t tpr = field_put(VMCB_V_TPR, value >> 4);

    if (slot == VIRQ_SLOT_TPR) {
        if (tpr == (vmcb->control.int_control & VMCB_V_TPR))
            return;
        vmcb->control.int_control = (vmcb->control.int_control & ~VMCB_V_TPR) | tpr;
        svm_dirty(vmcb, VMCB_CLEAN_INT);
        return;
    }
    assert(!(vmcb->control.event_inj & VMCB_EVENT_VALID));
    if (slot == VIRQ_SLOT_NMI) {
        vmcb->control.event_inj = svm_event(SVM_EVENT_NMI, VECTOR_NMI);
        svm_virq_set_nmi_blocked(vcpu, true);
    } else {
        vmcb->control.event_inj = svm_event(SVM_EVENT_INTR, (uint8_t)value);
    }
}

/*
 * While NMIs are blocked, IRET is intercepted. When it is but an instruction's shadow, or another
 * event that is being injected, an interrupt of ours ends the run right after that.
 */
void svm_virq_set_control(struct arch_vcpu *vcpu, uint64_t value)
{
    struct vmcb_control *control = &svm_vmcb(vcpu)->control;

    vcpu->wanted = (uint8_t)value;
    control->int_control &= ~(VMCB_V_IRQ | VMCB_V_INTR_PRIO | VMCB_V_IGN_TPR);
    control->intercept[0] &= (uint32_t)~VMCB_VINTR;
    if (value & BIT(VIRQ_SLOT_VECTOR)) {
        control->int_control |= VMCB_V_IRQ | VMCB_V_INTR_PRIO | VMCB_V_IGN_TPR;
        control->intercept[0] |= VMCB_VINTR;
    }
    svm_dirty(svm_vmcb(vcpu), VMCB_CLEAN_INT | VMCB_CLEAN_INTERCEPTS);
    if ((value & BIT(VIRQ_SLOT_NMI)) && !vcpu->nmi_blocked)
        arch_ipi_send(this_cpu());
}

void svm_virq_window(struct arch_vcpu *vcpu, unsigned slot)
{
    svm_virq_set_control(vcpu, vcpu->wanted & ~BIT(slot));
}

bool svm_virq_nmi_window(struct arch_vcpu *vcpu)
{
    if (!(vcpu->wanted & BIT(VIRQ_SLOT_NMI)))
        return false;
    if (svm_event_open(svm_vmcb(vcpu), vcpu->nmi_blocked) & BIT(VIRQ_SLOT_NMI)) {
        svm_virq_window(vcpu, VIRQ_SLOT_NMI);
        return true;
    }
    if (!vcpu->nmi_blocked)
        arch_ipi_send(this_cpu());
    return false;
}
