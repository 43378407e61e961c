/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's registers under VMX: most are in its VMCS. Those that entries and exits do not exchange
 * stay in the processor while the vCPU is bound, for we use none of them. [SDM 3, 25.4 and 27.3.2]
 */
#include "arch/x86_64/backend.h"
#include "arch/x86_64/vmx.h"
#include "kernel/fmt.h"

#define FIELD_NONE 0xffffu /* Of a register that is not in the VMCS, */
#define FIELD_CR   0xfffeu /* or of which the guest sees another value. */

static const uint16_t fields[ARCH_REGS] = {
    [REG_RFLAGS] = VMCS_GUEST_RFLAGS,
    [REG_CR0] = FIELD_CR,
    [REG_CR2] = FIELD_NONE,
    [REG_CR3] = VMCS_GUEST_CR3,
    [REG_CR4] = FIELD_CR,
    [REG_EFER] = VMCS_GUEST_EFER,
    [REG_DR6] = FIELD_NONE,
    [REG_DR7] = VMCS_GUEST_DR7,
    [REG_PAT] = VMCS_GUEST_PAT,
    [REG_STAR] = FIELD_NONE,
    [REG_LSTAR] = FIELD_NONE,
    [REG_CSTAR] = FIELD_NONE,
    [REG_SFMASK] = FIELD_NONE,
    [REG_KERNEL_GS_BASE] = FIELD_NONE,
    [REG_SYSENTER_CS] = VMCS_GUEST_SYSENTER_CS,
    [REG_SYSENTER_ESP] = VMCS_GUEST_SYSENTER_ESP,
    [REG_SYSENTER_EIP] = VMCS_GUEST_SYSENTER_EIP,
};

/* --- Registers that are in the processor. --- */

struct live_msr {
    enum arch_reg reg;
    uint32_t msr;
};

static const struct live_msr live_msrs[] = {
    {REG_STAR, MSR_STAR},
    {REG_LSTAR, MSR_LSTAR},
    {REG_CSTAR, MSR_CSTAR},
    {REG_SFMASK, MSR_SFMASK},
    {REG_KERNEL_GS_BASE, MSR_KERNEL_GS_BASE},
};

static uint64_t dr6_read(void)
{
    uint64_t value;

    __asm__ volatile("mov %%dr6, %0" : "=r"(value));
    return value;
}

static void dr6_write(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr6" : : "r"(value));
}

static uint64_t live_read(enum arch_reg reg)
{
    if (reg == REG_CR2)
        return cr2_read();
    if (reg == REG_DR6)
        return dr6_read();
    for (unsigned i = 0; i < ARRAY_SIZE(live_msrs); i++)
        if (live_msrs[i].reg == reg)
            return msr_read(live_msrs[i].msr);
    return 0;
}

static void live_write(enum arch_reg reg, uint64_t value)
{
    if (reg == REG_CR2)
        cr2_write(value);
    if (reg == REG_DR6)
        dr6_write(value);
    for (unsigned i = 0; i < ARRAY_SIZE(live_msrs); i++)
        if (live_msrs[i].reg == reg)
            msr_write(live_msrs[i].msr, value);
}

void vmx_load_live(struct arch_vcpu *vcpu)
{
    cr2_write(vcpu->live[REG_CR2]);
    dr6_write(vcpu->live[REG_DR6]);
    for (unsigned i = 0; i < ARRAY_SIZE(live_msrs); i++)
        msr_write(live_msrs[i].msr, vcpu->live[live_msrs[i].reg]);
}

void vmx_store_live(struct arch_vcpu *vcpu)
{
    vcpu->live[REG_CR2] = cr2_read();
    vcpu->live[REG_DR6] = dr6_read();
    for (unsigned i = 0; i < ARRAY_SIZE(live_msrs); i++)
        vcpu->live[live_msrs[i].reg] = msr_read(live_msrs[i].msr);
}

/* --- Registers. --- */

