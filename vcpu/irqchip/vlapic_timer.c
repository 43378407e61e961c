/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC's timer. Nothing ticks: the count is computed from the clock, and the owner is
 * asked for a call when the timer is to interrupt. [SDM, sections "APIC Timer", "TSC-Deadline
 * Mode"]
 *
 * Invariant, at the return of each function that is not static: expiry is in the future as seen at
 * the last `now`, and owner->timer was last told what timer_wanted() says.
 */
#include "vcpu/irqchip/vlapic_impl.h"

#define LVT_TIMER_MODE BITS(18, 17)

enum timer_mode { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE, TIMER_RESERVED };

static enum timer_mode mode_of(uint32_t lvt)
{
    return (enum timer_mode)field_get(LVT_TIMER_MODE, lvt);
}

static enum timer_mode timer_mode(const struct vlapic_state *s)
{
    return mode_of(vlapic_get(&s->lvt[LVT_TIMER]));
}

static bool timer_masked(const struct vlapic_state *s)
{
    return vlapic_get(&s->lvt[LVT_TIMER]) & LVT_MASKED;
}

/* Ticks of a count, as a power of two: the register's bits 3, 1 and 0 code 2, 4, .. 128, 1. */
static unsigned timer_shift(const struct vlapic_state *s)
{
    return ((s->divide & 3) + (s->divide >> 1 & 4) + 1) & 7;
}

static uint64_t timer_period(const struct vlapic_state *s)
{
    return (uint64_t)s->initial << timer_shift(s);
}

static uint64_t timer_wanted(const struct vlapic_state *s)
{
    return s->merging || timer_masked(s) ? TICKS_NEVER : s->expiry;
}

void vlapic_timer_ask(struct vlapic *lapic)
{
    uint64_t wanted = timer_wanted(&lapic->state);

    if (wanted == lapic->asked)
        return;
    lapic->asked = wanted;
    lapic->all->owner->timer(lapic->all->owner, lapic->index, wanted);
}

uint64_t vlapic_timer_restored(struct vlapic *lapic)
{
    lapic->asked = timer_wanted(&lapic->state);
    return lapic->asked;
}

/* The timer moves on, and interrupts. */
static void timer_expire_by(struct vlapic *lapic, uint64_t now)
{
    struct vlapic_state *s = &lapic->state;
    uint64_t period = timer_mode(s) == TIMER_PERIODIC ? timer_period(s) : 0;

    if (period != 0)
        s->expiry += ((now - s->expiry) / period + 1) * period;
    else
        s->expiry = TICKS_NEVER;
    if (timer_masked(s) || s->merging)
        return;
    s->merging = s->expiry != TICKS_NEVER;
    vlapic_local(lapic, LVT_TIMER);
}

/* What has come by now. */
static inline void timer_settle(struct vlapic *lapic, uint64_t now)
{
    if (unlikely(now >= lapic->state.expiry))
        timer_expire_by(lapic, now);
}

void vlapic_timer(struct vlapic *lapic, uint64_t now)
{
    lapic->asked = TICKS_NEVER; /* It has fired. */
    timer_settle(lapic, now);
    vlapic_timer_ask(lapic);
}

void vlapic_timer_taken(struct vlapic *lapic, uint64_t now)
{
    timer_settle(lapic, now); /* What came meanwhile was merged. */
    lapic->state.merging = false;
    vlapic_timer_ask(lapic);
}

/* Going to or from deadline mode stops the timer. */
void vlapic_timer_set_lvt(struct vlapic *lapic, uint64_t now, uint32_t value)
{
    struct vlapic_state *s = &lapic->state;
    enum timer_mode mode = mode_of(value);

    timer_settle(lapic, now);
    if (mode != timer_mode(s) && (mode >= TIMER_DEADLINE || timer_mode(s) >= TIMER_DEADLINE)) {
        s->expiry = TICKS_NEVER;
        s->initial = 0;
    }
    s->merging = false;
    vlapic_set(&s->lvt[LVT_TIMER], value);
    vlapic_timer_ask(lapic);
}

/* The count goes on from where it is, with the new clock. */
void vlapic_timer_set_divide(struct vlapic *lapic, uint64_t now, uint32_t value)
{
    struct vlapic_state *s = &lapic->state;
    uint64_t count;

    timer_settle(lapic, now);
    count = vlapic_timer_count(lapic, now);
    s->divide = value;
    if (timer_mode(s) < TIMER_DEADLINE && s->expiry != TICKS_NEVER)
        s->expiry = now + (count << timer_shift(s));
    vlapic_timer_ask(lapic);
}

void vlapic_timer_set_initial(struct vlapic *lapic, uint64_t now, uint32_t value)
{
    struct vlapic_state *s = &lapic->state;

    timer_settle(lapic, now);
    if (timer_mode(s) >= TIMER_DEADLINE)
        return;
    s->initial = value;
    s->expiry = value ? now + timer_period(s) : TICKS_NEVER;
    s->merging = false;
    vlapic_timer_ask(lapic);
}

uint32_t vlapic_timer_count(const struct vlapic *lapic, uint64_t now)
{
    const struct vlapic_state *s = &lapic->state;
    uint64_t left;

    if (timer_mode(s) >= TIMER_DEADLINE || s->expiry == TICKS_NEVER)
        return 0;
    if (now < s->expiry)
        left = s->expiry - now;
    else if (timer_mode(s) == TIMER_PERIODIC && timer_period(s) != 0)
        left = timer_period(s) - (now - s->expiry) % timer_period(s);
    else
        return 0;
    return (uint32_t)((left + BIT(timer_shift(s)) - 1) >> timer_shift(s));
}

void vlapic_timer_set_deadline(struct vlapic *lapic, uint64_t now, uint64_t value)
{
    struct vlapic_state *s = &lapic->state;

    timer_settle(lapic, now); /* The one before may have come unseen. */
    if (timer_mode(s) != TIMER_DEADLINE)
        return;
    s->expiry = value ? value : TICKS_NEVER;
    timer_settle(lapic, now);
    vlapic_timer_ask(lapic);
}

uint64_t vlapic_timer_deadline(const struct vlapic *lapic, uint64_t now)
{
    const struct vlapic_state *s = &lapic->state;

    return timer_mode(s) == TIMER_DEADLINE && s->expiry != TICKS_NEVER && now < s->expiry
               ? s->expiry
               : 0;
}

void vlapic_move_clock(struct vlapic *lapic, uint64_t now, uint64_t delta)
{
    struct vlapic_state *s = &lapic->state;

    if (timer_mode(s) != TIMER_DEADLINE && s->expiry != TICKS_NEVER)
        s->expiry += delta;
    timer_settle(lapic, now);
    lapic->asked = TICKS_NEVER; /* What was asked for was of the old clock. */
    vlapic_timer_ask(lapic);
}
