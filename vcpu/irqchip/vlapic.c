/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC's model: priorities, what comes in, where messages go. [SDM; sections by name]
 *
 * Invariants: no vector below 16 is in IRR or ISR; ppr follows from tpr and isr; the timer's vector
 * is asked for as vlapic_timer.c says. A poster sets TMR before IRR, with release; who looks loads
 * IRR with acquire, so what a poster wrote before is seen by the vCPU that takes the vector.
 */
#include "kernel/assert.h"
#include "kernel/string.h"
#include "vcpu/irqchip/vlapic_impl.h"

enum shorthand { TO_DEST, TO_SELF, TO_ALL, TO_OTHERS };

/* Where a message goes. wide: the id has 32 bits. */
struct destination {
    uint32_t id;
    bool logical, wide;
};

/* --- Priorities ["Interrupt, Task, and Processor Priority"] --- */

static unsigned isr_top(const struct vlapic_state *s)
{
    unsigned w;

    if (s->isr_words == 0)
        return 0;
    w = bit_highest(s->isr_words);
    return 64 * w + bit_highest(s->isr[w]);
}

static void update_ppr(struct vlapic_state *s)
{
    uint32_t served = isr_top(s) & 0xf0;

    vlapic_set(&s->ppr, s->tpr >> 4 >= served >> 4 ? s->tpr : served);
}

void vlapic_write_tpr(struct vlapic *lapic, uint32_t value)
{
    lapic->state.tpr = value & 0xff;
    update_ppr(&lapic->state);
}

void vlapic_write_cr8(struct vlapic *lapic, uint64_t value)
{
    vlapic_write_tpr(lapic, (uint32_t)(value & 0xf) << 4);
}

bool vlapic_accept(struct vlapic *lapic, unsigned vector)
{
    struct vlapic_state *s = &lapic->state;
    uint64_t bit = BIT(vector % 64);

    assert(vector >= VECTOR_LEGAL);
    atomic_fetch_and_explicit(&s->irr[vector / 64], ~bit, memory_order_acq_rel);
    s->isr[vector / 64] |= bit;
    s->isr_words |= 1u << vector / 64;
    vlapic_set(&s->ppr, vector & 0xf0); /* It was above all others. */
    return unlikely(s->merging) && vector == (vlapic_get(&s->lvt[LVT_TIMER]) & LVT_VECTOR);
}

/* A level's end is the I/O APIC's to know. */
void vlapic_level_end(struct vlapic *lapic, unsigned vector)
{
    if (!(vlapic_get(&lapic->state.svr) & SVR_NO_EOI))
        lapic->all->owner->eoi(lapic->all->owner, (uint8_t)vector);
}

/* ["Signaling Interrupt Servicing Completion"] */
void vlapic_end(struct vlapic *lapic)
{
    struct vlapic_state *s = &lapic->state;
    unsigned vector = isr_top(s);
    uint64_t bit = BIT(vector % 64), level;

    if (vector == 0)
        return;
    s->isr[vector / 64] &= ~bit;
    if (s->isr[vector / 64] == 0)
        s->isr_words &= ~(1u << vector / 64);
    update_ppr(s);
    level = atomic_load_explicit(&s->tmr[vector / 64], memory_order_relaxed) & bit;
    if (level != 0)
        vlapic_level_end(lapic, vector);
}

/* --- Vectors that come in --- */

[[gnu::noinline]] static void tmr_set(_Atomic uint64_t *tmr, uint64_t bit, bool level)
{
    if (level)
        atomic_fetch_or_explicit(tmr, bit, memory_order_relaxed);
    else
        atomic_fetch_and_explicit(tmr, ~bit, memory_order_relaxed);
}

/* True: the vCPU is to look; it was not pending yet. Any pCPU. */
static bool irr_set(struct vlapic_state *s, unsigned vector, bool level)
{
    _Atomic uint64_t *tmr = &s->tmr[vector / 64];
    uint64_t bit = BIT(vector % 64);
    bool was_level = atomic_load_explicit(tmr, memory_order_relaxed) & bit;

    if (unlikely(level != was_level))
        tmr_set(tmr, bit, level);
    return !(atomic_fetch_or_explicit(&s->irr[vector / 64], bit, memory_order_acq_rel) & bit);
}

