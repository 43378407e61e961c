/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's MC146818: time in all formats, setting it, its three interrupts, its memory. */
#include "tests/host/chip_rig.h"
#include "vcpu/chips/vcmos.h"

enum { SEC, SEC_ALARM, MIN, MIN_ALARM, HOUR, HOUR_ALARM, WEEKDAY, DAY, MONTH, YEAR };
enum { A = 10, B, C, D, CENTURY = 0x32 };
enum { SET_BIT = 0x80, PIE = 0x40, AIE = 0x20, UIE = 0x10, BINARY = 4, H24 = 2 };

static struct vcmos cmos;

static uint8_t get(uint8_t reg)
{
    cmos.vdev.ops->write(&cmos.vdev, 0, 0, 1, reg);
    return (uint8_t)cmos.vdev.ops->read(&cmos.vdev, 0, 1, 1);
}

static void set(uint8_t reg, uint8_t value)
{
    cmos.vdev.ops->write(&cmos.vdev, 0, 0, 1, reg | 0x80); /* NMIs masked. */
    cmos.vdev.ops->write(&cmos.vdev, 0, 1, 1, value);
}

static void start_at(uint64_t epoch, unsigned home)
{
    chip_start();
    vcmos_init(&cmos, 0x70, 8, epoch, home);
    cmos.vdev.set_irq = on_irq;
}

static void start(void)
{
    start_at(EPOCH, 0);
}

/* YYYYMMDDhhmmss as the registers have it in BCD and 24 hours. */
static uint64_t now(void)
{
    static const uint8_t regs[] = {CENTURY, YEAR, MONTH, DAY, HOUR, MIN, SEC};
    uint64_t value = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++)
        value = value << 8 | get(regs[i]);
    return value;
}

static void set_now(uint64_t value)
{
    static const uint8_t regs[] = {SEC, MIN, HOUR, DAY, MONTH, YEAR, CENTURY};

    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++, value >>= 8)
        set(regs[i], (uint8_t)value);
}

TEST(the_pc_clock_starts_at_the_wall_clock_in_bcd_and_24_hours)
{
    start();
    ASSERT_EQ(now(), 0x20260101000000);
    ASSERT_EQ(get(WEEKDAY), 5);
    ASSERT_EQ(get(A), 0x26);
    ASSERT_EQ(get(B), H24);
    ASSERT_EQ(get(D), 0x80);
    fake_advance(SECOND - 1);
    ASSERT_EQ(now(), 0x20260101000000);
    fake_advance(1);
    ASSERT_EQ(now(), 0x20260101000001);
    ASSERT_EQ(cmos.vdev.ops->read(&cmos.vdev, 0, 0, 1), UINT64_MAX);
}

TEST(the_calendar_rolls_over_at_every_border)
{
    static const uint64_t cases[][2] = {
        {0x20261231235959, 0x20270101000000}, {0x20260228235959, 0x20260301000000},
        {0x20280228235959, 0x20280229000000}, {0x20280229235959, 0x20280301000000},
        {0x21000228235959, 0x21000301000000}, {0x20000228235959, 0x20000229000000},
        {0x19991231235959, 0x20000101000000}, {0x20260430235959, 0x20260501000000},
        {0x20260619095959, 0x20260619100000}, {0x99991231235958, 0x99991231235959},
        {0x19691231235959, 0x19700101000000}, {0x16000229235959, 0x16000301000000},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        start();
        set(B, SET_BIT | H24);
        set_now(cases[i][0]);
        set(B, H24);
        ASSERT_EQ(now(), cases[i][0]);
        fake_advance(SECOND);
        ASSERT_EQ(now(), cases[i][1]);
    }
}

TEST(each_day_of_four_centuries_has_its_date_and_weekday)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned year = 1970, month = 1, day = 1, weekday = 5;

    for (uint64_t n = 0; n < 400 * 365 + 97; n++) {
        bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

        start_at(n * 86400 + 86399, 0);
        cmos.state.b = H24 | BINARY;
        ASSERT_EQ(get(CENTURY) * 100 + get(YEAR), year);
        ASSERT_EQ(get(MONTH), month);
        ASSERT_EQ(get(DAY), day);
        ASSERT_EQ(get(WEEKDAY), weekday);
        ASSERT_EQ(get(HOUR) * 10000u + get(MIN) * 100u + get(SEC), 235959);
        weekday = weekday % 7 + 1;
        if (++day > lengths[month - 1] + (leap && month == 2 ? 1u : 0)) {
            day = 1;
            year += month == 12;
            month = month % 12 + 1;
        }
    }
}

