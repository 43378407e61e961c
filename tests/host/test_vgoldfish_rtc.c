/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's Goldfish RTC: time, setting it, and the alarm from any pCPU. */
#include "tests/host/chip_rig.h"
#include "vcpu/chips/vgoldfish_rtc.h"

enum { TIME_LOW = 0, TIME_HIGH = 4, ALARM_LOW = 8, ALARM_HIGH = 12 };
enum { IRQ_ENABLED = 16, CLEAR_ALARM = 20, ALARM_STATUS = 24, CLEAR_INTERRUPT = 28 };

static struct vgoldfish_rtc rtc;

static uint32_t get(uint64_t reg)
{
    return (uint32_t)rtc.vdev.ops->read(&rtc.vdev, 0, reg, 4);
}

static void set(uint64_t reg, uint32_t value)
{
    rtc.vdev.ops->write(&rtc.vdev, 0, reg, 4, value);
}

static uint64_t time_now(void)
{
    uint32_t low = get(TIME_LOW);

    return (uint64_t)get(TIME_HIGH) << 32 | low;
}

static void set_alarm(uint64_t at)
{
    set(ALARM_HIGH, (uint32_t)(at >> 32));
    set(ALARM_LOW, (uint32_t)at);
    set(IRQ_ENABLED, 1);
}

static void start(unsigned home)
{
    chip_start();
    vgoldfish_rtc_init(&rtc, 0x101000, 11, EPOCH, home);
    rtc.vdev.set_irq = on_irq;
}

TEST(the_goldfish_clock_counts_nanoseconds_from_the_wall_clock)
{
    start(0);
    ASSERT_EQ(time_now(), EPOCH * SECOND);
    fake_advance(123456789);
    ASSERT_EQ(time_now(), EPOCH * SECOND + 123456789);
    ASSERT_EQ(rtc.vdev.ops->read(&rtc.vdev, 0, TIME_LOW, 8), 0);
}

TEST(the_upper_half_of_the_time_is_latched_by_the_lower)
{
    start(0);
    set(TIME_HIGH, 1);
    set(TIME_LOW, 0xfffffff0);
    ASSERT_EQ(get(TIME_LOW), 0xfffffff0);
    fake_advance(100);
    ASSERT_EQ(get(TIME_HIGH), 1);
    ASSERT_EQ(time_now(), 0x200000054);
}

TEST(a_goldfish_alarm_fires_once_at_its_time)
{
    start(0);
    set_alarm(EPOCH * SECOND + 500);
    ASSERT_EQ(get(ALARM_STATUS), 1);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, 500);
    fake_advance(499);
    timer_expire();
    ASSERT(!irq_level);
    fake_advance(1);
    timer_expire();
    ASSERT(irq_level);
    ASSERT_EQ(get(ALARM_STATUS), 0);
    set(CLEAR_INTERRUPT, 1);
    ASSERT(!irq_level);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, TICKS_NEVER);
}

TEST(a_goldfish_alarm_in_the_past_fires_at_once_and_can_be_masked)
{
    start(0);
    set_alarm(5);
    ASSERT(irq_level);
    set(IRQ_ENABLED, 0);
    ASSERT(!irq_level);
}

TEST(a_goldfish_alarm_can_be_cleared_and_follows_the_clock)
{
    start(0);
    set_alarm(EPOCH * SECOND + 500);
    set(CLEAR_ALARM, 1);
    ASSERT_EQ(get(ALARM_STATUS), 0);
    fake_advance(1000);
    timer_expire();
    ASSERT(!irq_level);
    set_alarm(EPOCH * SECOND + 5000);
    set(TIME_HIGH, (uint32_t)((EPOCH * SECOND + 5000) >> 32));
    set(TIME_LOW, (uint32_t)(EPOCH * SECOND + 5000));
    ASSERT(irq_level);
}

TEST(a_goldfish_alarm_from_another_pcpu_is_armed_on_the_home_pcpu)
{
    start(1);
    set_alarm(EPOCH * SECOND + 500);
    ASSERT(!rtc.alarm.timer.armed);
    fake_be_cpu(1);
    ipi_run_work();
    ASSERT_EQ(pcpus[1].arch.timer_deadline, 500);
    fake_advance(500);
    timer_expire();
    ASSERT(irq_level);
    vgoldfish_rtc_stop(&rtc);
    ASSERT(!rtc.alarm.timer.armed && !rtc.alarm.work.queued);
}

TEST(a_reset_goldfish_clock_has_no_alarm_but_keeps_time)
{
    start(0);
    set_alarm(EPOCH * SECOND + 500);
    rtc.vdev.ops->reset(&rtc.vdev);
    fake_advance(1000);
    timer_expire();
    ASSERT(!irq_level);
    ASSERT_EQ(time_now(), EPOCH * SECOND + 1000);
}