/* Errors are noted; true: by a new interrupt, so that the vCPU is to look. Any pCPU. */
static bool errors_set(struct vlapic_state *s, uint64_t errors)
{
    uint32_t before = atomic_fetch_or_explicit(&s->errors, (uint32_t)errors, memory_order_relaxed);
    uint32_t lvt = vlapic_get(&s->lvt[LVT_ERROR]);
    unsigned vector = (unsigned)(lvt & LVT_VECTOR);

    if (!(errors & ~(uint64_t)before) || (lvt & LVT_MASKED))
        return false;
    if (vector >= VECTOR_LEGAL)
        return irr_set(s, vector, false);
    atomic_fetch_or_explicit(&s->errors, (uint32_t)ERROR_RECEIVE, memory_order_relaxed);
    return false;
}

void vlapic_error(struct vlapic *lapic, uint64_t errors)
{
    errors_set(&lapic->state, errors); /* Its own vCPU looks by itself. */
}

static bool vector_set(struct vlapic_state *s, unsigned vector, bool level)
{
    return likely(vector >= VECTOR_LEGAL) ? irr_set(s, vector, level)
                                          : errors_set(s, ERROR_RECEIVE);
}

/* Of all the LVTs only timer and error have a source here, and they know fixed interrupts only. */
void vlapic_local(struct vlapic *lapic, unsigned lvt)
{
    uint32_t value = vlapic_get(&lapic->state.lvt[lvt]);

    if (!(value & LVT_MASKED))
        vector_set(&lapic->state, (unsigned)(value & LVT_VECTOR), false);
}

/* Whether it takes fixed interrupts ["Local APIC State After It Has Been Software Disabled"]. */
static bool vlapic_takes(const struct vlapic *lapic)
{
    return (vlapic_get(&lapic->state.base) & VLAPIC_BASE_ENABLED) &&
           (vlapic_get(&lapic->state.svr) & SVR_ENABLE);
}

/* The hardware gets edges alone: of a level, and of what was one, it has to tell the end. */
[[gnu::noinline]] static bool vlapic_post_away(struct vlapic *lapic, unsigned vector)
{
    uint64_t tmr = atomic_load_explicit(&lapic->state.tmr[vector / 64], memory_order_relaxed);

    if (vector < VECTOR_LEGAL || (tmr >> vector % 64 & 1))
        return false;
    lapic->all->owner->post(lapic->all->owner, lapic->index, vector);
    return true;
}

/* From the vCPU with index self, or from elsewhere (VLAPIC_NONE). */
static bool vlapic_take(struct vlapic *lapic, unsigned vector, bool level, unsigned self)
{
    if (unlikely(!vlapic_takes(lapic)))
        return false;
    if (unlikely(atomic_load_explicit(&lapic->posting, memory_order_relaxed)) && !level &&
        lapic->index != self && vlapic_post_away(lapic, vector))
        return true;
    if (vector_set(&lapic->state, vector, level) && lapic->index != self)
        lapic->all->owner->kick(lapic->all->owner, lapic->index);
    return vector >= VECTOR_LEGAL;
}

bool vlapic_post(struct vlapic *lapic, uint8_t vector, bool level)
{
    return vlapic_take(lapic, vector, level, VLAPIC_NONE);
}

/* --- Destinations ["Determining IPI Destination"] --- */

static uint32_t all_of(const struct vlapics *all)
{
    return (uint32_t)BITS(all->count - 1, 0);
}

/* ["Logical Destination Mode", "Logical Destination Mode in x2APIC Mode"] */
static bool logical_match(const struct vlapic *lapic, const struct destination *dest)
{
    uint32_t ldr = vlapic_get(&lapic->state.ldr), id = dest->id;
    uint32_t model = vlapic_get(&lapic->state.dfr) >> 28;

    if (dest->wide && id == UINT32_MAX)
        return true;
    if (vlapic_in_x2apic(lapic))
        return id >> 16 == ldr >> 16 && (id & ldr & 0xffff) != 0;
    if (id > 0xff)
        return false;
    if (model == 0xf)
        return (id & ldr >> 24) != 0;
    return model == 0 && (id == 0xff || (id >> 4 == ldr >> 28 && (id & ldr >> 24 & 0xf) != 0));
}