TEST(hours_have_two_formats_and_numbers_have_two)
{
    static const uint8_t bcd12[] = {0x12, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
                                    0x08, 0x09, 0x10, 0x11, 0x92, 0x81, 0x82, 0x83,
                                    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x90, 0x91};

    start();
    for (uint8_t hour = 0; hour < 24; hour++) {
        set(B, 0);
        ASSERT_EQ(get(HOUR), bcd12[hour]);
        set(B, BINARY | H24);
        ASSERT_EQ(get(HOUR), hour);
        set(B, BINARY);
        ASSERT_EQ(get(HOUR), (hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0));
        set(B, 0);
        set(HOUR, bcd12[hour]); /* And back. */
        set(B, BINARY | H24);
        ASSERT_EQ(get(HOUR), hour);
        fake_advance(3600 * SECOND);
    }
}

TEST(a_clock_that_is_set_as_linux_does_starts_half_a_second_later)
{
    start();
    fake_advance(SECOND / 10);
    set(B, SET_BIT | H24);
    set(A, 0x70);
    set_now(0x20300704123456);
    fake_advance(5 * SECOND);
    ASSERT_EQ(now(), 0x20300704123456); /* It stands. */
    set(B, H24);
    fake_advance(5 * SECOND);
    ASSERT_EQ(now(), 0x20300704123456);
    set(A, 0x26);
    fake_advance(SECOND / 2 - 1);
    ASSERT_EQ(now(), 0x20300704123456);
    fake_advance(1);
    ASSERT_EQ(now(), 0x20300704123457);
    fake_advance(SECOND);
    ASSERT_EQ(now(), 0x20300704123458);
}

TEST(setting_without_the_divider_keeps_the_part_of_the_second)
{
    start();
    fake_advance(SECOND / 10);
    set(B, SET_BIT | H24);
    set_now(0x20300704123456);
    fake_advance(3 * SECOND);
    set(B, H24);
    fake_advance(9 * SECOND / 10 - 1);
    ASSERT_EQ(now(), 0x20300704123456);
    fake_advance(1);
    ASSERT_EQ(now(), 0x20300704123457);
    set(MIN, 0x10); /* A register of a clock that runs. */
    ASSERT_EQ(now(), 0x20300704121057);
}

TEST(an_update_is_announced)
{
    start();
    ASSERT_EQ(get(A), 0x26);
    fake_advance(SECOND - 244001);
    ASSERT_EQ(get(A), 0x26);
    fake_advance(1);
    ASSERT_EQ(get(A), 0xa6);
    set(B, SET_BIT | H24);
    ASSERT_EQ(get(A), 0x26);
    set(B, H24);
    fake_advance(244000);
    ASSERT_EQ(get(A), 0x26);
    set(A, 0xa6);
    ASSERT_EQ(get(A), 0x26);
}

TEST(flags_are_set_without_interrupts_and_cleared_by_a_read)
{
    start();
    ASSERT_EQ(get(C), 0);
    fake_advance(SECOND);
    ASSERT_EQ(get(C), 0x50); /* Periodic and update. */
    ASSERT_EQ(get(C), 0);
    ASSERT_EQ(irq_edges, 0);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, TICKS_NEVER);
    set(A, 0x20); /* No periodic ones. */
    get(C);
    fake_advance(SECOND);
    ASSERT_EQ(get(C), 0x10);
}

TEST(updates_interrupt_each_second_when_the_guest_reads_register_c)
{
    start();
    fake_advance(SECOND / 4);
    set(B, UIE | H24);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, SECOND);
    ASSERT_EQ(chip_run(10 * SECOND), 1); /* One, and the wire stays up. */
    ASSERT(irq_level);
    ASSERT_EQ(get(C) & 0xb0, 0x90);
    ASSERT(!irq_level);
    for (unsigned i = 0; i < 5; i++) {
        ASSERT_EQ(chip_run(SECOND), 1);
        ASSERT_EQ(get(C) & 0xb0, 0x90);
    }
    set(B, SET_BIT | UIE | H24);
    ASSERT_EQ(get(B), SET_BIT | H24);
    ASSERT_EQ(chip_run(2 * SECOND), 0);
}

TEST(the_periodic_interrupt_has_the_rates_of_the_data_sheet)
{
    static const unsigned hz[16] = {0,   256, 128, 8192, 4096, 2048, 1024, 512,
                                    256, 128, 64,  32,   16,   8,    4,    2};

    for (uint8_t rate = 0; rate < 16; rate++) {
        unsigned count = 0;

        start();
        set(A, 0x20 | rate);
        set(B, PIE | H24);
        (void)get(C);
        irq_edges = 0;
        for (unsigned i = 0; i < 20000 && arch_ticks() < SECOND / 2; i++) {
            chip_run(SECOND / 20000);
            count += (get(C) & 0xc0) == 0xc0;
        }
        ASSERT_EQ(count, hz[rate] / 2);
    }
    start();
    set(B, PIE | H24);
    ASSERT_EQ(chip_run(SECOND), 1); /* Unread, it asks no more. */
}

