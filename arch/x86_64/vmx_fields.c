/* SPDX-License-Identifier: Apache-2.0 */
/* See vmx_fields.h. [SDM 3, 25.4 and 27.2.1.3] */
#include "arch/x86_64/vmx_fields.h"

#include "arch/x86_64/guest_regs.h"
#include "arch/x86_64/vmx_event.h"

const uint16_t vmx_reg_fields[ARCH_REGS] = {
    [REG_RFLAGS] = VMCS_GUEST_RFLAGS,
    [REG_CR0] = VMX_FIELD_CR,
    [REG_CR2] = VMX_FIELD_LIVE,
    [REG_CR3] = VMCS_GUEST_CR3,
    [REG_CR4] = VMX_FIELD_CR,
    [REG_EFER] = VMCS_GUEST_EFER,
    [REG_DR6] = VMX_FIELD_LIVE,
    [REG_DR7] = VMCS_GUEST_DR7,
    [REG_PAT] = VMCS_GUEST_PAT,
    [REG_STAR] = VMX_FIELD_LIVE,
    [REG_LSTAR] = VMX_FIELD_LIVE,
    [REG_CSTAR] = VMX_FIELD_LIVE,
    [REG_SFMASK] = VMX_FIELD_LIVE,
    [REG_KERNEL_GS_BASE] = VMX_FIELD_LIVE,
    [REG_SYSENTER_CS] = VMCS_GUEST_SYSENTER_CS,
    [REG_SYSENTER_ESP] = VMCS_GUEST_SYSENTER_ESP,
    [REG_SYSENTER_EIP] = VMCS_GUEST_SYSENTER_EIP,
    [REG_DR0... REG_CR8] = VMX_FIELD_NONE,
};

_Static_assert(REG_CR8 == ARCH_REGS - 1, "each has its field, or none");

#define SEGMENT(name)                                                                              \
    {                                                                                              \
        VMCS_GUEST_##name##_SELECTOR, VMCS_GUEST_##name##_BASE, VMCS_GUEST_##name##_LIMIT,         \
            VMCS_GUEST_##name##_RIGHTS                                                             \
    }
#define TABLE(name)                                                                                \
    {                                                                                              \
        VMX_FIELD_NONE, VMCS_GUEST_##name##_BASE, VMCS_GUEST_##name##_LIMIT, VMX_FIELD_NONE        \
    }

const struct vmx_segment_fields vmx_segment_fields[ARCH_SEGMENTS] = {
    [SEGMENT_ES] = SEGMENT(ES),   [SEGMENT_CS] = SEGMENT(CS),     [SEGMENT_SS] = SEGMENT(SS),
    [SEGMENT_DS] = SEGMENT(DS),   [SEGMENT_FS] = SEGMENT(FS),     [SEGMENT_GS] = SEGMENT(GS),
    [SEGMENT_GDTR] = TABLE(GDTR), [SEGMENT_LDTR] = SEGMENT(LDTR), [SEGMENT_IDTR] = TABLE(IDTR),
    [SEGMENT_TR] = SEGMENT(TR),
};

const uint16_t vmx_field_codes[VMCS_FIELDS] = {
#define X(name, width, code) [VMCS_INDEX_##name] = (code),
#include "arch/x86_64/vmcs.def"
#undef X
};

uint32_t vmx_rights(uint16_t attributes)
{
    uint32_t rights = (attributes & 0xffu) | (attributes & 0xf00u) << 4;

    return attributes & SEGMENT_PRESENT ? rights : rights | (uint32_t)VMX_RIGHTS_UNUSABLE;
}

/* Of one that cannot be used only the DPL is defined, which is SS' to say. */
uint16_t vmx_attributes(uint32_t rights)
{
    if (rights & VMX_RIGHTS_UNUSABLE)
        return (uint16_t)(rights & SEGMENT_DPL);
    return (uint16_t)((rights & 0xff) | (rights >> 4 & 0xf00));
}

uint64_t vmx_hardware_cr0(uint64_t value)
{
    return (value & ~VMX_CR0_OURS) | CR0_NE;
}

uint64_t vmx_hardware_cr4(uint64_t value)
{
    return value | CR4_VMXE;
}

uint64_t vmx_entry_controls(uint64_t controls, uint64_t efer)
{
    return efer & EFER_LMA ? controls | VMX_ENTRY_GUEST_LONG : controls & ~VMX_ENTRY_GUEST_LONG;
}

/* --- By the field's encoding. --- */

static uint64_t *field(struct vmx_fields *fields, unsigned code)
{
    for (unsigned i = 0; i < VMCS_FIELDS; i++)
        if (vmx_field_codes[i] == code)
            return &fields->value[i];
    return NULL;
}

static uint64_t get(const struct vmx_fields *fields, unsigned code)
{
    const uint64_t *value = field((struct vmx_fields *)fields, code);

    return value ? *value : 0;
}

static void put(struct vmx_fields *fields, unsigned code, uint64_t value)
{
    uint64_t *slot = field(fields, code);

    if (slot)
        *slot = value;
}

