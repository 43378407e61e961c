/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of a guest under VMX. Pure, tested on the host. An event is written as EVENTINJ of SVM has
 * it: that is the format of VMX's interruption information, with the error code in the upper half.
 * [SDM 3, 25.8.3 and 25.9.2 to 25.9.4]
 */
#pragma once

#include "arch/x86_64/svm_event.h"
#include "arch/x86_64/vmcs.h"

/* Beyond those of enum svm_event_type. */
#define VMX_EVENT_PRIVILEGED    5u      /* INT1 */
#define VMX_EVENT_TRAP          6u      /* INT3, INTO */
#define VMX_EVENT_OTHER         7u      /* Vector 0: a pending MTF exit. */
#define VMX_EVENT_NMI_UNBLOCKED BIT(12) /* EXIT_EVENT: by IRET, which has opened NMIs. */
#define VMX_EVENT_RESERVED      BITS(30, 12)

/*
 * What to inject at the next entry because an exit came while the guest was taking an event:
 * INTERRUPTED_EVENT and its error code as the hardware left them. 0: nothing; the guest comes to it
 * again by itself, for RIP is still at the instruction that raised it.
 */
uint64_t vmx_event_again(uint32_t interrupted, uint32_t error);

/*
 * An event as it must be for an entry: an exception has an error code in protected mode, and in
 * real mode it has none.
 */
uint64_t vmx_event_fit(uint64_t event, bool protected_mode);
/* Whether it is so. */
bool vmx_event_fits(uint64_t event, bool protected_mode);

/* Bits of enum arch_virq_slot that the guest would take now. */
uint64_t vmx_event_open(uint64_t event, uint64_t rflags, uint32_t blocked);
