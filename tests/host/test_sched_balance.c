/* SPDX-License-Identifier: Apache-2.0 */
/* Balancing: who goes where, who asks whom, and what is said before. */
#include "kernel/ipi.h"
#include "kernel/percpu.h"
#include "kernel/sched.h"
#include "tests/host/test.h"

#define MS 1000000u

static struct sched_entity entities[6];
static unsigned moves[6], ran_on[6][4];
static void (*in_run)(struct sched_entity *entity);

static unsigned number(const struct sched_entity *entity)
{
    return (unsigned)(entity - entities);
}

static void run(struct sched_entity *entity)
{
    ASSERT_EQ(entity->cpu, this_cpu()->id);
    ASSERT_EQ(this_cpu()->sched.running, entity);
    ran_on[number(entity)][this_cpu()->id]++;
    if (in_run)
        in_run(entity);
}

/* Before it goes: still here, and in no list. */
static void moving(struct sched_entity *entity)
{
    ASSERT_EQ(entity->cpu, this_cpu()->id);
    ASSERT(this_cpu()->sched.running != entity);
    ASSERT_EQ(entity->state, SCHED_MOVING);
    moves[number(entity)]++;
}

static void start(void)
{
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
        moves[i] = 0;
        for (unsigned cpu = 0; cpu < 4; cpu++)
            ran_on[i][cpu] = 0;
    }
}

static void turn(unsigned cpu)
{
    fake_be_cpu(cpu);
    if (atomic_load(&this_cpu()->ipi_under_way))
        ipi_taken();
    sched_turn();
    fake_be_cpu(0);
}

static void balanced(unsigned i, uint64_t affinity)
{
    sched_set_affinity(&entities[i], affinity, moving);
}

/* While pCPU 1 sleeps, pCPU 0 has a turn. */
static void turn_of_first(void)
{
    fake.on_idle = NULL;
    turn(0);
    fake_be_cpu(1);
}

static void sleep_while_first_turns(void)
{
    fake.on_idle = turn_of_first;
    turn(1);
    fake.on_idle = NULL;
}

TEST(who_waits_goes_to_a_processor_that_is_idle)
{
    start();
    balanced(1, 0x3);
    sched_wake(&entities[0]);
    sched_wake(&entities[1]);
    turn(0);
    ASSERT_EQ(entities[1].cpu, 0); /* Nobody is known to be idle. */
    sleep_while_first_turns();     /* It asks, and pCPU 0 chooses anew. */
    ASSERT_EQ(entities[1].cpu, 1);
    ASSERT_EQ(moves[1], 1);
    turn(1);
    turn(0);
    ASSERT_EQ(ran_on[1][1], 1);
    ASSERT_EQ(ran_on[0][0], 3);
    ASSERT_EQ(moves[0], 0);
}

TEST(an_idle_processor_asks_by_one_ipi_and_only_where_somebody_may_come)
{
    start();
    balanced(1, 0x5); /* Not to pCPU 1. */
    sched_wake(&entities[0]);
    sched_wake(&entities[1]);
    turn(0);
    turn(1);
    ASSERT_EQ(pcpu(0)->arch.ipis, 0);
    ASSERT(!sched_leave(&pcpu(0)->sched));
    turn(2);
    ASSERT_EQ(pcpu(0)->arch.ipis, 1);
    ASSERT(sched_leave(&pcpu(0)->sched));
    ASSERT_EQ(fake.idles, 2);
}

static void wake_second(struct sched_entity *)
{
    in_run = NULL;
    sched_wake(&entities[1]);
    ASSERT(sched_leave(&this_cpu()->sched)); /* To give it away. */
}

static void turn_of_first_twice(void)
{
    turn(0);
    turn(0);
    fake_be_cpu(1);
}

