/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMD SVM: a guest's state in its VMCB, and the address space numbers of the TLB. The block is
 * complete whenever the guest does not run, but for the general registers and RIP. [AMD APM 2,
 * chapter 15]
 */
#include "arch/x86_64/backend.h"
#include "arch/x86_64/pt_npt.h"
#include "arch/x86_64/svm_regs.h"
#include "arch/x86_64/vcpu_asm.h"
#include "kernel/assert.h"
#include "kernel/fmt.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "mm/page.h"

_Static_assert(offsetof(struct arch_vcpu, block) == VCPU_BLOCK, "known to assembly");
_Static_assert(offsetof(struct arch_vcpu, rip) == VCPU_RIP, "known to assembly");
_Static_assert(offsetof(struct arch_vcpu, code_base) == VCPU_CODE_BASE, "known to assembly");
_Static_assert(offsetof(struct vmcb, control.host) == VMCB_HOST, "known to assembly");
_Static_assert(offsetof(struct vmcb, save.segment[SEGMENT_CS].base) == VMCB_CS_BASE,
               "known to assembly");
_Static_assert(offsetof(struct vmcb, save.rip) == VMCB_RIP, "known to assembly");
_Static_assert(offsetof(struct vmcb, save.rsp) == VMCB_RSP, "known to assembly");
_Static_assert(offsetof(struct vmcb, save.rax) == VMCB_RAX, "known to assembly");

#define MSR_VM_CR            0xc0010114u
#define MSR_VM_HSAVE_PA      0xc0010117u
#define VM_CR_LOCK           BIT(3)
#define VM_CR_SVMDIS         BIT(4)

#define INTERCEPT_EXCEPTIONS (BIT(VECTOR_DB) | BIT(VECTOR_AC) | BIT(VECTOR_MC))
#define INTERCEPT_WORD3                                                                            \
    (VMCB_INTR | VMCB_NMI | VMCB_SMI | VMCB_INIT | VMCB_RDPMC | VMCB_CPUID | VMCB_RSM |            \
     VMCB_INVD | VMCB_INVLPGA | VMCB_IOIO | VMCB_MSR | VMCB_FERR_FREEZE | VMCB_SHUTDOWN)
#define INTERCEPT_WORD4                                                                            \
    (VMCB_VMRUN | VMCB_VMMCALL | VMCB_VMLOAD | VMCB_VMSAVE | VMCB_STGI | VMCB_CLGI | VMCB_SKINIT | \
     VMCB_WBINVD | VMCB_MONITOR | VMCB_MWAIT | VMCB_XSETBV | VMCB_RDPRU)
#define INTERCEPT_WORD5    (VMCB_INVLPGB | VMCB_MCOMMIT | VMCB_TLBSYNC)

/* PAUSEs in a row, so many cycles apart at most, before the guest is asked to give way. */
#define PAUSE_COUNT        3000u
#define PAUSE_THRESHOLD    128u

#define IO_MAP_SIZE        (3 * PAGE_SIZE)
#define MSR_MAP_SIZE       (2 * PAGE_SIZE)
#define MSR_MAP_RANGE      0x2000u /* MSRs in each of the map's ranges. */
#define MSR_MAP_RANGE_SIZE 0x800u  /* Its bytes: two bits each. */

struct svm_host svm_host;

/* All guests' alike: no port is passed through. Set up on the boot processor. */
static alignas(PAGE_SIZE) uint8_t io_map[IO_MAP_SIZE];
static alignas(PAGE_SIZE) uint8_t msr_map[MSR_MAP_SIZE];

/* --- Turning it on. --- */

/* The TSC, the bases of segments and the targets of system calls are exchanged by the hardware. */
static void svm_pass_msr(uint32_t msr)
{
    uint32_t range = msr < MSR_MAP_RANGE ? 0 : 1; /* From 0, or from 0xc0000000. */
    uint32_t index = msr & (MSR_MAP_RANGE - 1);

    assert(msr - range * 0xc0000000u < MSR_MAP_RANGE);
    msr_map[range * MSR_MAP_RANGE_SIZE + index / 4] &= (uint8_t) ~(3u << index % 4 * 2);
}

