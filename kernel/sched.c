/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler. A queue's lock guards its lists, `running`, the states of its entities and its
 * table; `leave` and `slice_wanted` are also set without it. The timers belong to the queue's pCPU,
 * which alone sets `running`. Budgets are in sched_budget.c, time tables in sched_table.c.
 *
 * `running` stays set from the moment run() is called until the scheduler has taken the entity
 * back, even when the entity is blocked by then, or blocked and woken again (and so in a list):
 * its run() has yet to return, so it must not be freed.
 *
 * `leave` is cleared where the next entity is chosen. Whatever asks for it after that is seen by
 * run() before it enters the guest, or comes with an IPI, which ends the guest.
 */
#include "kernel/sched_impl.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/ipi.h"
#include "kernel/percpu.h"

#define SLICE_NS 10000000u
#define SLICE_DEBT                                                                                 \
    8u /* What was run beyond a slice is taken off the next, up to this part of it. */

static bool is_ready(const struct sched_queue *queue, unsigned priority)
{
    return queue->ready_mask >> priority & 1;
}

static uint64_t slice_end(const struct sched_entity *running)
{
    return running->since + running->slice_left;
}

/* When the running entity's slice or budget is over; TICKS_NEVER if it has no end. */
[[gnu::noinline]] static uint64_t turn_end(const struct sched_queue *queue)
{
    const struct sched_entity *running = queue->running;
    uint64_t end = TICKS_NEVER;

    if (is_ready(queue, running->priority))
        end = slice_end(running);
    if (running->budget_ticks)
        end = MIN(end, sched_budget_end(running));
    return end;
}

/*
 * Makes sure that the timer fires at the end or before. It is left as it is when it
 * fires earlier: entities mostly block or give way long before, and setting the hardware each time
 * would cost more than all the rest of a switch. In the past, when the entity ran for long alone:
 * its turn is over. On the queue's own pCPU.
 */
static void slice_start(struct sched_queue *queue, uint64_t end)
{
    if (!queue->slice.armed || queue->slice.deadline > end)
        timer_arm(&queue->slice, end);
}

static void slice_over(struct timer *timer)
{
    struct sched_queue *queue = container_of(timer, struct sched_queue, slice);

    uint64_t end;

    lock_take(&queue->lock);
    end = queue->running ? turn_end(queue) : TICKS_NEVER;
    if (end <= arch_ticks())
        sched_leave_set(queue);
    else
        slice_start(queue, end); /* It was set for another that ran before. */
    lock_drop(&queue->lock);
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
    queue->slice_ns = SLICE_NS;
    list_init(&queue->spent);
    timer_init(&queue->refill, sched_budget_refill);
    queue->slots = NULL;
    queue->slot_owner = NULL;
    timer_init(&queue->slot_end, sched_table_slot_end);
}

void sched_set_slice(unsigned cpu, uint64_t slice_ns)
{
    pcpu(cpu)->sched.slice_ns = slice_ns;
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
    entity->affinity = 0;
    entity->spent = false;
    entity->budget_ticks = 0;
    entity->policed = pcpu(cpu)->sched.slots != NULL;
    entity->ran_ticks = 0;
    entity->blocked_ticks = 0;
    entity->added = entity->blocked_since = arch_ticks();
    sched_set_weight(entity, SCHED_WEIGHT_DEFAULT);
}

void sched_set_weight(struct sched_entity *entity, unsigned weight)
{
    uint64_t slice_ns = pcpu(entity->cpu)->sched.slice_ns * weight / SCHED_WEIGHT_DEFAULT;

    assert(weight > 0);
    entity->slice_ticks = ticks_from_ns(slice_ns);
    assert(entity->slice_ticks < TICKS_NEVER / 2); /* No sum with a time overflows. */
    entity->slice_left = entity->slice_ticks;
}

