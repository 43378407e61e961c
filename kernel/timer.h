/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlines. Each pCPU has a queue sorted by deadline, and its hardware timer is set to the first
 * one; without one it is off: there is no tick. Times are in ticks of arch_ticks().
 */
#pragma once

#include "kernel/list.h"
#include "kernel/types.h"

#define TICKS_NEVER UINT64_MAX

struct timer {
    struct list node;
    uint64_t deadline;
    unsigned cpu;
    bool armed;
    void (*fn)(struct timer *timer); /* Runs on the pCPU that armed it, interrupts masked. */
};

struct timer_queue {
    struct list timers;  /* By deadline; among equal ones, in the order of arming. */
    uint64_t programmed; /* What the hardware timer is set to. */
    bool expiring;       /* In timer_expire(), which sets the hardware at its end. */
};

void timer_init(struct timer *timer, void (*fn)(struct timer *timer));
/*
 * Arms (again) on this pCPU; an armed one must be armed here. A deadline in the past fires at once,
 * by the interrupt; TICKS_NEVER disarms.
 */
void timer_arm(struct timer *timer, uint64_t deadline);
/* Must be called on the pCPU where it was armed. Disarming twice is allowed. */
void timer_disarm(struct timer *timer);

/* Fires all that is due: called by the timer interrupt's handler. */
void timer_expire(void);
void timer_init_cpu(void);

/*
 * When another clock, which shows `now` now, will show `then`; at once when it has; TICKS_NEVER
 * when ours ends before.
 */
uint64_t ticks_until(uint64_t now, uint64_t then);
/* Rounded up, so that no wait ends early; TICKS_NEVER when it does not fit. */
uint64_t ticks_from_ns(uint64_t ns);
/* Rounded down; 0 while the frequency is not known; UINT64_MAX when it does not fit. */
uint64_t ticks_to_ns(uint64_t ticks);
/* Whole cycles of a clock of hz that began with tick 0; as ticks_to_ns(). */
uint64_t ticks_to_cycles(uint64_t ticks, uint64_t hz);
/* The first tick at which that many cycles are over; TICKS_NEVER when it does not fit. */
uint64_t ticks_from_cycles(uint64_t cycles, uint64_t hz);