/* Bits of ours are as the guest has written them. */
static uint64_t cr_read(const struct arch_vcpu *vcpu, enum arch_reg reg)
{
    if (reg == REG_CR4)
        return (vmread(VMCS_GUEST_CR4) & ~vmread(VMCS_CR4_MASK)) |
               (vmread(VMCS_CR4_SHADOW) & vmread(VMCS_CR4_MASK));
    return vmx_cr0(vcpu);
}

static uint64_t cr0_for_hardware(uint64_t value)
{
    return (value & ~VMX_CR0_OURS) | CR0_NE;
}

static void cr_write(struct arch_vcpu *vcpu, enum arch_reg reg, uint64_t value)
{
    if (reg == REG_CR4) {
        vmwrite(VMCS_CR4_SHADOW, value);
        vmwrite(VMCS_GUEST_CR4, value | CR4_VMXE);
    } else {
        vmx_set_cr0_shadow(vcpu, value);
        vmwrite(VMCS_GUEST_CR0, cr0_for_hardware(value));
    }
}

static uint64_t vmx_field_reg(const struct arch_vcpu *vcpu, enum arch_reg reg)
{
    return fields[reg] == FIELD_CR ? cr_read(vcpu, reg) : vmread((enum vmcs_field)fields[reg]);
}

uint64_t vmx_reg(const struct arch_vcpu *vcpu, enum arch_reg reg)
{
    uint64_t value;

    if (fields[reg] == FIELD_NONE)
        return vcpu->bound ? live_read(reg) : vcpu->live[reg];
    vmx_borrow(vcpu);
    value = vmx_field_reg(vcpu, reg);
    vmx_give_back(vcpu);
    return value;
}

/* What an entry takes the guest's mode from. */
static uint64_t vmx_entry_controls(uint64_t controls, uint64_t efer)
{
    return efer & EFER_LMA ? controls | VMX_ENTRY_GUEST_LONG : controls & ~VMX_ENTRY_GUEST_LONG;
}

static void vmx_set_field_reg(struct arch_vcpu *vcpu, enum arch_reg reg, uint64_t value)
{
    if (fields[reg] == FIELD_CR)
        cr_write(vcpu, reg, value);
    else
        vmwrite((enum vmcs_field)fields[reg], value);
    if (reg == REG_EFER)
        vmwrite(VMCS_ENTRY_CONTROLS, vmx_entry_controls(vmread(VMCS_ENTRY_CONTROLS), value));
}

void vmx_set_reg(struct arch_vcpu *vcpu, enum arch_reg reg, uint64_t value)
{
    if (fields[reg] == FIELD_NONE) {
        if (vcpu->bound)
            live_write(reg, value);
        else
            vcpu->live[reg] = value;
        return;
    }
    vmx_borrow(vcpu);
    vmx_set_field_reg(vcpu, reg, value);
    vmx_give_back(vcpu);
    if (reg != REG_CR0 && reg != REG_CR3 && reg != REG_CR4 && reg != REG_EFER)
        return;
    vcpu->pdptes_stale = true;
    code_forget(vcpu);
    vmx_flush_linear(vcpu);
}

/* --- Segments. --- */

/* Bits 11:8 of our attributes are 15:12 there; who is not present there cannot be used. */
static uint32_t vmx_rights(uint16_t attributes)
{
    uint32_t rights = (attributes & 0xffu) | (attributes & 0xf00u) << 4;

    return attributes & SEGMENT_PRESENT ? rights : rights | (uint32_t)VMX_RIGHTS_UNUSABLE;
}

/* Of one that cannot be used only the DPL is defined, which is SS' to say. */
static uint16_t vmx_attributes(uint32_t rights)
{
    if (rights & VMX_RIGHTS_UNUSABLE)
        return (uint16_t)(rights & SEGMENT_DPL);
    return (uint16_t)((rights & 0xff) | (rights >> 4 & 0xf00));
}

struct segment_fields {
    uint16_t selector, base, limit, rights;
};

#define SEGMENT(name)                                                                              \
    {                                                                                              \
        VMCS_GUEST_##name##_SELECTOR, VMCS_GUEST_##name##_BASE, VMCS_GUEST_##name##_LIMIT,         \
            VMCS_GUEST_##name##_RIGHTS                                                             \
    }
