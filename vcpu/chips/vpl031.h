/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock that a guest sees: ARM's PrimeCell PL031 real-time clock, counting seconds since 1970.
 * [DDI0224]
 */
#pragma once

#include "kernel/lock.h"
#include "vcpu/bus.h"
#include "vcpu/chips/alarm.h"

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
    struct alarm alarm;
};

/* home: a pCPU of the guest's. epoch: Unix time at arch_ticks() == 0; 0 when unknown. */
void vpl031_init(struct vpl031 *rtc, uint64_t base, uint32_t irq, uint64_t epoch, unsigned home);
/* As alarm_stop(). */
void vpl031_stop(struct vpl031 *rtc);
/* The time as the guest reads it. */
uint32_t vpl031_seconds(const struct vpl031 *rtc);
