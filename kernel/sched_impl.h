/* SPDX-License-Identifier: Apache-2.0 */
/* Private to kernel/sched*.c. The queue's lock is held, on the queue's own pCPU, unless said. */
#pragma once

#include "kernel/sched.h"

/* sched.c. A spent entity has a budget again. */
void sched_refilled(struct sched_queue *queue, struct sched_entity *entity);
static inline void sched_leave_set(struct sched_queue *queue)
{
    atomic_store_explicit(&queue->leave, true, memory_order_relaxed);
}

/*
 * A ready entity leaves its list, to go to another pCPU; nobody removes it until it has arrived in
 * the queue of entity->cpu. The latter without the lock; afterwards it may be gone.
 */
void sched_depart(struct sched_queue *queue, struct sched_entity *entity);
void sched_arrive(struct sched_entity *entity);

/* sched_balance.c; some entity has an affinity. */
extern _Atomic bool sched_balancing;
static inline bool sched_is_balancing(void)
{
    return atomic_load_explicit(&sched_balancing, memory_order_relaxed);
}

/* The entity waits: whether it may as well run elsewhere, if its pCPU chooses anew. */
bool sched_balance_asks(const struct sched_entity *entity);
/* Those that wait go to where nobody runs; without the lock. */
void sched_balance_give(struct sched_queue *queue);
/* This pCPU is about to sleep, and asks for work; it has slept; without the lock. */
void sched_balance_idle(void);
void sched_balance_busy(void);

/* sched_budget.c. The entity has one. */

/* A new period, if the last one is over. */
void sched_budget_renew(struct sched_entity *entity, uint64_t now);
/* It ran for so long: true when nothing is left, and it is in the list of those that are spent. It
 * is in no list before. */
bool sched_budget_charge(struct sched_queue *queue, struct sched_entity *entity, uint64_t ran,
                         uint64_t now);
/* When it must leave, or its period ends: what is left must not be taken into the next one. */
uint64_t sched_budget_end(const struct sched_entity *running);
void sched_budget_refill(struct timer *timer); /* queue->refill; without the lock. */

/* sched_table.c. The queue has a table. */

/* Who may run now, if it is ready: NULL for nobody. Sets the timer for the end of that. */
struct sched_entity *sched_table_pick(struct sched_queue *queue, uint64_t now);
void sched_table_slot_end(struct timer *timer); /* queue->slot_end; without the lock. */
