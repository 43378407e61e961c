/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model of Goldfish's real-time clock. Times are two words: a read of the lower one latches the
 * upper one, a write of the lower one makes both count. The lock (RANK_DEVICE) guards the state.
 */
#include "vcpu/chips/vgoldfish_rtc.h"

#include "kernel/arch.h"
#include "kernel/bits.h"
#include "kernel/string.h"
#include "vcpu/state.h"

/* Registers. */
#define TIME_LOW        0x00
#define TIME_HIGH       0x04
#define ALARM_LOW       0x08
#define ALARM_HIGH      0x0c
#define IRQ_ENABLED     0x10
#define CLEAR_ALARM     0x14
#define ALARM_STATUS    0x18
#define CLEAR_INTERRUPT 0x1c

#define NS_PER_SECOND   1000000000ull

static struct vgoldfish_rtc *rtc_of(struct vdev *dev)
{
    return container_of(dev, struct vgoldfish_rtc, vdev);
}

static uint64_t rtc_now(const struct vgoldfish_rtc *rtc)
{
    return ticks_to_ns(arch_ticks()) + rtc->state.offset;
}

static void rtc_update(struct vgoldfish_rtc *rtc)
{
    bool level = rtc->state.pending && rtc->state.enabled;

    if (level == rtc->state.level)
        return;
    rtc->state.level = level;
    if (rtc->vdev.set_irq != NULL)
        rtc->vdev.set_irq(&rtc->vdev, level);
}

/* Lock held: the alarm fires if its time has come, else its timer is set. */
static void rtc_serve(struct vgoldfish_rtc *rtc)
{
    struct vgoldfish_rtc_state *s = &rtc->state;
    uint64_t now = rtc_now(rtc), ticks, deadline = TICKS_NEVER;

    if (s->running && s->match <= now) {
        s->running = false;
        s->pending = true;
    }
    if (s->running) {
        ticks = ticks_from_ns(s->match - now);
        if (__builtin_add_overflow(arch_ticks(), ticks, &deadline))
            deadline = TICKS_NEVER;
    }
    if (deadline != rtc->alarm.deadline)
        alarm_set(&rtc->alarm, deadline);
    rtc_update(rtc);
}

static void rtc_fired(struct alarm *alarm)
{
    rtc_serve(container_of(alarm, struct vgoldfish_rtc, alarm));
}

static uint32_t rtc_read_locked(struct vgoldfish_rtc *rtc, uint64_t offset)
{
    struct vgoldfish_rtc_state *s = &rtc->state;
    uint64_t now;

    switch (offset) {
    case TIME_LOW:
        now = rtc_now(rtc);
        s->time_high = (uint32_t)(now >> 32);
        return (uint32_t)now;
    case TIME_HIGH:
        return s->time_high;
    case ALARM_LOW:
        return (uint32_t)s->match;
    case ALARM_HIGH:
        return (uint32_t)(s->match >> 32);
    case IRQ_ENABLED:
        return s->enabled;
    case ALARM_STATUS:
        return s->running;
    }
    return 0;
}

static uint64_t rtc_read(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                         unsigned width)
{
    struct vgoldfish_rtc *rtc = rtc_of(dev);
    uint32_t value;

    if (width != 4)
        return 0;
    lock_take(&rtc->lock);
    value = rtc_read_locked(rtc, offset);
    lock_drop(&rtc->lock);
    return value;
}

static void rtc_write_locked(struct vgoldfish_rtc *rtc, uint64_t offset, uint32_t value)
{
    struct vgoldfish_rtc_state *s = &rtc->state;

    switch (offset) {
    case TIME_LOW:
        s->offset = ((uint64_t)s->set_high << 32 | value) - ticks_to_ns(arch_ticks());
        break;
    case TIME_HIGH:
        s->set_high = value;
        break;
    case ALARM_LOW:
        s->match = (uint64_t)s->alarm_high << 32 | value;
        s->running = true;
        break;
    case ALARM_HIGH:
        s->alarm_high = value;
        break;
    case IRQ_ENABLED:
        s->enabled = value & 1;
        break;
    case CLEAR_ALARM:
        s->running = false;
        break;
    case CLEAR_INTERRUPT:
        s->pending = false;
        break;
    default: /* Read-only or reserved: ignored. */
        break;
    }
    rtc_serve(rtc);
}

static void rtc_write(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                      unsigned width, uint64_t value)
{
    struct vgoldfish_rtc *rtc = rtc_of(dev);

    if (width != 4)
        return;
    lock_take(&rtc->lock);
    rtc_write_locked(rtc, offset, (uint32_t)value);
    lock_drop(&rtc->lock);
}

/* The time goes on over a reset: the clock has a battery. */
static void rtc_reset(struct vdev *dev)
{
    struct vgoldfish_rtc *rtc = rtc_of(dev);
    struct vgoldfish_rtc_state *s = &rtc->state;

    lock_take(&rtc->lock);
    s->match = 0;
    s->time_high = s->set_high = s->alarm_high = 0;
    s->enabled = s->running = s->pending = false;
    rtc_serve(rtc);
    lock_drop(&rtc->lock);
}

/*
 * The clock goes on with the wall clock, as far as the guest had not set it; an alarm that was due
 * meanwhile fires at once.
 */
static void rtc_state(struct vdev *dev, struct state *s)
{
    struct vgoldfish_rtc *rtc = rtc_of(dev);
    struct vgoldfish_rtc_state now;
    uint64_t ahead;

    lock_take(&rtc->lock);
    now = rtc->state;
    ahead = now.offset - rtc->epoch;
    state_section(s, "goldfish-rtc", 1);
    STATE(s, ahead);
    STATE(s, now.match);
    STATE(s, now.time_high);
    STATE(s, now.set_high);
    STATE(s, now.alarm_high);
    STATE(s, now.enabled);
    STATE(s, now.running);
    STATE(s, now.pending);
    if (state_loading(s) && state_ok(s)) {
        rtc->state = now;
        rtc->state.offset = rtc->epoch + ahead;
        rtc_serve(rtc);
    }
    lock_drop(&rtc->lock);
}

static const struct vdev_ops rtc_ops = {
    .name = "goldfish-rtc",
    .read = rtc_read,
    .write = rtc_write,
    .reset = rtc_reset,
    .state = rtc_state,
};

void vgoldfish_rtc_init(struct vgoldfish_rtc *rtc, uint64_t base, uint32_t irq, uint64_t epoch,
                        unsigned home)
{
    memset(rtc, 0, sizeof(*rtc));
    rtc->vdev =
        (struct vdev){.ops = &rtc_ops, .base = base, .size = VGOLDFISH_RTC_SIZE, .irq = irq};
    rtc->epoch = epoch * NS_PER_SECOND;
    rtc->state.offset = rtc->epoch;
    lock_init(&rtc->lock, RANK_DEVICE, "vgoldfish_rtc");
    alarm_init(&rtc->alarm, &rtc->lock, home, rtc_fired);
}

void vgoldfish_rtc_stop(struct vgoldfish_rtc *rtc)
{
    lock_take(&rtc->lock);
    rtc->state.running = false;
    lock_drop(&rtc->lock);
    alarm_stop(&rtc->alarm);
}
