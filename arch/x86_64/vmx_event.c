/* SPDX-License-Identifier: Apache-2.0 */
/* See vmx_event.h. */
#include "arch/x86_64/vmx_event.h"

#include "arch/x86_64/guest_regs.h"
#include "vcpu/arch_vcpu.h"

uint64_t vmx_event_again(uint32_t interrupted, uint32_t error)
{
    uint64_t event = interrupted & ~VMX_EVENT_RESERVED;

    if (!(event & VMCB_EVENT_VALID) || field_get(VMCB_EVENT_TYPE, event) >= SVM_EVENT_SOFTWARE)
        return 0;
    if (event & VMCB_EVENT_ERROR_VALID)
        event |= field_put(VMCB_EVENT_ERROR, error);
    return event;
}

uint64_t vmx_event_fit(uint64_t event, bool protected_mode)
{
    return protected_mode ? event : event & ~(VMCB_EVENT_ERROR_VALID | VMCB_EVENT_ERROR);
}

bool vmx_event_fits(uint64_t event, bool protected_mode)
{
    bool error = svm_event_is(event, SVM_EVENT_EXCEPTION) &&
                 svm_event_has_error((unsigned)field_get(VMCB_EVENT_VECTOR, event));

    return !(event & VMCB_EVENT_ERROR_VALID) != (protected_mode && error);
}

uint64_t vmx_event_open(uint64_t event, uint64_t rflags, uint32_t blocked)
{
    uint64_t open = 0;

    if ((event & VMCB_EVENT_VALID) || (blocked & VMX_BLOCKED_SHADOW))
        return 0;
    if (rflags & RFLAGS_IF)
        open |= BIT(VIRQ_SLOT_VECTOR);
    if (!(blocked & VMX_BLOCKED_NMI))
        open |= BIT(VIRQ_SLOT_NMI);
    return open;
}
