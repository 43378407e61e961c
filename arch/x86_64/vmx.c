/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel VMX: what the processor has to have, a guest's VMCS, and the tags of the TLB.
 *
 * A VMCS is in memory only after VMCLEAR, and active on one pCPU between VMPTRLD and that. So a
 * vCPU's is active while it is bound, and current unless another one is borrowed for a moment.
 * [SDM 3, chapters 24 to 29 and appendix A]
 */
#include "arch/x86_64/vmx.h"

#include "arch/x86_64/asm.h"
#include "arch/x86_64/backend.h"
#include "arch/x86_64/pt_ept.h"
#include "arch/x86_64/vcpu_asm.h"
#include "kernel/assert.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "mm/page.h"

_Static_assert(offsetof(struct arch_vcpu, rip) == VCPU_RIP, "known to assembly");
_Static_assert(offsetof(struct arch_vcpu, code_base) == VCPU_CODE_BASE, "known to assembly");
_Static_assert(offsetof(struct arch_vcpu, host_rsp) == VCPU_HOST_RSP, "known to assembly");
_Static_assert(VMCS_GUEST_CS_BASE == VMCS_GUEST_CS_BASE_, "known to assembly");
_Static_assert(VMCS_GUEST_RSP == VMCS_GUEST_RSP_, "known to assembly");
_Static_assert(VMCS_GUEST_RIP == VMCS_GUEST_RIP_, "known to assembly");
_Static_assert(VMCS_HOST_RSP == VMCS_HOST_RSP_, "known to assembly");

#define MSR_FEATURE_CONTROL  0x3au
#define FEATURE_CONTROL_LOCK BIT(0)
#define FEATURE_CONTROL_VMX  BIT(2) /* Outside of SMX. */

#define MSR_VMX_BASIC        0x480u
#define MSR_VMX_CR0_FIXED0   0x486u
#define MSR_VMX_CR0_FIXED1   0x487u
#define MSR_VMX_CR4_FIXED0   0x488u
#define MSR_VMX_CR4_FIXED1   0x489u
#define MSR_VMX_CPU2         0x48bu
#define MSR_VMX_EPT_VPID     0x48cu
/* Those that say how controls can be if VMX_BASIC has VMX_BASIC_TRUE. */
#define MSR_VMX_TRUE_PIN     0x48du
#define MSR_VMX_TRUE_CPU     0x48eu
#define MSR_VMX_TRUE_EXIT    0x48fu
#define MSR_VMX_TRUE_ENTRY   0x490u

#define VMX_BASIC_REVISION   BITS(30, 0)
#define VMX_BASIC_TRUE       BIT(55)

#define EPT_VPID_LEVELS_4    BIT(6)
#define EPT_VPID_WRITE_BACK  BIT(14)
#define EPT_VPID_2MIB        BIT(16)
#define EPT_VPID_1GIB        BIT(17)
#define EPT_VPID_DIRTY       BIT(21)
#define EPT_VPID_INVEPT      (BIT(20) | BIT(25)) /* Of a single context. */
#define EPT_VPID_INVVPID     (BIT(32) | BIT(41))

#define INV_SINGLE_CONTEXT   1u /* Of INVEPT and INVVPID. */

/* PAUSEs in a row, so many cycles apart at most, and for how many, before the guest is asked to
 * give way. */
#define PAUSE_GAP            128u
#define PAUSE_WINDOW         4096u

#define EXCEPTIONS           (BIT(VECTOR_DB) | BIT(VECTOR_AC) | BIT(VECTOR_MC))

struct vmx_host vmx_host;

/* --- What the processor has. --- */

struct vmx_feature {
    uint32_t bit;
    const char *name;
    bool optional;
};

/* The controls of one word. */
struct vmx_word {
    uint32_t msr; /* Low half: bits that must be set; high half: bits that may be. */
    uint32_t *value;
    const struct vmx_feature *features;
    unsigned count;
};

#define NEEDED(bit, name)                                                                          \
    {                                                                                              \
        (uint32_t)(bit), (name), false                                                             \
    }
#define WANTED(bit, name)                                                                          \
    {                                                                                              \
        (uint32_t)(bit), (name), true                                                              \
    }

