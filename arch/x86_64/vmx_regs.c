/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's registers under VMX: most are in its VMCS. Those that entries and exits do not exchange
 * stay in the processor while the vCPU is bound, for we use none of them. [SDM 3, 25.4 and 27.3.2]
 */
#include "arch/x86_64/backend.h"
#include "arch/x86_64/vmx.h"
#include "kernel/fmt.h"
#include "kernel/log.h"

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

static void cr_write(struct arch_vcpu *vcpu, enum arch_reg reg, uint64_t value)
{
    if (reg == REG_CR4) {
        vmwrite(VMCS_CR4_SHADOW, value);
        vmwrite(VMCS_GUEST_CR4, vmx_hardware_cr4(value));
    } else {
        vmx_set_cr0_shadow(vcpu, value);
        vmwrite(VMCS_GUEST_CR0, vmx_hardware_cr0(value));
    }
}

static uint64_t vmx_field_reg(const struct arch_vcpu *vcpu, enum arch_reg reg)
{
    return vmx_reg_fields[reg] == VMX_FIELD_CR ? cr_read(vcpu, reg)
                                               : vmread((enum vmcs_field)vmx_reg_fields[reg]);
}

uint64_t vmx_reg(const struct arch_vcpu *vcpu, enum arch_reg reg)
{
    uint64_t value;

    if (vmx_reg_fields[reg] == VMX_FIELD_LIVE)
        return vcpu->bound ? live_read(reg) : vcpu->live[reg];
    vmx_borrow(vcpu);
    value = vmx_field_reg(vcpu, reg);
    vmx_give_back(vcpu);
    return value;
}

static void vmx_set_field_reg(struct arch_vcpu *vcpu, enum arch_reg reg, uint64_t value)
{
    if (vmx_reg_fields[reg] == VMX_FIELD_CR)
        cr_write(vcpu, reg, value);
    else
        vmwrite((enum vmcs_field)vmx_reg_fields[reg], value);
    if (reg == REG_EFER)
        vmwrite(VMCS_ENTRY_CONTROLS, vmx_entry_controls(vmread(VMCS_ENTRY_CONTROLS), value));
}

