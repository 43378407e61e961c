/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors that the hardware takes by itself: it gets them, and gives back what is left when that is
 * asked for. Others go on to post into the IRR here meanwhile. The PPR here is 0 while the vCPU is
 * bound, also to who looks for the lowest priority.
 */
#include "vcpu/arch_vcpu.h"
#include "vcpu/irqchip/vlapic_impl.h"

/* Those of a word of the IRR leave it. */
static uint64_t irr_take(struct vlapic_state *s, unsigned word)
{
    if (atomic_load_explicit(&s->irr[word], memory_order_relaxed) == 0)
        return 0;
    return atomic_exchange_explicit(&s->irr[word], 0, memory_order_acquire);
}

static bool has_tick(const struct vlapic_state *s, unsigned word, uint64_t bits)
{
    unsigned vector = vlapic_get(&s->lvt[LVT_TIMER]) & LVT_VECTOR;

    return vector / 64 == word && (bits & BIT(vector % 64));
}

bool vlapic_hand_on(struct vlapic *lapic, struct arch_vcpu *vcpu)
{
    struct vlapic_state *s = &lapic->state;
    bool tick = false;

#pragma GCC unroll 4
    for (unsigned w = 0; w < VLAPIC_WORDS; w++) {
        uint64_t bits = irr_take(s, w);

        if (bits == 0)
            continue;
        arch_apic_post(vcpu, w, bits, atomic_load_explicit(&s->tmr[w], memory_order_relaxed));
        if (unlikely(s->merging))
            tick = tick || has_tick(s, w, bits);
    }
    return tick;
}

[[gnu::cold]] void vlapic_collect(struct vlapic *lapic, struct arch_vcpu *vcpu)
{
    for (unsigned w = 0; w < VLAPIC_WORDS; w++) {
        uint64_t bits = arch_apic_take(vcpu, w);

        if (bits != 0)
            atomic_fetch_or_explicit(&lapic->state.irr[w], bits, memory_order_acq_rel);
    }
}

bool vlapic_uses_window(const struct vlapic *lapic)
{
    return virt_caps.apic_window.v && vlapic_in_xapic(lapic);
}

[[gnu::cold]] bool vlapic_load(struct vlapic *lapic, struct arch_vcpu *vcpu, uint64_t now)
{
    struct vlapic_state *s = &lapic->state;
    struct arch_apic apic = {.tpr = s->tpr, .x2apic = vlapic_in_x2apic(lapic)};

    if (!apic.x2apic && !vlapic_uses_window(lapic)) {
        arch_apic_load(vcpu, NULL);
        return false;
    }
    for (unsigned w = 0; w < VLAPIC_WORDS; w++) {
        apic.isr[w] = s->isr[w];
        apic.level[w] = atomic_load_explicit(&s->tmr[w], memory_order_relaxed);
    }
    arch_apic_load(vcpu, &apic);
    vlapic_set(&s->ppr, 0); /* So that all that is posted here is to be handed on. */
    if (virt_caps.apic_posted) {
        atomic_store(&lapic->posting, true);
        vlapic_collect(lapic, vcpu); /* From before: nobody tells the hardware of it. */
    }
    if (vlapic_hand_on(lapic, vcpu))
        vlapic_timer_taken(lapic, now);
    return true;
}

bool vlapic_unbinding(struct vlapic *lapic, struct arch_vcpu *vcpu)
{
    uint32_t ppr;
    bool waits;

    if (virt_caps.apic_posted)
        atomic_store(&lapic->posting, false); /* Who has not seen it yet is seen below, */
    waits = arch_apic_pending(vcpu, &ppr);
    vlapic_set(&lapic->state.ppr, ppr);
    return waits;
}

void vlapic_bound(struct vlapic *lapic, struct arch_vcpu *vcpu)
{
    vlapic_set(&lapic->state.ppr, 0);
    if (!virt_caps.apic_posted)
        return;
    atomic_store(&lapic->posting, true);
    arch_apic_sync(vcpu); /* or here: nobody tells the hardware of it. */
}

/* TPR, PPR, EOI, ISR, IRR. */
bool vlapic_is_loaded(uint64_t reg)
{
    return reg == 0x08 || reg == 0x0a || reg == 0x0b || (reg & ~7ul) == 0x10 ||
           (reg & ~7ul) == 0x20;
}

[[gnu::cold]] void vlapic_store(struct vlapic *lapic, struct arch_vcpu *vcpu)
{
    struct vlapic_state *s = &lapic->state;
    struct arch_apic apic;

    arch_apic_store(vcpu, &apic);
    if (virt_caps.apic_posted) {
        atomic_store(&lapic->posting, false); /* Who has not seen it yet is seen here. */
        vlapic_collect(lapic, vcpu);
    }
    s->isr_words = 0;
    for (unsigned w = 0; w < VLAPIC_WORDS; w++) {
        if (apic.irr[w] != 0)
            atomic_fetch_or_explicit(&s->irr[w], apic.irr[w], memory_order_relaxed);
        s->isr[w] = apic.isr[w];
        s->isr_words |= (uint32_t)(apic.isr[w] != 0) << w;
    }
    vlapic_write_tpr(lapic, apic.tpr);
}
