/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler: decides which entity a pCPU runs. It knows entities, not guests. Each pCPU has its
 * own queue: priorities, and round robin with a time slice inside one. An entity that is
 * alone at its priority or above gets no slice timer: nothing ticks.
 *
 * An entity's run() is called on its pCPU with interrupts masked and runs until sched_leave() says
 * that it should go, or it has blocked. There is one stack per pCPU: run() returns, it is never
 * switched away from.
 *
 * States: blocked <-> ready -> running -> ready or blocked. The queue's lock guards them.
 */
#pragma once

#include "kernel/list.h"
#include "kernel/lock.h"
#include "kernel/timer.h"

#define SCHED_PRIORITIES 32u /* 0 is the lowest. */

enum sched_state { SCHED_BLOCKED, SCHED_READY, SCHED_RUNNING };

struct sched_entity {
    struct list node;
    enum sched_state state;
    bool wake_pending; /* A wake came while it was running: the next block does not block. */
    uint8_t priority;
    unsigned cpu;         /* Where it runs. */
    uint64_t slice_ticks; /* How long it runs while others of its priority wait. */
    uint64_t slice_left;  /* Of the slice under way: preemption does not renew it. */
    uint64_t ran_ticks;   /* Total time that it ran. */
    uint64_t since;       /* When it started to run. */
    void (*run)(struct sched_entity *entity);
};

struct sched_queue {
    struct lock lock;
    struct list ready[SCHED_PRIORITIES];
    uint32_t ready_mask;          /* Bit p: ready[p] is not empty. */
    struct sched_entity *running; /* NULL: idle. */
    _Atomic bool leave;           /* The running entity is to return to the scheduler. */
    _Atomic bool slice_wanted;    /* Another pCPU made ready what the slice timer is needed for. */
    struct timer slice;
};

/* This pCPU's queue, before any entity of it is woken. */
void sched_init_cpu(void);
/* The entity starts blocked, on the pCPU given; run is set by the caller. */
void sched_add(struct sched_entity *entity, unsigned cpu, uint8_t priority);

/* Make ready. Any pCPU, any context; preempts a lower priority at once. */
void sched_wake(struct sched_entity *entity);
/* By the entity's own run(): nothing to do; returns false when a wake came in the meantime. */
bool sched_block(struct sched_entity *entity);
/*
 * By the entity's own run(): to the end of its priority's queue, once run() has returned. (The name
 * sched_yield() is the C library's, which host tests are linked with.)
 */
void sched_give_way(struct sched_entity *entity);
/* Make its run() return soon if it is running, wherever that is. Any pCPU, any context. */
void sched_kick(struct sched_entity *entity);
/* Off the queue, blocked, so that it may be freed; E_BUSY while it runs: sched_kick() and retry. */
enum err sched_remove(struct sched_entity *entity);

/* Whether the running entity is to return: checked by run() before each entry into a guest. */
static inline bool sched_leave(struct sched_queue *queue)
{
    return atomic_load_explicit(&queue->leave, memory_order_relaxed);
}

/* An IPI came: does what only this pCPU can do for those who sent it. */
void sched_ipi_taken(void);
/* One turn of the loop: queued work, then one run() or one wait. The loop's body, and for tests. */
void sched_turn(void);
/* The life of a pCPU, which is online from here on. */
[[gnu::noreturn]] void sched_loop(void);
