/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A timer of a guest's device, whose registers are written on any pCPU. Timers belong to the pCPU
 * that arms them; so this one lives on one home pCPU, and others send it there as work. What fires
 * looks at the device's state, not at when it was armed: an alarm too early or too late in a race
 * does no harm.
 *
 * Invariant: the home pCPU's timer is set to `deadline`, or work that sets it is queued. The
 * device's lock guards all of it.
 */
#pragma once

#include "kernel/ipi.h"
#include "kernel/lock.h"
#include "kernel/timer.h"

struct alarm {
    struct lock *lock; /* The device's. */
    unsigned home;
    uint64_t deadline; /* In ticks of arch_ticks(); TICKS_NEVER: off. */
    struct timer timer;
    struct work work;    /* Brings the timer in line with the deadline, on the home pCPU. */
    uint32_t work_asked; /* How often it was queued, */
    _Atomic uint32_t work_served; /* and how often it has run. */
    /* The deadline has come (or a moment ago it had). Home pCPU, lock held; may set the alarm
     * again. */
    void (*fired)(struct alarm *alarm);
};

void alarm_init(struct alarm *alarm, struct lock *lock, unsigned home,
                void (*fired)(struct alarm *alarm));
/* Lock held. Any pCPU. */
void alarm_set(struct alarm *alarm, uint64_t deadline);
/*
 * No timer runs any more at the return: before the memory goes away. No vCPU runs, no locks held.
 * May wait for the home pCPU, which must be serving its work.
 */
void alarm_stop(struct alarm *alarm);
