/* SPDX-License-Identifier: Apache-2.0 */
/* The local APIC's timer: one-shot, periodic, and TSC-deadline. */
#include "tests/host/lapic_rig.h"

enum { PERIODIC = 1 << 17, DEADLINE = 1 << 18, VECTOR = 0xec };

/* Time goes on; what was asked for is called for. How often the vCPU took the interrupt. */
static unsigned run(uint64_t ticks)
{
    uint64_t end_of_run = rig.now + ticks;
    unsigned count = 0;

    while (rig.deadline[0] <= end_of_run) {
        rig.now = MAX(rig.now, rig.deadline[0]);
        fire(0);
        if (take(0)) {
            end(0);
            count++;
        }
    }
    rig.now = end_of_run;
    return count;
}

static void start_timer(uint32_t lvt, uint32_t divide, uint32_t initial)
{
    start(1);
    set(0, LVT_TIMER, lvt);
    set(0, TIMER_DIVIDE, divide);
    set(0, TIMER_INITIAL, initial);
}

TEST(a_one_shot_counts_down_and_fires_once)
{
    static const struct {
        uint32_t code, divide;
    } rates[] = {{0xb, 1}, {0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {0xa, 128}};

    for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
        uint32_t divide = rates[i].divide;

        start_timer(VECTOR, rates[i].code, 100);
        ASSERT_EQ(rig.deadline[0], rig.now + 100 * divide);
        ASSERT_EQ(get(0, TIMER_COUNT), 100);
        ASSERT_EQ(run(10 * divide), 0);
        ASSERT_EQ(get(0, TIMER_COUNT), 90);
        ASSERT_EQ(run(90 * divide - 1), 0);
        ASSERT_EQ(get(0, TIMER_COUNT), 1);
        ASSERT_EQ(run(1), 1);
        ASSERT_EQ(get(0, TIMER_COUNT), 0);
        ASSERT_EQ(get(0, TIMER_INITIAL), 100);
        ASSERT_EQ(run(10000), 0);
    }
}

TEST(a_periodic_timer_fires_at_each_period_without_drift)
{
    start_timer(VECTOR | PERIODIC, 3, 1000);
    ASSERT_EQ(run(16000ull * 50 + 15999), 50);
    ASSERT_EQ(run(1), 1);
    ASSERT_EQ(get(0, TIMER_COUNT), 1000);
    run(160);
    ASSERT_EQ(get(0, TIMER_COUNT), 990);
    set(0, TIMER_INITIAL, 0);
    ASSERT_EQ(rig.deadline[0], TICKS_NEVER);
    ASSERT_EQ(run(100000), 0);
}

TEST(ticks_that_nobody_takes_are_merged_and_ask_for_no_timer)
{
    start_timer(VECTOR | PERIODIC, 0xb, 10);
    rig.now += 10;
    fire(0);
    ASSERT_EQ(rig.deadline[0], TICKS_NEVER);
    rig.now += 1005; /* 100 more have come. */
    ASSERT_EQ(get(0, TIMER_COUNT), 5);
    ASSERT_EQ(take(0), VECTOR);
    ASSERT_EQ(rig.deadline[0], rig.now + 5);
    ASSERT_EQ(highest(0), 0);
    rig.now += 5;
    fire(0); /* While in service: one waits. */
    ASSERT_EQ(rig.deadline[0], TICKS_NEVER);
    end(0);
    ASSERT_EQ(take(0), VECTOR);
}

TEST(a_masked_timer_runs_silently)
{
    start_timer(VECTOR | MASKED, 0xb, 100);
    ASSERT_EQ(rig.deadline[0], TICKS_NEVER);
    rig.now += 40;
    ASSERT_EQ(get(0, TIMER_COUNT), 60);
    set(0, LVT_TIMER, VECTOR);
    ASSERT_EQ(rig.deadline[0], rig.now + 60);
    set(0, LVT_TIMER, VECTOR | MASKED);
    rig.now += 60;
    set(0, LVT_TIMER, VECTOR); /* It has fired into the mask. */
    ASSERT_EQ(run(1000), 0);
    start_timer(VECTOR | PERIODIC | MASKED, 0xb, 100);
    rig.now += 1050;
    ASSERT_EQ(get(0, TIMER_COUNT), 50);
    set(0, LVT_TIMER, VECTOR | PERIODIC);
    ASSERT_EQ(run(50), 1);
    set(0, SVR, 0xff); /* Disabling the APIC masks it as well. */
    ASSERT_EQ(rig.deadline[0], TICKS_NEVER);
}

TEST(a_new_divider_goes_on_from_the_count)
{
    start_timer(VECTOR, 0xb, 100);
    rig.now += 50;
    set(0, TIMER_DIVIDE, 0);
    ASSERT_EQ(get(0, TIMER_COUNT), 50);
    ASSERT_EQ(run(99), 0);
    ASSERT_EQ(run(1), 1);
}