static const struct vmx_feature pin_features[] = {
    NEEDED(VMX_PIN_INTR, "exits by interrupts"),
    NEEDED(VMX_PIN_NMI, "exits by NMIs"),
    NEEDED(VMX_PIN_VIRTUAL_NMI, "virtual NMIs"),
};
static const struct vmx_feature cpu_features[] = {
    NEEDED(VMX_CPU_TSC_OFFSET, "a TSC offset"),
    NEEDED(VMX_CPU_MWAIT, "exits by MWAIT"),
    NEEDED(VMX_CPU_RDPMC, "exits by RDPMC"),
    NEEDED(VMX_CPU_CR8_LOAD, "exits by writes of CR8"),
    NEEDED(VMX_CPU_CR8_STORE, "exits by reads of CR8"),
    NEEDED(VMX_CPU_IO, "exits by port accesses"),
    NEEDED(VMX_CPU_MSR_MAP, "MSR bitmaps"),
    NEEDED(VMX_CPU_MONITOR, "exits by MONITOR"),
    NEEDED(VMX_CPU_SECOND, "secondary controls"),
};
static const struct vmx_feature cpu2_features[] = {
    NEEDED(VMX_CPU2_EPT, "EPT"),       NEEDED(VMX_CPU2_UNRESTRICTED, "unrestricted guests"),
    WANTED(VMX_CPU2_RDTSCP, "RDTSCP"), WANTED(VMX_CPU2_VPID, "VPID"),
    WANTED(VMX_CPU2_WBINVD, "WBINVD"), WANTED(VMX_CPU2_INVPCID, "INVPCID"),
};
static const struct vmx_feature exit_features[] = {
    NEEDED(VMX_EXIT_SAVE_DEBUG, "saving of debug controls"),
    NEEDED(VMX_EXIT_HOST_LONG, "64-bit hosts"),
    NEEDED(VMX_EXIT_SAVE_PAT | VMX_EXIT_LOAD_PAT, "exchange of PAT at exits"),
    NEEDED(VMX_EXIT_SAVE_EFER | VMX_EXIT_LOAD_EFER, "exchange of EFER at exits"),
};
static const struct vmx_feature entry_features[] = {
    NEEDED(VMX_ENTRY_LOAD_DEBUG, "loading of debug controls"),
    NEEDED(VMX_ENTRY_LOAD_PAT, "loading of PAT at entries"),
    NEEDED(VMX_ENTRY_LOAD_EFER, "loading of EFER at entries"),
};
/* Beside the words that guests begin with, bits that are set later. */
static const struct vmx_feature later_features[] = {
    NEEDED(VMX_CPU_INTR_WINDOW, "interrupt windows"),
    NEEDED(VMX_CPU_NMI_WINDOW, "NMI windows"),
    NEEDED(VMX_CPU_HLT, "exits by HLT"),
};

static enum err vmx_lacks(const char *what)
{
    log_error("cpu%u has VMX, but not %s, which we need", this_cpu()->id, what);
    return E_UNSUPPORTED;
}

/* What must be set, what is needed, and what is wanted and can be. */
[[gnu::cold]] static enum err vmx_word(const struct vmx_word *word)
{
    uint64_t can = msr_read(word->msr);
    uint32_t value = (uint32_t)can, may = (uint32_t)(can >> 32);

    for (unsigned i = 0; i < word->count; i++) {
        const struct vmx_feature *feature = &word->features[i];

        if ((may & feature->bit) == feature->bit)
            value |= feature->bit;
        else if (!feature->optional)
            return vmx_lacks(feature->name);
    }
    *word->value = value;
    return OK;
}

[[gnu::cold]] static enum err vmx_find_controls(struct vmx_host *host)
{
    uint32_t later;
#define WORD(msr, field, features)                                                                 \
    {                                                                                              \
        (msr), (field), (features), ARRAY_SIZE(features)                                           \
    }
    const struct vmx_word words[] = {
        WORD(MSR_VMX_TRUE_PIN, &host->pin, pin_features),
        WORD(MSR_VMX_TRUE_CPU, &host->cpu, cpu_features),
        WORD(MSR_VMX_TRUE_CPU, &later, later_features),
        WORD(MSR_VMX_CPU2, &host->cpu2, cpu2_features),
        WORD(MSR_VMX_TRUE_EXIT, &host->exit, exit_features),
        WORD(MSR_VMX_TRUE_ENTRY, &host->entry, entry_features),
    };
#undef WORD

    if (!(msr_read(MSR_VMX_BASIC) & VMX_BASIC_TRUE))
        return vmx_lacks("the true controls");
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        TRY(vmx_word(&words[i]));
    if (host->cpu & (VMX_CPU_CR3_LOAD | VMX_CPU_CR3_STORE))
        return vmx_lacks("CR3 for guests alone");
    return OK;
}

