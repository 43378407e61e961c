/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Balancing: an entity that waits, while a pCPU of its affinity is idle, goes there. The pCPU where
 * it waits gives it away, for all that belongs to the entity (timers) is that pCPU's own; the idle
 * one only asks for it, by making the other choose anew. So nobody polls, and an idle pCPU sleeps.
 *
 * `idle` says which pCPUs are, or are about to be. Who goes idle sets its bit and then looks for
 * somebody that waits; who makes an entity wait does so and then looks at `idle`. Both look under
 * the queue's lock, so that one of them sees the other. Who gives takes the bit, so that a pCPU is
 * given one entity at a time.
 */
#include "kernel/arch.h"
#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/ipi.h"
#include "kernel/percpu.h"
#include "kernel/sched_impl.h"

_Atomic bool sched_balancing;

static _Atomic uint64_t idle;

void sched_set_affinity(struct sched_entity *entity, uint64_t affinity,
                        void (*moving)(struct sched_entity *entity))
{
    assert(entity->state == SCHED_BLOCKED);
    entity->affinity = affinity;
    entity->moving = moving;
    if (affinity)
        atomic_store(&sched_balancing, true);
}

bool sched_balance_asks(const struct sched_entity *entity)
{
    return entity->affinity & atomic_load(&idle);
}

/* The first that waits here and may go to one of the pCPUs; how many there are in *count. */
static struct sched_entity *balance_pick(struct sched_queue *queue, uint64_t cpus, unsigned *count)
{
    struct sched_entity *first = NULL, *it;

    *count = 0;
    for (uint32_t left = queue->ready_mask; left; left &= ~((uint32_t)1 << bit_highest(left))) {
        list_for_each(it, &queue->ready[bit_highest(left)], node)
        {
            if (!(it->affinity & cpus))
                continue;
            if (!first)
                first = it;
            ++*count;
        }
    }
    return first;
}

/* Takes an idle pCPU for the entity; false: others were faster. */
static bool balance_take(const struct sched_entity *entity, unsigned *cpu)
{
    uint64_t cpus;

    while ((cpus = entity->affinity & atomic_load(&idle)) != 0) {
        *cpu = bit_lowest(cpus);
        if (atomic_fetch_and(&idle, ~BIT(*cpu)) & BIT(*cpu))
            return true;
    }
    return false;
}

/* One of those that wait here, to an idle pCPU; NULL: nobody can go. */
static struct sched_entity *balance_give_one(struct sched_queue *queue)
{
    struct sched_entity *entity;
    unsigned count, cpu;

    lock_take(&queue->lock);
    entity = balance_pick(queue, atomic_load(&idle), &count);
    if (entity && balance_take(entity, &cpu)) {
        sched_depart(queue, entity);
        entity->moving(entity);
        arch_mb(); /* What the guest began here (TLB maintenance) is done before it goes on there.
                    */
        atomic_store(&entity->cpu, cpu);
    } else {
        entity = NULL;
    }
    lock_drop(&queue->lock);
    return entity;
}

void sched_balance_give(struct sched_queue *queue)
{
    struct sched_entity *entity;

    if (atomic_load(&idle) == 0)
        return;
    while ((entity = balance_give_one(queue)) != NULL)
        sched_arrive(entity);
}

static unsigned balance_waiting(unsigned cpu, uint64_t cpus)
{
    struct sched_queue *queue = &pcpu(cpu)->sched;
    unsigned count;

    lock_take(&queue->lock);
    balance_pick(queue, cpus, &count);
    lock_drop(&queue->lock);
    return count;
}

void sched_balance_idle(void)
{
    const unsigned self = this_cpu()->id;
    unsigned busiest = self, most = 0;

    atomic_fetch_or(&idle, BIT(self));
    for (unsigned cpu = 0; cpu < pcpu_count; cpu++) {
        unsigned count = cpu != self && pcpu(cpu)->online ? balance_waiting(cpu, BIT(self)) : 0;

        if (count > most) {
            busiest = cpu;
            most = count;
        }
    }
    if (most == 0)
        return;
    sched_leave_set(&pcpu(busiest)->sched);
    ipi_kick(busiest);
}

void sched_balance_busy(void)
{
    atomic_fetch_and(&idle, ~BIT(this_cpu()->id));
}
