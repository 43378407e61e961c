/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's 8254: its modes, what is read of it, and what Linux calibrates by. */
#include "tests/host/chip_rig.h"
#include "vcpu/chips/vpit.h"

enum { CONTROL = 3, LATCH = 0x00, LOW = 0x10, HIGH = 0x20, WORD = 0x30, BCD = 1 };
enum { GATE = 1, OUT2 = 0x20 };

static struct vpit pit;

static uint8_t get(unsigned counter)
{
    return (uint8_t)pit.vdev.ops->read(&pit.vdev, 0, counter, 1);
}

static uint16_t get16(unsigned counter)
{
    uint8_t low = get(counter);

    return (uint16_t)(get(counter) << 8 | low);
}

static void set(unsigned counter, uint8_t value)
{
    pit.vdev.ops->write(&pit.vdev, 0, counter, 1, value);
}

static void program(unsigned counter, unsigned mode, uint16_t count)
{
    set(CONTROL, (uint8_t)(counter << 6 | WORD | mode << 1));
    set(counter, (uint8_t)count);
    set(counter, (uint8_t)(count >> 8));
}

static uint8_t port61(void)
{
    return (uint8_t)pit.speaker.ops->read(&pit.speaker, 0, 0, 1);
}

static void set_port61(uint8_t value)
{
    pit.speaker.ops->write(&pit.speaker, 0, 0, 1, value);
}

/* To the first tick of the cycle that is n further. */
static void run(uint64_t n)
{
    uint64_t cycle = ticks_to_cycles(arch_ticks(), VPIT_HZ) + n;

    chip_run(ticks_from_cycles(cycle, VPIT_HZ) - arch_ticks());
}

static uint8_t status(unsigned counter)
{
    set(CONTROL, (uint8_t)(0xe0 | 2u << counter));
    return get(counter);
}

static bool out(unsigned counter)
{
    return status(counter) & 0x80;
}

static void start(void)
{
    chip_start();
    vpit_init(&pit, 0x40, 0x61, 2, 0);
    pit.vdev.set_irq = on_irq;
    run(1000);
}

TEST(an_interval_timer_starts_stopped)
{
    start();
    ASSERT_EQ(pcpus[0].arch.timer_deadline, TICKS_NEVER);
    ASSERT_EQ(port61() & ~0x10, 0);
    ASSERT(!irq_level);
    ASSERT_EQ(get(CONTROL), 0xff);
    ASSERT_EQ(pit.vdev.ops->read(&pit.vdev, 0, 0, 2), UINT64_MAX);
}

TEST(mode_0_counts_down_once_and_then_its_output_is_high)
{
    start();
    program(0, 0, 1000);
    ASSERT_EQ(get16(0), 1000);
    run(400);
    ASSERT_EQ(get16(0), 600);
    run(599);
    ASSERT_EQ(get16(0), 1);
    ASSERT(!irq_level && !out(0));
    run(1);
    ASSERT(irq_level && out(0));
    run(1);
    ASSERT_EQ(get16(0), 0xffff); /* It goes on. */
    ASSERT_EQ(pcpus[0].arch.timer_deadline, TICKS_NEVER);
    set(0, 10); /* The first byte stops it. */
    ASSERT(!irq_level && !out(0));
    run(100000);
    ASSERT(!irq_level);
    set(0, 0);
    run(10);
    ASSERT(irq_level);
}

TEST(mode_2_interrupts_at_each_period)
{
    start();
    program(0, 2, 11932);
    irq_edges = 0;
    run(11932ull * 100 - 1);
    ASSERT_EQ(irq_edges, 99);
    ASSERT_EQ(get16(0), 1);
    ASSERT(!out(0));
    run(1);
    ASSERT_EQ(irq_edges, 100);
    ASSERT_EQ(get16(0), 11932);
    ASSERT(out(0));
    program(0, 0, 100); /* Another mode: no more of these. */
    irq_edges = 0;
    run(100000);
    ASSERT_EQ(irq_edges, 1);
}

TEST(a_count_of_zero_is_the_largest)
{
    start();
    program(0, 2, 0);
    irq_edges = 0;
    run(65535);
    ASSERT_EQ(irq_edges, 0);
    run(1);
    ASSERT_EQ(irq_edges, 1);
    ASSERT_EQ(get16(0), 0);
}