[[gnu::cold]] static enum err vmx_find_paging(struct vmx_host *host)
{
    uint64_t can = msr_read(MSR_VMX_EPT_VPID);

    if (!(can & EPT_VPID_LEVELS_4))
        return vmx_lacks("EPT with four levels");
    if (!(can & EPT_VPID_WRITE_BACK))
        return vmx_lacks("EPT in write-back memory");
    if (!(can & EPT_VPID_2MIB))
        return vmx_lacks("EPT with pages of 2 MiB");
    if ((can & EPT_VPID_INVEPT) != EPT_VPID_INVEPT)
        return vmx_lacks("INVEPT of a single context");
    if ((can & EPT_VPID_INVVPID) != EPT_VPID_INVVPID)
        host->cpu2 &= (uint32_t)~VMX_CPU2_VPID;
    host->leaves_1gib = can & EPT_VPID_1GIB;
    host->dirty_bits = can & EPT_VPID_DIRTY;
    host->log = host->dirty_bits && vmx_log_find();
    host->apic = vmx_apic_find();
    if (host->apic & VMX_APIC_POSTED)
        host->exit |= (uint32_t)VMX_EXIT_ACKNOWLEDGE;
    return OK;
}

/* Firmware that leaves it unlocked leaves it to us. */
[[gnu::cold]] static enum err vmx_unlock(void)
{
    uint64_t control = msr_read(MSR_FEATURE_CONTROL);

    if (!(control & FEATURE_CONTROL_LOCK)) {
        msr_write(MSR_FEATURE_CONTROL, control | FEATURE_CONTROL_VMX | FEATURE_CONTROL_LOCK);
        return OK;
    }
    if (control & FEATURE_CONTROL_VMX)
        return OK;
    log_error("cpu%u has VMX, but its firmware has turned it off and locked it: look for it in the "
              "setup",
              this_cpu()->id);
    return E_UNSUPPORTED;
}

[[gnu::cold]] static void vmx_fill_limits(struct vmx_host *host)
{
    host->revision = (uint32_t)(msr_read(MSR_VMX_BASIC) & VMX_BASIC_REVISION);
    host->limits = (struct vmx_limits){
        .cr0_ones = msr_read(MSR_VMX_CR0_FIXED0),
        .cr0_may = msr_read(MSR_VMX_CR0_FIXED1),
        .cr4_ones = msr_read(MSR_VMX_CR4_FIXED0),
        .cr4_may = msr_read(MSR_VMX_CR4_FIXED1),
        .efer = BIT(0) | EFER_LME | EFER_LMA | EFER_NXE,
        .physical_bits = cpuid_or_none(0x80000008, 0).eax & 0xff,
    };
}

/* --- Turning it on. --- */

static bool vmx_same(const struct vmx_host *a, const struct vmx_host *b)
{
    return a->revision == b->revision && a->pin == b->pin && a->cpu == b->cpu &&
           a->cpu2 == b->cpu2 && a->exit == b->exit && a->entry == b->entry &&
           a->leaves_1gib == b->leaves_1gib && a->dirty_bits == b->dirty_bits && a->log == b->log &&
           a->apic == b->apic;
}

[[gnu::cold]] static enum err vmx_probe(void)
{
    struct vmx_host found = {0};

    TRY(vmx_unlock());
    TRY(vmx_find_controls(&found));
    TRY(vmx_find_paging(&found));
    vmx_fill_limits(&found);
    if (this_cpu()->id == 0) {
        vmx_host = found;
        vmx_fill_maps();
        virt_caps = (struct virt_caps){
            .backend = "vmx",
            .vcpus_max = 32,
            .vmids_max = VIRT_VMIDS_MAX,
            .gpa_bits = MIN(48u, found.limits.physical_bits),
            .virq_slots = VIRQ_SLOTS_MAX,
            .dirty = found.log          ? VIRT_DIRTY_LOG
                     : found.dirty_bits ? VIRT_DIRTY_BITS
                                        : VIRT_DIRTY_FAULTS,
            .apic = found.apic & VMX_APIC_VECTORS,
            .apic_posted = found.apic & VMX_APIC_POSTED,
            .apic_window = vmx_apic_window(),
        };
        vmx_apic_print(found.apic);
    } else if (!vmx_same(&found, &vmx_host)) {
        log_error("cpu%u has another VMX than cpu0", this_cpu()->id);
        return E_UNSUPPORTED;
    }
    return OK;
}

