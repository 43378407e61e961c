/* SPDX-License-Identifier: Apache-2.0 */
/* x86: a local APIC in hardware that takes nothing by itself. */
#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/string.h"
#include "tests/fake/fake.h"
#include "vcpu/arch_vcpu.h"

void arch_apic_load(struct arch_vcpu *vcpu, const struct arch_apic *apic)
{
    vcpu->apic_loaded = apic;
    if (!apic)
        return;
    memcpy(vcpu->apic_irr, apic->irr, sizeof(apic->irr));
    memcpy(vcpu->apic_isr, apic->isr, sizeof(apic->isr));
    memcpy(vcpu->apic_level, apic->level, sizeof(apic->level));
    vcpu->apic_tpr = apic->tpr;
}

void arch_apic_store(const struct arch_vcpu *vcpu, struct arch_apic *apic)
{
    assert(vcpu->apic_loaded);
    memcpy(apic->irr, vcpu->apic_irr, sizeof(apic->irr));
    memcpy(apic->isr, vcpu->apic_isr, sizeof(apic->isr));
    apic->tpr = vcpu->apic_tpr;
}

void arch_apic_post(struct arch_vcpu *vcpu, unsigned word, uint64_t bits, uint64_t level)
{
    assert(vcpu->apic_loaded);
    vcpu->apic_irr[word] |= bits;
    vcpu->apic_level[word] = level;
}

bool arch_apic_pending(struct arch_vcpu *vcpu)
{
    uint64_t any = 0;

    for (unsigned w = 0; w < ARCH_APIC_WORDS; w++)
        any |= vcpu->apic_irr[w];
    return any && vcpu->apic_tpr == 0;
}

bool arch_apic_send(struct arch_vcpu *vcpu, unsigned vector)
{
    return !(atomic_fetch_or(&vcpu->apic_posted[vector / 64], BIT(vector % 64)));
}

uint64_t arch_apic_take(struct arch_vcpu *vcpu, unsigned word)
{
    return atomic_exchange(&vcpu->apic_posted[word], 0);
}

void arch_apic_notify(const struct pcpu *)
{
    fake.apic_notifies++;
}