static void svm_fill_maps(void)
{
    static const uint32_t passed[] = {
        MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_STAR,    MSR_LSTAR,
        MSR_CSTAR,       MSR_SFMASK,       MSR_FS_BASE,      MSR_GS_BASE, MSR_KERNEL_GS_BASE,
    };

    memset(io_map, 0xff, sizeof(io_map));
    memset(msr_map, 0xff, sizeof(msr_map));
    for (unsigned i = 0; i < ARRAY_SIZE(passed); i++)
        svm_pass_msr(passed[i]);
}

static void svm_fill_caps(uint32_t asids)
{
    struct cpuid extended = cpuid_or_none(0x80000001, 0), sizes = cpuid_or_none(0x80000008, 0);

    svm_host.leaves_1gib = extended.edx & CPUIDX1_EDX_1GIB;
    svm_host.limits = (struct svm_limits){
        .physical_bits = sizes.eax & 0xff,
        .asids = asids,
    };
    virt_caps = (struct virt_caps){
        .backend = "svm",
        .vcpus_max = 32,
        .vmids_max = VIRT_VMIDS_MAX,
        .gpa_bits = MIN(48u, svm_host.limits.physical_bits),
        .virq_slots = VIRQ_SLOTS_MAX,
        .dirty = VIRT_DIRTY_BITS,
    };
}

static enum err svm_probe(void)
{
    struct cpuid svm = cpuid_or_none(0x8000000a, 0);
    uint64_t vm_cr = msr_read(MSR_VM_CR);

    if (vm_cr & VM_CR_SVMDIS) {
        log_error("cpu%u has SVM, but its firmware has turned it off%s: look for it in the setup",
                  this_cpu()->id, vm_cr & VM_CR_LOCK ? " and locked it" : "");
        return E_UNSUPPORTED;
    }
    if (!(svm.edx & SVM_NPT)) {
        log_error("cpu%u has SVM, but no nested paging, which we need", this_cpu()->id);
        return E_UNSUPPORTED;
    }
    if (this_cpu()->id == 0) {
        svm_host.features = svm.edx;
        svm_fill_caps(svm.ebx);
        svm_fill_maps();
        log_info("svm: %u address space numbers%s%s%s", svm.ebx,
                 svm.edx & SVM_NEXT_RIP ? ", next-RIP save" : "",
                 svm.edx & SVM_DECODE_ASSISTS ? ", decode assists" : "",
                 svm.edx & SVM_PAUSE_FILTER ? ", PAUSE filter" : "");
    }
    if (svm_host.features & ~svm.edx || svm_host.limits.asids > svm.ebx) {
        log_error("cpu%u can do less than cpu0", this_cpu()->id);
        return E_UNSUPPORTED;
    }
    return OK;
}

/* With a page for #VMEXIT to find the host's state in, and one for VMLOAD. */
static enum err svm_enable(void)
{
    struct arch_virt_pcpu *cpu = &this_cpu()->arch.virt;
    void *pages = page_alloc_zeroed(1);

    if (!pages)
        return E_NOMEM;
    svm_host.limits.cr4 = guest_cpuid_cr4(&virt_guest_cpuid);
    svm_host.limits.efer = guest_cpuid_efer(&virt_guest_cpuid) | EFER_SVME;
    msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_SVME);
    msr_write(MSR_VM_HSAVE_PA, ptr_to_phys(pages).v);
    cpu->host_block = (char *)pages + PAGE_SIZE;
    __asm__ volatile("vmsave %0" : : "a"(ptr_to_phys(cpu->host_block).v) : "memory");
    /* What the TLB holds under the numbers is unknown. */
    cpu->asid_generation = 1;
    cpu->asid_next = 1;
    cpu->asid_flush = true;
    return OK;
}

static const struct pt_format *svm_stage2_format(void)
{
    return svm_host.leaves_1gib ? &pt_format_npt : &pt_format_npt_2mib;
}

/* --- A vCPU's block. --- */

