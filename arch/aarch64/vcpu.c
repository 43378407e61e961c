/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's state in the hardware: what is loaded when it is bound to a pCPU and taken back when it
 * leaves. Between two runs nothing but the general registers moves. [Arm ARM D1, D8, D19]
 */
#include "arch/aarch64/vcpu.h"

#include "arch/aarch64/gic.h"
#include "arch/aarch64/pt_aarch64.h"
#include "arch/aarch64/sysreg.h"
#include "kernel/assert.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"
#include "kernel/string.h"

#define MMFR0_PARANGE  BITS(3, 0)
#define MMFR1_HAFDBS   BITS(3, 0)
#define MMFR1_VMIDBITS BITS(7, 4)
#define PFR0_RAS       BITS(31, 28)

#define VTCR_T0SZ      BITS(5, 0)
#define VTCR_SL0       BITS(7, 6)
#define VTCR_WB        (BIT(8) | BIT(10)) /* Walks are write-back cacheable, */
#define VTCR_SH        BITS(13, 12)       /* inner shareable. */
#define VTCR_PS        BITS(18, 16)
#define VTCR_VS        BIT(19) /* 16-bit VMIDs. */
#define VTCR_HA        BIT(21) /* Hardware sets the access flag, */
#define VTCR_HD        BIT(22) /* and write permission where DBM allows it. */
#define VTCR_RES1      BIT(31)

#define HCR_GUEST                                                                                  \
    (HCR_VM | HCR_SWIO | HCR_FMO | HCR_IMO | HCR_AMO | HCR_FB | HCR_BSU_IS | HCR_TID3 | HCR_TSC |  \
     HCR_TIDCP | HCR_TACR | HCR_RW | HCR_TLOR | HCR_TERR)

struct virt_caps virt_caps;

static const struct pt_s2_variant *s2; /* Chosen on the boot processor. */

static const uint8_t pa_bits[] = {32, 36, 40, 42, 44, 48, 48};

/* What is in VTCR_EL2 of a processor that tells what was written. [Arm ARM D8.5] */
static uint64_t virt_dirty_bits(void)
{
    bool has = field_get(MMFR1_HAFDBS, sysreg_read("id_aa64mmfr1_el1")) >= 2;

    return has ? VTCR_HA | VTCR_HD : 0;
}

static void virt_choose(void)
{
    uint64_t range = field_get(MMFR0_PARANGE, sysreg_read("id_aa64mmfr0_el1"));
    unsigned bits = pa_bits[MIN(range, ARRAY_SIZE(pa_bits) - 1)];

    /* 40 bits are enough for every machine that we emulate, and save a level. */
    for (unsigned i = 0; i < PT_S2_VARIANTS; i++)
        if (pt_s2_variants[i].ipa_bits <= MIN(bits, 40u))
            s2 = &pt_s2_variants[i];
    assert(s2);
    virt_caps = (struct virt_caps){
        .backend = "el2",
        .vcpus_max = gic_version == 2 ? 8 : 32,
        .vmids_max = field_get(MMFR1_VMIDBITS, sysreg_read("id_aa64mmfr1_el1")) == 2 ? 65536 : 256,
        .gpa_bits = s2->ipa_bits,
        .virq_slots = gich_slots(),
        .gic_version = gic_version,
        .dirty = virt_dirty_bits() ? VIRT_DIRTY_BITS : VIRT_DIRTY_FAULTS,
        .access_gva = true,
    };
}

enum err arch_virt_enable(void)
{
    uint64_t range = field_get(MMFR0_PARANGE, sysreg_read("id_aa64mmfr0_el1"));

    if (this_cpu()->id == 0)
        virt_choose();
    if (range < ARRAY_SIZE(pa_bits) && pa_bits[range] < s2->ipa_bits) {
        log_error("cpu%u has smaller physical addresses than cpu0", this_cpu()->id);
        return E_UNSUPPORTED;
    }
    sysreg_write("vtcr_el2", field_put(VTCR_T0SZ, s2->t0sz) | field_put(VTCR_SL0, s2->sl0) |
                                 VTCR_WB | VTCR_SH | field_put(VTCR_PS, MIN(range, 5u)) |
                                 (virt_caps.vmids_max > 256 ? VTCR_VS : 0) | virt_dirty_bits() |
                                 VTCR_RES1);
    /* Debug, trace and performance registers trap; the counters belong to nobody. */
    sysreg_write("mdcr_el2", (sysreg_read("mdcr_el2") & MDCR_HPMN) | MDCR_TPMCR | MDCR_TPM |
                                 MDCR_TDA | MDCR_TDOSA | MDCR_TDRA | MDCR_TPMS | MDCR_TTRF);
    sysreg_write("vpidr_el2", sysreg_read("midr_el1"));
    sysreg_write("oslar_el1", 0); /* Open: locked, no guest could single-step. */
    isb();
    __asm__ volatile("tlbi alle1; dsb nsh; isb" : : : "memory");
    return OK;
}

