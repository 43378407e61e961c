/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the scheduler shares a pCPU: weights, budgets and time tables, over seconds of the fake's
 * clock. Its "guests" compute until they are told to leave, and see that late, as real ones do.
 */
#include "kernel/percpu.h"
#include "kernel/sched.h"
#include "tests/host/test.h"

#define US    1000u
#define MS    1000000u
#define S     1000000000ull
#define LATE  (3 * US) /* From a timer's deadline to its interrupt. */
#define SLICE (10ull * MS)
#define WITHIN(value, expected, percent)                                                           \
    ASSERT((value)*100 >= (expected) * (100 - (percent)) &&                                        \
           (value)*100 <= (expected) * (100 + (percent)))

static struct sched_entity entities[6];
static uint64_t started[6], waited_max[6], ready_since[6]; /* Of each: its last turn, its waits. */
static uint64_t end;                                       /* Of the test. */
static unsigned timers_fired;
static void (*in_run)(struct sched_entity *entity);

static struct sched_queue *queue(void)
{
    return &pcpu(0)->sched;
}

/* Time passes until the next timer has fired, or the test is over. */
static void pass(void)
{
    uint64_t deadline = this_cpu()->arch.timer_deadline, now = arch_ticks();

    if (deadline >= end) {
        fake_advance(end - now);
        return;
    }
    fake_advance((deadline > now ? deadline - now : 0) + test_random_below(LATE));
    timers_fired++;
    timer_expire();
}

static void compute(struct sched_entity *)
{
    while (!sched_leave(queue()) && arch_ticks() < end)
        pass();
}

static void idle(void)
{
    pass();
}

static void run(struct sched_entity *entity)
{
    unsigned i = (unsigned)(entity - entities);

    started[i] = arch_ticks();
    if (ready_since[i])
        waited_max[i] = MAX(waited_max[i], started[i] - ready_since[i]);
    in_run(entity);
    ready_since[i] = entity->state == SCHED_RUNNING ? arch_ticks() : 0;
}

static void start(void)
{
    for (unsigned i = pcpu_count; i-- > 0;) {
        fake_be_cpu(i);
        timer_init_cpu();
        sched_init_cpu();
        pcpu(i)->online = true;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(entities); i++) {
        entities[i] = (struct sched_entity){.run = run};
        sched_add(&entities[i], 0, 10);
        started[i] = waited_max[i] = ready_since[i] = 0;
    }
    fake.on_idle = idle;
    in_run = compute;
    timers_fired = 0;
}

static void wake(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        sched_wake(&entities[i]);
}

static void run_for(uint64_t ns)
{
    end = arch_ticks() + ns;
    while (arch_ticks() < end)
        sched_turn();
}

TEST(busy_equals_share_a_processor_by_their_weights)
{
    static const unsigned weights[] = {5, 20, 75};

    start();
    for (unsigned i = 0; i < 3; i++)
        sched_set_weight(&entities[i], weights[i]);
    wake(3);
    run_for(10 * S);
    for (unsigned i = 0; i < 3; i++)
        WITHIN(entities[i].ran_ticks, 10 * S * weights[i] / 100, 3);
}

TEST(short_slices_are_shared_as_exactly_as_long_ones)
{
    static const unsigned weights[] = {1, 2, 3};

    start();
    sched_set_slice(0, MS); /* So the lightest has 100 us, of which LATE is much. */
    for (unsigned i = 0; i < 3; i++) {
        sched_add(&entities[i], 0, 10);
        sched_set_weight(&entities[i], weights[i]);
    }
    wake(3);
    run_for(10 * S);
    for (unsigned i = 0; i < 3; i++)
        WITHIN(entities[i].ran_ticks, 10 * S * weights[i] / 6, 1);
}

/* The last entity has a higher priority, and lets itself be woken by a timer. */
static struct timer alarm;

static void alarm_fired(struct timer *)
{
    sched_wake(&entities[5]);
}

static void compute_or_nap(struct sched_entity *entity)
{
    if (entity != &entities[5]) {
        compute(entity);
        return;
    }
    fake_advance(test_random_below(500) * US);
    timer_arm(&alarm, arch_ticks() + test_random_below(2000) * US);
    ASSERT(sched_block(entity));
}

TEST(preemption_by_a_higher_priority_changes_no_share)
{
    start();
    timer_init(&alarm, alarm_fired);
    in_run = compute_or_nap;
    sched_add(&entities[5], 0, 11);
    sched_set_weight(&entities[1], 30);
    wake(2);
    sched_wake(&entities[5]);
    run_for(10 * S);
    ASSERT(entities[5].ran_ticks > S);
    WITHIN(entities[1].ran_ticks, 3 * entities[0].ran_ticks, 1);
}

TEST(among_busy_equals_each_waits_for_one_slice_of_each_other)
{
    start();
    for (unsigned i = 0; i < 6; i++)
        sched_set_weight(&entities[i], i + 1);
    wake(6);
    run_for(5 * S);
    for (unsigned i = 0; i < 6; i++)
        ASSERT(waited_max[i] <= (21 - (i + 1)) * SLICE / 10 + 6 * LATE);
}