static enum err svm_init(struct arch_vcpu *vcpu)
{
    struct vmcb *vmcb = page_alloc_zeroed(0);
    struct vmcb_control *control;

    if (!vmcb)
        return E_NOMEM;
    vcpu->block = vmcb;
    control = &vmcb->control;
    control->intercept_cr = (uint32_t)(VMCB_CR4_WRITE | VMCB_CR8_WRITE);
    control->intercept_exceptions = (uint32_t)INTERCEPT_EXCEPTIONS;
    control->intercept[0] = (uint32_t)INTERCEPT_WORD3;
    control->intercept[1] = (uint32_t)INTERCEPT_WORD4;
    control->intercept[2] = (uint32_t)INTERCEPT_WORD5;
    if (vcpu->trap_wait)
        control->intercept[0] |= (uint32_t)(VMCB_HLT | VMCB_PAUSE);
    if (svm_host.features & SVM_PAUSE_FILTER)
        control->pause_count = PAUSE_COUNT;
    if (svm_host.features & SVM_PAUSE_THRESHOLD)
        control->pause_threshold = PAUSE_THRESHOLD;
    control->io_map = ptr_to_phys(io_map).v;
    control->msr_map = ptr_to_phys(msr_map).v;
    control->nested_control = VMCB_NESTED_PAGING;
    control->nested_cr3 = vcpu->stage2_root.v;
    return OK;
}

static void svm_reset(struct arch_vcpu *vcpu)
{
    struct vmcb *vmcb = svm_vmcb(vcpu);

    svm_virq_set_control(vcpu, 0);
    svm_virq_set_nmi_blocked(vcpu, false);
    vmcb->control.event_inj = 0;
    vmcb->control.int_state = 0;
    vmcb->control.int_control = VMCB_V_INTR_MASKING;
    vmcb->control.clean = 0;
    vmcb->save.debugctl = 0;
    vmcb->save.cpl = 0;
    vcpu->asid_generation = 0;
}

static void svm_set_time(struct arch_vcpu *vcpu)
{
    svm_vmcb(vcpu)->control.tsc_offset = -vcpu->tsc_offset;
    svm_dirty(svm_vmcb(vcpu), VMCB_CLEAN_INTERCEPTS);
}

/* --- Address space numbers. --- */

/*
 * A number is a vCPU's for as long as it stays on the pCPU and the generation lasts. When all have
 * been given away, a generation ends: everything is flushed, and they begin again. So a number is
 * flushed by giving the vCPU another one. 0 is ours.
 */
void svm_renew_asid(struct arch_vcpu *vcpu)
{
    struct arch_virt_pcpu *cpu = &this_cpu()->arch.virt;
    struct vmcb *vmcb = svm_vmcb(vcpu);

    vcpu->flushes = virt_flushes(vcpu);
    if (cpu->asid_next >= svm_host.limits.asids) {
        cpu->asid_generation++;
        cpu->asid_next = 1;
        cpu->asid_flush = true;
    }
    vcpu->asid_cpu = this_cpu()->id;
    vcpu->asid_generation = cpu->asid_generation;
    vmcb->control.asid = cpu->asid_next++;
    if (cpu->asid_flush)
        vmcb->control.tlb_control = VMCB_TLB_FLUSH_ALL;
    cpu->asid_flush = false;
    svm_dirty(vmcb, VMCB_CLEAN_ASID);
}

static void svm_bind(struct arch_vcpu *vcpu)
{
    const struct arch_virt_pcpu *cpu = &this_cpu()->arch.virt;

    if (vcpu->asid_cpu != this_cpu()->id)
        svm_vmcb(vcpu)->control.clean = 0;
    svm_vmcb(vcpu)->control.host[0] = ptr_to_phys(cpu->host_block).v;
    if (vcpu->asid_cpu != this_cpu()->id || vcpu->asid_generation != cpu->asid_generation) {
        code_forget(vcpu); /* A flush in between is seen as done. */
        svm_renew_asid(vcpu);
    }
}