/* Bit per vCPU. */
static uint32_t vlapics_match(const struct vlapics *all, const struct destination *dest)
{
    uint32_t match = 0;

    if (!dest->logical) {
        if (dest->id == (dest->wide ? UINT32_MAX : 0xff))
            return all_of(all);
        return dest->id < all->count ? 1u << dest->id : 0;
    }
    for (unsigned i = 0; i < all->count; i++)
        if (logical_match(&all->cpu[i], dest))
            match |= 1u << i;
    return match;
}

/*
 * Of those that take it, one of the lowest priority ["Lowest Priority Delivery Mode"]. Among equals
 * the vector chooses, so that interrupts are spread, and each stays where it was.
 */
static uint32_t lowest_of(const struct vlapics *all, uint32_t match, uint8_t vector)
{
    uint32_t best = 0, best_ppr = UINT32_MAX;

    for (unsigned n = 0; n < all->count; n++) {
        unsigned i = (vector + n) % all->count;
        uint32_t ppr = vlapic_get(&all->cpu[i].state.ppr) >> 4;

        if (!(match >> i & 1) || !vlapic_takes(&all->cpu[i]) || ppr >= best_ppr)
            continue;
        best = 1u << i;
        best_ppr = ppr;
    }
    return best;
}

static bool deliver_one(struct vlapic *lapic, const struct vlapic_message *m, unsigned self)
{
    struct vlapic_owner *owner = lapic->all->owner;

    if (m->mode == VLAPIC_FIXED || m->mode == VLAPIC_LOWEST)
        return vlapic_take(lapic, m->vector, m->level, self);
    if (!(vlapic_get(&lapic->state.base) & VLAPIC_BASE_ENABLED))
        return false;
    switch (m->mode) {
    case VLAPIC_NMI:
        owner->nmi(owner, lapic->index);
        return true;
    case VLAPIC_INIT:
        owner->init(owner, lapic->index);
        return true;
    case VLAPIC_STARTUP:
        owner->startup(owner, lapic->index, m->vector);
        return true;
    }
    return false; /* No SMM, no 8259; or reserved. */
}

static bool deliver(struct vlapics *all, uint32_t match, const struct vlapic_message *m,
                    unsigned self)
{
    bool taken = false;

    if (m->mode == VLAPIC_LOWEST)
        match = lowest_of(all, match, m->vector);
    for (; match != 0; match &= match - 1)
        taken |= deliver_one(&all->cpu[bit_lowest(match)], m, self);
    return taken;
}

bool vlapics_send(struct vlapics *all, const struct vlapic_message *message)
{
    struct destination dest = {.id = message->dest, .logical = message->logical};

    if (message->mode == VLAPIC_STARTUP)
        return false;
    return deliver(all, vlapics_match(all, &dest), message, VLAPIC_NONE);
}

/* --- Interrupts to processors ["Issuing Interprocessor Interrupts"] --- */

void vlapic_send_self(struct vlapic *lapic, uint8_t vector)
{
    if (unlikely(vector < VECTOR_LEGAL))
        vlapic_error(lapic, ERROR_SEND);
    else
        vlapic_take(lapic, vector, false, lapic->index);
}

static uint32_t shorthand_match(const struct vlapic *lapic, uint64_t icr, uint8_t mode,
                                const struct destination *dest)
{
    const struct vlapics *all = lapic->all;
    uint32_t self = 1u << lapic->index;
    /* What a shorthand that includes oneself means for these is undefined; they stay away. */
    bool harsh = mode == VLAPIC_INIT || mode == VLAPIC_STARTUP;

    switch ((enum shorthand)field_get(ICR_SHORTHAND, icr)) {
    case TO_SELF:
        return harsh ? 0 : self;
    case TO_ALL:
        return harsh ? all_of(all) & ~self : all_of(all);
    case TO_OTHERS:
        return all_of(all) & ~self;
    case TO_DEST:
        break;
    }
    return vlapics_match(all, dest);
}

