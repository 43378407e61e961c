/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's ACPI registers: what tells the time and turns off. */
#include "tests/host/chip_rig.h"
#include "vcpu/chips/vpm.h"

enum { STATUS = 0, ENABLE = 2, CONTROL = 4, TIMER = 8 };

static struct vpm pm;
static unsigned power_offs;

static void on_power_off(struct vpm *which)
{
    ASSERT_EQ(which, &pm);
    ASSERT(!lock_held(&pm.lock));
    power_offs++;
}

static uint32_t get(uint64_t offset, unsigned width)
{
    return (uint32_t)pm.vdev.ops->read(&pm.vdev, 0, offset, width);
}

static void set(uint64_t offset, unsigned width, uint32_t value)
{
    pm.vdev.ops->write(&pm.vdev, 0, offset, width, value);
}

static void start(void)
{
    chip_start();
    vpm_init(&pm, 0x600, 9, 0);
    pm.vdev.set_irq = on_irq;
    pm.power_off = on_power_off;
    power_offs = 0;
}

TEST(the_pm_timer_counts_at_its_frequency_and_wraps)
{
    uint64_t cycles;

    start();
    ASSERT_EQ(get(TIMER, 4), 0);
    fake_advance(SECOND);
    ASSERT_EQ(get(TIMER, 4), 3579545);
    ASSERT_EQ(get(TIMER, 2), 3579545 & 0xffff);
    ASSERT_EQ(get(TIMER + 2, 1), 3579545 >> 16 & 0xff);
    set(TIMER, 4, 0); /* Read-only. */
    fake_advance(1300 * SECOND);
    cycles = ticks_to_cycles(arch_ticks(), VPM_TIMER_HZ);
    ASSERT(cycles > UINT32_MAX);
    ASSERT_EQ(get(TIMER, 4), (uint32_t)cycles);
}

TEST(acpi_mode_is_on_and_stays_on)
{
    start();
    ASSERT_EQ(get(CONTROL, 2), 1);
    set(CONTROL, 2, 0);
    ASSERT_EQ(get(CONTROL, 2), 1);
    set(CONTROL, 2, 0xdfff);
    ASSERT_EQ(get(CONTROL, 2), 0x1c03);
    ASSERT_EQ(power_offs, 0);
}

TEST(sleeping_in_s5_is_power_off_and_nothing_else_is)
{
    for (unsigned type = 0; type < 8; type++) {
        start();
        set(CONTROL, 2, type << 10);
        ASSERT_EQ(power_offs, 0);
        set(CONTROL, 2, type << 10 | 1 << 13);
        ASSERT_EQ(power_offs, type == VPM_S5);
        ASSERT_EQ(get(CONTROL, 2) >> 10, type);
    }
    start();
    set(CONTROL + 1, 1, VPM_S5 << 2 | 1 << 5); /* By the byte. */
    ASSERT_EQ(power_offs, 1);
}

TEST(the_timer_event_interrupts_when_the_highest_bit_changes)
{
    start();
    set(ENABLE, 2, 0xffff);
    ASSERT_EQ(get(ENABLE, 2), 0x0721);
    ASSERT_EQ(chip_run(599 * SECOND), 0);
    ASSERT_EQ(chip_run(2 * SECOND), 1);
    ASSERT(irq_level);
    ASSERT_EQ(get(STATUS, 4), 0x07210001);
    ASSERT_EQ(chip_run(5000 * SECOND), 0); /* Until it is cleared. */
    set(STATUS, 2, 0);
    ASSERT(irq_level);
    set(STATUS, 1, 1);
    ASSERT(!irq_level);
    ASSERT_EQ(get(STATUS, 2), 0);
    ASSERT(pcpus[0].arch.timer_deadline != TICKS_NEVER);
    set(ENABLE, 2, 0);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, TICKS_NEVER);
    fake_advance(600 * SECOND);
    ASSERT_EQ(get(STATUS, 2), 1);
    set(ENABLE, 1, 1);
    ASSERT(irq_level);
    pm.vdev.ops->reset(&pm.vdev);
    ASSERT(!irq_level);
    set(ENABLE, 1, 1);
    vpm_stop(&pm);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, TICKS_NEVER);
}