#define F(name) fields->value[VMCS_INDEX_##name]

static struct arch_segment get_segment(const struct vmx_fields *fields,
                                       const struct vmx_segment_fields *at)
{
    struct arch_segment segment = {.base = get(fields, at->base),
                                   .limit = (uint32_t)get(fields, at->limit)};

    if (at->selector != VMX_FIELD_NONE) {
        segment.selector = (uint16_t)get(fields, at->selector);
        segment.attributes = vmx_attributes((uint32_t)get(fields, at->rights));
    }
    return segment;
}

void vmx_get_regs(const struct vmx_fields *fields, struct x86_regs *regs)
{
    for (unsigned i = 0; i < ARCH_REGS; i++)
        if (vmx_reg_fields[i] < VMX_FIELD_CR)
            regs->reg[i] = get(fields, vmx_reg_fields[i]);
    regs->reg[REG_CR0] = (F(GUEST_CR0) & ~F(CR0_MASK)) | (F(CR0_SHADOW) & F(CR0_MASK));
    regs->reg[REG_CR4] = (F(GUEST_CR4) & ~F(CR4_MASK)) | (F(CR4_SHADOW) & F(CR4_MASK));
    for (unsigned i = 0; i < ARCH_SEGMENTS; i++)
        regs->segment[i] = get_segment(fields, &vmx_segment_fields[i]);
    regs->cpl = (uint8_t)field_get(SEGMENT_DPL, regs->segment[SEGMENT_SS].attributes);
    regs->blocked = (uint32_t)(F(GUEST_BLOCKED) & (REGS_BLOCKED_SHADOW | REGS_BLOCKED_NMI));
    regs->halted = F(GUEST_ACTIVITY) == VMX_HALTED;
    regs->debug_pending = F(GUEST_PENDING_DEBUG);
    for (unsigned i = 0; i < 4; i++)
        regs->pdpte[i] = regs_in_pae(regs) ? get(fields, VMCS_GUEST_PDPTE0 + 2 * i) : 0;
}

static void put_segment(struct vmx_fields *fields, const struct vmx_segment_fields *at,
                        struct arch_segment segment)
{
    put(fields, at->base, segment.base);
    put(fields, at->limit, segment.limit);
    put(fields, at->selector, segment.selector);
    put(fields, at->rights, vmx_rights(segment.attributes));
}

void vmx_put_regs(struct vmx_fields *fields, const struct x86_regs *regs)
{
    const uint64_t *reg = regs->reg;

    for (unsigned i = 0; i < ARCH_REGS; i++)
        put(fields, vmx_reg_fields[i], reg[i]);
    F(GUEST_CR0) = vmx_hardware_cr0(reg[REG_CR0]);
    F(CR0_SHADOW) = reg[REG_CR0];
    F(GUEST_CR4) = vmx_hardware_cr4(reg[REG_CR4]);
    F(CR4_SHADOW) = reg[REG_CR4];
    F(GUEST_RIP) = regs->rip;
    F(ENTRY_CONTROLS) = vmx_entry_controls(F(ENTRY_CONTROLS), reg[REG_EFER]);
    for (unsigned i = 0; i < ARCH_SEGMENTS; i++)
        put_segment(fields, &vmx_segment_fields[i], regs->segment[i]);
    F(ENTRY_EVENT) = (uint32_t)regs->event;
    F(ENTRY_EVENT_ERROR) = regs->event >> 32;
    F(GUEST_BLOCKED) = regs->blocked;
    F(GUEST_ACTIVITY) = regs->halted ? VMX_HALTED : VMX_ACTIVE;
    F(GUEST_PENDING_DEBUG) = regs->debug_pending;
    for (unsigned i = 0; i < 4; i++)
        put(fields, VMCS_GUEST_PDPTE0 + 2 * i, regs->pdpte[i]);
}

static bool canonical(uint64_t addr)
{
    return (uint64_t)((int64_t)(addr << 16) >> 16) == addr;
}

const char *vmx_refuses(const struct x86_regs *regs)
{
    const uint64_t *reg = regs->reg, *pdpte = regs->pdpte;
    bool protected = reg[REG_CR0] & CR0_PE;

    if (!canonical(reg[REG_LSTAR]) || !canonical(reg[REG_CSTAR]) ||
        !canonical(reg[REG_KERNEL_GS_BASE]))
        return "LSTAR, CSTAR or KERNEL_GS_BASE is not canonical";
    if ((reg[REG_SFMASK] | reg[REG_SYSENTER_CS]) >> 32)
        return "SFMASK or SYSENTER_CS has bits above 31";
    if (regs->cpl != field_get(SEGMENT_DPL, regs->segment[SEGMENT_SS].attributes))
        return "the CPL is not the DPL of SS";
    if (!regs_in_pae(regs) && (pdpte[0] | pdpte[1] | pdpte[2] | pdpte[3]))
        return "there are entries of PAE paging, which is off";
    if (!vmx_event_fits(regs->event, protected))
        return "an exception has an error code that has none, or lacks its own";
    return NULL;
}