#define TABLE(name)                                                                                \
    {                                                                                              \
        FIELD_NONE, VMCS_GUEST_##name##_BASE, VMCS_GUEST_##name##_LIMIT, FIELD_NONE                \
    }

static const struct segment_fields segments[ARCH_SEGMENTS] = {
    [SEGMENT_ES] = SEGMENT(ES),   [SEGMENT_CS] = SEGMENT(CS),     [SEGMENT_SS] = SEGMENT(SS),
    [SEGMENT_DS] = SEGMENT(DS),   [SEGMENT_FS] = SEGMENT(FS),     [SEGMENT_GS] = SEGMENT(GS),
    [SEGMENT_GDTR] = TABLE(GDTR), [SEGMENT_LDTR] = SEGMENT(LDTR), [SEGMENT_IDTR] = TABLE(IDTR),
    [SEGMENT_TR] = SEGMENT(TR),
};

struct arch_segment vmx_segment(const struct arch_vcpu *vcpu, enum arch_segment_index index)
{
    const struct segment_fields *at = &segments[index];
    struct arch_segment segment = {0};

    vmx_borrow(vcpu);
    segment.base = vmread((enum vmcs_field)at->base);
    segment.limit = (uint32_t)vmread((enum vmcs_field)at->limit);
    if (at->selector != FIELD_NONE) {
        segment.selector = (uint16_t)vmread((enum vmcs_field)at->selector);
        segment.attributes = vmx_attributes((uint32_t)vmread((enum vmcs_field)at->rights));
    }
    vmx_give_back(vcpu);
    return segment;
}

void vmx_set_segment(struct arch_vcpu *vcpu, enum arch_segment_index index,
                     struct arch_segment segment)
{
    const struct segment_fields *at = &segments[index];

    vmx_borrow(vcpu);
    vmwrite((enum vmcs_field)at->base, segment.base);
    vmwrite((enum vmcs_field)at->limit, segment.limit);
    if (at->selector != FIELD_NONE) {
        vmwrite((enum vmcs_field)at->selector, segment.selector);
        vmwrite((enum vmcs_field)at->rights, vmx_rights(segment.attributes));
    }
    vmx_give_back(vcpu);
}

unsigned vmx_cpl(const struct arch_vcpu *vcpu)
{
    return (unsigned)field_get(SEGMENT_DPL, vmx_segment(vcpu, SEGMENT_SS).attributes);
}

/* --- Events. --- */

struct arch_events vmx_events(const struct arch_vcpu *vcpu)
{
    uint64_t blocked;

    vmx_borrow(vcpu);
    blocked = vmread(VMCS_GUEST_BLOCKED);
    vmx_give_back(vcpu);
    return (struct arch_events){
        .pending = vcpu->event,
        .shadow = blocked & VMX_BLOCKED_SHADOW,
        .nmi_blocked = blocked & VMX_BLOCKED_NMI,
    };
}

/* A shadow without IF is that of MOV SS. */
static uint64_t vmx_blocked(struct arch_events events, uint64_t rflags)
{
    uint64_t blocked = events.nmi_blocked ? VMX_BLOCKED_NMI : 0;

    if (events.shadow)
        blocked |= rflags & RFLAGS_IF ? VMX_BLOCKED_STI : VMX_BLOCKED_MOV_SS;
    return blocked;
}

void vmx_set_events(struct arch_vcpu *vcpu, struct arch_events events)
{
    vcpu->event = events.pending;
    vmx_borrow(vcpu);
    vmwrite(VMCS_GUEST_BLOCKED, vmx_blocked(events, vmread(VMCS_GUEST_RFLAGS)));
    vmx_give_back(vcpu);
}

/* --- A whole state that is to be taken. --- */

static const uint16_t codes[VMCS_FIELDS] = {
#define X(name, width, code) [VMCS_INDEX_##name] = (code),
#include "arch/x86_64/vmcs.def"
#undef X
};

void vmx_read_fields(struct vmx_fields *all)
{
    for (unsigned i = 0; i < VMCS_FIELDS; i++)
        all->value[i] = vmread((enum vmcs_field)codes[i]);
}

