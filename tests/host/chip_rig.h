/* SPDX-License-Identifier: Apache-2.0 */
/* Two pCPUs with timers, and an interrupt wire, for tests of chips that tell the time. */
#pragma once

#include "kernel/bits.h"
#include "kernel/percpu.h"
#include "tests/host/test.h"
#include "vcpu/bus.h"

#define SECOND 1000000000ull /* In ticks of the fake's clock. */
#define EPOCH  1767225600ull /* 2026-01-01, a Thursday. */

static bool irq_level;
static unsigned irq_edges; /* Rising ones. */

static void on_irq([[maybe_unused]] struct vdev *dev, bool level)
{
    ASSERT(level != irq_level);
    ASSERT(this_cpu()->ranks_held & BIT(RANK_DEVICE)); /* So that changes arrive in order. */
    irq_level = level;
    irq_edges += level;
}

/* The first step of each test; then it makes its chip, whose set_irq is on_irq(). */
static inline void chip_start(void)
{
    atomic_store(&fake_ticks, 0);
    for (unsigned i = 0; i < 2; i++) {
        fake_be_cpu(i);
        timer_init_cpu();
        pcpus[i].online = true;
    }
    fake_be_cpu(0);
    irq_level = false;
    irq_edges = 0;
}

/* Time goes on, and what is due fires, each at its time. Counts how often the host's timer did. */
static inline unsigned chip_run(uint64_t ticks)
{
    uint64_t end = arch_ticks() + ticks;
    unsigned fired = 0;

    while (pcpus[0].arch.timer_deadline <= end) {
        if (pcpus[0].arch.timer_deadline > arch_ticks())
            fake_advance(pcpus[0].arch.timer_deadline - arch_ticks());
        timer_expire();
        fired++;
    }
    fake_advance(end - arch_ticks());
    return fired;
}