/* In a page that says by its first word what the processor calls a VMCS. */
[[gnu::cold]] static enum err vmx_enable(void)
{
    struct arch_virt_pcpu *cpu = &this_cpu()->arch.virt;
    uint32_t *page = page_alloc_zeroed(0);
    uint64_t cr0 = cr0_read(), cr4 = cr4_read() | CR4_VMXE, addr;
    bool failed;

    if (!page)
        return E_NOMEM;
    page[0] = vmx_host.revision;
    cpu->host_block = page;
    if ((vmx_host.limits.cr0_ones & ~cr0) || (vmx_host.limits.cr4_ones & ~cr4))
        return vmx_lacks("our CR0 and CR4");
    cr4_write(cr4);
    addr = ptr_to_phys(page).v;
    __asm__ volatile("vmxon %1" : "=@ccbe"(failed) : "m"(addr) : "memory");
    if (failed) {
        log_error("cpu%u refuses to turn VMX on", this_cpu()->id);
        return E_UNSUPPORTED;
    }
    return OK;
}

static const struct pt_format *vmx_stage2_format(void)
{
    static const struct pt_format *const formats[2][2] = {
        {&pt_format_ept_2mib_ro, &pt_format_ept_2mib},
        {&pt_format_ept_ro, &pt_format_ept},
    };

    return formats[vmx_host.leaves_1gib][vmx_host.dirty_bits];
}

static uint64_t vmx_ept_pointer(const struct arch_vcpu *vcpu)
{
    return vcpu->stage2_root.v | VMX_EPTP_WRITE_BACK | VMX_EPTP_LEVELS_4 |
           (vmx_host.dirty_bits ? VMX_EPTP_DIRTY : 0);
}

/* --- A vCPU's VMCS. --- */

static void vmptrld(const void *block)
{
    uint64_t addr = ptr_to_phys(block).v;
    bool failed;

    __asm__ volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(addr) : "memory");
    assert(!failed);
}

static void vmclear(const void *block)
{
    uint64_t addr = ptr_to_phys(block).v;
    bool failed;

    __asm__ volatile("vmclear %1" : "=@ccbe"(failed) : "m"(addr) : "memory");
    assert(!failed);
}

void vmx_borrow(const struct arch_vcpu *vcpu)
{
    if (!vcpu->bound)
        vmptrld(vcpu->block);
}

void vmx_give_back(const struct arch_vcpu *vcpu)
{
    const struct arch_vcpu *bound = this_cpu()->arch.virt.bound;

    if (vcpu->bound)
        return;
    vmclear(vcpu->block);
    if (bound)
        vmptrld(bound->block);
}

[[gnu::cold]] static void vmx_init_host(void)
{
    vmwrite(VMCS_HOST_CS_SELECTOR, SEL_CODE);
    vmwrite(VMCS_HOST_SS_SELECTOR, SEL_DATA);
    vmwrite(VMCS_HOST_TR_SELECTOR, SEL_TSS);
    vmwrite(VMCS_HOST_ES_SELECTOR, 0);
    vmwrite(VMCS_HOST_DS_SELECTOR, 0);
    vmwrite(VMCS_HOST_FS_SELECTOR, 0);
    vmwrite(VMCS_HOST_GS_SELECTOR, 0);
    vmwrite(VMCS_HOST_PAT, PAT_VALUE);
    vmwrite(VMCS_HOST_FS_BASE, 0);
    vmwrite(VMCS_HOST_SYSENTER_CS, 0);
    vmwrite(VMCS_HOST_SYSENTER_ESP, 0);
    vmwrite(VMCS_HOST_SYSENTER_EIP, 0);
    vmwrite(VMCS_HOST_RIP, (uintptr_t)vmx_exit_point);
}