TEST(a_new_count_of_a_periodic_mode_waits_for_the_end_of_the_period)
{
    start();
    program(0, 2, 1000);
    irq_edges = 0;
    run(300);
    set(0, 500 & 0xff);
    set(0, 500 >> 8);
    ASSERT_EQ(status(0) & 0x40, 0x40); /* Null count. */
    ASSERT_EQ(get16(0), 700);
    run(700);
    ASSERT_EQ(irq_edges, 1);
    ASSERT_EQ(status(0) & 0x40, 0);
    ASSERT_EQ(get16(0), 500);
    run(500);
    ASSERT_EQ(irq_edges, 2);
}

TEST(mode_3_is_a_square_wave_that_counts_by_twos)
{
    static const struct {
        uint16_t count, high;
    } cases[] = {{10, 5}, {11, 6}, {2, 1}, {1, 1}, {1000, 500}};

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        start();
        set_port61(GATE);
        program(2, 3, cases[i].count);
        for (unsigned t = 0; t < 3u * cases[i].count; t++) {
            unsigned at = t % cases[i].count;
            unsigned half = at < cases[i].high ? at : at - cases[i].high;

            ASSERT_EQ((port61() & OUT2) != 0, at < cases[i].high);
            ASSERT_EQ(get16(2), (cases[i].count & ~1u) - 2 * half);
            run(1);
        }
    }
}

TEST(mode_4_strobes_once)
{
    start();
    program(0, 4, 500);
    irq_edges = 0;
    ASSERT(out(0));
    run(500);
    ASSERT(!out(0));
    run(1);
    ASSERT(out(0));
    run(100000);
    ASSERT_EQ(irq_edges, 1);
}

TEST(modes_1_and_5_start_at_the_rise_of_the_gate)
{
    start();
    program(2, 1, 100);
    ASSERT(port61() & OUT2);
    run(1000);
    ASSERT(port61() & OUT2);
    set_port61(GATE);
    ASSERT(!(port61() & OUT2));
    run(50);
    ASSERT_EQ(get16(2), 50);
    set_port61(0);
    set_port61(GATE); /* Again from the start. */
    run(99);
    ASSERT(!(port61() & OUT2));
    run(1);
    ASSERT(port61() & OUT2);
    set_port61(0);
    program(2, 5, 100);
    set_port61(GATE);
    run(99);
    ASSERT(port61() & OUT2);
    run(1);
    ASSERT(!(port61() & OUT2));
    run(1);
    ASSERT(port61() & OUT2);
    program(0, 1, 10); /* A gate that is tied high never rises. */
    irq_edges = 0;
    run(100);
    ASSERT_EQ(irq_edges, 0);
}

TEST(a_low_gate_holds_a_count_and_restarts_a_period)
{
    start();
    set_port61(GATE);
    program(2, 0, 1000);
    run(300);
    set_port61(0);
    run(5000);
    ASSERT_EQ(get16(2), 700);
    set_port61(GATE);
    run(699);
    ASSERT(!(port61() & OUT2));
    run(1);
    ASSERT(port61() & OUT2);
    program(2, 2, 1000);
    run(300);
    set_port61(0);
    ASSERT(port61() & OUT2);
    run(300);
    set_port61(GATE);
    ASSERT_EQ(get16(2), 1000);
    set_port61(0);
    program(2, 0, 1000); /* Loaded while the gate is low. */
    run(300);
    ASSERT_EQ(get16(2), 1000);
    set_port61(GATE);
    run(1);
    ASSERT_EQ(get16(2), 999);
}

TEST(bytes_are_read_and_written_as_the_access_says)
{
    start();
    set(CONTROL, LOW | 2 << 1);
    set(0, 0xf0);
    ASSERT_EQ(get(0), 0xf0);
    ASSERT_EQ(get(0), 0xf0);
    set(CONTROL, HIGH | 2 << 1);
    set(0, 0x12);
    ASSERT_EQ(get(0), 0x12);
    ASSERT_EQ(get(0), 0x12);
    program(0, 2, 0x1234);
    ASSERT_EQ(get(0), 0x34);
    ASSERT_EQ(get(0), 0x12);
    ASSERT_EQ(get(0), 0x34);
}

