/* SPDX-License-Identifier: Apache-2.0 */
/* The IRQ queue: two bit sets, written by atomic or, emptied by atomic exchange. */
#include "vcpu/virq.h"

#include "kernel/assert.h"

void virq_post(struct virq_queue *queue, uint32_t irq, bool edge)
{
    assert(irq < VIRQ_MAX);
    /* The edge first: who sees the order to look sees it too. */
    if (edge)
        atomic_fetch_or_explicit(&queue->edge[irq / 64], BIT(irq % 64), memory_order_relaxed);
    atomic_fetch_or_explicit(&queue->look[irq / 64], BIT(irq % 64), memory_order_release);
}

void virq_drain(struct virq_queue *queue, void (*look)(void *arg, uint32_t irq, bool edge),
                void *arg)
{
    for (unsigned i = 0; i < VIRQ_WORDS; i++) {
        uint64_t bits, edges;

        if (atomic_load_explicit(&queue->look[i], memory_order_relaxed) == 0)
            continue;
        bits = atomic_exchange_explicit(&queue->look[i], 0, memory_order_acquire);
        /*
         * An edge whose order to look comes later may be taken here already: it is then looked at
         * twice.
         */
        edges = atomic_exchange_explicit(&queue->edge[i], 0, memory_order_acquire);
        for (bits |= edges; bits; bits &= bits - 1)
            look(arg, i * 64 + bit_lowest(bits), edges >> bit_lowest(bits) & 1);
    }
}

void virq_clear(struct virq_queue *queue)
{
    for (unsigned i = 0; i < VIRQ_WORDS; i++) {
        atomic_store(&queue->look[i], 0);
        atomic_store(&queue->edge[i], 0);
    }
}
