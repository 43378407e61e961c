/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IRQ queue of a vCPU. Anybody, on any pCPU, may post at any time, whatever the vCPU does; only
 * the vCPU's own pCPU takes out. The queue does not carry levels or counts: it says "look at
 * interrupt N", and, for an edge, "one has come". The level stays with its source, which is asked
 * when the vCPU looks; so no order of posts can leave a stale level behind, the queue can never be
 * full, and two edges before a look are one, as on a wire.
 */
#pragma once

#include "kernel/bits.h"
#include "kernel/types.h"

#define VIRQ_MAX   320u
#define VIRQ_WORDS (VIRQ_MAX / 64u)

struct virq_queue {
    _Atomic uint64_t look[VIRQ_WORDS];
    _Atomic uint64_t edge[VIRQ_WORDS];
};

/*
 * Any pCPU. What the poster wrote before is visible to who takes it out. The caller then tells the
 * vCPU.
 */
void virq_post(struct virq_queue *queue, uint32_t irq, bool edge);

/* Takes out all: calls look(arg, irq, edge) for each. The vCPU's own pCPU. */
void virq_drain(struct virq_queue *queue, void (*look)(void *arg, uint32_t irq, bool edge),
                void *arg);
void virq_clear(struct virq_queue *queue);

/* Whether there is something to take out. The vCPU's own pCPU. */
static inline bool virq_waits(const struct virq_queue *queue)
{
    uint64_t bits = 0;

#pragma GCC unroll 5
    for (unsigned i = 0; i < VIRQ_WORDS; i++)
        bits |= atomic_load_explicit(&queue->look[i], memory_order_relaxed);
    return bits != 0;
}
