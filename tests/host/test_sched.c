/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler: turns of the loop on the fake, whose "guests" are the functions below. */
#include "kernel/ipi.h"
#include "kernel/percpu.h"
#include "kernel/sched.h"
#include "tests/host/test.h"

#define SLICE 10000000u

static struct sched_entity entities[8];
static struct work works[2];
static char trace[256]; /* Who ran, as letters from 'a'. */
static unsigned trace_size;
static void (*in_run)(struct sched_entity *entity); /* What the "guest" does. */

static struct sched_queue *queue(unsigned cpu)
{
    return &pcpu(cpu)->sched;
}

static void run(struct sched_entity *entity)
{
    ASSERT_EQ(entity->state, SCHED_RUNNING);
    ASSERT_EQ(queue(this_cpu()->id)->running, entity);
    trace[trace_size++] = (char)('a' + (entity - entities));
    trace[trace_size] = 0;
    if (in_run)
        in_run(entity);
}

static void block(struct sched_entity *entity)
{
    ASSERT(sched_block(entity));
}

static void start(void)
{
    trace_size = 0;
    trace[0] = 0;
    in_run = NULL;
    for (unsigned i = pcpu_count; i-- > 0;) {
        fake_be_cpu(i);
        timer_init_cpu();
        sched_init_cpu();
        pcpu(i)->online = true;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(entities); i++) {
        entities[i] = (struct sched_entity){.run = run};
        sched_add(&entities[i], 0, 10);
    }
    works[0] = works[1] = (struct work){0};
}

static void turns(unsigned count)
{
    while (count-- > 0)
        sched_turn();
}

TEST(with_nobody_ready_the_processor_idles)
{
    start();
    turns(3);
    ASSERT_EQ(fake.idles, 3);
    ASSERT_EQ(this_cpu()->arch.timer_deadline, TICKS_NEVER);
}

TEST(an_entity_alone_runs_on_without_a_timer)
{
    start();
    sched_wake(&entities[0]);
    sched_wake(&entities[0]); /* Ready already. */
    turns(3);
    ASSERT_STR(trace, "aaa");
    ASSERT_EQ(fake.idles, 0);
    ASSERT_EQ(this_cpu()->arch.timer_deadline, TICKS_NEVER);
}

TEST(the_highest_priority_runs)
{
    start();
    sched_add(&entities[1], 0, 31);
    sched_add(&entities[2], 0, 0);
    for (unsigned i = 0; i < 3; i++)
        sched_wake(&entities[i]);
    in_run = block;
    turns(3);
    ASSERT_STR(trace, "bac");
    turns(1);
    ASSERT_EQ(fake.idles, 1);
}

static void use_slice(struct sched_entity *)
{
    fake_advance(SLICE);
    timer_expire();
    ASSERT(sched_leave(&this_cpu()->sched));
}

TEST(equals_take_turns_of_a_slice)
{
    start();
    for (unsigned i = 0; i < 3; i++)
        sched_wake(&entities[i]);
    in_run = use_slice;
    turns(7);
    ASSERT_STR(trace, "abcabca");
    ASSERT_EQ(entities[1].ran_ticks, 2 * SLICE);
}

static void use_third(struct sched_entity *)
{
    fake_advance(SLICE / 3 + 1);
}

TEST(leaving_early_does_not_renew_the_slice)
{
    start();
    sched_wake(&entities[0]);
    sched_wake(&entities[1]);
    in_run = use_third;
    turns(9);
    ASSERT_STR(trace, "aaabbbaaa");
}

TEST(the_slice_timer_runs_only_with_company)
{
    start();
    sched_wake(&entities[0]);
    sched_wake(&entities[1]);
    turns(1);
    ASSERT_EQ(this_cpu()->arch.timer_deadline, SLICE);
    in_run = block;
    turns(1);
    ASSERT_STR(trace, "aa");
    in_run = NULL;
    turns(1);
    ASSERT_STR(trace, "aab");
    ASSERT_EQ(this_cpu()->arch.timer_deadline, TICKS_NEVER);
}

static void use_half_and_block(struct sched_entity *entity)
{
    fake_advance(SLICE / 2);
    if (entity == &entities[0])
        block(entity);
    else
        timer_expire();
}

