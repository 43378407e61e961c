/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler: decides which entity a pCPU runs. It knows entities, not guests. Each pCPU has its
 * own queue: priorities, and round robin with a time slice inside one. An entity that is
 * alone at its priority or above gets no slice timer: nothing ticks.
 *
 * An entity's run() is called on its pCPU with interrupts masked and runs until sched_leave() says that it should
 * go, or it has blocked. There is one stack per pCPU: run() returns, it is never switched away from.
 *
 * States: blocked <-> ready -> running -> ready or blocked. The queue's lock guards them.
 */
#pragma once

#include "kernel/lock.h"
#include "kernel/list.h"
#include "kernel/timer.h"

#define SCHED_PRIORITIES 32u /* 0 is the lowest. */

enum sched_state { SCHED_BLOCKED, SCHED_READY, SCHED_RUNNING };

struct sched_entity {
    struct list node;
    enum sched_state state;
    bool wake_pending; /* A wake came while it was running: the next block does not block. */
    uint8_t priority;
    unsigned cpu;      /* Where it runs. */
    uint64_t slice_ticks;
    uint64_t ran_ticks; /* Total time that it ran. */
    uint64_t since;     /* When it started to run. */
    void (*run)(struct sched_entity *entity);
};

struct sched_queue {
    struct lock lock;
    struct list ready[SCHED_PRIORITIES];
    uint32_t ready_mask;          /* Bit p: ready[p] is not empty. */
    struct sched_entity *running; /* NULL: idle. */
    _Atomic bool leave;           /* The running entity is to return to the scheduler. */
    struct timer slice;
};

void sched_init_cpu(void);
/* The entity starts blocked, on the pCPU given. */
void sched_add(struct sched_entity *entity, unsigned cpu, uint8_t priority);

/* Make ready. Any pCPU, any context; preempts a lower priority at once. */
void sched_wake(struct sched_entity *entity);
/* By the entity's own run(): nothing to do; returns false when a wake came in the meantime. */
bool sched_block(struct sched_entity *entity);
/* By the entity's own run(): to the end of its priority's queue. */
void sched_yield(struct sched_entity *entity);

/* Whether the running entity is to return: checked by run() before each entry into a guest. */
static inline bool sched_leave(struct sched_queue *queue)
{
    return atomic_load_explicit(&queue->leave, memory_order_relaxed);
}

/* The life of a pCPU. */
[[noreturn]] void sched_loop(void);
