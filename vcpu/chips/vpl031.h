/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock that a guest sees: ARM's PrimeCell PL031 real-time clock, counting seconds since 1970.
 * [DDI0224]
 */
#pragma once

#include "kernel/ipi.h"
#include "kernel/lock.h"
#include "kernel/timer.h"
#include "vcpu/bus.h"

#define VPL031_SIZE 0x1000u

/* All that a guest can observe; no pointers, so it can be saved and restored as it is. */
struct vpl031_state {
    uint32_t offset; /* DR = whole seconds of arch_ticks() + offset, modulo 2^32. */
    uint32_t mr, lr;
    uint32_t imsc, ris;
    bool armed;     /* MR was written, or the clock set, and the match is still to come. */
    uint64_t match; /* While armed: when, in whole seconds of arch_ticks(). */
    bool level;     /* Of the interrupt wire. */
};

struct vpl031 {
    struct vdev vdev;
    struct lock lock; /* RANK_DEVICE: guards state. */
    struct vpl031_state state;
    uint32_t epoch; /* Unix time at arch_ticks() == 0. */
    unsigned home;  /* The pCPU that the alarm's timer lives on. */
    struct timer timer;
    struct work work;             /* Brings the timer in line with the state, on the home pCPU. */
    uint32_t work_asked;          /* How often it was queued, */
    _Atomic uint32_t work_served; /* and how often it has run. */
};

/* home: a pCPU of the guest's. epoch: Unix time at arch_ticks() == 0; 0 when unknown. */
void vpl031_init(struct vpl031 *rtc, uint64_t base, uint32_t irq, uint64_t epoch, unsigned home);
/*
 * No timer runs any more at the return: before the memory goes away. No vCPU runs, no locks held.
 * May wait for the home pCPU, which must be serving its work.
 */
void vpl031_stop(struct vpl031 *rtc);
/* The time as the guest reads it. */
uint32_t vpl031_seconds(const struct vpl031 *rtc);
