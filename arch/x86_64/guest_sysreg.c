/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID, control registers and the MSRs of the processor that guests do not reach by themselves.
 * The TSC's are the machine's, whose timers go by it.
 * What guest_cpuid.h hides cannot be set. [Intel SDM 3, 2.5; 4, chapter 2; AMD APM 2, chapter 3]
 */
#include "arch/x86_64/backend.h"
#include "arch/x86_64/guest_msr.h"
#include "kernel/percpu.h"

#define CPUIDX1_EDX_RDTSCP BIT(27)
#define CPUID7_ECX_RDPID   BIT(22)

static uint64_t sysreg_get(const struct arch_vcpu *vcpu, enum arch_reg reg)
{
    return virt_backend->reg(vcpu, reg);
}

static void sysreg_set(struct arch_vcpu *vcpu, enum arch_reg reg, uint64_t value)
{
    virt_backend->set_reg(vcpu, reg, value);
}

void sysreg_cpuid(struct arch_vcpu *vcpu)
{
    const struct guest_cpuid_vcpu self = {
        .index = vcpu->index,
        .count = vcpu->count,
        .osxsave = sysreg_get(vcpu, REG_CR4) & CR4_OSXSAVE,
        .xcr0 = fpu_xcr0(vcpu),
        .apic_off = vcpu->apic_off,
    };
    struct cpuid_regs regs;

    guest_cpuid(&virt_guest_cpuid, &self, (uint32_t)vcpu->gpr[INSN_RAX],
                (uint32_t)vcpu->gpr[INSN_RCX], &regs);
    vcpu->gpr[INSN_RAX] = regs.eax;
    vcpu->gpr[INSN_RBX] = regs.ebx;
    vcpu->gpr[INSN_RCX] = regs.ecx;
    vcpu->gpr[INSN_RDX] = regs.edx;
}

bool sysreg_set_cr4(struct arch_vcpu *vcpu, uint64_t value)
{
    uint64_t old = sysreg_get(vcpu, REG_CR4);
    bool lma = sysreg_get(vcpu, REG_EFER) & EFER_LMA;

    if (value & ~guest_cpuid_cr4(&virt_guest_cpuid))
        return false;
    if (lma && !(value & CR4_PAE))
        return false;
    if ((value & ~old & CR4_PCIDE) && (!lma || (sysreg_get(vcpu, REG_CR3) & BITS(11, 0))))
        return false;
    sysreg_set(vcpu, REG_CR4, value);
    return true;
}

bool sysreg_set_xcr0(struct arch_vcpu *vcpu, uint64_t value)
{
    if (!guest_cpuid_xcr0_valid(&virt_guest_cpuid, value))
        return false;
    fpu_set_xcr0(vcpu, value);
    return true;
}

/* LMA follows LME and CR0.PG, which the processor sees to when CR0 is written. */
static bool sysreg_set_efer(struct arch_vcpu *vcpu, uint64_t value)
{
    uint64_t old = sysreg_get(vcpu, REG_EFER);

    if (value & ~guest_cpuid_efer(&virt_guest_cpuid))
        return false;
    if (((value ^ old) & EFER_LME) && (sysreg_get(vcpu, REG_CR0) & CR0_PG))
        return false;
    sysreg_set(vcpu, REG_EFER, (value & ~EFER_LMA) | (old & EFER_LMA));
    return true;
}

static bool sysreg_set_pat(struct arch_vcpu *vcpu, uint64_t value)
{
    if (!guest_msr_pat_valid(value))
        return false;
    sysreg_set(vcpu, REG_PAT, value);
    return true;
}

bool sysreg_has_aux(void)
{
    return (virt_guest_cpuid.extended[1].edx & CPUIDX1_EDX_RDTSCP) ||
           (virt_guest_cpuid.features[0].ecx & CPUID7_ECX_RDPID);
}

static bool sysreg_set_aux(struct arch_vcpu *vcpu, uint64_t value)
{
    if (!sysreg_has_aux() || value > UINT32_MAX)
        return false;
    vcpu->tsc_aux = value;
    msr_write(MSR_TSC_AUX, value);
    return true;
}

static bool sysreg_write(struct arch_vcpu *vcpu, uint32_t msr, uint64_t value)
{
    switch (msr) {
    case MSR_EFER:
        return sysreg_set_efer(vcpu, value);
    case MSR_PAT:
        return sysreg_set_pat(vcpu, value);
    case MSR_TSC_AUX:
        return sysreg_set_aux(vcpu, value);
    }
    return guest_msr_write(&virt_guest_cpuid, msr, value);
}

static bool sysreg_read(struct arch_vcpu *vcpu, uint32_t msr, uint64_t *value)
{
    switch (msr) {
    case MSR_EFER:
        *value = sysreg_get(vcpu, REG_EFER);
        return true;
    case MSR_PAT:
        *value = sysreg_get(vcpu, REG_PAT);
        return true;
    case MSR_TSC_AUX:
        *value = vcpu->tsc_aux;
        return sysreg_has_aux();
    }
    return guest_msr_read(&virt_guest_cpuid, msr, value);
}

bool arch_vcpu_sysreg(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    if (exit->kind == EXIT_SYSREG_WRITE)
        return sysreg_write(vcpu, exit->sysreg.addr, exit->sysreg.value);
    return sysreg_read(vcpu, exit->sysreg.addr, &exit->sysreg.value);
}