const struct pt_format *arch_stage2_format(void)
{
    return virt_caps.dirty == VIRT_DIRTY_BITS ? s2->dbm : s2->format;
}

/* Beyond so many pages it is cheaper to drop all that the VMID has. */
#define FLUSH_PAGES_MAX 64u

/* TLBI by IPA works on the VMID that VTTBR_EL2 names [Arm ARM D8.15]. Returns who was named. */
static uint64_t flush_begin(uint16_t vmid, hpa_t root)
{
    uint64_t vttbr = sysreg_read("vttbr_el2");

    sysreg_write("vttbr_el2", root.v | (uint64_t)vmid << 48);
    isb();
    return vttbr;
}

static void flush_end(uint64_t vttbr)
{
    sysreg_write("vttbr_el2", vttbr);
    isb();
}

void arch_stage2_refresh(uint16_t vmid, hpa_t root, gpa_t page)
{
    uint64_t vttbr = flush_begin(vmid, root);

    __asm__ volatile("dsb nshst; tlbi ipas2e1, %0; dsb nsh; tlbi vmalle1; dsb nsh; isb"
                     :
                     : "r"(page.v >> PAGE_SHIFT)
                     : "memory");
    flush_end(vttbr);
}

bool arch_stage2_log(uint16_t, struct dirty_log *)
{
    return false;
}

void arch_stage2_flush(uint16_t vmid, hpa_t root, gpa_t start, uint64_t size)
{
    uint64_t vttbr = flush_begin(vmid, root);

    __asm__ volatile("dsb ishst" : : : "memory");
    if (size / PAGE_SIZE > FLUSH_PAGES_MAX)
        __asm__ volatile("tlbi vmalls12e1is" : : : "memory");
    for (uint64_t at = start.v; size / PAGE_SIZE <= FLUSH_PAGES_MAX && at < start.v + size;
         at += PAGE_SIZE)
        __asm__ volatile("tlbi ipas2e1is, %0" : : "r"(at >> PAGE_SHIFT) : "memory");
    __asm__ volatile("dsb ish; tlbi vmalle1is; dsb ish; isb" : : : "memory");
    flush_end(vttbr);
}

enum err arch_vcpu_init(struct arch_vcpu *vcpu, const struct arch_vcpu_config *config)
{
    assert(!vcpu->bound);
    memset(vcpu, 0, sizeof(*vcpu));
    vcpu->index = config->index;
    vcpu->vmid = config->vmid;
    vcpu->hcr = HCR_GUEST | (config->trap_wait ? HCR_TWI | HCR_TWE : 0);
    vcpu->vttbr = config->stage2_root.v | (uint64_t)config->vmid << 48;
    vcpu->vmpidr = BIT(31) | (config->index / 16) << 8 | config->index % 16;
    vcpu->gic.hcr = ICH_HCR_EN;
    return OK;
}

void arch_vcpu_free(struct arch_vcpu *vcpu)
{
    assert(!vcpu->bound); /* All of it is in the struct. */
}

void arch_vcpu_set_time(struct arch_vcpu *vcpu, uint64_t offset)
{
    vcpu->cntvoff = offset;
}

void arch_vcpu_start(struct arch_vcpu *vcpu, struct arch_entry entry)
{
    assert(!vcpu->bound);
    memset(vcpu->x, 0, sizeof(vcpu->x));
    memset(vcpu->sys, 0, sizeof(vcpu->sys));
    memset(&vcpu->fp, 0, sizeof(vcpu->fp));
    memset(&vcpu->insn, 0, sizeof(vcpu->insn));
    memset(vcpu->gic.ap0r, 0, sizeof(vcpu->gic.ap0r));
    memset(vcpu->gic.ap1r, 0, sizeof(vcpu->gic.ap1r));
    vcpu->gic.vmcr = 0;
    vcpu->sys[SYS_SCTLR_EL1] = SCTLR_EL1_RESET;
    vcpu->x[0] = entry.arg;
    vcpu->pc = entry.pc.v;
    vcpu->pstate = PSTATE_EL1H | PSTATE_DAIF;
}

/* The TLB of a pCPU may hold what another vCPU of the VM translated under the same ASID. */
static void vcpu_claim_tlb(const struct arch_vcpu *vcpu)
{
    struct arch_pcpu *cpu = &this_cpu()->arch;
    unsigned slot = vcpu->vmid % ARRAY_SIZE(cpu->last_ran);

    if (cpu->last_ran[slot] == vcpu)
        return;
    cpu->last_ran[slot] = vcpu;
    __asm__ volatile("tlbi vmalle1; ic iallu; dsb nsh; isb" : : : "memory");
}