static void trial_put(struct vmx_fields *all, unsigned code, uint64_t value)
{
    for (unsigned i = 0; i < VMCS_FIELDS; i++)
        if (codes[i] == code)
            all->value[i] = value;
}

static void trial_put_regs(struct vmx_fields *all, const struct arch_regs *regs)
{
    const uint64_t *reg = regs->reg, *controls = &all->value[VMCS_INDEX_ENTRY_CONTROLS];

    for (unsigned i = 0; i < ARCH_REGS; i++)
        trial_put(all, fields[i], reg[i]);
    trial_put(all, VMCS_GUEST_CR0, cr0_for_hardware(reg[REG_CR0]));
    trial_put(all, VMCS_GUEST_CR4, reg[REG_CR4] | CR4_VMXE);
    trial_put(all, VMCS_GUEST_RIP, regs->rip);
    trial_put(all, VMCS_ENTRY_CONTROLS, vmx_entry_controls(*controls, reg[REG_EFER]));
    trial_put(all, VMCS_ENTRY_EVENT, (uint32_t)regs->events.pending);
    trial_put(all, VMCS_GUEST_BLOCKED, vmx_blocked(regs->events, reg[REG_RFLAGS]));
    trial_put(all, VMCS_GUEST_ACTIVITY, VMX_ACTIVE);
    trial_put(all, VMCS_GUEST_PENDING_DEBUG, 0);
    for (unsigned i = 0; i < 4; i++) /* Loaded at the next entry. */
        trial_put(all, VMCS_GUEST_PDPTE0 + 2 * i, 0);
    for (unsigned i = 0; i < ARCH_SEGMENTS; i++) {
        const struct segment_fields *at = &segments[i];

        trial_put(all, at->base, regs->segment[i].base);
        trial_put(all, at->limit, regs->segment[i].limit);
        trial_put(all, at->selector, regs->segment[i].selector);
        trial_put(all, at->rights, vmx_rights(regs->segment[i].attributes));
    }
}

static void silent_put(struct fmt_sink *, const char *, size_t)
{
}

static bool canonical(uint64_t addr)
{
    return (uint64_t)((int64_t)(addr << 16) >> 16) == addr;
}

/* Of those that are loaded by us, what would trap. */
static bool vmx_live_ok(const uint64_t reg[ARCH_REGS])
{
    return canonical(reg[REG_LSTAR]) && canonical(reg[REG_CSTAR]) &&
           canonical(reg[REG_KERNEL_GS_BASE]) && !(reg[REG_SFMASK] >> 32) && !(reg[REG_DR6] >> 32);
}

enum err vmx_regs_ok(const struct arch_vcpu *vcpu, const struct arch_regs *regs)
{
    struct fmt_sink silent = {.put = silent_put};
    struct vmx_fields trial;

    if (!vmx_live_ok(regs->reg) || !svm_event_valid(regs->events.pending))
        return E_RANGE;
    vmx_borrow(vcpu);
    vmx_read_fields(&trial);
    vmx_give_back(vcpu);
    trial_put_regs(&trial, regs);
    return vmx_check(&trial, &vmx_host.limits, &silent) ? E_RANGE : OK;
}

/* --- PAE. --- */

/*
 * An entry takes the four entries at the top of PAE paging from the VMCS. The guest's own MOVs to
 * control registers load them there; what we have set is behind in that. Where there is no memory
 * they are zero, so the guest's next access faults.
 */
void vmx_load_pdptes(struct arch_vcpu *vcpu)
{
    uint64_t table = vmread(VMCS_GUEST_CR3) & BITS(31, 5);

    vcpu->pdptes_stale = false;
    if (!(vmread(VMCS_GUEST_CR0) & CR0_PG) || !(vmread(VMCS_GUEST_CR4) & CR4_PAE) ||
        (vmread(VMCS_GUEST_EFER) & EFER_LMA))
        return;
    for (unsigned i = 0; i < 4; i++) {
        const volatile uint64_t *slot = code_memory(vcpu, gpa(table + 8 * i));

        vmwrite((enum vmcs_field)(VMCS_GUEST_PDPTE0 + 2 * i), slot ? *slot : 0);
    }
}