/* The queue of the entity, with its lock: from then on it stays there. */
static struct sched_queue *queue_take(const struct sched_entity *entity)
{
    for (;;) {
        unsigned cpu = atomic_load_explicit(&entity->cpu, memory_order_relaxed);
        struct sched_queue *queue = &pcpu(cpu)->sched;

        lock_take(&queue->lock);
        if (likely(cpu == atomic_load_explicit(&entity->cpu, memory_order_relaxed)))
            return queue;
        lock_drop(&queue->lock); /* It has been moved. */
    }
}

static void ready_push(struct sched_queue *queue, struct sched_entity *entity, bool front)
{
    unsigned priority = entity->priority;
    struct list *list = &queue->ready[priority];

    entity->state = SCHED_READY;
    if (front)
        list_push_front(list, &entity->node);
    else
        list_push_back(list, &entity->node);
    queue->ready_mask |= (uint32_t)1 << priority;
}

/* Under a time table nobody is in a list: its slots say who is next. */
static void make_ready(struct sched_queue *queue, struct sched_entity *entity)
{
    if (queue->slots)
        entity->state = SCHED_READY;
    else
        ready_push(queue, entity, false);
}

/* Returns whether others of its priority are left. */
static bool ready_remove(struct sched_queue *queue, struct sched_entity *entity)
{
    unsigned priority = entity->priority;

    list_remove(&entity->node);
    if (!list_empty(&queue->ready[priority]))
        return true;
    queue->ready_mask &= ~((uint32_t)1 << priority);
    return false;
}

/* Another became ready while it runs; unless it is blocked already, and about to return. */
static void slice_start_late(struct sched_queue *queue)
{
    if (queue->running->state == SCHED_RUNNING)
        slice_start(queue, turn_end(queue));
}

