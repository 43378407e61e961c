/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timer queues. All of a queue is touched by its own pCPU only, with interrupts masked, so there is
 * no lock. The hardware is set when the first deadline changes, and otherwise left alone: setting
 * it may cost more than the rest of this file.
 */
#include "kernel/timer.h"

#include "kernel/arch.h"
#include "kernel/assert.h"
#include "kernel/percpu.h"

#define NS_PER_S 1000000000u

void timer_init(struct timer *timer, void (*fn)(struct timer *timer))
{
    *timer = (struct timer){.deadline = TICKS_NEVER, .fn = fn};
    list_init(&timer->node);
}

/* Sets the hardware to the first deadline, if that is news to it or if told to. */
static void timer_program(struct timer_queue *queue, bool always)
{
    uint64_t deadline = TICKS_NEVER;

    if (queue->expiring)
        return;
    if (!list_empty(&queue->timers))
        deadline = list_first(&queue->timers, struct timer, node)->deadline;
    if (always || deadline != queue->programmed) {
        queue->programmed = deadline;
        arch_timer_set(deadline);
    }
}

static void timer_insert(struct timer_queue *queue, struct timer *timer)
{
    struct list *pos = &queue->timers;

    /* From the back, where a new deadline mostly belongs. */
    while (pos->prev != &queue->timers &&
           container_of(pos->prev, struct timer, node)->deadline > timer->deadline)
        pos = pos->prev;
    list_insert_before(pos, &timer->node);
}

void timer_arm(struct timer *timer, uint64_t deadline)
{
    struct pcpu *cpu = this_cpu();

    assert(!timer->armed || timer->cpu == cpu->id);
    list_remove(&timer->node);
    timer->deadline = deadline;
    timer->cpu = cpu->id;
    timer->armed = deadline != TICKS_NEVER;
    if (timer->armed)
        timer_insert(&cpu->timers, timer);
    timer_program(&cpu->timers, false);
}

void timer_disarm(struct timer *timer)
{
    if (!timer->armed)
        return;
    timer_arm(timer, TICKS_NEVER);
}

static bool timer_is_due(const struct timer_queue *queue, const struct list *pos, uint64_t now)
{
    return pos != &queue->timers && container_of(pos, struct timer, node)->deadline <= now;
}

static void timer_fire(struct list *pos)
{
    struct timer *timer = container_of(pos, struct timer, node);

    list_remove(&timer->node);
    timer->armed = false;
    timer->fn(timer);
}

/*
 * Timers due now move to a list of their own before any fires: one that arms itself again, for the
 * past even, waits for the next interrupt, while one that disarms another which is due, does so.
 */
[[gnu::noinline]] static void timer_fire_all(struct timer_queue *queue, uint64_t now)
{
    struct list due;

    list_init(&due);
    while (timer_is_due(queue, queue->timers.next, now)) {
        struct list *first = queue->timers.next;

        list_remove(first);
        list_push_back(&due, first);
    }
    while (!list_empty(&due))
        timer_fire(due.next);
}

void timer_expire(void)
{
    struct timer_queue *queue = &this_cpu()->timers;
    struct list *first = queue->timers.next;
    uint64_t now = arch_ticks();

    assert(!queue->expiring);
    queue->expiring = true;
    if (timer_is_due(queue, first, now)) { /* Mostly one alone. */
        if (unlikely(timer_is_due(queue, first->next, now)))
            timer_fire_all(queue, now);
        else
            timer_fire(first);
    }
    queue->expiring = false;
    /* Hardware that fires early, or once, must be set again even to the same deadline. */
    timer_program(queue, true);
}

void timer_init_cpu(void)
{
    struct timer_queue *queue = &this_cpu()->timers;

    list_init(&queue->timers);
    queue->expiring = false;
    queue->programmed = TICKS_NEVER;
    arch_timer_set(TICKS_NEVER);
}

uint64_t ticks_until(uint64_t now, uint64_t then)
{
    uint64_t deadline, ticks = arch_ticks();

    if (then <= now)
        return ticks;
    return __builtin_add_overflow(ticks, then - now, &deadline) ? TICKS_NEVER : deadline;
}

/* value * to / from without losing the high bits; `from` and `to` are below 2^34. */
static uint64_t ticks_scale(uint64_t value, uint64_t from, uint64_t to, bool up)
{
    uint64_t whole, part = value % from * to + (up ? from - 1 : 0);

    if (__builtin_mul_overflow(value / from, to, &whole) ||
        __builtin_add_overflow(whole, part / from, &whole))
        return UINT64_MAX;
    return whole;
}

uint64_t ticks_from_cycles(uint64_t cycles, uint64_t hz)
{
    return ticks_scale(cycles, hz, arch_tick_hz(), true);
}

uint64_t ticks_to_cycles(uint64_t ticks, uint64_t hz)
{
    uint64_t tick_hz = arch_tick_hz();

    return tick_hz ? ticks_scale(ticks, tick_hz, hz, false) : 0;
}

uint64_t ticks_from_ns(uint64_t ns)
{
    return ticks_from_cycles(ns, NS_PER_S);
}

uint64_t ticks_to_ns(uint64_t ticks)
{
    return ticks_to_cycles(ticks, NS_PER_S);
}
