/* SPDX-License-Identifier: Apache-2.0 */
/* Timer queues. The fake's clock ticks once in a nanosecond. */
#include "kernel/bits.h"
#include "kernel/percpu.h"
#include "kernel/timer.h"
#include "tests/host/test.h"

static struct timer timers[8];
static unsigned fired[64], fired_count;

static void fire(struct timer *timer)
{
    ASSERT(!timer->armed);
    ASSERT(timer->deadline <= arch_ticks());
    fired[fired_count++] = (unsigned)(timer - timers);
}

static void start(void)
{
    fired_count = 0;
    timer_init_cpu();
    for (unsigned i = 0; i < ARRAY_SIZE(timers); i++)
        timer_init(&timers[i], fire);
}

static uint64_t hardware(void)
{
    return this_cpu()->arch.timer_deadline;
}

TEST(timers_fire_in_the_order_of_their_deadlines)
{
    start();
    timer_arm(&timers[0], 300);
    timer_arm(&timers[1], 100);
    timer_arm(&timers[2], 200);
    timer_arm(&timers[3], 100);
    ASSERT_EQ(hardware(), 100);
    fake_advance(200);
    timer_expire();
    ASSERT_EQ(fired_count, 3);
    ASSERT(fired[0] == 1 && fired[1] == 3 && fired[2] == 2);
    ASSERT_EQ(hardware(), 300);
    fake_advance(100);
    timer_expire();
    ASSERT_EQ(fired_count, 4);
    ASSERT_EQ(hardware(), TICKS_NEVER);
}

TEST(the_hardware_is_set_only_when_the_first_deadline_changes)
{
    start();
    timer_arm(&timers[0], 100);
    this_cpu()->arch.timer_deadline = 42; /* Would be overwritten. */
    timer_arm(&timers[1], 200);
    timer_arm(&timers[2], 100);
    timer_disarm(&timers[0]);
    timer_disarm(&timers[1]);
    ASSERT_EQ(hardware(), 42);
    timer_disarm(&timers[2]);
    ASSERT_EQ(hardware(), TICKS_NEVER);
}

TEST(a_timer_is_armed_again_and_disarmed_twice)
{
    start();
    timer_arm(&timers[0], 100);
    timer_arm(&timers[0], 50);
    ASSERT_EQ(hardware(), 50);
    timer_arm(&timers[0], 500);
    ASSERT_EQ(hardware(), 500);
    timer_disarm(&timers[0]);
    timer_disarm(&timers[0]);
    timer_arm(&timers[1], TICKS_NEVER);
    ASSERT(!timers[1].armed);
    fake_advance(1000);
    timer_expire();
    ASSERT_EQ(fired_count, 0);
}

TEST(an_early_interrupt_sets_the_hardware_again)
{
    start();
    timer_arm(&timers[0], 100);
    this_cpu()->arch.timer_deadline = TICKS_NEVER; /* It fired once, too early. */
    timer_expire();
    ASSERT_EQ(fired_count, 0);
    ASSERT_EQ(hardware(), 100);
}

static void fire_again(struct timer *timer)
{
    fired_count++;
    timer_arm(timer, 0);
}

TEST(a_timer_that_arms_itself_for_the_past_waits_for_the_interrupt)
{
    start();
    timer_init(&timers[0], fire_again);
    timer_arm(&timers[0], 10);
    fake_advance(10);
    timer_expire();
    ASSERT_EQ(fired_count, 1);
    ASSERT_EQ(hardware(), 0);
    timer_expire();
    ASSERT_EQ(fired_count, 2);
}

static void fire_and_disarm(struct timer *)
{
    timer_disarm(&timers[1]);
    timer_arm(&timers[2], 5000);
}

TEST(a_timer_may_disarm_and_delay_others_that_are_due)
{
    start();
    timer_init(&timers[0], fire_and_disarm);
    for (unsigned i = 0; i < 4; i++)
        timer_arm(&timers[i], 10);
    fake_advance(10);
    timer_expire();
    ASSERT_EQ(fired_count, 1);
    ASSERT_EQ(fired[0], 3);
    ASSERT_EQ(hardware(), 5000);
}

TEST(each_processor_has_its_own_timers)
{
    start();
    fake_be_cpu(1);
    timer_init_cpu();
    timer_arm(&timers[1], 100);
    fake_be_cpu(0);
    timer_arm(&timers[0], 70);
    ASSERT_EQ(hardware(), 70);
    fake_advance(100);
    timer_expire();
    ASSERT_EQ(fired_count, 1);
    ASSERT_DIES((timer_arm(&timers[1], 10), 0));
    fake_be_cpu(1);
    ASSERT_EQ(hardware(), 100);
    timer_expire();
    ASSERT_EQ(fired_count, 2);
}

TEST(random_arming_fires_each_timer_once_and_never_early)
{
    uint64_t deadline[ARRAY_SIZE(timers)];

    start();
    for (unsigned round = 0; round < 20000; round++) {
        unsigned i = (unsigned)test_random_below(ARRAY_SIZE(timers)), due = 0;
        uint64_t first = TICKS_NEVER;

        if (test_random_below(4) == 0)
            timer_disarm(&timers[i]);
        else
            timer_arm(&timers[i], deadline[i] = arch_ticks() + test_random_below(50));
        for (i = 0; i < ARRAY_SIZE(timers); i++) {
            if (timers[i].armed)
                first = MIN(first, deadline[i]);
        }
        ASSERT_EQ(hardware(), first);
        fake_advance(test_random_below(10));
        for (i = 0; i < ARRAY_SIZE(timers); i++)
            due += timers[i].armed && deadline[i] <= arch_ticks();
        fired_count = 0;
        timer_expire();
        ASSERT_EQ(fired_count, due);
    }
}

TEST(ticks_and_nanoseconds_convert)
{
    ASSERT_EQ(ticks_from_ns(0), 0);
    ASSERT_EQ(ticks_from_ns(123456789), 123456789);
    ASSERT_EQ(ticks_to_ns(UINT64_MAX - 1), UINT64_MAX - 1);
    ASSERT_EQ(ticks_from_ns(UINT64_MAX), UINT64_MAX);
}

TEST(a_time_of_another_clock_is_now_ahead_or_never)
{
    start();
    fake_advance(1000);
    ASSERT_EQ(ticks_until(7, 7), 1000);
    ASSERT_EQ(ticks_until(7, 0), 1000);
    ASSERT_EQ(ticks_until(7, 8), 1001);
    ASSERT_EQ(ticks_until(500, BIT(63) + 1000), BIT(63) + 1500); /* Far, and yet ahead. */
    ASSERT_EQ(ticks_until(500, UINT64_MAX - 1), TICKS_NEVER);
    ASSERT_EQ(ticks_until(500, UINT64_MAX), TICKS_NEVER);
    ASSERT_EQ(ticks_until(UINT64_MAX, 3), 1000);
}
