/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is the same for all guests: the mode of hgatp, what is delegated to them, what they may
 * touch; and the fences for changes to their translations. [hypervisor.adoc; smstateen.adoc]
 */
#include "arch/riscv64/pt_riscv64.h"
#include "arch/riscv64/sbi.h"
#include "arch/riscv64/vcpu.h"
#include "kernel/assert.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"

/* Exceptions that are the guest's own affair. Not: calls of VS-mode, faults of the G-stage,
 * hardware errors. */
#define HEDELEG_GUEST                                                                              \
    (BIT(CAUSE_FETCH_MISALIGNED) | BIT(CAUSE_FETCH_ACCESS) | BIT(CAUSE_ILLEGAL) |                  \
     BIT(CAUSE_BREAKPOINT) | BIT(CAUSE_LOAD_MISALIGNED) | BIT(CAUSE_LOAD_ACCESS) |                 \
     BIT(CAUSE_STORE_MISALIGNED) | BIT(CAUSE_STORE_ACCESS) | BIT(CAUSE_ECALL_U) |                  \
     BIT(CAUSE_FETCH_PAGE) | BIT(CAUSE_LOAD_PAGE) | BIT(CAUSE_STORE_PAGE) |                        \
     BIT(CAUSE_SOFTWARE_CHECK))

/* Invalidation flushes (CBIE 1): otherwise it could bring back what was in memory before we zeroed
 * it. */
#define HENVCFG_GUEST                                                                              \
    (field_put(HENVCFG_CBIE, 1) | HENVCFG_CBCFE | HENVCFG_CBZE | HENVCFG_PBMTE | HENVCFG_STCE)

struct virt_caps virt_caps;
uint64_t virt_hgatp_mode;

/* hgatp is WARL: what is not supported reads back differently. No guest is bound. */
static uint64_t virt_hgatp_try(uint64_t value)
{
    uint64_t read;

    csr_write("hgatp", value);
    read = csr_read("hgatp");
    csr_write("hgatp", 0);
    return read;
}

static bool virt_mode_works(uint64_t mode)
{
    return field_get(SATP_MODE, virt_hgatp_try(field_put(SATP_MODE, mode))) == mode;
}

/* Guest interrupt files that this hart has, and that have a page in its window. */
static unsigned virt_guest_files(void)
{
    uint64_t bits;

    if (!cpu_has.aia || platform.irqchip != IRQCHIP_AIA)
        return 0;
    csr_write("hgeie", ~(uint64_t)0);
    bits = csr_read("hgeie");
    csr_write("hgeie", 0);
    return MIN(bit_count(bits), platform.imsic_guests);
}

/*
 * Hardware that sets D in leaves of stage 2, if firmware lets it; else each first write faults. The
 * tables are the same for both, and what guests see is henvcfg's, which is left clear. [SBI 3.0,
 * Firmware Features Extension; hypervisor.adoc, henvcfg]
 */
static bool virt_dirty_bits(void)
{
    return sbi_has(SBI_EID_FWFT) &&
           sbi_call(SBI_EID_FWFT, FWFT_SET, FWFT_PTE_AD_HW_UPDATING, 1, 0, 0, 0).error ==
               SBI_SUCCESS;
}

static bool virt_choose(void)
{
    /* 41 bits are enough for every machine that we emulate, and save a level. */
    virt_hgatp_mode = virt_mode_works(MODE_SV39) ? MODE_SV39 : MODE_SV48;
    if (!virt_mode_works(virt_hgatp_mode)) {
        log_error("this hart has neither Sv39x4 nor Sv48x4");
        return false;
    }
    if (!sbi_has(SBI_EID_RFENCE)) {
        log_error("the firmware has no remote fences");
        return false;
    }
    virt_caps = (struct virt_caps){
        .backend = "h",
        .vcpus_max = 32,
        .vmids_max =
            (unsigned)field_get(
                HGATP_VMID, virt_hgatp_try(field_put(SATP_MODE, virt_hgatp_mode) | HGATP_VMID)) +
            1,
        .gpa_bits = virt_hgatp_mode == MODE_SV39 ? 41 : 50,
        .virq_slots = VIRQ_SLOTS_MAX,
        .isa = guest_isa(),
        .guest_timer = cpu_has.sstc,
        .guest_msi = cpu_has.aia,
        .access_gva = true,
        .guest_files = virt_guest_files(),
        .guest_file_irq = ARCH_IRQ_GUEST_FILE,
    };
    return true;
}

