/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model of ARM's PL031 real-time clock. [ARM DDI0224C: PrimeCell Real Time Clock (PL031) Technical
 * Reference Manual]
 *
 * The counter is arch_ticks() plus an offset, so it costs nothing while nobody reads it. A match
 * with MR that is to come is an alarm (vcpu/chips/alarm.h).
 *
 * The lock (RANK_DEVICE) guards the state.
 */
#include "vcpu/chips/vpl031.h"

#include "kernel/arch.h"
#include "kernel/bits.h"
#include "kernel/string.h"
#include "vcpu/state.h"

/* Registers [3.2]. */
#define DR       0x00
#define MR       0x04
#define LR       0x08
#define CR       0x0c
#define IMSC     0x10
#define RIS      0x14
#define MIS      0x18
#define ICR      0x1c
#define ID       0xfe0 /* PeriphID0-3, PCellID0-3. */

#define CR_START BIT(0) /* Once on it stays on [3.3.4]; the firmware turned it on. */

/* Part 031, designer ARM (0x41), revision 1. */
static const uint8_t id_bytes[8] = {0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

static struct vpl031 *vpl031_of(struct vdev *dev)
{
    return container_of(dev, struct vpl031, vdev);
}

static uint64_t seconds_up(void)
{
    return arch_ticks() / arch_tick_hz();
}

uint32_t vpl031_seconds(const struct vpl031 *rtc)
{
    return (uint32_t)seconds_up() + rtc->state.offset;
}

static void vpl031_update(struct vpl031 *rtc)
{
    bool level = (rtc->state.ris & rtc->state.imsc) != 0;

    if (level == rtc->state.level)
        return;
    rtc->state.level = level;
    if (rtc->vdev.set_irq != NULL)
        rtc->vdev.set_irq(&rtc->vdev, level);
}

/* The alarm fired: a match, unless the guest has written MR or LR in the meantime. Lock held. */
static void vpl031_fire(struct alarm *alarm)
{
    struct vpl031 *rtc = container_of(alarm, struct vpl031, alarm);

    if (rtc->state.armed && seconds_up() >= rtc->state.match) {
        rtc->state.armed = false;
        rtc->state.ris = 1;
    } else if (rtc->state.armed) {
        alarm_set(alarm, rtc->state.match * arch_tick_hz());
    }
    vpl031_update(rtc);
}

/* Lock held: the match has moved. */
static void vpl031_rearm(struct vpl031 *rtc)
{
    uint64_t now = seconds_up();
    uint32_t left = rtc->state.mr - ((uint32_t)now + rtc->state.offset);

    rtc->state.match = now + left;
    rtc->state.armed = left > 0;
    if (left == 0)
        rtc->state.ris = 1;
    alarm_set(&rtc->alarm, left > 0 ? rtc->state.match * arch_tick_hz() : TICKS_NEVER);
}

static uint64_t vpl031_read(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                            [[maybe_unused]] unsigned width)
{
    struct vpl031 *rtc = vpl031_of(dev);
    struct vpl031_state state;

    lock_take(&rtc->lock);
    state = rtc->state;
    lock_drop(&rtc->lock);
    switch (offset) {
    case DR:
        return (uint32_t)((uint32_t)seconds_up() + state.offset);
    case MR:
        return state.mr;
    case LR:
        return state.lr;
    case CR:
        return CR_START;
    case IMSC:
        return state.imsc;
    case RIS:
        return state.ris;
    case MIS:
        return state.ris & state.imsc;
    default:
        return offset >= ID && offset % 4 == 0 ? id_bytes[(offset - ID) / 4] : 0;
    }
}

static void vpl031_write(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                         [[maybe_unused]] unsigned width, uint64_t value)
{
    struct vpl031 *rtc = vpl031_of(dev);
    struct vpl031_state *s = &rtc->state;

    lock_take(&rtc->lock);
    switch (offset) {
    case MR:
        s->mr = (uint32_t)value;
        vpl031_rearm(rtc);
        break;
    case LR:
        s->lr = (uint32_t)value;
        s->offset = s->lr - (uint32_t)seconds_up();
        vpl031_rearm(rtc);
        break;
    case IMSC:
        s->imsc = value & 1;
        break;
    case ICR:
        s->ris &= ~(uint32_t)value;
        break;
    default: /* CR: it runs already. Read-only or reserved: ignored. */
        break;
    }
    vpl031_update(rtc);
    lock_drop(&rtc->lock);
}

/* The time goes on over a reset: the clock has a battery. */
static void vpl031_reset(struct vdev *dev)
{
    struct vpl031 *rtc = vpl031_of(dev);
    struct vpl031_state *s = &rtc->state;

    lock_take(&rtc->lock);
    s->mr = s->lr = s->imsc = s->ris = 0;
    s->armed = false; /* An alarm that still runs finds nothing to do. */
    vpl031_update(rtc);
    lock_drop(&rtc->lock);
}

/*
 * The clock goes on with the wall clock, as far as the guest had not set it; an alarm that was due
 * meanwhile fires at once.
 */
static void vpl031_went_on(struct vpl031 *rtc, uint32_t then, uint64_t left)
{
    int32_t away = (int32_t)(vpl031_seconds(rtc) - then);
    uint64_t passed = away > 0 ? (uint64_t)away : 0;

    rtc->state.match = seconds_up() + (left > passed ? left - passed : 0);
    alarm_set(&rtc->alarm, rtc->state.armed ? rtc->state.match * arch_tick_hz() : TICKS_NEVER);
}

static void vpl031_state(struct vdev *dev, struct state *s)
{
    struct vpl031 *rtc = vpl031_of(dev);
    struct vpl031_state now;
    uint32_t ahead, then;
    uint64_t left;

    lock_take(&rtc->lock);
    now = rtc->state;
    ahead = now.offset - rtc->epoch;
    then = vpl031_seconds(rtc);
    left = now.armed && now.match > seconds_up() ? now.match - seconds_up() : 0;
    state_section(s, "pl031", 1);
    STATE(s, ahead);
    STATE(s, then);
    STATE(s, left);
    STATE(s, now.armed);
    STATE(s, now.mr);
    STATE(s, now.lr);
    STATE(s, now.imsc);
    STATE(s, now.ris);
    state_require(s, left <= UINT32_MAX && now.imsc <= 1 && now.ris <= 1, "no such value");
    if (state_loading(s) && state_ok(s)) {
        rtc->state = now;
        rtc->state.offset = rtc->epoch + ahead;
        vpl031_went_on(rtc, then, left);
        vpl031_update(rtc);
    }
    lock_drop(&rtc->lock);
}

static const struct vdev_ops vpl031_ops = {
    .name = "pl031",
    .read = vpl031_read,
    .write = vpl031_write,
    .reset = vpl031_reset,
    .state = vpl031_state,
};

void vpl031_init(struct vpl031 *rtc, uint64_t base, uint32_t irq, uint64_t epoch, unsigned home)
{
    memset(rtc, 0, sizeof(*rtc));
    rtc->vdev = (struct vdev){.ops = &vpl031_ops, .base = base, .size = VPL031_SIZE, .irq = irq};
    rtc->epoch = (uint32_t)epoch;
    rtc->state.offset = rtc->epoch;
    lock_init(&rtc->lock, RANK_DEVICE, "vpl031");
    alarm_init(&rtc->alarm, &rtc->lock, home, vpl031_fire);
}

void vpl031_stop(struct vpl031 *rtc)
{
    lock_take(&rtc->lock);
    rtc->state.armed = false;
    lock_drop(&rtc->lock);
    alarm_stop(&rtc->alarm);
}
