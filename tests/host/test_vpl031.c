/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's PL031: time, setting it, and the alarm from any pCPU. */
#include "tests/host/chip_rig.h"
#include "vcpu/chips/vpl031.h"

#define DR   0x00
#define MR   0x04
#define LR   0x08
#define CR   0x0c
#define IMSC 0x10
#define RIS  0x14
#define MIS  0x18
#define ICR  0x1c

static struct vpl031 rtc;

static uint32_t get(uint64_t reg)
{
    return (uint32_t)rtc.vdev.ops->read(&rtc.vdev, 0, reg, 4);
}

static void set(uint64_t reg, uint32_t value)
{
    rtc.vdev.ops->write(&rtc.vdev, 0, reg, 4, value);
}

static void start(unsigned home)
{
    chip_start();
    vpl031_init(&rtc, 0x9010000, 34, EPOCH, home);
    rtc.vdev.set_irq = on_irq;
}

TEST(the_clock_starts_at_the_wall_clock_and_counts_seconds)
{
    static const uint8_t id[8] = {0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

    start(0);
    ASSERT_EQ(get(DR), EPOCH);
    ASSERT_EQ(get(CR), 1);
    fake_advance(SECOND - 1);
    ASSERT_EQ(get(DR), EPOCH);
    fake_advance(1);
    ASSERT_EQ(get(DR), EPOCH + 1);
    for (unsigned i = 0; i < 8; i++)
        ASSERT_EQ(get(0xfe0 + 4 * i), id[i]);
}

TEST(the_clock_can_be_set)
{
    start(0);
    fake_advance(5ull * SECOND);
    set(LR, 100);
    ASSERT_EQ(get(LR), 100);
    ASSERT_EQ(get(DR), 100);
    fake_advance(7ull * SECOND);
    ASSERT_EQ(get(DR), 107);
    vpl031_stop(&rtc);
}

TEST(an_alarm_fires_at_its_second_and_once)
{
    start(0);
    set(IMSC, 1);
    set(MR, EPOCH + 3);
    fake_advance(3ull * SECOND - 1);
    timer_expire();
    ASSERT(!irq_level);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, 3ull * SECOND);
    fake_advance(1);
    timer_expire();
    ASSERT(irq_level);
    ASSERT_EQ(get(MIS), 1);
    set(ICR, 1);
    ASSERT(!irq_level);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, TICKS_NEVER);
}

TEST(an_alarm_for_now_fires_at_once_even_masked)
{
    start(0);
    set(MR, EPOCH);
    ASSERT_EQ(get(RIS), 1);
    ASSERT_EQ(get(MIS), 0);
    ASSERT(!irq_level);
    set(IMSC, 1);
    ASSERT(irq_level);
}

TEST(a_moved_alarm_fires_at_the_new_second_only)
{
    start(0);
    set(IMSC, 1);
    set(MR, EPOCH + 3);
    set(MR, EPOCH + 10);
    fake_advance(3ull * SECOND);
    timer_expire();
    ASSERT(!irq_level);
    set(LR, EPOCH + 9); /* The clock is put forward: one second is left. */
    fake_advance(SECOND);
    timer_expire();
    ASSERT(irq_level);
}

TEST(an_alarm_from_another_pcpu_is_armed_on_the_home_pcpu)
{
    start(1);
    set(IMSC, 1);
    set(MR, EPOCH + 2);
    set(MR, EPOCH + 1);
    ASSERT(!rtc.alarm.timer.armed);
    fake_be_cpu(1);
    ipi_run_work();
    ASSERT(rtc.alarm.timer.armed);
    ASSERT_EQ(pcpus[1].arch.timer_deadline, SECOND);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, TICKS_NEVER);
    fake_advance(SECOND);
    timer_expire();
    ASSERT(irq_level);
    ASSERT_EQ(rtc.alarm.work_served, rtc.alarm.work_asked);
}

TEST(a_stopped_clock_leaves_no_timer_and_no_work)
{
    start(0);
    set(MR, EPOCH + 2);
    fake_be_cpu(1);
    set(MR, EPOCH + 3);
    fake_be_cpu(0);
    vpl031_stop(&rtc);
    ASSERT(!rtc.alarm.timer.armed);
    ASSERT(!rtc.alarm.work.queued);
    ASSERT_EQ(rtc.alarm.work_served, rtc.alarm.work_asked);
}

TEST(a_reset_clock_has_no_alarm_but_keeps_time)
{
    start(0);
    set(IMSC, 1);
    set(MR, EPOCH + 1);
    rtc.vdev.ops->reset(&rtc.vdev);
    fake_advance(SECOND);
    timer_expire();
    ASSERT(!irq_level);
    ASSERT_EQ(get(DR), EPOCH + 1);
    ASSERT_EQ(get(MR), 0);
}
