/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Budgets: an entity runs for at most so long in each period. Its periods follow each other from
 * the moment when the budget was set, whether it runs or not; what it does not use is lost. It is
 * charged when it leaves. What it ran beyond (the way from the timer's interrupt to the scheduler)
 * is taken off the next period, so that the sum over many is exact.
 *
 * An entity without anything left waits in queue->spent until its period ends. It stays there when
 * it blocks and is woken again, which only its state tells.
 */
#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/percpu.h"
#include "kernel/sched_impl.h"

void sched_set_budget(struct sched_entity *entity, uint64_t budget_ns, uint64_t period_ns)
{
    assert(entity->state == SCHED_BLOCKED && !entity->spent);
    assert(budget_ns > 0 && budget_ns <= period_ns);
    entity->policed = true;
    entity->budget_ticks = ticks_from_ns(budget_ns);
    entity->period_ticks = ticks_from_ns(period_ns);
    entity->period_end = arch_ticks() + entity->period_ticks;
    entity->budget_left = (int64_t)entity->budget_ticks;
}

void sched_budget_renew(struct sched_entity *entity, uint64_t now)
{
    uint64_t periods;
    int64_t left;

    if (now < entity->period_end)
        return;
    /* Mostly one; the product is not above the time since the machine started. */
    periods = (now - entity->period_end) / entity->period_ticks + 1;
    left = entity->budget_left + (int64_t)(periods * entity->budget_ticks);
    entity->budget_left = MIN(left, (int64_t)entity->budget_ticks);
    entity->period_end += periods * entity->period_ticks;
}

static void budget_wait(struct sched_queue *queue, struct sched_entity *entity)
{
    struct list *pos = &queue->spent;

    while (pos->prev != &queue->spent &&
           container_of(pos->prev, struct sched_entity, node)->period_end > entity->period_end)
        pos = pos->prev;
    list_insert_before(pos, &entity->node);
    entity->spent = true;
}

static void budget_set_timer(struct sched_queue *queue)
{
    struct sched_entity *first = list_first(&queue->spent, struct sched_entity, node);

    timer_arm(&queue->refill, list_empty(&queue->spent) ? TICKS_NEVER : first->period_end);
}

bool sched_budget_charge(struct sched_queue *queue, struct sched_entity *entity, uint64_t ran,
                         uint64_t now)
{
    entity->budget_left -= (int64_t)ran;
    sched_budget_renew(entity, now);
    if (entity->budget_left > 0)
        return false;
    budget_wait(queue, entity);
    budget_set_timer(queue);
    return true;
}

uint64_t sched_budget_end(const struct sched_entity *running)
{
    uint64_t left = (uint64_t)MAX(running->budget_left, 0);

    return MIN(running->since + left, running->period_end);
}

void sched_budget_refill(struct timer *timer)
{
    struct sched_queue *queue = container_of(timer, struct sched_queue, refill);
    uint64_t now = arch_ticks();
    struct sched_entity *entity;

    lock_take(&queue->lock);
    while (!list_empty(&queue->spent)) {
        entity = list_first(&queue->spent, struct sched_entity, node);
        if (entity->period_end > now)
            break;
        list_remove(&entity->node);
        sched_budget_renew(entity, now);
        entity->spent = entity->budget_left <= 0;
        if (entity->spent)
            budget_wait(queue, entity); /* It ran for more than a period's too long. */
        else
            sched_refilled(queue, entity);
    }
    budget_set_timer(queue);
    lock_drop(&queue->lock);
}
