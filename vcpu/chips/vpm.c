/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model of ACPI's fixed hardware. [ACPI 6.5; section numbers] The timer is read without the lock:
 * it follows from the clock. The lock (RANK_DEVICE) guards the rest.
 */
#include "vcpu/chips/vpm.h"

#include "kernel/arch.h"
#include "kernel/bits.h"
#include "kernel/string.h"
#include "vcpu/state.h"

#define STATUS_TIMER  BIT(0)                           /* The highest bit changed [4.8.3.1.1]. */
#define ENABLE_BITS   (BITS(10, 8) | BIT(5) | BIT(0))  /* RTC, buttons, global, timer. */
#define CONTROL_SCI   BIT(0)                           /* ACPI mode [4.8.3.2.1]. */
#define CONTROL_BITS  (BITS(12, 10) | BIT(1) | BIT(0)) /* SLP_TYP, BM_RLD. */
#define CONTROL_TYPE  BITS(12, 10)
#define CONTROL_SLEEP BIT(13) /* Reads as 0. */

#define TIMER_HALF    BIT(31) /* Cycles. */
#define CYCLES_MAX    BIT(62) /* A clock that has shown that many is none of ours. */

static struct vpm *vpm_of(struct vdev *dev)
{
    return container_of(dev, struct vpm, vdev);
}

static uint64_t timer_cycles_at(const struct vpm *pm, uint64_t ticks)
{
    return ticks_to_cycles(ticks - pm->zero, VPM_TIMER_HZ) + pm->base;
}

static uint64_t timer_cycles(const struct vpm *pm)
{
    return timer_cycles_at(pm, arch_ticks());
}

static void vpm_settle(struct vpm *pm)
{
    struct vpm_state *s = &pm->state;
    uint64_t half = timer_cycles(pm) / TIMER_HALF;

    if (half != s->half)
        s->status |= STATUS_TIMER;
    s->half = half;
}

/* Lock held. The last step of every change. */
static void vpm_serve(struct vpm *pm)
{
    struct vpm_state *s = &pm->state;
    uint64_t deadline = TICKS_NEVER;
    bool level;

    if (pm->paused) {
        alarm_set(&pm->alarm, TICKS_NEVER);
        return;
    }
    vpm_settle(pm);
    if ((s->enable & ~s->status) & STATUS_TIMER)
        deadline =
            pm->zero + ticks_from_cycles((s->half + 1) * TIMER_HALF - pm->base, VPM_TIMER_HZ);
    if (deadline != pm->alarm.deadline)
        alarm_set(&pm->alarm, deadline);
    level = s->status & s->enable;
    if (level == s->level)
        return;
    s->level = level;
    if (pm->vdev.set_irq != NULL)
        pm->vdev.set_irq(&pm->vdev, level);
}

static void vpm_fired(struct alarm *alarm)
{
    vpm_serve(container_of(alarm, struct vpm, alarm));
}

/* The registers as 32-bit words; bytes of them can be accessed. */
static uint32_t vpm_word(struct vpm *pm, uint64_t word)
{
    switch (word) {
    case VPM_EVENT:
        vpm_settle(pm);
        return pm->state.status | (uint32_t)pm->state.enable << 16;
    case VPM_CONTROL:
        return pm->state.control;
    case VPM_TIMER:
        return (uint32_t)timer_cycles(pm);
    }
    return 0;
}

static uint64_t vpm_read(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                         unsigned width)
{
    struct vpm *pm = vpm_of(dev);
    uint64_t value;

    if (likely(offset == VPM_TIMER && width == VPM_TIMER_LEN))
        return (uint32_t)timer_cycles(pm);
    lock_take(&pm->lock);
    value = vpm_word(pm, offset & ~3ull) >> (offset & 3) * 8;
    lock_drop(&pm->lock);
    return value & BITS(8 * width - 1, 0);
}