[[gnu::cold]] static void vmx_init_guest(struct arch_vcpu *vcpu)
{
    uint64_t cr4 = guest_cpuid_cr4(&virt_guest_cpuid);

    vmwrite(VMCS_PIN_CONTROLS, vmx_host.pin);
    vmwrite(VMCS_CPU_CONTROLS2, vcpu->cpu_controls2);
    vmwrite(VMCS_EXIT_CONTROLS, vmx_host.exit);
    vmwrite(VMCS_ENTRY_CONTROLS, vmx_host.entry);
    vmwrite(VMCS_EXCEPTIONS, EXCEPTIONS);
    vmwrite(VMCS_PAGE_FAULT_MASK, 0);
    vmwrite(VMCS_PAGE_FAULT_MATCH, 0);
    vmwrite(VMCS_CR3_TARGETS, 0);
    vmwrite(VMCS_EXIT_MSR_STORES, 0);
    vmwrite(VMCS_EXIT_MSR_LOADS, 0);
    vmwrite(VMCS_ENTRY_MSR_LOADS, 0);
    vmwrite(VMCS_LINK_POINTER, ~(uint64_t)0);
    vmwrite(VMCS_MSR_MAP, ptr_to_phys(vmx_msr_map(false)).v);
    vmwrite(VMCS_EPT_POINTER, vmx_ept_pointer(vcpu));
    vmwrite(VMCS_CR0_MASK, VMX_CR0_OURS);
    vmwrite(VMCS_CR4_MASK, ~cr4);
    if (vmx_host.cpu2 & VMX_CPU2_VPID)
        vmwrite(VMCS_VPID, vcpu->vpid);
}

/* PAUSE loops are noticed by the hardware where it can, else each PAUSE is. */
static void vmx_init_waits(struct arch_vcpu *vcpu, uint32_t *cpu)
{
    uint64_t may = msr_read(MSR_VMX_CPU2) >> 32;

    if (!vcpu->trap_wait)
        return;
    *cpu |= (uint32_t)VMX_CPU_HLT;
    if (!(may & VMX_CPU2_PAUSE_LOOP))
        return;
    vcpu->cpu_controls2 |= (uint32_t)VMX_CPU2_PAUSE_LOOP;
    vmwrite(VMCS_PAUSE_GAP, PAUSE_GAP);
    vmwrite(VMCS_PAUSE_WINDOW, PAUSE_WINDOW);
}

void vmx_set_cpu_controls(struct arch_vcpu *vcpu, uint32_t value)
{
    vcpu->cpu_controls = value;
    vmwrite(VMCS_CPU_CONTROLS, value);
}

/* 0 is ours. */
static uint16_t vmx_vpid(const struct arch_vcpu *vcpu)
{
    return (uint16_t)(1 + vcpu->vmid * virt_caps.vcpus_max + vcpu->index);
}

[[gnu::cold]] static enum err vmx_init(struct arch_vcpu *vcpu)
{
    uint32_t *block = page_alloc_zeroed(0);
    uint32_t cpu = vmx_host.cpu;

    if (!block)
        return E_NOMEM;
    if (vmx_apic_init(vcpu) != OK || vmx_log_init(vcpu) != OK) {
        if (vcpu->apic_page)
            page_free(vcpu->apic_page, 0);
        page_free(block, 0);
        return E_NOMEM;
    }
    block[0] = vmx_host.revision;
    vcpu->block = block;
    vcpu->vpid = vmx_vpid(vcpu);
    vcpu->cpu_controls2 = vmx_host.cpu2;
    vcpu->asid_cpu = CPUS_MAX; /* It is new to all of them. */
    vmclear(block);
    vmx_borrow(vcpu);
    vmx_init_host();
    vmx_init_waits(vcpu, &cpu);
    vmx_init_guest(vcpu);
    vmx_set_cpu_controls(vcpu, cpu);
    vmx_give_back(vcpu);
    return OK;
}

[[gnu::cold]] static void vmx_reset(struct arch_vcpu *vcpu)
{
    vmx_virq_set_control(vcpu, 0);
    vcpu->event = 0;
    vcpu->tpr = 0;
    vcpu->asid_cpu = CPUS_MAX;
    vmx_borrow(vcpu);
    vmwrite(VMCS_ENTRY_EVENT, 0);
    vmwrite(VMCS_GUEST_BLOCKED, 0);
    vmwrite(VMCS_GUEST_ACTIVITY, VMX_ACTIVE);
    vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
    vmwrite(VMCS_GUEST_DEBUGCTL, 0);
    vmx_give_back(vcpu);
}

static void vmx_set_time(struct arch_vcpu *vcpu)
{
    vmx_borrow(vcpu);
    vmwrite(VMCS_TSC_OFFSET, -vcpu->tsc_offset);
    vmx_give_back(vcpu);
}

