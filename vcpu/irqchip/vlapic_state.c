/* SPDX-License-Identifier: Apache-2.0 */
/* A local APIC's state in a snapshot: what a guest can observe of it, and what its timer waits for.
 */
#include "vcpu/irqchip/vlapic_impl.h"
#include "vcpu/state.h"

#define BASE_KNOWN (VLAPIC_BASE_ENABLED | BASE_EXTD | BASE_BSP)
#define DIVIDE     0xbu

/* Vectors that there are not are in none of the arrays. */
static void require_vectors(const struct vlapic_state *s, struct state *state)
{
    uint64_t pending = atomic_load_explicit(&s->irr[0], memory_order_relaxed);

    state_require(state, !((pending | s->isr[0]) & BITS(VECTOR_LEGAL - 1, 0)),
                  "a vector below 16 is pending");
}

static void require_mode(const struct vlapic *lapic, struct state *state)
{
    uint32_t base = vlapic_get(&lapic->state.base);

    state_require(state, !(base & ~BASE_KNOWN), "APIC_BASE has bits that must be zero");
    state_require(state, !(base & BASE_BSP) == (lapic->index != 0), "APIC_BASE is another vCPU's");
    state_require(state, !(base & BASE_EXTD) || (base & VLAPIC_BASE_ENABLED),
                  "APIC_BASE is of a mode that there is not");
}

/* What follows from the rest. */
static void derive(struct vlapic *lapic)
{
    struct vlapic_state *s = &lapic->state;

    s->isr_words = 0;
    for (unsigned w = 0; w < VLAPIC_WORDS; w++)
        s->isr_words |= (uint32_t)(s->isr[w] != 0) << w;
    if (vlapic_in_x2apic(lapic))
        vlapic_set(&s->ldr, vlapic_x2apic_ldr(lapic->index));
    vlapic_write_tpr(lapic, s->tpr);
}

uint64_t vlapic_state(struct vlapic *lapic, struct state *state)
{
    struct vlapic_state *s = &lapic->state;

    state_section(state, "local APIC", 1);
    STATE(state, s->base);
    STATE_ARRAY(state, s->irr);
    STATE_ARRAY(state, s->isr);
    STATE_ARRAY(state, s->tmr);
    STATE_ARRAY(state, s->lvt);
    STATE(state, s->svr);
    STATE(state, s->ldr);
    STATE(state, s->dfr);
    STATE(state, s->tpr);
    STATE(state, s->errors);
    STATE(state, s->esr);
    STATE(state, s->icr);
    STATE(state, s->divide);
    STATE(state, s->initial);
    STATE(state, s->expiry);
    STATE(state, s->merging);
    require_vectors(s, state);
    require_mode(lapic, state);
    state_require(state, !(s->divide & ~DIVIDE), "the timer divides by what it cannot");
    if (!state_loading(state))
        return lapic->asked;
    if (!state_ok(state)) {
        vlapic_reset(lapic);
        return TICKS_NEVER;
    }
    derive(lapic);
    return vlapic_timer_restored(lapic);
}