TEST(a_slice_is_not_cut_short_by_the_timer_of_another_that_blocked)
{
    start();
    for (unsigned i = 0; i < 3; i++)
        sched_wake(&entities[i]);
    in_run = use_half_and_block;
    turns(2);
    ASSERT(!sched_leave(queue(0)));
    ASSERT_EQ(this_cpu()->arch.timer_deadline, SLICE / 2 + SLICE);
    turns(2);
    ASSERT_STR(trace, "abbc");
}

static void wake_second_late(struct sched_entity *entity)
{
    if (entity != &entities[0])
        return;
    fake_advance(SLICE / 2);
    sched_wake(&entities[1]);
    ASSERT_EQ(this_cpu()->arch.timer_deadline, SLICE);
    ASSERT(!sched_leave(queue(0)));
}

TEST(company_that_comes_later_starts_the_slice_timer)
{
    start();
    sched_wake(&entities[0]);
    in_run = wake_second_late;
    turns(1);
}

static void wake_from_other_processor(struct sched_entity *entity)
{
    if (entity != &entities[0])
        return;
    fake_be_cpu(1);
    sched_wake(&entities[1]);
    ASSERT_EQ(pcpu(0)->arch.ipis, 1);
    sched_wake(&entities[2]); /* Needs no other IPI. */
    ASSERT_EQ(pcpu(0)->arch.ipis, 1);
    ASSERT_EQ(pcpu(1)->arch.timer_deadline, TICKS_NEVER);
    fake_be_cpu(0);
    ASSERT_EQ(pcpu(0)->arch.timer_deadline, TICKS_NEVER);
    ipi_taken();
    ASSERT_EQ(pcpu(0)->arch.timer_deadline, SLICE);
    ASSERT(!sched_leave(queue(0)));
}

TEST(company_woken_from_another_processor_starts_the_slice_timer)
{
    start();
    sched_wake(&entities[0]);
    in_run = wake_from_other_processor;
    turns(1);
}

static void wake_higher(struct sched_entity *entity)
{
    if (entity == &entities[1]) {
        block(entity);
        return;
    }
    fake_be_cpu(trace_size == 1 ? 0 : 2); /* First from here, then from another pCPU. */
    sched_wake(&entities[1]);
    ASSERT(sched_leave(queue(0)));
    ASSERT_EQ(pcpu(0)->arch.ipis, trace_size == 1 ? 0 : 1);
    fake_be_cpu(0);
}

TEST(a_higher_priority_preempts_at_once_wherever_it_is_woken)
{
    start();
    sched_add(&entities[1], 0, 11);
    sched_wake(&entities[0]);
    in_run = wake_higher;
    turns(4);
    ASSERT_STR(trace, "abab");
}

TEST(a_lower_priority_disturbs_nobody)
{
    start();
    sched_add(&entities[1], 0, 9);
    sched_wake(&entities[0]);
    turns(1);
    fake_be_cpu(1);
    sched_wake(&entities[1]);
    ASSERT_EQ(pcpu(0)->arch.ipis, 0);
    ASSERT(!sched_leave(queue(0)));
    fake_be_cpu(0);
    turns(1);
    ASSERT_STR(trace, "aa");
}

static void wake_itself(struct sched_entity *entity)
{
    sched_wake(entity);
    ASSERT(!sched_block(entity));
    ASSERT_EQ(entity->state, SCHED_RUNNING);
    ASSERT(sched_block(entity));
    sched_wake(entity); /* run() has not returned yet. */
    ASSERT_EQ(entity->state, SCHED_READY);
}

TEST(a_wake_before_or_after_the_block_is_not_lost)
{
    start();
    sched_wake(&entities[0]);
    in_run = wake_itself;
    turns(1);
    in_run = NULL;
    turns(1);
    ASSERT_STR(trace, "aa");
}

TEST(giving_way_goes_behind_ones_equals_only)
{
    start();
    for (unsigned i = 0; i < 3; i++)
        sched_wake(&entities[i]);
    in_run = sched_give_way;
    turns(4);
    ASSERT_STR(trace, "abca");
    ASSERT_OK(sched_remove(&entities[1]));
    ASSERT_OK(sched_remove(&entities[2]));
    turns(1);
    ASSERT(!sched_leave(queue(0)));
}

static void try_remove(struct sched_entity *entity)
{
    ASSERT_ERR(E_BUSY, sched_remove(entity));
    ASSERT(sched_block(entity));
    ASSERT_ERR(E_BUSY, sched_remove(entity));
    sched_wake(entity);
    ASSERT_ERR(E_BUSY, sched_remove(entity));
}