/* --- The TLB. --- */

/*
 * Guest-physical translations are tagged by the root of stage 2, others by that and the VPID, which
 * is a vCPU's own. Both are flushed when a vCPU comes to a pCPU that was not the last it ran on: so
 * what an earlier owner of the tags has left is gone as well. [SDM 3, 29.4]
 */
void vmx_flush_stage2(struct arch_vcpu *vcpu)
{
    const uint64_t descriptor[2] = {vmx_ept_pointer(vcpu), 0};
    bool failed;

    vcpu->flushes = virt_flushes(vcpu);
    vmx_log_switch(vcpu);
    code_forget(vcpu);
    __asm__ volatile("invept %1, %2"
                     : "=@ccbe"(failed)
                     : "m"(descriptor), "r"((uint64_t)INV_SINGLE_CONTEXT)
                     : "memory");
    assert(!failed);
}

static void vmx_flush_vpid(const struct arch_vcpu *vcpu)
{
    const uint64_t descriptor[2] = {vcpu->vpid, 0};
    bool failed;

    if (!(vmx_host.cpu2 & VMX_CPU2_VPID))
        return;
    __asm__ volatile("invvpid %1, %2"
                     : "=@ccbe"(failed)
                     : "m"(descriptor), "r"((uint64_t)INV_SINGLE_CONTEXT)
                     : "memory");
    assert(!failed);
}

static uint64_t vmx_idt(void)
{
    struct [[gnu::packed]] {
        uint16_t limit;
        uint64_t base;
    } idtr;

    __asm__ volatile("sidt %0" : "=m"(idtr));
    return idtr.base;
}

void vmx_flush_linear(struct arch_vcpu *vcpu)
{
    if (vcpu->bound)
        vmx_flush_vpid(vcpu);
    else
        vcpu->asid_cpu = CPUS_MAX;
}

/* What differs between pCPUs. */
static void vmx_bind_host(void)
{
    const struct pcpu *cpu = this_cpu();

    vmwrite(VMCS_HOST_CR0, cr0_read());
    vmwrite(VMCS_HOST_CR3, cr3_read());
    vmwrite(VMCS_HOST_CR4, cr4_read());
    vmwrite(VMCS_HOST_EFER, msr_read(MSR_EFER));
    vmwrite(VMCS_HOST_GS_BASE, (uintptr_t)cpu);
    vmwrite(VMCS_HOST_TR_BASE, (uintptr_t)&cpu->arch.tss);
    vmwrite(VMCS_HOST_GDTR_BASE, (uintptr_t)cpu->arch.gdt);
    vmwrite(VMCS_HOST_IDTR_BASE, vmx_idt());
}

static void vmx_bind(struct arch_vcpu *vcpu)
{
    vmptrld(vcpu->block);
    vcpu->launched = false;
    vmx_load_live(vcpu);
    if (vcpu->asid_cpu == this_cpu()->id)
        return;
    vcpu->asid_cpu = this_cpu()->id;
    code_forget(vcpu); /* A flush in between is seen as done. */
    vmx_bind_host();
    vmx_flush_stage2(vcpu);
    vmx_flush_vpid(vcpu);
}

void vmx_not_entered(struct arch_vcpu *vcpu)
{
    vmclear(vcpu->block);
    vmptrld(vcpu->block);
    vcpu->launched = false;
}

static void vmx_unbind(struct arch_vcpu *vcpu)
{
    vmx_log_drain(vcpu);
    vmx_store_live(vcpu);
    vmclear(vcpu->block);
}

const struct virt_backend vmx_backend = {
    .name = "vmx",
    .probe = vmx_probe,
    .enable = vmx_enable,
    .stage2_format = vmx_stage2_format,
    .init = vmx_init,
    .reset = vmx_reset,
    .set_time = vmx_set_time,
    .bind = vmx_bind,
    .unbind = vmx_unbind,
    .reg = vmx_reg,
    .set_reg = vmx_set_reg,
    .segment = vmx_segment,
    .set_segment = vmx_set_segment,
    .cpl = vmx_cpl,
    .get_regs = vmx_get_all,
    .regs_ok = vmx_regs_ok,
    .set_regs = vmx_set_all,
    .trap_breakpoints = vmx_trap_breakpoints,
    .inject = vmx_inject,
    .print = vmx_print,
    .exit_print = vmx_exit_print,
};
