/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's state in the hardware: what is loaded when it is bound to a pCPU and taken back when it
 * leaves. Between two runs nothing but the general registers moves. [hypervisor.adoc, Hypervisor
 * and Virtual Supervisor CSRs]
 */
#include "arch/riscv64/vcpu.h"

#include "kernel/assert.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "kernel/timer.h"

static void vcpu_reset_csrs(struct arch_vcpu *vcpu)
{
    memset(vcpu->csr, 0, sizeof(vcpu->csr));
    vcpu->csr[CSR_VSSTATUS] = field_put(SSTATUS_UXL, XL_64);
    vcpu->csr[CSR_VSTIMECMP] = TICKS_NEVER;
    vcpu->sstatus = SSTATUS_SPP | field_put(SSTATUS_UXL, XL_64);
}

enum err arch_vcpu_init(struct arch_vcpu *vcpu, const struct arch_vcpu_config *config)
{
    assert(!vcpu->bound);
    memset(vcpu, 0, sizeof(*vcpu));
    vcpu->index = config->index;
    vcpu->vmid = config->vmid;
    vcpu->hgatp = field_put(SATP_MODE, virt_hgatp_mode) | field_put(HGATP_VMID, config->vmid) |
                  config->stage2_root.v >> PAGE_SHIFT;
    vcpu->hstatus = HSTATUS_SPV | HSTATUS_SPVP | field_put(HSTATUS_VSXL, XL_64) |
                    (config->trap_wait ? HSTATUS_VTW : 0);
    vcpu_reset_csrs(vcpu);
    return OK;
}

void arch_vcpu_free(struct arch_vcpu *vcpu)
{
    assert(!vcpu->bound); /* All of it is in the struct. */
}

void arch_vcpu_set_time(struct arch_vcpu *vcpu, uint64_t offset)
{
    vcpu->htimedelta = -offset;
}

/*
 * The state that SBI gives to a hart that starts [ext-hsm.adoc, Hart start]. What is pending stays:
 * it may be what ends a suspend; the machine clears its lines when a hart stops.
 */
void arch_vcpu_start(struct arch_vcpu *vcpu, struct arch_entry entry)
{
    assert(!vcpu->bound);
    memset(vcpu->x, 0, sizeof(vcpu->x));
    vcpu_reset_csrs(vcpu);
    memset(&vcpu->fp, 0, sizeof(vcpu->fp));
    memset(&vcpu->access, 0, sizeof(vcpu->access));
    vcpu->fresh = true;
    vcpu->x[10] = vcpu->index;
    vcpu->x[11] = entry.arg;
    vcpu->pc = entry.pc.v;
}

void arch_vcpu_set_guest_file(struct arch_vcpu *vcpu, unsigned file)
{
    assert(!vcpu->bound && file <= virt_caps.guest_files);
    vcpu->guest_file = (uint8_t)file;
    vcpu->hstatus = field_set(HSTATUS_VGEIN, vcpu->hstatus, file);
}

/*
 * The TLB of a pCPU may hold what another vCPU of the VM translated under the same ASID, what this
 * one did before it was started anew, or before it was elsewhere, where alone its fences were done;
 * and, when VMIDs are few, what another VM did. Code may have been written by another pCPU.
 */
static void vcpu_claim_tlb(struct arch_vcpu *vcpu)
{
    struct arch_pcpu *cpu = &this_cpu()->arch;
    unsigned slots = MIN((unsigned)ARRAY_SIZE(cpu->last_ran), virt_caps.vmids_max);
    unsigned slot = vcpu->vmid % slots;

    if (cpu->last_ran[slot] == vcpu && !vcpu->fresh && vcpu->ran_on == cpu)
        return;
    cpu->last_ran[slot] = vcpu;
    vcpu->fresh = false;
    vcpu->ran_on = cpu;
    __asm__ volatile(".option push; .option arch, +h\n"
                     "hfence.gvma zero, %0; hfence.vvma; fence.i\n"
                     ".option pop"
                     :
                     : "r"((uint64_t)vcpu->vmid)
                     : "memory");
}