TEST(an_entity_that_has_its_processor_alone_meets_no_timer)
{
    start();
    wake(1);
    run_for(10 * S);
    ASSERT_EQ(timers_fired, 0);
    ASSERT_EQ(this_cpu()->arch.timer_deadline, TICKS_NEVER);
    ASSERT_EQ(sched_ran_ticks(&entities[0]), 10 * S);
}

static void look_at_own_time(struct sched_entity *entity)
{
    fake_advance(5 * MS);
    ASSERT_EQ(entity->ran_ticks, 0);
    ASSERT_EQ(sched_ran_ticks(entity), 5 * MS);
    ASSERT_EQ(sched_ran_ticks(&entities[1]), 0);
}

TEST(the_time_of_one_that_never_leaves_is_counted_too)
{
    start();
    in_run = look_at_own_time;
    wake(1);
    sched_turn();
}

TEST(a_budget_is_held_on_an_idle_processor)
{
    start();
    sched_set_budget(&entities[0], 2 * MS, 10 * MS);
    wake(1);
    run_for(10 * S);
    WITHIN(entities[0].ran_ticks, 2 * S, 1);
    ASSERT(fake.idles >= 999);
}

TEST(what_a_budget_leaves_is_for_lower_priorities)
{
    start();
    sched_add(&entities[0], 0, 20);
    sched_set_budget(&entities[0], 3 * MS, 10 * MS);
    sched_add(&entities[1], 0, 20);
    sched_set_budget(&entities[1], 7 * MS, 40 * MS);
    wake(3);
    run_for(10 * S);
    WITHIN(entities[0].ran_ticks, 3 * S, 1);
    WITHIN(entities[1].ran_ticks, 7 * S / 4, 1);
    WITHIN(entities[2].ran_ticks, 7 * S - 7 * S / 4, 1);
    ASSERT_EQ(fake.idles, 0);
}

TEST(in_no_period_does_an_entity_run_for_more_than_its_budget)
{
    uint64_t before = 0;

    start();
    sched_set_budget(&entities[0], 4 * MS, 10 * MS);
    run_for(8 * MS); /* Nothing is used yet; then the rest of this period, and no more, */
    wake(1);
    for (unsigned period = 0; period < 100; period++) {
        run_for(period ? 10 * MS : 2 * MS);
        ASSERT(sched_ran_ticks(&entities[0]) - before <= 4 * MS + 2 * LATE);
        before = sched_ran_ticks(&entities[0]);
    }
    WITHIN(before, 99 * 4ull * MS + 2 * MS, 1); /* is not taken along. */
}

static void use_up_and_block(struct sched_entity *entity)
{
    fake_advance(5 * MS);
    sched_wake(&entities[1]);
    ASSERT(sched_block(entity));
}

/* Twice: woken before the scheduler has taken it back, and after. */
TEST(a_wake_gives_no_new_budget)
{
    for (unsigned late = 0; late < 2; late++) {
        uint64_t begin = arch_ticks();

        start();
        sched_set_budget(&entities[0], 4 * MS, 10 * MS);
        in_run = use_up_and_block;
        wake(1);
        sched_turn();
        ASSERT_EQ(entities[0].state, SCHED_BLOCKED);
        in_run = compute;
        run_for(late);
        sched_wake(&entities[0]);
        run_for(5 * MS - 1 - late);
        ASSERT_EQ(entities[0].state, SCHED_SPENT);
        ASSERT_EQ(entities[0].ran_ticks, 5 * MS);
        ASSERT_EQ(started[1], begin + 5 * MS + late);
        run_for(10 * MS);
        WITHIN(entities[0].ran_ticks, 8 * MS, 1); /* The next period paid for the first. */
        ASSERT_OK(sched_remove(&entities[0]));
        ASSERT(list_empty(&queue()->spent));
        ASSERT_EQ(entities[0].state, SCHED_BLOCKED);
        run_for(20 * MS);
        WITHIN(entities[0].ran_ticks, 8 * MS, 1);
    }
}

static struct sched_slot slots[4];

static void use_table(void)
{
    slots[0] = (struct sched_slot){0, 2 * MS, &entities[0]};
    slots[1] = (struct sched_slot){2 * MS, 5 * MS, &entities[1]};
    slots[2] = (struct sched_slot){6 * MS, 7 * MS, &entities[0]}; /* A gap before, and behind. */
    sched_set_table(0, slots, 3, 10 * MS);
}

TEST(slots_of_a_table_are_held_and_gaps_are_idle)
{
    start();
    use_table();
    wake(3);
    run_for(10 * S);
    WITHIN(entities[0].ran_ticks, 3 * S, 1);
    WITHIN(entities[1].ran_ticks, 3 * S, 1);
    ASSERT_EQ(entities[2].ran_ticks, 0); /* It has no slot. */
    ASSERT(fake.idles >= 2 * 999);
    run_for(10 * MS);
    ASSERT(started[1] % (10 * MS) - 2 * MS <= LATE); /* A thousand cycles later: no drift. */
}

