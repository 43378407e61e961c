/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler. A queue's lock guards its lists, `running`, and the states of its entities;
 * `leave` and `slice_wanted` are also set without it. The slice timer belongs to the queue's pCPU.
 *
 * `running` stays set from the moment run() is called until the scheduler has taken the entity
 * back, even when the entity is blocked by then, or blocked and woken again (and so in a list):
 * its run() has yet to return, so it must not be freed.
 *
 * `leave` is cleared where the next entity is chosen. Whatever asks for it after that is seen by
 * run() before it enters the guest, or comes with an IPI, which ends the guest.
 */
#include "kernel/sched.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/ipi.h"
#include "kernel/percpu.h"

#define SLICE_NS 10000000u

static void leave_set(struct sched_queue *queue)
{
    atomic_store_explicit(&queue->leave, true, memory_order_relaxed);
}

/* When the slice of the running entity is over; TICKS_NEVER if it has no end. */
static uint64_t slice_end(const struct sched_entity *running)
{
    uint64_t end;

    return __builtin_add_overflow(running->since, running->slice_left, &end) ? TICKS_NEVER : end;
}

/*
 * Makes sure that the timer fires at the end of the slice or before. It is left as it is when it
 * fires earlier: entities mostly block or give way long before, and setting the hardware each time
 * would cost more than all the rest of a switch. In the past, when the entity ran for long alone:
 * its turn is over. On the queue's own pCPU.
 */
static void slice_start(struct sched_queue *queue)
{
    uint64_t end = slice_end(queue->running);

    if (!queue->slice.armed || queue->slice.deadline > end)
        timer_arm(&queue->slice, end);
}

static void slice_over(struct timer *timer)
{
    struct sched_queue *queue = container_of(timer, struct sched_queue, slice);

    if (queue->running && slice_end(queue->running) > arch_ticks())
        slice_start(queue); /* It was set for another that ran before. */
    else
        leave_set(queue);
}

void sched_init_cpu(void)
{
    struct sched_queue *queue = &this_cpu()->sched;

    lock_init(&queue->lock, RANK_SCHED, "sched");
    for (unsigned i = 0; i < SCHED_PRIORITIES; i++)
        list_init(&queue->ready[i]);
    queue->ready_mask = 0;
    queue->running = NULL;
    atomic_store(&queue->leave, false);
    atomic_store(&queue->slice_wanted, false);
    timer_init(&queue->slice, slice_over);
}

void sched_add(struct sched_entity *entity, unsigned cpu, uint8_t priority)
{
    assert(cpu < pcpu_count);
    assert(priority < SCHED_PRIORITIES);
    assert(entity->run);
    list_init(&entity->node);
    entity->state = SCHED_BLOCKED;
    entity->wake_pending = false;
    entity->priority = priority;
    entity->cpu = cpu;
    entity->slice_ticks = ticks_from_ns(SLICE_NS);
    entity->slice_left = entity->slice_ticks;
    entity->ran_ticks = 0;
}

static bool is_ready(const struct sched_queue *queue, unsigned priority)
{
    return queue->ready_mask >> priority & 1;
}

static void ready_push(struct sched_queue *queue, struct sched_entity *entity, bool front)
{
    struct list *list = &queue->ready[entity->priority];

    entity->state = SCHED_READY;
    if (front)
        list_push_front(list, &entity->node);
    else
        list_push_back(list, &entity->node);
    queue->ready_mask |= (uint32_t)1 << entity->priority;
}

static void ready_remove(struct sched_queue *queue, struct sched_entity *entity)
{
    list_remove(&entity->node);
    if (list_empty(&queue->ready[entity->priority]))
        queue->ready_mask &= ~((uint32_t)1 << entity->priority);
}

/* Another became ready while it runs; unless it is blocked already, and about to return. */
static void slice_start_late(struct sched_queue *queue)
{
    if (queue->running->state == SCHED_RUNNING)
        slice_start(queue);
}

/* An entity was made ready: what is to happen to the one that runs? True: kick the pCPU. */
static bool wake_preempt(struct sched_queue *queue, const struct sched_entity *entity)
{
    const struct sched_entity *running = queue->running;
    const struct list *peers = &queue->ready[entity->priority];

    if (!running)
        return true; /* It may be asleep. */
    if (running->priority < entity->priority) {
        leave_set(queue);
        return true;
    }
    /* With more than one in the list, the slice timer has been seen to already. */
    if (running->priority > entity->priority || peers->next != peers->prev)
        return false;
    if (entity->cpu == this_cpu()->id)
        slice_start_late(queue);
    else
        atomic_store_explicit(&queue->slice_wanted, true, memory_order_relaxed);
    return true;
}

void sched_wake(struct sched_entity *entity)
{
    struct sched_queue *queue = &pcpu(entity->cpu)->sched;
    bool kick = false;

    lock_take(&queue->lock);
    if (entity->state == SCHED_RUNNING) {
        entity->wake_pending = true;
    } else if (entity->state == SCHED_BLOCKED) {
        ready_push(queue, entity, false);
        kick = wake_preempt(queue, entity);
    }
    lock_drop(&queue->lock);
    if (kick)
        ipi_kick(entity->cpu);
}

