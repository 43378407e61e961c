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

void arch_apic_store(struct arch_vcpu *vcpu, struct arch_apic *apic)
{
    assert(vcpu->apic_loaded);
    memcpy(apic->irr, vcpu->apic_irr, sizeof(apic->irr));
    memcpy(apic->isr, vcpu->apic_isr, sizeof(apic->isr));
    apic->tpr = vcpu->apic_tpr;
    vcpu->apic_loaded = false;
}

void arch_apic_post(struct arch_vcpu *vcpu, unsigned word, uint64_t bits, uint64_t level)
{
    assert(vcpu->apic_loaded);
    vcpu->apic_irr[word] |= bits;
    vcpu->apic_level[word] = level;
}

bool arch_apic_pending(struct arch_vcpu *vcpu, uint32_t *ppr)
{
    unsigned waits = 0, served = 0;

    assert(vcpu->apic_loaded);
    arch_apic_sync(vcpu);
    for (unsigned w = 0; w < ARCH_APIC_WORDS; w++) {
        if (vcpu->apic_irr[w])
            waits = 64 * w + bit_highest(vcpu->apic_irr[w]);
        if (vcpu->apic_isr[w])
            served = 64 * w + bit_highest(vcpu->apic_isr[w]);
    }
    *ppr = served >> 4 > vcpu->apic_tpr >> 4 ? served & 0xf0 : vcpu->apic_tpr;
    return waits >> 4 > *ppr >> 4;
}

void arch_apic_sync(struct arch_vcpu *vcpu)
{
    for (unsigned w = 0; w < ARCH_APIC_WORDS; w++)
        vcpu->apic_irr[w] |= arch_apic_take(vcpu, w);
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