TEST(a_slot_whose_owner_sleeps_is_given_to_nobody)
{
    start();
    use_table();
    sched_wake(&entities[1]);
    run_for(2 * MS - 1);
    ASSERT_EQ(started[1], 0);
    run_for(8 * MS);
    WITHIN(entities[1].ran_ticks, 3 * MS, 1);
}

static void wake_in_slot(struct sched_entity *entity)
{
    unsigned kicks = pcpu(0)->arch.ipis;

    fake_advance(MS);
    fake_be_cpu(1);
    sched_wake(&entities[1]); /* Its slot comes. */
    fake_be_cpu(0);
    ASSERT(!sched_leave(queue()));
    ASSERT_EQ(pcpu(0)->arch.ipis, kicks);
    sched_give_way(entity); /* To whom? */
    ASSERT(!sched_leave(queue()));
    compute(entity);
}

TEST(nobody_disturbs_the_owner_of_a_slot)
{
    start();
    use_table();
    sched_add(&entities[1], 0, 31);
    in_run = wake_in_slot;
    wake(1);
    sched_turn();
    ASSERT(sched_leave(queue()));
    ASSERT(arch_ticks() - 2 * MS <= LATE);
    in_run = compute;
    run_for(2 * MS);
    ASSERT(started[1] >= 2 * MS && started[1] - 2 * MS <= LATE);
}

static void wake_owner(void)
{
    fake_advance(MS);
    sched_wake(&entities[0]);
}

TEST(an_owner_that_is_woken_in_its_slot_runs_in_the_rest_of_it)
{
    start();
    use_table();
    fake.on_idle = wake_owner;
    end = S;
    sched_turn();
    fake.on_idle = idle;
    run_for(4 * MS);
    WITHIN(entities[0].ran_ticks, 1ull * MS, 1);
}

static void table_from_other_processor(void)
{
    fake_be_cpu(1);
    use_table();
    ASSERT_EQ(pcpu(0)->arch.ipis, 1);
    fake_be_cpu(0);
}

TEST(a_table_takes_effect_at_once)
{
    start();
    fake.on_idle = table_from_other_processor;
    sched_turn();
    fake.on_idle = idle;
    wake(1);
    run_for(4 * MS);
    WITHIN(entities[0].ran_ticks, 2ull * MS, 1);
}

TEST(wrong_tables_and_shares_are_refused)
{
    start();
    use_table();
    slots[1].start = MS;
    ASSERT_DIES(sched_set_table(0, slots, 3, 10 * MS));
    slots[1].start = 2 * MS;
    ASSERT_DIES(sched_set_table(0, slots, 3, 7 * MS - 1));
    ASSERT_DIES(sched_set_weight(&entities[0], 0));
    ASSERT_DIES(sched_set_budget(&entities[0], 11, 10));
}

static void act_at_random(struct sched_entity *entity)
{
    for (unsigned steps = 0; steps < 20 && !sched_leave(queue()); steps++) {
        sched_wake(&entities[test_random_below(ARRAY_SIZE(entities))]);
        fake_advance(test_random_below(SLICE / 4));
        if (arch_ticks() >= this_cpu()->arch.timer_deadline)
            timer_expire();
        if (test_random_below(4) == 0 && sched_block(entity)) {
            if (test_random_below(2))
                sched_wake(entity);
            return;
        }
        if (test_random_below(8) == 0)
            sched_give_way(entity);
    }
}

/* Between two turns: who is spent is in that list, with a timer; who is ready is not. */
static void check_spent(void)
{
    unsigned listed = 0;
    struct sched_entity *it;

    list_for_each(it, &queue()->spent, node)
    {
        ASSERT(it->spent && it->budget_left <= 0);
        ASSERT(it->state == SCHED_SPENT || it->state == SCHED_BLOCKED);
        listed++;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(entities); i++) {
        listed -= entities[i].spent;
        ASSERT(entities[i].state != SCHED_SPENT || entities[i].spent);
    }
    ASSERT_EQ(listed, 0);
    ASSERT_EQ(queue()->refill.armed, !list_empty(&queue()->spent));
}

TEST(random_schedules_with_budgets_keep_the_queue_sound)
{
    start();
    end = UINT64_MAX;
    for (unsigned i = 0; i < ARRAY_SIZE(entities); i++) {
        sched_add(&entities[i], 0, (uint8_t)(i / 3));
        sched_set_weight(&entities[i], 1 + i);
        if (i % 3)
            sched_set_budget(&entities[i], (1 + i) * MS, (10 + i) * MS);
    }
    in_run = act_at_random;
    for (unsigned i = 0; i < 20000; i++) {
        sched_turn();
        check_spent();
        sched_wake(&entities[test_random_below(ARRAY_SIZE(entities))]);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(entities); i++)
        if (i % 3)
            ASSERT(entities[i].ran_ticks <= (arch_ticks() / ((10 + i) * MS) + 2) * (1 + i) * MS);
}