bool sched_block(struct sched_entity *entity)
{
    struct sched_queue *queue = &this_cpu()->sched;
    bool blocked;

    assert(queue->running == entity);
    lock_take(&queue->lock);
    assert(entity->state == SCHED_RUNNING);
    blocked = !entity->wake_pending;
    entity->wake_pending = false;
    if (blocked)
        entity->state = SCHED_BLOCKED;
    lock_drop(&queue->lock);
    return blocked;
}

void sched_give_way(struct sched_entity *entity)
{
    struct sched_queue *queue = &this_cpu()->sched;

    assert(queue->running == entity);
    lock_take(&queue->lock);
    if (is_ready(queue, entity->priority)) {
        /* Without a slice left it is put back behind the others. Alone it may as well go on. */
        entity->slice_left = 0;
        leave_set(queue);
    }
    lock_drop(&queue->lock);
}

void sched_kick(struct sched_entity *entity)
{
    struct sched_queue *queue = &pcpu(entity->cpu)->sched;
    bool running;

    lock_take(&queue->lock);
    running = queue->running == entity;
    if (running)
        leave_set(queue);
    lock_drop(&queue->lock);
    if (running)
        ipi_kick(entity->cpu);
}

enum err sched_remove(struct sched_entity *entity)
{
    struct sched_queue *queue = &pcpu(entity->cpu)->sched;
    enum err err = E_BUSY;

    lock_take(&queue->lock);
    if (queue->running != entity) {
        if (entity->state == SCHED_READY)
            ready_remove(queue, entity);
        entity->state = SCHED_BLOCKED;
        entity->wake_pending = false;
        err = OK;
    }
    lock_drop(&queue->lock);
    return err;
}

/* Takes the entity back whose run() has returned, if there is one. The lock is held. */
static void turn_put(struct sched_queue *queue, uint64_t now)
{
    struct sched_entity *entity = queue->running;
    uint64_t ran;

    if (!entity)
        return;
    queue->running = NULL;
    ran = now - entity->since;
    entity->ran_ticks += ran;
    if (entity->state == SCHED_RUNNING && ran < entity->slice_left) {
        entity->slice_left -= ran;
        ready_push(queue, entity, true);
        return;
    }
    entity->slice_left = entity->slice_ticks;
    if (entity->state == SCHED_RUNNING)
        ready_push(queue, entity, false);
}

/* Chooses who is next, NULL for nobody, and sets the slice timer for it. The lock is held. */
static struct sched_entity *turn_pick(struct sched_queue *queue, uint64_t now)
{
    struct sched_entity *next = NULL;

    atomic_store_explicit(&queue->leave, false, memory_order_relaxed);
    atomic_store_explicit(&queue->slice_wanted, false, memory_order_relaxed);
    if (queue->ready_mask) {
        next = list_first(&queue->ready[bit_highest(queue->ready_mask)], struct sched_entity, node);
        ready_remove(queue, next);
        next->state = SCHED_RUNNING;
        next->since = now;
        queue->running = next;
    }
    if (next && is_ready(queue, next->priority))
        slice_start(queue);
    else if (queue->slice.armed)
        timer_disarm(&queue->slice);
    return next;
}

static inline bool work_waiting(struct pcpu *cpu)
{
    return atomic_load_explicit(&cpu->work, memory_order_relaxed) != NULL;
}

void sched_turn(void)
{
    struct pcpu *cpu = this_cpu();
    struct sched_queue *queue = &cpu->sched;
    struct sched_entity *next;
    uint64_t now = arch_ticks();

    if (unlikely(work_waiting(cpu))) {
        /* Nobody runs while work does, so that work may remove the entity that ran last. */
        lock_take(&queue->lock);
        turn_put(queue, now);
        lock_drop(&queue->lock);
        ipi_run_work();
        now = arch_ticks();
    }
    lock_take(&queue->lock);
    turn_put(queue, now);
    next = turn_pick(queue, now);
    lock_drop(&queue->lock);
    /* Work that came after the check above, maybe from work itself: `leave` has been cleared. */
    if (unlikely(work_waiting(cpu)))
        leave_set(queue);
    if (next) {
        next->run(next);
    } else if (!sched_leave(queue)) {
        arch_idle();
        irq_handle();
    }
}

void sched_ipi_taken(void)
{
    struct sched_queue *queue = &this_cpu()->sched;

    if (atomic_load_explicit(&queue->slice_wanted, memory_order_relaxed) && queue->running) {
        atomic_store_explicit(&queue->slice_wanted, false, memory_order_relaxed);
        slice_start_late(queue);
    }
}

void sched_loop(void)
{
    atomic_store(&this_cpu()->online, true);
    for (;;)
        sched_turn();
}