void vmx_set_reg(struct arch_vcpu *vcpu, enum arch_reg reg, uint64_t value)
{
    if (vmx_reg_fields[reg] == VMX_FIELD_LIVE) {
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
    vcpu->stale |= (uint8_t)VMX_STALE_PDPTES;
    code_forget(vcpu);
    vmx_flush_linear(vcpu);
}

/* --- Segments. --- */

struct arch_segment vmx_segment(const struct arch_vcpu *vcpu, enum arch_segment_index index)
{
    const struct vmx_segment_fields *at = &vmx_segment_fields[index];
    struct arch_segment segment = {0};

    vmx_borrow(vcpu);
    segment.base = vmread((enum vmcs_field)at->base);
    segment.limit = (uint32_t)vmread((enum vmcs_field)at->limit);
    if (at->selector != VMX_FIELD_NONE) {
        segment.selector = (uint16_t)vmread((enum vmcs_field)at->selector);
        segment.attributes = vmx_attributes((uint32_t)vmread((enum vmcs_field)at->rights));
    }
    vmx_give_back(vcpu);
    return segment;
}

void vmx_set_segment(struct arch_vcpu *vcpu, enum arch_segment_index index,
                     struct arch_segment segment)
{
    const struct vmx_segment_fields *at = &vmx_segment_fields[index];

    vmx_borrow(vcpu);
    vmwrite((enum vmcs_field)at->base, segment.base);
    vmwrite((enum vmcs_field)at->limit, segment.limit);
    if (at->selector != VMX_FIELD_NONE) {
        vmwrite((enum vmcs_field)at->selector, segment.selector);
        vmwrite((enum vmcs_field)at->rights, vmx_rights(segment.attributes));
    }
    vmx_give_back(vcpu);
}

unsigned vmx_cpl(const struct arch_vcpu *vcpu)
{
    return (unsigned)field_get(SEGMENT_DPL, vmx_segment(vcpu, SEGMENT_SS).attributes);
}

/* --- The whole file. --- */

static void vmx_read_pdptes(const struct arch_vcpu *vcpu, uint64_t cr3, uint64_t entries[4])
{
    uint64_t table = cr3 & BITS(31, 5);

    for (unsigned i = 0; i < 4; i++) {
        const volatile uint64_t *slot = code_memory(vcpu, gpa(table + 8 * i));

        entries[i] = slot ? *slot : 0;
    }
}

/* Processors without the local APIC in hardware, or without a log, lack their fields. */
static bool field_is_there(enum vmcs_field field)
{
    if (field == VMCS_APIC_PAGE)
        return vmx_host.apic;
    if (field == VMCS_APIC_WINDOW)
        return vmx_host.apic & VMX_APIC_WINDOW;
    if (field == VMCS_GUEST_VECTORS || (field >= VMCS_APIC_LEVELS0 && field <= VMCS_APIC_LEVELS3))
        return vmx_host.apic & VMX_APIC_VECTORS;
    if (field == VMCS_POSTED_VECTOR || field == VMCS_POSTED_REQUESTS)
        return vmx_host.apic & VMX_APIC_POSTED;
    if (field == VMCS_LOG || field == VMCS_GUEST_LOG_INDEX)
        return vmx_host.log;
    return true;
}

void vmx_read_fields(struct vmx_fields *all)
{
    for (unsigned i = 0; i < VMCS_FIELDS; i++) {
        enum vmcs_field field = (enum vmcs_field)vmx_field_codes[i];

        all->value[i] = field_is_there(field) ? vmread(field) : 0;
    }
}

static void vmx_read_all(const struct arch_vcpu *vcpu, struct vmx_fields *all)
{
    vmx_borrow(vcpu);
    vmx_read_fields(all);
    vmx_give_back(vcpu);
}

void vmx_get_all(const struct arch_vcpu *vcpu, struct x86_regs *regs)
{
    struct vmx_fields fields;

    vmx_read_all(vcpu, &fields);
    vmx_get_regs(&fields, regs);
    for (unsigned i = 0; i < ARCH_REGS; i++)
        if (vmx_reg_fields[i] == VMX_FIELD_LIVE)
            regs->reg[i] = vcpu->live[i];
    regs->reg[REG_CR8] = vmx_virq_read(vcpu, VIRQ_SLOT_TPR) >> 4;
    regs->event = vcpu->event;
    if ((vcpu->stale & VMX_STALE_PDPTES) && regs_in_pae(regs))
        vmx_read_pdptes(vcpu, regs->reg[REG_CR3], regs->pdpte);
}

static void log_refusal(const struct vmx_fields *trial)
{
    struct fmt_sink *out = log_open(LOG_ERROR);

    fmt_print(out, "registers of a vCPU are refused:\n");
    vmx_check(trial, &vmx_host.limits, out);
    log_close();
}

static void silent_put(struct fmt_sink *, const char *, size_t)
{
}

enum err vmx_regs_ok(const struct arch_vcpu *vcpu, const struct x86_regs *regs)
{
    struct fmt_sink silent = {.put = silent_put};
    const char *why = vmx_refuses(regs);
    struct vmx_fields trial;

    if (!why && regs->halted && vcpu->trap_wait)
        why = "it is halted, and its HLT exits";
    if (why) {
        log_error("registers of a vCPU are refused: %s", why);
        return E_RANGE;
    }
    vmx_read_all(vcpu, &trial);
    vmx_put_regs(&trial, regs);
    if (vmx_check(&trial, &vmx_host.limits, &silent) == 0)
        return OK;
    log_refusal(&trial);
    return E_RANGE;
}

/* After vmx_reset(). An event is written when it is injected. */
void vmx_set_all(struct arch_vcpu *vcpu, const struct x86_regs *regs)
{
    struct vmx_fields before, after;

    vmx_borrow(vcpu);
    vmx_read_fields(&before);
    after = before;
    vmx_put_regs(&after, regs);
    after.value[VMCS_INDEX_ENTRY_EVENT] = before.value[VMCS_INDEX_ENTRY_EVENT];
    for (unsigned i = 0; i < VMCS_FIELDS; i++)
        if (after.value[i] != before.value[i])
            vmwrite((enum vmcs_field)vmx_field_codes[i], after.value[i]);
    vmx_give_back(vcpu);
    for (unsigned i = 0; i < ARCH_REGS; i++)
        if (vmx_reg_fields[i] == VMX_FIELD_LIVE)
            vcpu->live[i] = regs->reg[i];
    vcpu->cr0_ours = regs->reg[REG_CR0] & VMX_CR0_OURS;
    vcpu->event = regs->event;
    vcpu->stale &= (uint8_t)~VMX_STALE_PDPTES;
    vmx_virq_write(vcpu, VIRQ_SLOT_TPR, regs->reg[REG_CR8] << 4);
    if (vcpu->apic_loaded)
        vmx_apic_set_tpr(vcpu, (uint32_t)regs->reg[REG_CR8] << 4);
}

/* --- PAE. --- */

/*
 * An entry takes the four entries at the top of PAE paging from the VMCS. The guest's own MOVs to
 * control registers load them there; what we have set is behind in that. Where there is no memory
 * they are zero, so the guest's next access faults.
 */
void vmx_load_pdptes(struct arch_vcpu *vcpu)
{
    uint64_t entries[4];

    vcpu->stale &= (uint8_t)~VMX_STALE_PDPTES;
    if (!(vmread(VMCS_GUEST_CR0) & CR0_PG) || !(vmread(VMCS_GUEST_CR4) & CR4_PAE) ||
        (vmread(VMCS_GUEST_EFER) & EFER_LMA))
        return;
    vmx_read_pdptes(vcpu, vmread(VMCS_GUEST_CR3), entries);
    for (unsigned i = 0; i < 4; i++)
        vmwrite((enum vmcs_field)(VMCS_GUEST_PDPTE0 + 2 * i), entries[i]);
}
