/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time tables: slots at fixed times of a cycle that repeats. A slot's owner runs in it when it is
 * ready, else nobody does, and the gaps between slots are idle. Cycles follow each other from the
 * moment when the table was set: a late switch shortens a slot, and moves none.
 */
#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/ipi.h"
#include "kernel/percpu.h"
#include "kernel/sched_impl.h"

void sched_set_table(unsigned cpu, const struct sched_slot *slots, unsigned count,
                     uint64_t cycle_ticks)
{
    struct sched_queue *queue = &pcpu(cpu)->sched;
    uint64_t last = 0;

    for (unsigned i = 0; i < count; i++) {
        assert(slots[i].start >= last && slots[i].end > slots[i].start);
        last = slots[i].end;
        if (!slots[i].entity)
            continue;
        assert(slots[i].entity->cpu == cpu && slots[i].entity->state == SCHED_BLOCKED);
        slots[i].entity->policed = true;
    }
    assert(cycle_ticks > 0 && last <= cycle_ticks);
    lock_take(&queue->lock);
    assert(!queue->ready_mask && !queue->running);
    queue->slots = slots;
    queue->slot_count = count;
    queue->slot_next = 0;
    queue->cycle_ticks = cycle_ticks;
    queue->cycle_start = arch_ticks();
    queue->slot_owner = NULL;
    sched_leave_set(queue);
    lock_drop(&queue->lock);
    ipi_kick(cpu);
}

void sched_set_slot(unsigned cpu, struct sched_slot *slot, struct sched_entity *entity)
{
    struct sched_queue *queue = &pcpu(cpu)->sched;

    lock_take(&queue->lock);
    assert(slot >= queue->slots && slot < queue->slots + queue->slot_count);
    assert(!entity || (entity->cpu == cpu && entity->state == SCHED_BLOCKED));
    slot->entity = entity;
    sched_leave_set(queue); /* Its table is looked at again. */
    lock_drop(&queue->lock);
    ipi_kick(cpu);
}

struct sched_entity *sched_table_pick(struct sched_queue *queue, uint64_t now)
{
    const struct sched_slot *slot;
    uint64_t at = now - queue->cycle_start, change = queue->cycle_ticks;

    if (at >= queue->cycle_ticks) {
        queue->cycle_start += at - at % queue->cycle_ticks;
        at %= queue->cycle_ticks;
        queue->slot_next = 0;
    }
    while (queue->slot_next < queue->slot_count && at >= queue->slots[queue->slot_next].end)
        queue->slot_next++;
    queue->slot_owner = NULL;
    if (queue->slot_next < queue->slot_count) {
        slot = &queue->slots[queue->slot_next];
        change = at < slot->start ? slot->start : slot->end;
        queue->slot_owner = at < slot->start ? NULL : slot->entity;
    }
    change += queue->cycle_start;
    if (!queue->slot_end.armed || queue->slot_end.deadline != change)
        timer_arm(&queue->slot_end, change);
    return queue->slot_owner;
}

void sched_table_slot_end(struct timer *timer)
{
    sched_leave_set(container_of(timer, struct sched_queue, slot_end));
}