TEST(who_is_woken_where_another_runs_goes_to_an_idle_processor_at_once)
{
    start();
    balanced(1, 0xf);
    sched_wake(&entities[0]);
    in_run = wake_second;
    fake.on_idle = turn_of_first_twice;
    turn(1);
    fake.on_idle = NULL;
    ASSERT_EQ(entities[1].cpu, 1);
    ASSERT_EQ(entities[1].state, SCHED_READY);
    in_run = NULL;
    turn(1);
    ASSERT_EQ(ran_on[1][1], 1);
    ASSERT_EQ(ran_on[1][0], 0);
}

TEST(an_idle_processor_is_given_one_and_a_lower_priority_waits_behind_a_higher)
{
    start();
    sched_add(&entities[2], 0, 20);
    for (unsigned i = 0; i < 4; i++)
        balanced(i, 0x3);
    for (unsigned i = 0; i < 4; i++)
        sched_wake(&entities[i]);
    sleep_while_first_turns();
    /* The highest runs, the first of the next went; the others stay. */
    ASSERT_EQ(ran_on[2][0], 1);
    ASSERT_EQ(entities[0].cpu, 1);
    ASSERT_EQ(entities[1].cpu, 0);
    ASSERT_EQ(entities[3].cpu, 0);
}

TEST(without_an_affinity_nobody_is_moved)
{
    start();
    balanced(1, 0);
    for (unsigned i = 0; i < 3; i++)
        sched_wake(&entities[i]);
    sleep_while_first_turns();
    turn(0);
    for (unsigned i = 0; i < 3; i++)
        ASSERT_EQ(entities[i].cpu, 0);
    ASSERT_EQ(pcpu(0)->arch.ipis, 0);
}

static void random_run(struct sched_entity *entity)
{
    fake_advance(MS);
    timer_expire();
    switch (test_random() % 4) {
    case 0:
        if (sched_block(entity))
            return;
        break;
    case 1:
        sched_give_way(entity);
        break;
    default:
        sched_wake(&entities[test_random_below(ARRAY_SIZE(entities))]);
    }
}

/* The others go on while this one sleeps. */
static void others_turn(void)
{
    void (*const on_idle)(void) = fake.on_idle;
    unsigned self = this_cpu()->id;

    fake.on_idle = NULL;
    for (unsigned i = 1; i < 4; i++)
        turn((self + i) % 4);
    fake.on_idle = on_idle;
    fake_be_cpu(self);
}

static void random_idle(void)
{
    unsigned self = this_cpu()->id;

    fake_be_cpu((self + 1) % 4);
    sched_wake(&entities[test_random_below(ARRAY_SIZE(entities))]);
    fake_be_cpu(self);
    if (test_random() % 2)
        others_turn();
}

/* Nobody is lost, nobody runs outside of its affinity, and with all busy no pCPU rests for long. */
TEST(random_schedules_with_balancing_lose_nobody)
{
    start();
    for (unsigned i = 0; i < ARRAY_SIZE(entities); i++)
        balanced(i, i == 5 ? 0x3 : 0xf);
    in_run = random_run;
    fake.on_idle = random_idle;
    for (unsigned i = 0; i < 40000; i++)
        turn((unsigned)test_random_below(4));
    ASSERT_EQ(ran_on[5][2] + ran_on[5][3], 0);
    in_run = NULL;
    fake.on_idle = others_turn;
    for (unsigned i = 0; i < ARRAY_SIZE(entities); i++)
        sched_wake(&entities[i]);
    for (unsigned i = 0; i < 200; i++)
        turn(i % 4);
    for (unsigned cpu = 0; cpu < 4; cpu++)
        ASSERT(pcpu(cpu)->sched.running != NULL); /* Six that are busy, four pCPUs. */
    for (unsigned i = 0; i < ARRAY_SIZE(entities); i++) {
        ASSERT(entities[i].state == SCHED_READY || entities[i].state == SCHED_RUNNING);
        ASSERT(moves[i] > 0 && ran_on[i][0] + ran_on[i][1] > 0);
    }
}