/* All but fixed interrupts to one processor. */
[[gnu::noinline]] static void send_icr_slow(struct vlapic *lapic, uint64_t icr,
                                            const struct destination *dest)
{
    struct vlapic_message m = {
        .vector = (uint8_t)(icr & ICR_VECTOR),
        .mode = (uint8_t)field_get(ICR_MODE, icr), /* Always edges, whatever the trigger mode. */
    };

    if (m.mode == VLAPIC_INIT && (icr & ICR_LEVEL) && !(icr & ICR_ASSERT))
        return; /* INIT level de-assert: not supported since the Pentium 4. */
    if (m.mode == VLAPIC_EXTINT)
        return; /* Reserved here. */
    if ((m.mode == VLAPIC_FIXED || m.mode == VLAPIC_LOWEST) && m.vector < VECTOR_LEGAL) {
        vlapic_error(lapic, ERROR_SEND);
        return;
    }
    deliver(lapic->all, shorthand_match(lapic, icr, m.mode, dest), &m, lapic->index);
}

void vlapic_send_icr(struct vlapic *lapic, uint64_t icr, bool wide)
{
    uint32_t id = (uint32_t)(wide ? icr >> 32 : icr >> 56);
    unsigned vector = (unsigned)(icr & ICR_VECTOR);
    struct destination dest;

    if (likely(!(icr & (ICR_SHORTHAND | ICR_LOGICAL | ICR_MODE)) && id < lapic->all->count &&
               vector >= VECTOR_LEGAL)) {
        vlapic_take(&lapic->all->cpu[id], vector, false, lapic->index);
        return;
    }
    dest = (struct destination){.id = id, .logical = icr & ICR_LOGICAL, .wide = wide};
    send_icr_slow(lapic, icr, &dest);
}

/* --- Making one --- */

/* ["Local APIC State After Power-Up or Reset", "... After an INIT Reset"] */
static void reset_registers(struct vlapic *lapic)
{
    struct vlapic_state *s = &lapic->state;

    for (unsigned w = 0; w < VLAPIC_WORDS; w++) {
        atomic_store(&s->irr[w], 0);
        atomic_store(&s->tmr[w], 0);
        s->isr[w] = 0;
    }
    s->isr_words = 0;
    for (unsigned i = 0; i < VLAPIC_LVTS; i++)
        vlapic_set(&s->lvt[i], LVT_MASKED);
    vlapic_set(&s->svr, 0xff);
    vlapic_set(&s->dfr, UINT32_MAX);
    vlapic_set(&s->ldr, vlapic_in_x2apic(lapic) ? vlapic_x2apic_ldr(lapic->index) : 0);
    vlapic_set(&s->ppr, 0);
    vlapic_set(&s->errors, 0);
    s->tpr = s->esr = s->divide = s->initial = 0;
    s->icr = 0;
    s->expiry = TICKS_NEVER;
    s->merging = false;
}

void vlapic_init_reset(struct vlapic *lapic)
{
    reset_registers(lapic);
    vlapic_timer_ask(lapic);
}

void vlapic_reset(struct vlapic *lapic)
{
    vlapic_set(&lapic->state.base, VLAPIC_BASE_ENABLED | (lapic->index == 0 ? BASE_BSP : 0));
    reset_registers(lapic);
    lapic->asked = TICKS_NEVER;
}

void vlapics_init(struct vlapics *all, unsigned count, struct vlapic_owner *owner)
{
    assert(count > 0 && count <= VLAPICS_MAX);
    memset(all, 0, sizeof(*all));
    all->owner = owner;
    all->count = count;
    for (unsigned i = 0; i < count; i++) {
        all->cpu[i].all = all;
        all->cpu[i].index = i;
        vlapic_reset(&all->cpu[i]);
    }
}