/* It may not have been entered since. */
static void svm_unbind(struct arch_vcpu *vcpu)
{
    struct vmcb_control *control = &svm_vmcb(vcpu)->control;

    if (control->tlb_control == VMCB_TLB_FLUSH_ALL)
        this_cpu()->arch.virt.asid_flush = true;
    control->tlb_control = VMCB_TLB_KEEP;
}

/* --- Registers. --- */

/* Where they are in the save area. */
static const uint16_t svm_regs[ARCH_REGS] = {
#define X(name, text, field) [REG_##name] = offsetof(struct vmcb_save, field),
#define OURS(name, text)
#include "arch/x86_64/reg.def"
#undef X
#undef OURS
};

/* What may be cached of the block, by register. */
static uint64_t svm_clean_bit(enum arch_reg reg)
{
    switch (reg) {
    case REG_CR0:
    case REG_CR3:
    case REG_CR4:
    case REG_EFER:
        return VMCB_CLEAN_CONTROL;
    case REG_CR2:
        return VMCB_CLEAN_CR2;
    case REG_DR6:
    case REG_DR7:
        return VMCB_CLEAN_DEBUG;
    case REG_PAT:
        return VMCB_CLEAN_NESTED;
    default:
        return 0;
    }
}

static uint64_t *svm_reg_slot(struct vmcb_save *save, enum arch_reg reg)
{
    return (uint64_t *)((char *)save + svm_regs[reg]);
}

static uint64_t svm_reg(const struct arch_vcpu *vcpu, enum arch_reg reg)
{
    uint64_t value = *svm_reg_slot(&svm_vmcb(vcpu)->save, reg);

    return reg == REG_EFER ? value & ~EFER_SVME : value;
}

/* Bits of CR4 that change how tables are walked, and those that flush the TLB [AMD APM 2, 5.5.3].
 */
#define CR4_WALK  (CR4_PSE | CR4_PAE | CR4_LA57)
#define CR4_FLUSH (CR4_WALK | CR4_PGE | CR4_PCIDE | CR4_SMEP)

static void svm_changed(struct arch_vcpu *vcpu, enum arch_reg reg, uint64_t bits)
{
    bool control = reg == REG_CR0 || reg == REG_CR3 || reg == REG_EFER;

    if (control || (reg == REG_CR4 && (bits & CR4_WALK)))
        code_forget(vcpu);
    if (vcpu->bound && (control || (reg == REG_CR4 && (bits & CR4_FLUSH))))
        svm_renew_asid(vcpu);
}

/* EFER.SVME must be set to be run; the guest does not see it. */
static void svm_set_reg(struct arch_vcpu *vcpu, enum arch_reg reg, uint64_t value)
{
    struct vmcb *vmcb = svm_vmcb(vcpu);
    uint64_t *slot = svm_reg_slot(&vmcb->save, reg), old = *slot;

    if (reg == REG_EFER)
        value |= EFER_SVME;
    *slot = value;
    svm_dirty(vmcb, svm_clean_bit(reg));
    svm_changed(vcpu, reg, old ^ value);
}

static struct arch_segment svm_segment(const struct arch_vcpu *vcpu, enum arch_segment_index index)
{
    return svm_vmcb(vcpu)->save.segment[index];
}

static void svm_set_segment(struct arch_vcpu *vcpu, enum arch_segment_index index,
                            struct arch_segment segment)
{
    struct vmcb *vmcb = svm_vmcb(vcpu);

    vmcb->save.segment[index] = segment;
    svm_dirty(vmcb, index == SEGMENT_GDTR || index == SEGMENT_IDTR ? VMCB_CLEAN_TABLES
                                                                   : VMCB_CLEAN_SEGMENTS);
    if (index == SEGMENT_SS)
        vmcb->save.cpl = (uint8_t)field_get(SEGMENT_DPL, segment.attributes);
}

static unsigned svm_cpl(const struct arch_vcpu *vcpu)
{
    return svm_vmcb(vcpu)->save.cpl;
}

