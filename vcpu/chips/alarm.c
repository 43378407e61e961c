/* SPDX-License-Identifier: Apache-2.0 */
/* Timers of guests' devices: see alarm.h. */
#include "vcpu/chips/alarm.h"

#include "kernel/assert.h"
#include "kernel/percpu.h"

/* On the home pCPU, lock held. */
static void alarm_serve(struct alarm *alarm)
{
    assert(this_cpu()->id == alarm->home);
    timer_arm(&alarm->timer, alarm->deadline); /* TICKS_NEVER disarms. */
}

static void alarm_work(struct work *work)
{
    struct alarm *alarm = container_of(work, struct alarm, work);

    lock_take(alarm->lock);
    alarm_serve(alarm);
    lock_drop(alarm->lock);
    atomic_fetch_add(&alarm->work_served, 1); /* The last touch: see alarm_stop(). */
}

static void alarm_timer(struct timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);

    lock_take(alarm->lock);
    if (arch_ticks() >= alarm->deadline) {
        alarm->deadline = TICKS_NEVER;
        alarm->fired(alarm);
    } else {
        alarm_serve(alarm); /* It was moved meanwhile. */
    }
    lock_drop(alarm->lock);
}

void alarm_init(struct alarm *alarm, struct lock *lock, unsigned home,
                void (*fired)(struct alarm *alarm))
{
    *alarm = (struct alarm){
        .lock = lock, .home = home, .deadline = TICKS_NEVER, .work.fn = alarm_work, .fired = fired};
    timer_init(&alarm->timer, alarm_timer);
}

void alarm_set(struct alarm *alarm, uint64_t deadline)
{
    assert(lock_held(alarm->lock));
    alarm->deadline = deadline;
    if (this_cpu()->id == alarm->home)
        alarm_serve(alarm);
    else if (ipi_work(alarm->home, &alarm->work))
        alarm->work_asked++;
}

void alarm_stop(struct alarm *alarm)
{
    lock_take(alarm->lock);
    alarm_set(alarm, TICKS_NEVER);
    lock_drop(alarm->lock);
    if (this_cpu()->id == alarm->home)
        ipi_run_work(); /* What other pCPUs have asked for. */
    while (atomic_load(&alarm->work_served) != alarm->work_asked)
        arch_relax();
}
