/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of a guest under SVM, and what a block must look like to be run. Pure, tested on the host.
 * [AMD APM 2, 15.5.1, 15.7.2 and 15.20]
 */
#pragma once

#include "arch/x86_64/guest_regs.h"
#include "arch/x86_64/vmcb.h"
#include "vcpu/arch_vcpu.h"

struct fmt_sink;

enum svm_event_type {
    SVM_EVENT_INTR = 0,
    SVM_EVENT_NMI = 2,
    SVM_EVENT_EXCEPTION = 3,
    SVM_EVENT_SOFTWARE = 4, /* INT n */
};

static inline uint64_t svm_event(enum svm_event_type type, unsigned vector)
{
    return VMCB_EVENT_VALID | field_put(VMCB_EVENT_TYPE, type) | vector;
}

static inline uint64_t svm_event_error(unsigned vector, uint32_t error)
{
    return svm_event(SVM_EVENT_EXCEPTION, vector) | VMCB_EVENT_ERROR_VALID |
           field_put(VMCB_EVENT_ERROR, error);
}

static inline bool svm_event_is(uint64_t event, enum svm_event_type type)
{
    return (event & VMCB_EVENT_VALID) && field_get(VMCB_EVENT_TYPE, event) == type;
}

/* Whether an exception has an error code [SDM 3, table 6-1]. */
static inline bool svm_event_has_error(unsigned vector)
{
    return (BIT(8) | BITS(14, 10) | BIT(17)) >> vector & 1;
}

/*
 * What to inject at the next entry because an exit came while the guest was taking an event:
 * exit_int_info as the hardware left it. 0: nothing; the guest comes to it again by itself, for RIP
 * is still at the instruction that raised it (INT n, INT3, INTO).
 */
uint64_t svm_event_again(uint64_t exit_int_info);

/* Whether an event can be injected: by its kind of format (fields not reserved). */
bool svm_event_valid(uint64_t event);

/* Bits of enum arch_virq_slot that the guest would take now. */
static inline uint64_t svm_event_open(const struct vmcb *vmcb, bool nmi_blocked)
{
    uint64_t open = nmi_blocked ? 0 : BIT(VIRQ_SLOT_NMI);

    if ((vmcb->control.event_inj & VMCB_EVENT_VALID) || (vmcb->control.int_state & VMCB_SHADOW))
        return 0;
    return vmcb->save.rflags & RFLAGS_IF ? open | BIT(VIRQ_SLOT_VECTOR) : open;
}

struct svm_limits {
    uint64_t cr4, efer; /* Bits that a guest can have; EFER with SVME. */
    unsigned physical_bits;
    uint32_t asids;
};

/* Says in a line for each what VMRUN refuses in the block; how many there are. */
unsigned svm_check(const struct vmcb *vmcb, const struct svm_limits *limits, struct fmt_sink *out);