static void remove_by_work(struct work *)
{
    ASSERT_OK(sched_remove(&entities[0]));
}

TEST(an_entity_is_removed_only_while_it_does_not_run)
{
    start();
    sched_wake(&entities[0]);
    in_run = try_remove;
    turns(1);
    works[0].fn = remove_by_work;
    ASSERT(ipi_work(0, &works[0]));
    turns(1);
    ASSERT_STR(trace, "a");
    ASSERT_EQ(entities[0].state, SCHED_BLOCKED);
    ASSERT_EQ(fake.idles, 1);
}

static void kick_from_other_processor(struct sched_entity *entity)
{
    fake_be_cpu(1);
    sched_kick(&entities[1]);
    ASSERT_EQ(pcpu(0)->arch.ipis, 0);
    ASSERT(!sched_leave(queue(0)));
    sched_kick(entity);
    ASSERT_EQ(pcpu(0)->arch.ipis, 1);
    ASSERT(sched_leave(queue(0)));
    fake_be_cpu(0);
}

TEST(a_kick_makes_the_running_entity_leave)
{
    start();
    sched_wake(&entities[0]);
    in_run = kick_from_other_processor;
    turns(1);
    in_run = NULL;
    turns(1);
    ASSERT(!sched_leave(queue(0)));
}

static unsigned worked;

static void do_work(struct work *)
{
    worked++;
    ASSERT_EQ(queue(0)->running, NULL);
}

static void queue_work(struct sched_entity *)
{
    ASSERT(ipi_work(0, &works[0]));
    ASSERT(sched_leave(queue(0)));
    ASSERT_EQ(fake.ipis, 0);
}

TEST(work_for_the_own_processor_makes_the_running_entity_leave)
{
    start();
    worked = 0;
    works[0].fn = do_work;
    sched_wake(&entities[0]);
    in_run = queue_work;
    turns(1);
    in_run = NULL;
    turns(1);
    ASSERT_EQ(worked, 1);
    ASSERT_STR(trace, "aa");
    ASSERT(!sched_leave(queue(0)));
}

static void idle_wake(void)
{
    fake_be_cpu(1);
    sched_wake(&entities[0]);
    ASSERT_EQ(pcpu(0)->arch.ipis, 1);
    fake_be_cpu(0);
    ipi_taken();
}

TEST(a_wake_ends_the_idling_of_another_processor)
{
    start();
    fake.on_idle = idle_wake;
    turns(2);
    ASSERT_STR(trace, "a");
}

static unsigned random_running;

/* A guest that does anything that may be done, then returns when it is told to. */
static void run_at_random(struct sched_entity *entity)
{
    random_running++;
    for (unsigned steps = 0; steps < 20 && !sched_leave(queue(0)); steps++) {
        fake_be_cpu((unsigned)test_random_below(3));
        sched_wake(&entities[test_random_below(ARRAY_SIZE(entities))]);
        fake_be_cpu(0);
        if (pcpu(0)->ipi_under_way)
            ipi_taken();
        fake_advance(test_random_below(SLICE / 4));
        if (arch_ticks() >= this_cpu()->arch.timer_deadline)
            timer_expire();
        if (test_random_below(4) == 0 && sched_block(entity))
            return;
        if (test_random_below(8) == 0)
            sched_give_way(entity);
    }
}

/* What must hold between two turns: lists, mask and states agree. */
static void check_queue(void)
{
    unsigned listed = 0;
    struct sched_entity *it;

    for (unsigned p = 0; p < SCHED_PRIORITIES; p++) {
        ASSERT_EQ(queue(0)->ready_mask >> p & 1, !list_empty(&queue(0)->ready[p]));
        list_for_each(it, &queue(0)->ready[p], node)
        {
            ASSERT_EQ(it->state, SCHED_READY);
            ASSERT_EQ(it->priority, p);
            listed++;
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(entities); i++)
        listed -= entities[i].state == SCHED_READY;
    ASSERT_EQ(listed, 0);
}

TEST(random_schedules_keep_the_queue_sound)
{
    start();
    for (unsigned i = 0; i < ARRAY_SIZE(entities); i++)
        sched_add(&entities[i], 0, (uint8_t)(i / 3));
    in_run = run_at_random;
    for (unsigned i = 0; i < 20000; i++) {
        trace_size = 0;
        sched_turn();
        check_queue();
        sched_wake(&entities[test_random_below(ARRAY_SIZE(entities))]);
    }
    ASSERT(random_running > 10000);
}
