/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts for a guest under VMX: one event is injected at an entry. Windows for vectors and for
 * NMIs are exits that the hardware has for them; it knows by itself when NMIs are blocked.
 * [SDM 3, 25.6.1, 25.6.2 and 27.6]
 */
#include "arch/x86_64/vmx.h"
#include "kernel/assert.h"

uint64_t vmx_virq_read(const struct arch_vcpu *vcpu, unsigned slot)
{
    switch (slot) {
    case VIRQ_SLOT_VECTOR:
        return svm_event_is(vcpu->event, SVM_EVENT_INTR) ? field_get(VMCB_EVENT_VECTOR, vcpu->event)
                                                         : 0;
    case VIRQ_SLOT_NMI:
        return svm_event_is(vcpu->event, SVM_EVENT_NMI);
    case VIRQ_SLOT_TPR:
        return vcpu->apic_loaded ? vmx_apic_tpr(vcpu) : vcpu->tpr;
    }
    return 0;
}

void vmx_virq_write(struct arch_vcpu *vcpu, unsigned slot, uint64_t value)
{
    if (slot == VIRQ_SLOT_TPR) {
        vcpu->tpr = value;
        return;
    }
    assert(!vcpu->event);
    vcpu->event = slot == VIRQ_SLOT_NMI ? svm_event(SVM_EVENT_NMI, VECTOR_NMI)
                                        : svm_event(SVM_EVENT_INTR, (uint8_t)value);
}

static uint64_t virq_open(void)
{
    return vmx_event_open(0, vmread(VMCS_GUEST_RFLAGS), (uint32_t)vmread(VMCS_GUEST_BLOCKED));
}

[[gnu::noinline]] uint64_t vmx_virq_empty(const struct arch_vcpu *vcpu)
{
    uint64_t open;

    if (vcpu->event)
        return 0;
    if (likely(vcpu->bound))
        return virq_open();
    vmx_borrow(vcpu);
    open = virq_open();
    vmx_give_back(vcpu);
    return open;
}

void vmx_virq_set_control(struct arch_vcpu *vcpu, uint64_t value)
{
    uint32_t controls = vcpu->cpu_controls & (uint32_t) ~(VMX_CPU_INTR_WINDOW | VMX_CPU_NMI_WINDOW);

    vcpu->wanted = (uint8_t)value;
    if (value & BIT(VIRQ_SLOT_VECTOR))
        controls |= (uint32_t)VMX_CPU_INTR_WINDOW;
    if (value & BIT(VIRQ_SLOT_NMI))
        controls |= (uint32_t)VMX_CPU_NMI_WINDOW;
    if (controls == vcpu->cpu_controls)
        return;
    vmx_borrow(vcpu);
    vmx_set_cpu_controls(vcpu, controls);
    vmx_give_back(vcpu);
}