enum err arch_virt_enable(void)
{
    uint64_t stateen =
        HSTATEEN0_ENVCFG | (cpu_has.aia ? HSTATEEN0_AIA | HSTATEEN0_CSRIND | HSTATEEN0_IMSIC : 0);

    if (this_cpu()->id == 0 && !virt_choose())
        return E_UNSUPPORTED;
    if (!virt_mode_works(virt_hgatp_mode) || virt_guest_files() < virt_caps.guest_files) {
        log_error("cpu%u can do less than cpu0", this_cpu()->id);
        return E_UNSUPPORTED;
    }
    if (virt_dirty_bits() && this_cpu()->id == 0)
        virt_caps.dirty = VIRT_DIRTY_BITS;
    csr_write("hedeleg", HEDELEG_GUEST);
    csr_write("hideleg", INT_VS);
    csr_write("hcounteren",
              HCOUNTEREN_TM); /* No cycles, no instructions: they would tell of others. */
    if (cpu_has.envcfg)
        csr_write("henvcfg", HENVCFG_GUEST);
    if (cpu_has.stateen)
        csr_write("hstateen0", stateen);
    if (cpu_has.aia) { /* No other interrupts than those of hvip, in the order that is usual. */
        csr_write("hvien", 0);
        csr_write("hviprio1", 0);
        csr_write("hviprio2", 0);
        csr_write("hvictl", 0);
    }
    csr_write("htimedelta", 0);
    csr_write("hgeie", 0);
    csr_write("vsie", 0);
    csr_write("vsatp", 0);
    __asm__ volatile(".option push; .option arch, +h; hfence.gvma; hfence.vvma; .option pop"
                     :
                     :
                     : "memory");
    return OK;
}

const struct pt_format *arch_stage2_format(void)
{
    return virt_hgatp_mode == MODE_SV39 ? &pt_format_sv39x4 : &pt_format_sv48x4;
}

static uint64_t virt_all_pcpus(void)
{
    uint64_t mask = BIT(this_cpu()->id);

    for (unsigned i = 0; i < pcpu_count; i++)
        if (atomic_load(&pcpu(i)->online))
            mask |= BIT(i);
    return mask;
}

static void virt_flush_here(uint16_t vmid)
{
    __asm__ volatile(".option push; .option arch, +h; hfence.gvma zero, %0; .option pop"
                     :
                     : "r"((uint64_t)vmid)
                     : "memory");
}

void arch_stage2_refresh(uint16_t vmid, [[maybe_unused]] hpa_t root, [[maybe_unused]] gpa_t page)
{
    virt_flush_here(vmid);
}

bool arch_stage2_log(uint16_t, struct dirty_log *)
{
    return false;
}

void arch_stage2_flush(uint16_t vmid, [[maybe_unused]] hpa_t root, gpa_t start, uint64_t size)
{
    uint64_t others = virt_all_pcpus() & ~BIT(this_cpu()->id);

    virt_flush_here(vmid);
    if (others)
        sbi_remote_fence(RFENCE_HFENCE_GVMA_VMID, others, start.v, size, vmid);
}

void arch_vcpu_fence(const struct arch_vcpu *vcpu, enum arch_fence fence, uint64_t pcpus,
                     gva_t start, uint64_t size, uint64_t asid)
{
    static const enum sbi_rfence_fid functions[] = {
        [FENCE_INSTRUCTIONS] = RFENCE_FENCE_I,
        [FENCE_TRANSLATIONS] = RFENCE_HFENCE_VVMA,
        [FENCE_TRANSLATIONS_ASID] = RFENCE_HFENCE_VVMA_ASID,
    };

    assert(vcpu->bound); /* The firmware takes the VMID from our hgatp. */
    sbi_remote_fence(functions[fence], pcpus, start.v, size, asid);
}
