/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler: decides which entity a pCPU runs. It knows entities, not guests. Each pCPU has its
 * own queue, and one of two policies. Shared: priorities; round robin with time slices by weight
 * inside one; and for entities that have one, a budget per period. Table: a time table that
 * repeats; in each slot its owner runs or nobody. Whoever is alone at its priority or above,
 * without a budget, gets no timer: nothing ticks. (A pCPU that is exclusive to an entity is such a
 * case.)
 *
 * An entity's run() is called on its pCPU with interrupts masked and runs until sched_leave() says
 * that it should go, or it has blocked. There is one stack per pCPU: run() returns, it is never
 * switched away from. An entity stays on its pCPU unless it has an affinity: sched_balance.c.
 *
 * States: blocked <-> ready -> running -> ready or blocked; spent in the place of ready, while its
 * budget is used up; ready -> moving -> ready where it goes to another pCPU. The queue's lock
 * guards them.
 */
#pragma once

#include "kernel/list.h"
#include "kernel/lock.h"
#include "kernel/timer.h"

#define SCHED_PRIORITIES     32u /* 0 is the lowest. */
#define SCHED_WEIGHT_DEFAULT 10u

enum sched_state { SCHED_BLOCKED, SCHED_READY, SCHED_RUNNING, SCHED_SPENT, SCHED_MOVING };

struct sched_entity {
    struct list node;
    enum sched_state state;
    bool wake_pending; /* A wake came while it was running: the next block does not block. */
    bool spent;        /* In the queue's list of those whose budget is used up, blocked or not. */
    bool policed;      /* It has a budget, or its pCPU a time table. */
    uint8_t priority;
    _Atomic unsigned cpu; /* Where it runs. */
    uint64_t affinity;    /* pCPUs that it may be moved to; 0: it stays. */
    uint64_t slice_ticks; /* How long it runs while others of its priority wait. */
    uint64_t slice_left;  /* Of the slice under way: preemption does not renew it. */
    uint64_t ran_ticks;   /* Total time that it ran. */
    uint64_t since;       /* When it started to run. */
    uint64_t added;       /* When it came here. */
    uint64_t blocked_ticks, blocked_since; /* Total time that it was blocked; since when it is. */
    uint64_t budget_ticks;                 /* What it may run in a period; 0: no budget. */
    uint64_t period_ticks;
    uint64_t period_end;
    int64_t budget_left; /* Of this period; below 0 after it ran too long, which the next pays. */
    void (*run)(struct sched_entity *entity);
    void (*moving)(struct sched_entity *entity);
};

/* One slot of a time table, in ticks from the start of the table; the last tick is not its own. */
struct sched_slot {
    uint64_t start, end;
    struct sched_entity *entity; /* NULL: idle. */
};

struct sched_queue {
    struct lock lock;
    struct list ready[SCHED_PRIORITIES];
    uint32_t ready_mask;          /* Bit p: ready[p] is not empty. */
    struct sched_entity *running; /* NULL: idle. */
    _Atomic bool leave;           /* The running entity is to return to the scheduler. */
    _Atomic bool slice_wanted;    /* Another pCPU made ready what the slice timer is needed for. */
    struct timer slice;           /* The end of the slice or of the budget of the one that runs. */
    uint64_t slice_ns;            /* With the default weight. */
    struct list spent;            /* Budgets used up, by the end of their periods. */
    struct timer refill;          /* At the first of those. */
    const struct sched_slot *slots; /* NULL: shared. */
    unsigned slot_count, slot_next; /* The first whose end is ahead in this cycle. */
    uint64_t cycle_ticks, cycle_start;
    struct sched_entity *slot_owner; /* Of the present slot; NULL: nobody, or a gap. */
    struct timer slot_end;
};

/* This pCPU's queue, before any entity of it is woken. */
void sched_init_cpu(void);
/* The slice of the default weight, for entities that are added later. */
void sched_set_slice(unsigned cpu, uint64_t slice_ns);
/*
 * From now on the pCPU follows a time table that repeats after cycle_ticks; before any entity of it
 * is woken. Slots are in ascending
 * order, do not overlap, end within the cycle, and stay where they are. Any pCPU. Entities that own
 * no slot do not run there.
 */
void sched_set_table(unsigned cpu, const struct sched_slot *slots, unsigned count,
                     uint64_t cycle_ticks);

/*
 * One slot of the pCPU's table gets another owner, or none (NULL): entities come and go. The new
 * one is blocked. Any pCPU.
 */
void sched_set_slot(unsigned cpu, struct sched_slot *slot, struct sched_entity *entity);

/* The entity starts blocked, on the pCPU given; run is set by the caller. */
void sched_add(struct sched_entity *entity, unsigned cpu, uint8_t priority);
/* Its share among equals that are busy: slices of the length slice * weight / default. Blocked. */
void sched_set_weight(struct sched_entity *entity, unsigned weight);
/* It runs for at most budget_ns in each period, whoever else waits. Blocked. */
void sched_set_budget(struct sched_entity *entity, uint64_t budget_ns, uint64_t period_ns);
/*
 * It may be moved to these pCPUs, which are shared: while it waits and one of them is idle.
 * moving() is called before, where it waits, with the queue's lock held: timers of its that are
 * armed there must be disarmed. No pCPU: it stays. Blocked.
 */
void sched_set_affinity(struct sched_entity *entity, uint64_t affinity,
                        void (*moving)(struct sched_entity *entity));
/* Time that it ran, up to now. Any pCPU. */
uint64_t sched_ran_ticks(struct sched_entity *entity);
/*
 * Time that it waited for its pCPU, ready or spent, up to when it began to run. By its own run().
 */
uint64_t sched_waited_ticks(const struct sched_entity *entity);

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
/*
 * Off the queue, blocked, so that it may be freed or added again; E_BUSY while it runs:
 * sched_kick() and retry. It must own no slot.
 */
enum err sched_remove(struct sched_entity *entity);

/* Whether the running entity is to return: checked by run() before each entry into a guest. */
static inline bool sched_leave(struct sched_queue *queue)
{
    return atomic_load_explicit(&queue->leave, memory_order_relaxed);
}

/*
 * For work that comes in pieces: how long, in ticks, the next should wait after one that took so
 * long. Not at all while nobody here wants to run; else so that entities get so many times as long,
 * or 99 hundredths of a pCPU with a table. By work, own pCPU.
 */
uint64_t sched_work_pause(uint64_t took, unsigned others);

/* An IPI came: does what only this pCPU can do for those who sent it. */
void sched_ipi_taken(void);
/* One turn of the loop: queued work, then one run() or one wait. The loop's body, and for tests. */
void sched_turn(void);
/* The life of a pCPU, which is online from here on. */
[[gnu::noreturn]] void sched_loop(void);