/* An entity was made ready: what is to happen to the one that runs? True: kick the pCPU. */
static bool wake_preempt(struct sched_queue *queue, const struct sched_entity *entity)
{
    const struct sched_entity *running = queue->running;
    const struct list *peers = &queue->ready[entity->priority];

    if (!running)
        return true; /* It may be asleep. */
    if (queue->slots)
        return false;
    if (running->priority < entity->priority ||
        (unlikely(entity->affinity) && sched_balance_asks(entity))) {
        sched_leave_set(queue);
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

/* It ends; but one whose run() has yet to return is not said to have been blocked at all. */
static void blocked_end(const struct sched_queue *queue, struct sched_entity *entity)
{
    if (queue->running != entity)
        entity->blocked_ticks += arch_ticks() - entity->blocked_since;
}

void sched_wake(struct sched_entity *entity)
{
    struct sched_queue *queue = queue_take(entity);
    bool kick = false;
    unsigned cpu;

    if (entity->state == SCHED_BLOCKED)
        blocked_end(queue, entity);
    if (entity->state == SCHED_RUNNING) {
        entity->wake_pending = true;
    } else if (entity->state == SCHED_BLOCKED && unlikely(entity->spent)) {
        entity->state = SCHED_SPENT;
    } else if (entity->state == SCHED_BLOCKED) {
        make_ready(queue, entity);
        kick = wake_preempt(queue, entity);
    }
    cpu = atomic_load_explicit(&entity->cpu, memory_order_relaxed);
    lock_drop(&queue->lock);
    if (kick)
        ipi_kick(cpu);
}

void sched_depart(struct sched_queue *queue, struct sched_entity *entity)
{
    ready_remove(queue, entity);
    entity->state = SCHED_MOVING;
}

void sched_arrive(struct sched_entity *entity)
{
    struct sched_queue *queue = queue_take(entity);
    unsigned cpu = entity->cpu;
    bool kick;

    assert(entity->state == SCHED_MOVING);
    make_ready(queue, entity);
    kick = wake_preempt(queue, entity);
    lock_drop(&queue->lock);
    if (kick)
        ipi_kick(cpu);
}

void sched_refilled(struct sched_queue *queue, struct sched_entity *entity)
{
    if (entity->state != SCHED_SPENT)
        return;
    make_ready(queue, entity);
    wake_preempt(queue, entity); /* No kick: this is the queue's own pCPU. */
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
        sched_leave_set(queue);
    }
    lock_drop(&queue->lock);
}

void sched_kick(struct sched_entity *entity)
{
    struct sched_queue *queue = queue_take(entity);
    bool running = queue->running == entity;
    unsigned cpu = entity->cpu;

    if (running)
        sched_leave_set(queue);
    lock_drop(&queue->lock);
    if (running)
        ipi_kick(cpu);
}

enum err sched_remove(struct sched_entity *entity)
{
    struct sched_queue *queue = queue_take(entity);
    enum err err = E_BUSY;

    if (queue->running != entity && entity->state != SCHED_MOVING) {
        if (entity->state == SCHED_READY)
            ready_remove(queue, entity);
        else
            list_remove(&entity->node); /* Of those that are spent, or none. */
        entity->spent = false;
        if (entity->state != SCHED_BLOCKED)
            entity->blocked_since = arch_ticks();
        entity->state = SCHED_BLOCKED;
        entity->wake_pending = false;
        err = OK;
    }
    lock_drop(&queue->lock);
    return err;
}

uint64_t sched_ran_ticks(struct sched_entity *entity)
{
    struct sched_queue *queue = queue_take(entity);
    uint64_t ran;

    ran = entity->ran_ticks;
    if (queue->running == entity)
        ran += arch_ticks() - entity->since;
    lock_drop(&queue->lock);
    return ran;
}

/* All that is neither running nor blocked: so a switch need not count it. */
uint64_t sched_waited_ticks(const struct sched_entity *entity)
{
    uint64_t waited = entity->since - entity->added - entity->ran_ticks - entity->blocked_ticks;

    return (int64_t)waited > 0 ? waited : 0; /* Clocks of two pCPUs may differ by a little. */
}

/* Back into its list, unless it has blocked: to the front with what is left of its slice. */
static inline void turn_requeue(struct sched_queue *queue, struct sched_entity *entity,
                                uint64_t ran)
{
    uint64_t left = entity->slice_left;

    if (entity->state == SCHED_RUNNING && ran < left) {
        entity->slice_left = left - ran;
        ready_push(queue, entity, true);
        return;
    }
    entity->slice_left = entity->slice_ticks;
    if (entity->state != SCHED_RUNNING) {
        entity->blocked_since = entity->since + ran;
        return;
    }
    if (unlikely(left)) /* It did not give way. */
        entity->slice_left -= MIN(ran - left, entity->slice_ticks / SLICE_DEBT);
    ready_push(queue, entity, false);
}

/* The same for one with a budget, which may be used up, or under a time table. */
[[gnu::noinline]] static void turn_police(struct sched_queue *queue, struct sched_entity *entity,
                                          uint64_t ran, uint64_t now)
{
    bool wanted = entity->state != SCHED_BLOCKED;

    if (!wanted)
        entity->blocked_since = now;
    if (entity->state == SCHED_READY)
        ready_remove(queue, entity); /* Woken already. */
    if (entity->budget_ticks && sched_budget_charge(queue, entity, ran, now)) {
        entity->slice_left = entity->slice_ticks;
        entity->state = wanted ? SCHED_SPENT : SCHED_BLOCKED;
    } else if (queue->slots || entity->state == SCHED_READY) {
        entity->slice_left = entity->slice_ticks;
        if (wanted)
            make_ready(queue, entity);
    } else {
        turn_requeue(queue, entity, ran);
    }
}

/* Takes the entity back whose run() has returned, if there is one. The lock is held. */
[[gnu::always_inline]] static inline void turn_put(struct sched_queue *queue, uint64_t now)
{
    struct sched_entity *entity = queue->running;
    uint64_t ran;

    if (!entity)
        return;
    queue->running = NULL;
    ran = now - entity->since;
    entity->ran_ticks += ran;
    if (unlikely(entity->policed))
        turn_police(queue, entity, ran, now);
    else
        turn_requeue(queue, entity, ran);
}

/* Who is next; NULL for nobody. */
static struct sched_entity *turn_first(struct sched_queue *queue, uint64_t now)
{
    struct sched_entity *owner;

    if (likely(queue->ready_mask))
        return list_first(&queue->ready[bit_highest(queue->ready_mask)], struct sched_entity, node);
    if (!queue->slots)
        return NULL;
    owner = sched_table_pick(queue, now);
    return owner && owner->state == SCHED_READY ? owner : NULL;
}

/* Chooses who is next, NULL for nobody, and sets the slice timer for it. The lock is held. */
static struct sched_entity *turn_pick(struct sched_queue *queue, uint64_t now)
{
    struct sched_entity *next = turn_first(queue, now);
    bool company = false;

    atomic_store_explicit(&queue->leave, false, memory_order_relaxed);
    atomic_store_explicit(&queue->slice_wanted, false, memory_order_relaxed);
    if (next) {
        company = ready_remove(queue, next);
        next->state = SCHED_RUNNING;
        next->since = now;
        queue->running = next;
    }
    if (next && unlikely(next->budget_ticks)) {
        sched_budget_renew(next, now);
        slice_start(queue, turn_end(queue));
    } else if (company) {
        slice_start(queue, slice_end(next));
    } else if (queue->slice.armed) {
        timer_disarm(&queue->slice);
    }
    return next;
}

static inline bool work_waiting(struct pcpu *cpu)
{
    return atomic_load_explicit(&cpu->work, memory_order_relaxed) != NULL;
}

/* Nobody runs while work does, so that work may remove the entity that ran last. */
[[gnu::noinline]] static void turn_work(struct sched_queue *queue, uint64_t now)
{
    lock_take(&queue->lock);
    turn_put(queue, now);
    lock_drop(&queue->lock);
    ipi_run_work();
}

uint64_t sched_work_pause(uint64_t took, unsigned others)
{
    struct sched_queue *queue = &this_cpu()->sched;
    bool wanted;

    lock_take(&queue->lock);
    wanted = queue->running || turn_first(queue, arch_ticks());
    lock_drop(&queue->lock);
    return wanted ? took * (queue->slots ? 99 : others) : 0;
}

static inline void turn_idle(void)
{
    const bool balancing = sched_is_balancing();

    if (unlikely(balancing))
        sched_balance_idle();
    arch_idle();
    if (unlikely(balancing))
        sched_balance_busy();
    irq_handle();
}

void sched_turn(void)
{
    struct pcpu *cpu = this_cpu();
    struct sched_queue *queue = &cpu->sched;
    struct sched_entity *next;
    uint64_t now = arch_ticks();

    if (unlikely(work_waiting(cpu))) {
        turn_work(queue, now);
        now = arch_ticks();
    }
    lock_take(&queue->lock);
    turn_put(queue, now);
    next = turn_pick(queue, now);
    lock_drop(&queue->lock);
    if (unlikely(sched_is_balancing()) && next)
        sched_balance_give(queue);
    /* Work that came after the check above, maybe from work itself: `leave` has been cleared. */
    if (unlikely(work_waiting(cpu)))
        sched_leave_set(queue);
    if (next) {
        next->run(next);
    } else if (!sched_leave(queue)) {
        turn_idle();
    }
}

void sched_ipi_taken(void)
{
    struct sched_queue *queue = &this_cpu()->sched;

    if (atomic_load_explicit(&queue->slice_wanted, memory_order_relaxed) && queue->running) {
        atomic_store_explicit(&queue->slice_wanted, false, memory_order_relaxed);
        lock_take(&queue->lock);
        slice_start_late(queue);
        lock_drop(&queue->lock);
    }
}

void sched_loop(void)
{
    atomic_store(&this_cpu()->online, true);
    for (;;)
        sched_turn();
}