/* bits: those of the word that are written. True: the guest sleeps for good. */
static bool vpm_write_locked(struct vpm *pm, uint64_t word, uint32_t value, uint32_t bits)
{
    struct vpm_state *s = &pm->state;

    switch (word) {
    case VPM_EVENT:
        vpm_settle(pm);
        s->status &= (uint16_t) ~(value & bits); /* Ones clear. */
        s->enable = (uint16_t)(((s->enable & ~(bits >> 16)) | (value & bits) >> 16) & ENABLE_BITS);
        vpm_serve(pm);
        break;
    case VPM_CONTROL:
        value = (s->control & ~bits) | (value & bits);
        s->control = (uint16_t)((value & CONTROL_BITS) | CONTROL_SCI);
        return (value & CONTROL_SLEEP) && field_get(CONTROL_TYPE, value) == VPM_S5;
    }
    return false; /* Other sleeping states are not offered. */
}

static void vpm_write(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                      unsigned width, uint64_t value)
{
    struct vpm *pm = vpm_of(dev);
    unsigned shift = (offset & 3) * 8;
    uint64_t bits = BITS(8 * width - 1, 0) << shift;
    bool off;

    lock_take(&pm->lock);
    off = vpm_write_locked(pm, offset & ~3ull, (uint32_t)(value << shift), (uint32_t)bits);
    lock_drop(&pm->lock);
    if (off && pm->power_off != NULL)
        pm->power_off(pm);
}

static void vpm_reset(struct vdev *dev)
{
    struct vpm *pm = vpm_of(dev);
    struct vpm_state *s = &pm->state;

    lock_take(&pm->lock);
    pm->paused = false;
    pm->zero = 0;
    pm->base = 0;
    vpm_settle(pm);
    s->status = s->enable = 0;
    s->control = CONTROL_SCI;
    vpm_serve(pm);
    lock_drop(&pm->lock);
}

/* Its clock goes on from where it was. */
[[gnu::cold]] static void vpm_state(struct vdev *dev, struct state *state)
{
    struct vpm *pm = vpm_of(dev);
    struct vpm_state s;
    uint64_t cycles;

    lock_take(&pm->lock);
    s = pm->state;
    cycles = timer_cycles_at(pm, state->now);
    state_section(state, "ACPI PM", 1);
    STATE(state, cycles);
    STATE(state, s.status);
    STATE(state, s.enable);
    STATE(state, s.control);
    STATE(state, s.half);
    STATE(state, s.level);
    state_require(state, cycles < CYCLES_MAX, "its clock is too far");
    state_require(state,
                  !(s.status & ~STATUS_TIMER) && !(s.enable & ~ENABLE_BITS) &&
                      !(s.control & ~CONTROL_BITS),
                  "a register is not possible");
    if (state_loading(state) && state_ok(state)) {
        pm->state = s;
        pm->base += cycles - timer_cycles_at(pm, state->now);
        vpm_serve(pm);
    }
    lock_drop(&pm->lock);
}

static const struct vdev_ops vpm_ops = {
    .name = "ACPI PM",
    .read = vpm_read,
    .write = vpm_write,
    .reset = vpm_reset,
    .state = vpm_state,
};

void vpm_init(struct vpm *pm, uint64_t base, uint32_t irq, unsigned home)
{
    memset(pm, 0, sizeof(*pm));
    pm->vdev = (struct vdev){.ops = &vpm_ops, .base = base, .size = VPM_SIZE, .irq = irq};
    lock_init(&pm->lock, RANK_DEVICE, "vpm");
    alarm_init(&pm->alarm, &pm->lock, home, vpm_fired);
    vpm_reset(&pm->vdev);
}

void vpm_stop(struct vpm *pm)
{
    lock_take(&pm->lock);
    pm->state.enable = 0;
    lock_drop(&pm->lock);
    alarm_stop(&pm->alarm);
}

void vpm_set_paused(struct vpm *pm, bool paused, uint64_t paused_ticks)
{
    lock_take(&pm->lock);
    pm->paused = paused;
    pm->zero = paused_ticks;
    vpm_serve(pm);
    lock_drop(&pm->lock);
}