static void svm_get_all(const struct arch_vcpu *vcpu, struct x86_regs *regs)
{
    svm_get_regs(svm_vmcb(vcpu), regs);
    if (vcpu->nmi_blocked)
        regs->blocked |= (uint32_t)REGS_BLOCKED_NMI;
}

static void svm_set_all(struct arch_vcpu *vcpu, const struct x86_regs *regs)
{
    svm_put_regs(svm_vmcb(vcpu), regs);
    svm_virq_set_nmi_blocked(vcpu, regs->blocked & REGS_BLOCKED_NMI);
}

static void svm_no_text(struct fmt_sink *, const char *, size_t)
{
}

static void svm_log_refusal(const struct vmcb *trial)
{
    struct fmt_sink *out = log_open(LOG_ERROR);

    fmt_print(out, "registers of a vCPU are refused:\n");
    svm_check(trial, &svm_host.limits, out);
    log_close();
}

/* Tried on a block of its own. */
static enum err svm_regs_ok(const struct arch_vcpu *vcpu, const struct x86_regs *regs)
{
    struct fmt_sink silent = {.put = svm_no_text};
    const char *why = svm_refuses(regs);
    struct vmcb *trial;
    enum err err = OK;

    if (why) {
        log_error("registers of a vCPU are refused: %s", why);
        return E_RANGE;
    }
    trial = page_alloc(0);
    if (!trial)
        return E_NOMEM;
    *trial = *svm_vmcb(vcpu);
    svm_put_regs(trial, regs);
    if (trial->control.asid == 0) /* Not bound before. */
        trial->control.asid = 1;
    if (svm_check(trial, &svm_host.limits, &silent)) {
        svm_log_refusal(trial);
        err = E_RANGE;
    }
    page_free(trial, 0);
    return err;
}

static void svm_trap_breakpoints(struct arch_vcpu *vcpu, bool on)
{
    struct vmcb *vmcb = svm_vmcb(vcpu);

    vmcb->control.intercept_exceptions &= ~(uint32_t)BIT(VECTOR_BP);
    vmcb->control.intercept_exceptions |= on ? (uint32_t)BIT(VECTOR_BP) : 0;
    svm_dirty(vmcb, VMCB_CLEAN_INTERCEPTS);
}

static void svm_inject(struct arch_vcpu *vcpu, unsigned vector, bool has_error, uint32_t error)
{
    svm_vmcb(vcpu)->control.event_inj =
        has_error ? svm_event_error(vector, error) : svm_event(SVM_EVENT_EXCEPTION, vector);
}

/* --- Words. --- */

static void svm_print(const struct arch_vcpu *vcpu, struct fmt_sink *out)
{
    const struct vmcb *vmcb = svm_vmcb(vcpu);
    const struct vmcb_control *control = &vmcb->control;

    fmt_print(out, "  exit %x  info %016llx %016llx  interrupted event %016llx\n",
              control->exit_code, (unsigned long long)control->exit_info[0],
              (unsigned long long)control->exit_info[1],
              (unsigned long long)control->exit_int_info);
    fmt_print(out, "  asid %u  virtual interrupt %08llx  shadow %llx  cpl %u\n", control->asid,
              (unsigned long long)control->int_control, (unsigned long long)control->int_state,
              vmcb->save.cpl);
    if (control->exit_code == VMEXIT_INVALID)
        svm_check(vmcb, &svm_host.limits, out);
}

const struct virt_backend svm_backend = {
    .name = "svm",
    .probe = svm_probe,
    .enable = svm_enable,
    .stage2_format = svm_stage2_format,
    .init = svm_init,
    .reset = svm_reset,
    .set_time = svm_set_time,
    .bind = svm_bind,
    .unbind = svm_unbind,
    .reg = svm_reg,
    .set_reg = svm_set_reg,
    .segment = svm_segment,
    .set_segment = svm_set_segment,
    .cpl = svm_cpl,
    .get_regs = svm_get_all,
    .regs_ok = svm_regs_ok,
    .set_regs = svm_set_all,
    .trap_breakpoints = svm_trap_breakpoints,
    .inject = svm_inject,
    .print = svm_print,
    .exit_print = svm_exit_print,
};