TEST(a_deadline_fires_once_and_then_reads_zero)
{
    start(1);
    go_x2apic(0);
    ASSERT(msr_set(0, VLAPIC_MSR_DEADLINE, rig.now + 100)); /* Not its mode: ignored. */
    ASSERT_EQ(rig.deadline[0], TICKS_NEVER);
    ASSERT(msr_set(0, X2(LVT_TIMER), VECTOR | DEADLINE));
    ASSERT(msr_set(0, VLAPIC_MSR_DEADLINE, rig.now + 100));
    ASSERT_EQ(msr_get(0, VLAPIC_MSR_DEADLINE), rig.now + 100);
    ASSERT_EQ(rig.deadline[0], rig.now + 100);
    msr_set(0, X2(TIMER_INITIAL), 7);
    ASSERT_EQ(msr_get(0, X2(TIMER_COUNT)) | msr_get(0, X2(TIMER_INITIAL)), 0);
    rig.now += 100;
    ASSERT_EQ(msr_get(0, VLAPIC_MSR_DEADLINE), 0);
    fire(0);
    ASSERT_EQ(take(0), VECTOR);
    ASSERT_EQ(rig.deadline[0], TICKS_NEVER);
    ASSERT(msr_set(0, VLAPIC_MSR_DEADLINE, rig.now + 100));
    ASSERT(msr_set(0, VLAPIC_MSR_DEADLINE, 0));
    ASSERT_EQ(rig.deadline[0], TICKS_NEVER);
}

TEST(a_deadline_in_the_past_fires_at_once)
{
    start(1);
    set(0, LVT_TIMER, VECTOR | DEADLINE);
    msr_set(0, VLAPIC_MSR_DEADLINE, 1);
    ASSERT_EQ(take(0), VECTOR);
    ASSERT_EQ(rig.deadline[0], TICKS_NEVER);
    end(0);
    msr_set(0, VLAPIC_MSR_DEADLINE, rig.now + 10);
    rig.now += 20; /* It comes, and before our timer says so it is replaced. */
    msr_set(0, VLAPIC_MSR_DEADLINE, rig.now + 10);
    ASSERT_EQ(take(0), VECTOR);
    end(0);
    ASSERT_EQ(run(10), 1);
}

TEST(changing_to_or_from_deadline_mode_stops_the_timer)
{
    start_timer(VECTOR, 0xb, 100);
    set(0, LVT_TIMER, VECTOR | DEADLINE);
    ASSERT_EQ(rig.deadline[0], TICKS_NEVER);
    msr_set(0, VLAPIC_MSR_DEADLINE, rig.now + 100);
    set(0, LVT_TIMER, VECTOR | PERIODIC);
    ASSERT_EQ(rig.deadline[0], TICKS_NEVER);
    ASSERT_EQ(msr_get(0, VLAPIC_MSR_DEADLINE), 0);
    ASSERT_EQ(get(0, TIMER_COUNT), 0);
    set(0, LVT_TIMER, VECTOR | PERIODIC | DEADLINE); /* Reserved: off. */
    set(0, TIMER_INITIAL, 100);
    msr_set(0, VLAPIC_MSR_DEADLINE, rig.now + 100);
    ASSERT_EQ(run(10000), 0);
}

TEST(a_count_goes_on_when_the_tsc_is_moved_and_a_deadline_stays)
{
    start_timer(VECTOR, 0xb, 100);
    rig.now += 30;
    rig.now += BIT(63);
    vlapic_move_clock(&rig.all.cpu[0], rig.now, BIT(63));
    ASSERT_EQ(get(0, TIMER_COUNT), 70);
    ASSERT_EQ(rig.deadline[0], rig.now + 70);
    rig.now -= BIT(63);
    vlapic_move_clock(&rig.all.cpu[0], rig.now, -BIT(63));
    ASSERT_EQ(run(70), 1);
    set(0, LVT_TIMER, VECTOR | DEADLINE);
    msr_set(0, VLAPIC_MSR_DEADLINE, rig.now + 100);
    rig.deadline[0] = 0;
    rig.now += 50;
    vlapic_move_clock(&rig.all.cpu[0], rig.now, 50);
    ASSERT_EQ(rig.deadline[0], rig.now + 50); /* Asked again: the owner's clock is another. */
    rig.now += 50;
    vlapic_move_clock(&rig.all.cpu[0], rig.now, 50);
    ASSERT_EQ(take(0), VECTOR);
}

TEST(a_call_too_early_asks_again)
{
    start_timer(VECTOR, 0xb, 100);
    rig.now += 99;
    fire(0);
    ASSERT_EQ(take(0), 0);
    ASSERT_EQ(rig.deadline[0], rig.now + 1);
}

TEST(a_timer_with_an_illegal_vector_is_an_error)
{
    start_timer(0x0f | PERIODIC, 0xb, 100);
    set(0, LVT_ERROR, 0xfe);
    ASSERT_EQ(run(100), 1);
    set(0, ESR, 0);
    ASSERT_EQ(get(0, ESR), 0x40);
    ASSERT_EQ(vlapic_waiting(&rig.all.cpu[0]), 0);
}

TEST(the_count_never_rises_but_at_a_reload)
{
    for (unsigned round = 0; round < 50; round++) {
        uint32_t initial = (uint32_t)test_random_below(1000) + 1, last = initial, reloads = 0;
        uint64_t start_time = rig.now;

        start_timer(VECTOR | PERIODIC | MASKED, (uint32_t)test_random_below(4), initial);
        start_time = rig.now;
        for (unsigned i = 0; i < 500; i++) {
            uint32_t count;

            rig.now += test_random_below(20);
            count = get(0, TIMER_COUNT);
            ASSERT(count > 0 && count <= initial);
            reloads += count > last;
            last = count;
        }
        ASSERT(reloads <= (rig.now - start_time) / 2 / initial + 1);
    }
}
