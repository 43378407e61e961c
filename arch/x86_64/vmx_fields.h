/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A register file in the fields of a VMCS: all of it that is there, and not in struct arch_vcpu or
 * in the processor. Pure, tested on the host.
 */
#pragma once

#include "arch/x86_64/control.h"
#include "arch/x86_64/regs.h"
#include "arch/x86_64/vmx_check.h"

/* Bits of CR0 that are as VMX or the host need them, whatever the guest has written. */
#define VMX_CR0_OURS   (CR0_NE | CR0_NW | CR0_CD)
#define CR4_VMXE       BIT(13)

#define VMX_FIELD_NONE 0xffffu /* Of a register that vcpu_regs.c finds, */
#define VMX_FIELD_LIVE 0xfffeu /* or that is in the processor while the vCPU is bound, */
#define VMX_FIELD_CR   0xfffdu /* or of which the guest sees another value. */

extern const uint16_t vmx_reg_fields[ARCH_REGS];

struct vmx_segment_fields {
    uint16_t selector, base, limit, rights; /* VMX_FIELD_NONE: it has none. */
};

extern const struct vmx_segment_fields vmx_segment_fields[ARCH_SEGMENTS];
extern const uint16_t vmx_field_codes[VMCS_FIELDS];

/* Bits 11:8 of our attributes are 15:12 there; who is not present there cannot be used. */
uint32_t vmx_rights(uint16_t attributes);
uint16_t vmx_attributes(uint32_t rights);

/* CR0 and CR4 as they are for the guest's values, and what an entry takes the guest's mode from. */
uint64_t vmx_hardware_cr0(uint64_t value);
uint64_t vmx_hardware_cr4(uint64_t value);
uint64_t vmx_entry_controls(uint64_t controls, uint64_t efer);

/* The event to be injected is ENTRY_EVENT and its error code, whatever is in the fields now. */
void vmx_get_regs(const struct vmx_fields *fields, struct x86_regs *regs);
void vmx_put_regs(struct vmx_fields *fields, const struct x86_regs *regs);
/* Why there is no place for it, or an entry would refuse it beside what vmx_check() finds; NULL: it
 * may be. */
const char *vmx_refuses(const struct x86_regs *regs);