TEST(a_latched_count_stays_until_it_is_read)
{
    start();
    program(0, 2, 0x1234);
    set(CONTROL, LATCH);
    run(0x100);
    set(CONTROL, LATCH); /* Ignored: the first is not read yet. */
    ASSERT_EQ(get16(0), 0x1234);
    ASSERT_EQ(get16(0), 0x1134);
    set(CONTROL, 0xc2); /* Status and count of counter 0. */
    run(0x100);
    ASSERT_EQ(get(0), 0x80 | WORD | 2 << 1);
    ASSERT_EQ(get16(0), 0x1134);
    ASSERT_EQ(get16(0), 0x1034);
    set(CONTROL, (uint8_t)(0xd0 | 0x0e)); /* Counts of all. */
    run(5);
    ASSERT_EQ(get16(0), 0x1034);
}

TEST(bcd_counters_count_in_decimal)
{
    start();
    set(CONTROL, WORD | 0 << 1 | BCD);
    set(0, 0x00);
    set(0, 0x10);
    ASSERT_EQ(get16(0), 0x1000);
    run(1);
    ASSERT_EQ(get16(0), 0x0999);
    run(998);
    ASSERT_EQ(get16(0), 0x0001);
    run(2);
    ASSERT_EQ(get16(0), 0x9999);
    set(0, 0);
    set(0, 0);
    ASSERT_EQ(get16(0), 0);
    run(1);
    ASSERT_EQ(get16(0), 0x9999);
    set(0, 0xff); /* Not digits: something, and no harm. */
    set(0, 0xff);
    run(20000);
    (void)get16(0);
}

TEST(linux_calibrates_with_counter_2_and_port_61)
{
    uint64_t before;

    start();
    set_port61((uint8_t)((port61() & ~2) | 1));
    program(2, 0, 59659); /* 50 ms. */
    before = arch_ticks();
    while (!(port61() & OUT2))
        fake_advance(1000);
    ASSERT((arch_ticks() - before) / 1000 - 50000 <= 2);
}

TEST(a_guest_cannot_make_the_host_tick_faster_than_the_limit)
{
    static const uint8_t modes[] = {2, 3};

    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++)
        for (uint16_t count = 1; count < 130; count += 7) {
            unsigned fired;

            start();
            program(0, modes[i], count);
            fired = chip_run(SECOND / 10);
            ASSERT(fired > 500 && fired <= 1003);
        }
}

TEST(a_late_timer_merges_periods_and_keeps_the_phase)
{
    start();
    program(0, 2, 1000);
    irq_edges = 0;
    fake_advance(ticks_from_cycles(5500, VPIT_HZ));
    timer_expire();
    ASSERT_EQ(irq_edges, 1);
    chip_run(ticks_from_cycles(500, VPIT_HZ));
    ASSERT_EQ(irq_edges, 2);
}

TEST(a_stopped_or_reset_interval_timer_leaves_no_timer)
{
    start();
    program(0, 2, 1000);
    pit.vdev.ops->reset(&pit.vdev);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, TICKS_NEVER);
    ASSERT(!irq_level);
    program(0, 2, 1000);
    vpit_stop(&pit);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, TICKS_NEVER);
}

TEST(a_count_only_falls_but_at_a_reload_whatever_is_done)
{
    start();
    for (unsigned n = 0; n < 20000; n++) {
        unsigned counter = (unsigned)test_random_below(3);

        switch (test_random_below(4)) {
        case 0:
            set(CONTROL, (uint8_t)test_random());
            break;
        case 1:
            set(counter, (uint8_t)test_random());
            break;
        case 2:
            set_port61((uint8_t)test_random());
            break;
        case 3:
            (void)get(counter);
            break;
        }
        run(test_random_below(200));
        for (unsigned i = 0; i < 3; i++) {
            const struct vpit_counter *c = &pit.state.counters[i];

            ASSERT(c->count >= 1 && c->count <= 65536 + 45000);
        }
    }
    for (unsigned mode = 0; mode < 6; mode++) {
        uint16_t last = 60000;

        set_port61(0);
        program(2, mode, 60000);
        set_port61(GATE);
        for (unsigned i = 0; i < 500; i++) {
            uint16_t value;

            run(test_random_below(50));
            value = get16(2);
            ASSERT(value <= last);
            last = value;
        }
    }
}