/* FS counts from clean, so that unbinding knows whether the guest has touched the registers. */
static void vcpu_load_fp(struct arch_vcpu *vcpu)
{
    if (!cpu_has.fp)
        return;
    csr_set("sstatus", SSTATUS_FS);
    fp_restore(&vcpu->fp);
    vcpu->sstatus = field_set(SSTATUS_FS, vcpu->sstatus, EXT_CLEAN);
}

/*
 * Without a guest interrupt file, a guest finds the external interrupt in stopi by these fields of
 * hvictl [AIA 6.3.3]. 255: more urgent than what has no priority of its own, as it is by default.
 * Only while there is one: QEMU 10 does not look whether it is pending.
 */
static void vcpu_show_external(bool pending)
{
    if (cpu_has.aia)
        csr_write("hvictl", pending ? field_put(HVICTL_IID, 9) | 255 : 0);
}

/*
 * vsatp is 0 while hgatp changes, lest one guest's translations be cached as another's
 * [hypervisor.adoc, the note at the end of Memory-Management Fences]. sstatus.VS stays off: guests
 * have no vectors.
 */
void arch_vcpu_bind(struct arch_vcpu *vcpu)
{
    assert(!vcpu->bound && !this_cpu()->arch.bound);
    csr_write("hgatp", vcpu->hgatp);
    vcpu_claim_tlb(vcpu);
    csr_write("hstatus", vcpu->hstatus);
    csr_write("htimedelta", vcpu->htimedelta);
#define X(name, text, present)                                                                     \
    if (present)                                                                                   \
        csr_write(text, vcpu->csr[CSR_##name]);
#include "arch/riscv64/csr.def"
#undef X
    csr_write("hvip", vcpu->hvip);
    vcpu_show_external(vcpu->hvip & INT_VSEI);
    vcpu_load_fp(vcpu);
    csr_write("sstatus", vcpu->sstatus);
    vcpu->host_tp = (uintptr_t)this_cpu();
    vcpu->bound = true;
    this_cpu()->arch.bound = vcpu;
}

/* Afterwards nothing of the guest is pending here: it would keep arch_idle() awake. */
void arch_vcpu_unbind(struct arch_vcpu *vcpu)
{
    assert(vcpu->bound && this_cpu()->arch.bound == vcpu);
    if (unlikely(vcpu->trap_breakpoints))
        arch_vcpu_trap_breakpoints(vcpu, false);
    vcpu->sstatus = csr_read("sstatus");
    vcpu->hstatus = csr_read("hstatus");
    vcpu->hvip = csr_read("hvip");
#define X(name, text, present)                                                                     \
    if (present)                                                                                   \
        vcpu->csr[CSR_##name] = csr_read(text);
#include "arch/riscv64/csr.def"
#undef X
    if (field_get(SSTATUS_FS, vcpu->sstatus) == EXT_DIRTY)
        fp_save(&vcpu->fp);
    csr_clear("sstatus", SSTATUS_FS);
    csr_write("vsatp", 0);
    csr_write("vsie", 0);
    csr_write("hvip", 0);
    if (cpu_has.sstc)
        csr_write("vstimecmp", ~(uint64_t)0);
    csr_write("hstatus", field_put(HSTATUS_VSXL, XL_64));
    vcpu->bound = false;
    this_cpu()->arch.bound = NULL;
}

void arch_vcpu_trap_breakpoints(struct arch_vcpu *vcpu, bool on)
{
    assert(vcpu->bound);
    vcpu->trap_breakpoints = on;
    if (on)
        csr_clear("hedeleg", BIT(CAUSE_BREAKPOINT));
    else
        csr_set("hedeleg", BIT(CAUSE_BREAKPOINT));
}

uint64_t arch_vcpu_gpr(const struct arch_vcpu *vcpu, unsigned reg)
{
    return reg < 32 ? vcpu->x[reg] : 0;
}

void arch_vcpu_set_gpr(struct arch_vcpu *vcpu, unsigned reg, uint64_t value)
{
    if (reg > 0 && reg < 32)
        vcpu->x[reg] = value;
}

uint64_t arch_vcpu_pc(const struct arch_vcpu *vcpu)
{
    return vcpu->pc;
}

/* a0 is the error, a1 the value [SBI, Binary Encoding]. */
void arch_vcpu_set_return(struct arch_vcpu *vcpu, unsigned index, uint64_t value)
{
    assert(index < 4);
    vcpu->x[10 + index] = value;
}

uint64_t vcpu_csr(const struct arch_vcpu *vcpu, enum csr_index index)
{
    if (!vcpu->bound)
        return vcpu->csr[index];
    switch (index) {
#define X(name, text, present)                                                                     \
    case CSR_##name:                                                                               \
        return (present) ? csr_read(text) : 0;
#include "arch/riscv64/csr.def"
#undef X
    case CSR_COUNT:
        break;
    }
    return 0;
}

bool vcpu_in_supervisor(const struct arch_vcpu *vcpu)
{
    return (vcpu->bound ? csr_read("sstatus") : vcpu->sstatus) & SSTATUS_SPP;
}

/* --- Interrupt lines and time --- */

static uint64_t virq_bit(unsigned slot)
{
    static const uint64_t bits[VIRQ_SLOTS_MAX] = {
        [VIRQ_LINE_EXTERNAL] = INT_VSEI,
        [VIRQ_LINE_SOFTWARE] = INT_VSSI,
        [VIRQ_LINE_TIMER] = INT_VSTI,
    };

    assert(slot < VIRQ_SLOTS_MAX);
    return bits[slot];
}

uint64_t arch_virq_read(const struct arch_vcpu *vcpu, unsigned slot)
{
    return ((vcpu->bound ? csr_read("hvip") : vcpu->hvip) & virq_bit(slot)) != 0;
}

void arch_virq_write(struct arch_vcpu *vcpu, unsigned slot, uint64_t value)
{
    uint64_t bit = virq_bit(slot);

    if (vcpu->bound && slot == VIRQ_LINE_EXTERNAL)
        vcpu_show_external(value);
    if (!vcpu->bound)
        vcpu->hvip = value ? vcpu->hvip | bit : vcpu->hvip & ~bit;
    else if (value)
        csr_set("hvip", bit);
    else
        csr_clear("hvip", bit);
}

uint64_t arch_vcpu_time(const struct arch_vcpu *vcpu)
{
    return arch_ticks() + vcpu->htimedelta;
}

/* vsie has VSSIE at the place of SSIE, and so on: one bit lower than hip. */
bool arch_vcpu_irq_pending(const struct arch_vcpu *vcpu)
{
    uint64_t pending = vcpu->hvip;

    if (vcpu->bound)
        return (csr_read("hip") & csr_read("hie") & INT_VS) != 0;
    if (cpu_has.sstc && arch_vcpu_time(vcpu) >= vcpu->csr[CSR_VSTIMECMP])
        pending |= INT_VSTI;
    if (vcpu->guest_file && arch_guest_file_pending(vcpu->guest_file))
        pending |= INT_VSEI;
    return (pending & vcpu->csr[CSR_VSIE] << 1 & INT_VS) != 0;
}

bool arch_vcpu_timer_set(struct arch_vcpu *vcpu, uint64_t guest_time)
{
    assert(vcpu->bound);
    if (cpu_has.sstc)
        csr_write("vstimecmp", guest_time);
    return cpu_has.sstc;
}

/* Of no use while the guest has the timer's interrupt disabled: its WFI would not end. */
uint64_t arch_vcpu_timer_deadline(const struct arch_vcpu *vcpu)
{
    if (!cpu_has.sstc || !(vcpu_csr(vcpu, CSR_VSIE) & INT_STI))
        return TICKS_NEVER;
    return ticks_until(arch_vcpu_time(vcpu), vcpu_csr(vcpu, CSR_VSTIMECMP));
}