TEST(the_alarm_fires_at_its_time_and_with_wildcards_more_often)
{
    start();
    set(HOUR_ALARM, 0x07);
    set(MIN_ALARM, 0x30);
    set(SEC_ALARM, 0x15);
    set(B, AIE | H24);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, (7 * 3600 + 30 * 60 + 15) * SECOND);
    ASSERT_EQ(chip_run(86400 * SECOND), 1);
    ASSERT_EQ(get(C) & 0xa0, 0xa0);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, (31 * 3600 + 30 * 60 + 15) * SECOND);
    set(HOUR_ALARM, 0xff);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, (24 * 3600 + 30 * 60 + 15) * SECOND);
    set(MIN_ALARM, 0xc0);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, (24 * 3600 + 15) * SECOND);
    set(SEC_ALARM, 0xff);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, (24 * 3600 + 1) * SECOND);
    set(SEC_ALARM, 0x75); /* No such second. */
    ASSERT_EQ(pcpus[0].arch.timer_deadline, TICKS_NEVER);
    set(B, AIE); /* 12 hours, 1 PM. */
    set(HOUR_ALARM, 0x81);
    set(MIN_ALARM, 0);
    set(SEC_ALARM, 0);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, (24 + 13) * 3600 * SECOND);
}

TEST(an_alarm_follows_the_clock_that_is_set)
{
    start();
    set(HOUR_ALARM, 0x07);
    set(MIN_ALARM, 0);
    set(SEC_ALARM, 0);
    set(B, AIE | H24);
    set(HOUR, 0x06);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, 3600 * SECOND);
    set(HOUR, 0x08);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, 23 * 3600 * SECOND);
    ASSERT_EQ(get(C) & 0x20, 0);
}

TEST(an_alarm_is_seen_without_its_interrupt)
{
    start();
    set(HOUR_ALARM, 0x07);
    set(MIN_ALARM, 0);
    set(SEC_ALARM, 0);
    fake_advance((7 * 3600 - 1) * SECOND);
    ASSERT_EQ(get(C) & 0x20, 0);
    fake_advance(5 * SECOND);
    ASSERT_EQ(get(C) & 0xa0, 0x20);
    fake_advance(3 * 86400 * SECOND);
    set(B, AIE | H24); /* It is flagged already. */
    ASSERT(irq_level);
}

TEST(cmos_memory_keeps_its_bytes_over_a_reset_and_interrupts_do_not)
{
    start();
    for (unsigned i = 14; i < 128; i++)
        if (i != CENTURY)
            set((uint8_t)i, (uint8_t)(i * 3));
    set(B, UIE | BINARY);
    cmos.vdev.ops->reset(&cmos.vdev);
    ASSERT_EQ(get(B), BINARY);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, TICKS_NEVER);
    for (unsigned i = 14; i < 128; i++)
        if (i != CENTURY)
            ASSERT_EQ(get((uint8_t)i), (uint8_t)(i * 3));
}

TEST(sixteen_bits_at_once_are_index_and_data)
{
    start();
    cmos.vdev.ops->write(&cmos.vdev, 0, 0, 2, 0x5a40);
    ASSERT_EQ(get(0x40), 0x5a);
    ASSERT_EQ(cmos.vdev.ops->read(&cmos.vdev, 0, 0, 2), UINT64_MAX);
}

TEST(a_pc_clock_interrupts_from_its_home_pcpu_and_can_be_stopped)
{
    start_at(EPOCH, 1);
    set(B, UIE | H24);
    ASSERT(!cmos.alarm.timer.armed);
    fake_be_cpu(1);
    ipi_run_work();
    ASSERT_EQ(pcpus[1].arch.timer_deadline, SECOND);
    fake_advance(SECOND);
    timer_expire();
    ASSERT(irq_level);
    (void)get(C);
    vcmos_stop(&cmos);
    ASSERT(!cmos.alarm.timer.armed && !cmos.alarm.work.queued);
}

TEST(nothing_a_guest_writes_breaks_the_pc_clock)
{
    start();
    for (unsigned n = 0; n < 100000; n++) {
        uint8_t reg = (uint8_t)test_random_below(test_random_below(2) ? 14 : 256);

        if (test_random_below(3) == 0)
            (void)get(reg);
        else
            set(reg, (uint8_t)test_random());
        if (test_random_below(8) == 0)
            chip_run(test_random_below(2 * SECOND));
        ASSERT_EQ(irq_level, (cmos.state.flags & cmos.state.b & 0x70) != 0);
    }
    set(A, 0x26);
    set(B, SET_BIT | H24);
    set_now(0x20260101000000);
    set(B, H24);
    ASSERT_EQ(now(), 0x20260101000000);
}