void arch_vcpu_bind(struct arch_vcpu *vcpu)
{
    assert(!vcpu->bound && !this_cpu()->arch.bound);
    sysreg_write("vmpidr_el2", vcpu->vmpidr);
    sysreg_write("cntvoff_el2", vcpu->cntvoff);
    sysreg_write("vttbr_el2", vcpu->vttbr);
    sysreg_write("hcr_el2", vcpu->hcr);
#define X(name, text) sysreg_write(text, vcpu->sys[SYS_##name]);
#include "arch/aarch64/sysreg.def"
#undef X
    isb();
    vcpu_claim_tlb(vcpu);
    if (field_get(PFR0_RAS, sysreg_read("id_aa64pfr0_el1")))
        sysreg_write(VDISR_EL2, 0);
    fp_restore(&vcpu->fp);
    gich_load(&vcpu->gic);
    vcpu->bound = true;
    vcpu->gic_version_bound = (uint8_t)gic_version;
    this_cpu()->arch.bound = vcpu;
}

void arch_vcpu_unbind(struct arch_vcpu *vcpu)
{
    assert(vcpu->bound && this_cpu()->arch.bound == vcpu);
    if (unlikely(vcpu->trap_breakpoints))
        arch_vcpu_trap_breakpoints(vcpu, false);
#define X(name, text) vcpu->sys[SYS_##name] = sysreg_read(text);
#include "arch/aarch64/sysreg.def"
#undef X
    sysreg_write("cntv_ctl_el0", 0);
    fp_save(&vcpu->fp);
    gich_store(&vcpu->gic);
    sysreg_write("hcr_el2", HCR_HOST);
    isb();
    vcpu->bound = false;
    vcpu->gic_version_bound = 0;
    this_cpu()->arch.bound = NULL;
}

void arch_vcpu_trap_breakpoints(struct arch_vcpu *vcpu, bool on)
{
    uint64_t mdcr = sysreg_read("mdcr_el2") & ~MDCR_TDE;

    assert(vcpu->bound);
    vcpu->trap_breakpoints = on;
    sysreg_write("mdcr_el2", on ? mdcr | MDCR_TDE : mdcr);
    isb();
}

uint64_t arch_vcpu_gpr(const struct arch_vcpu *vcpu, unsigned reg)
{
    return reg < 31 ? vcpu->x[reg] : 0;
}

void arch_vcpu_set_gpr(struct arch_vcpu *vcpu, unsigned reg, uint64_t value)
{
    if (reg < 31)
        vcpu->x[reg] = value;
}

uint64_t arch_vcpu_pc(const struct arch_vcpu *vcpu)
{
    return vcpu->pc;
}

void arch_vcpu_set_return(struct arch_vcpu *vcpu, unsigned index, uint64_t value)
{
    assert(index < 4);
    vcpu->x[index] = value;
}

uint64_t vcpu_sys(const struct arch_vcpu *vcpu, enum sysreg_index index)
{
    if (vcpu->bound) {
        switch (index) {
#define X(name, text)                                                                              \
    case SYS_##name:                                                                               \
        return sysreg_read(text);
#include "arch/aarch64/sysreg.def"
#undef X
        case SYS_COUNT:
            break;
        }
    }
    return vcpu->sys[index];
}

enum err arch_vcpu_translate(const struct arch_vcpu *vcpu, gva_t addr,
                             [[maybe_unused]] enum arch_access access,
                             [[maybe_unused]] const struct arch_guest_memory *memory, gpa_t *result)
{
    uint64_t par, saved;

    if (!vcpu->bound)
        return E_STATE;
    saved = sysreg_read("par_el1");
    if ((vcpu->pstate & 0xf) == 0)
        __asm__ volatile("at s1e0r, %0; isb" : : "r"(addr.v) : "memory");
    else
        __asm__ volatile("at s1e1r, %0; isb" : : "r"(addr.v) : "memory");
    par = sysreg_read("par_el1");
    sysreg_write("par_el1", saved);
    if (par & PAR_F)
        return E_ABSENT;
    *result = gpa((par & PAR_PA) | (addr.v & (PAGE_SIZE - 1)));
    return OK;
}

uint64_t arch_vcpu_timer_deadline(const struct arch_vcpu *vcpu)
{
    uint64_t ctl = vcpu_sys(vcpu, SYS_CNTV_CTL_EL0);
    uint64_t deadline;

    if ((ctl & (CNT_CTL_ENABLE | CNT_CTL_IMASK)) != CNT_CTL_ENABLE)
        return TICKS_NEVER;
    if (__builtin_add_overflow(vcpu_sys(vcpu, SYS_CNTV_CVAL_EL0), vcpu->cntvoff, &deadline))
        return TICKS_NEVER;
    return deadline;
}
