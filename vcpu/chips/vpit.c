/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model of the 8254. Nothing counts: what a counter shows is computed from the cycle in which it
 * began. [8254 data sheet; sections by name] What is not as on the chip: a count begins with its
 * last byte, not one clock later; the interrupt wire shows the rising edges of modes 2 and 3 at
 * their time and the falling ones just before.
 *
 * Invariants: a count is never 0; `edge` and the alarm agree with counter 0 whenever the lock is
 * free. The lock (RANK_DEVICE) guards the state.
 */
#include "vcpu/chips/vpit.h"

#include "kernel/arch.h"
#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/string.h"
#include "vcpu/state.h"

#define CONTROL          3u

/* Control word ["Control Word Format"]. */
#define CONTROL_COUNTER  BITS(7, 6)
#define CONTROL_ACCESS   BITS(5, 4)
#define CONTROL_MODE     BITS(3, 1)
#define CONTROL_BCD      BIT(0)
#define READ_BACK        3u     /* In place of a counter's number: */
#define READ_BACK_COUNT  BIT(5) /* not if this is set, */
#define READ_BACK_STATUS BIT(4) /* nor if this is. */

#define STATUS_OUT       BIT(7)
#define STATUS_NULL      BIT(6) /* What was written does not count yet. */

/* Port 0x61. */
#define SPEAKER_GATE     BIT(0)
#define SPEAKER_DATA     BIT(1)
#define SPEAKER_REFRESH  BIT(4)
#define SPEAKER_OUT      BIT(5)
#define REFRESH_CYCLES   18u /* 15 us. */

#define GATED            2u /* The only counter with a gate that is not tied high. */

enum mode { TERMINAL_COUNT, ONE_SHOT, RATE, SQUARE, SOFT_STROBE, HARD_STROBE };
enum access { LATCH, LOW_BYTE, HIGH_BYTE, BOTH_BYTES };

static struct vpit *vpit_of(struct vdev *dev)
{
    return container_of(dev, struct vpit, vdev);
}

static struct vpit *vpit_of_speaker(struct vdev *dev)
{
    return container_of(dev, struct vpit, speaker);
}

static uint64_t pit_cycles(const struct vpit *pit, uint64_t ticks)
{
    return ticks_to_cycles(ticks - pit->zero, VPIT_HZ) + pit->base;
}

static uint64_t pit_now(const struct vpit *pit)
{
    return pit_cycles(pit, arch_ticks());
}

/* --- One counter --- */

static bool is_periodic(const struct vpit_counter *c)
{
    return c->mode == RATE || c->mode == SQUARE;
}

/* Only its gate's rising edge starts it. */
static bool is_triggered(const struct vpit_counter *c)
{
    return c->mode == ONE_SHOT || c->mode == HARD_STROBE;
}

static uint64_t counter_elapsed(const struct vpit_counter *c, uint64_t now)
{
    switch (c->phase) {
    case VPIT_RUNNING:
        return now > c->start ? now - c->start : 0;
    case VPIT_PAUSED:
        return c->start;
    case VPIT_IDLE:
        break;
    }
    return 0;
}

static void counter_begin(struct vpit_counter *c, uint64_t now)
{
    if (c->next != 0)
        c->count = c->next;
    c->next = 0;
    c->phase = c->gate || is_triggered(c) ? VPIT_RUNNING : VPIT_PAUSED;
    c->start = c->phase == VPIT_RUNNING ? now : 0;
}

/* A new count of a periodic mode waits for the end of the period. */
static void counter_settle(struct vpit_counter *c, uint64_t now)
{
    if (c->next != 0 && is_periodic(c) && c->phase == VPIT_RUNNING && now >= c->next_from)
        counter_begin(c, c->next_from);
}

/* ["Mode Definitions"] */
static bool counter_out(const struct vpit_counter *c, uint64_t now)
{
    uint64_t elapsed = counter_elapsed(c, now);

    switch ((enum mode)c->mode) {
    case TERMINAL_COUNT:
        return c->phase != VPIT_IDLE && elapsed >= c->count;
    case ONE_SHOT:
        return c->phase == VPIT_IDLE || elapsed >= c->count;
    case RATE:
        return c->phase != VPIT_RUNNING || elapsed % c->count != c->count - 1;
    case SQUARE:
        return c->phase != VPIT_RUNNING || elapsed % c->count < (c->count + 1) / 2;
    case SOFT_STROBE:
    case HARD_STROBE:
        return c->phase == VPIT_IDLE || elapsed != c->count;
    }
    unreachable();
}

static uint16_t to_bcd(uint32_t v)
{
    return (uint16_t)(v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 % 10 << 12);
}

/* Digits above 9 count what they weigh. */
static uint32_t from_bcd(uint16_t v)
{
    return (v & 0xfu) + (v >> 4 & 0xfu) * 10 + (v >> 8 & 0xfu) * 100 + (v >> 12) * 1000u;
}

/* What the counting element shows. */
static uint16_t counter_value(const struct vpit_counter *c, uint64_t now)
{
    uint64_t elapsed = counter_elapsed(c, now);
    uint32_t modulus = c->bcd ? 10000 : 65536, value, half;

    if (c->mode == RATE) {
        value = (uint32_t)(c->count - elapsed % c->count);
    } else if (c->mode == SQUARE) { /* By twos, in each half; odd counts begin one lower. */
        half = (c->count + 1) / 2;
        value = (uint32_t)(elapsed % c->count);
        value = (c->count & ~1u) - 2 * (value < half ? value : value - half);
    } else {
        value = (uint32_t)(c->count + modulus - elapsed % modulus);
    }
    value %= modulus;
    return c->bcd ? to_bcd(value) : (uint16_t)value;
}

static void counter_set_gate(struct vpit_counter *c, uint64_t now, bool gate)
{
    bool rising = gate && !c->gate;

    counter_settle(c, now);
    c->gate = gate;
    if (!gate && c->phase == VPIT_RUNNING && !is_triggered(c)) {
        c->start = counter_elapsed(c, now);
        c->phase = VPIT_PAUSED;
    } else if (rising && c->loaded && (is_periodic(c) || is_triggered(c))) {
        counter_begin(c, now);
    } else if (rising && c->phase == VPIT_PAUSED) {
        c->start = now - c->start;
        c->phase = VPIT_RUNNING;
    }
}

/* A whole count was written ["Write Operations"]. */
static void counter_load(struct vpit_counter *c, uint64_t now, uint16_t value)
{
    uint32_t count = c->bcd ? from_bcd(value) : value;

    if (count == 0)
        count = c->bcd ? 10000 : 65536;
    c->loaded = true;
    c->next = count;
    if (is_periodic(c) && c->phase == VPIT_RUNNING)
        c->next_from = c->start + (counter_elapsed(c, now) / c->count + 1) * c->count;
    else if (!is_triggered(c))
        counter_begin(c, now);
}

static void counter_write(struct vpit_counter *c, uint64_t now, uint8_t value)
{
    counter_settle(c, now);
    if (c->access == LOW_BYTE) {
        counter_load(c, now, value);
    } else if (c->access == HIGH_BYTE) {
        counter_load(c, now, (uint16_t)(value << 8));
    } else if (c->low_written) {
        c->low_written = false;
        counter_load(c, now, (uint16_t)(value << 8 | c->low));
    } else {
        c->low_written = true;
        c->low = value;
        if (c->mode == TERMINAL_COUNT)
            c->phase = VPIT_IDLE; /* The first byte stops it, the output goes low ["Mode 0"]. */
    }
}

static void counter_latch(struct vpit_counter *c, uint64_t now)
{
    if (c->latched != 0)
        return;
    c->latch = counter_value(c, now);
    c->latched = c->access == BOTH_BYTES ? 2 : 1;
    c->low_read = false;
}

static void counter_latch_status(struct vpit_counter *c, uint64_t now)
{
    if (c->status_latched)
        return;
    c->status_latched = true;
    c->status =
        (uint8_t)((counter_out(c, now) ? STATUS_OUT : 0) |
                  (c->next != 0 || !c->loaded ? STATUS_NULL : 0) |
                  field_put(CONTROL_ACCESS, c->access) | field_put(CONTROL_MODE, c->mode) | c->bcd);
}

static uint8_t counter_read(struct vpit_counter *c, uint64_t now)
{
    uint16_t value;
    bool high;

    counter_settle(c, now);
    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    value = c->latched ? c->latch : counter_value(c, now);
    high = c->access == HIGH_BYTE || (c->access == BOTH_BYTES && c->low_read);
    c->low_read = c->access == BOTH_BYTES && !high;
    if (c->latched)
        c->latched--;
    return (uint8_t)(high ? value >> 8 : value);
}

static void counter_set_mode(struct vpit_counter *c, uint8_t control)
{
    unsigned mode = (unsigned)field_get(CONTROL_MODE, control);

    *c = (struct vpit_counter){
        .mode = (uint8_t)(mode > HARD_STROBE ? mode - 4 : mode), /* 6 is 2, 7 is 3. */
        .access = (uint8_t)field_get(CONTROL_ACCESS, control),
        .bcd = control & CONTROL_BCD,
        .gate = c->gate,
        .count = 65536,
    };
}

/* --- The chip --- */

/* Counter 0's output is up but in mode 0, and for what the other modes do at their edges. */
static bool pit_level(const struct vpit_counter *c, uint64_t now)
{
    return c->mode != TERMINAL_COUNT || counter_out(c, now);
}

/* When its output rises after now. */
static uint64_t pit_next_edge(const struct vpit_counter *c, uint64_t now)
{
    uint64_t elapsed = counter_elapsed(c, now);
    uint64_t ahead = c->count < VPIT_CYCLES_MIN ? VPIT_CYCLES_MIN - 1 : 0;

    if (c->phase != VPIT_RUNNING)
        return UINT64_MAX;
    if (is_periodic(c))
        return c->next != 0 ? c->next_from
                            : c->start + ((elapsed + ahead) / c->count + 1) * c->count;
    return elapsed < c->count ? c->start + c->count : UINT64_MAX;
}

static void pit_set_wire(struct vpit *pit, bool level)
{
    if (level == pit->state.level)
        return;
    pit->state.level = level;
    if (pit->vdev.set_irq != NULL)
        pit->vdev.set_irq(&pit->vdev, level);
}

/* Brings wire and alarm in line with counter 0. The last step of every change. */
static void pit_serve(struct vpit *pit)
{
    struct vpit_counter *c = &pit->state.counters[0];
    uint64_t now = pit_now(pit), deadline;

    if (pit->paused) {
        alarm_set(&pit->alarm, TICKS_NEVER);
        return;
    }
    if (now >= pit->state.edge)
        pit_set_wire(pit, false); /* For the edge. */
    counter_settle(c, now);
    pit_set_wire(pit, pit_level(c, now));
    pit->state.edge = pit_next_edge(c, now);
    deadline = pit->state.edge == UINT64_MAX
                   ? TICKS_NEVER
                   : pit->zero + ticks_from_cycles(pit->state.edge - pit->base, VPIT_HZ);
    if (deadline != pit->alarm.deadline)
        alarm_set(&pit->alarm, deadline);
}

static void pit_fired(struct alarm *alarm)
{
    pit_serve(container_of(alarm, struct vpit, alarm));
}

static void pit_read_back(struct vpit_state *s, uint64_t now, uint8_t control)
{
    for (unsigned i = 0; i < VPIT_COUNTERS; i++) {
        if (!(control & BIT(i + 1)))
            continue;
        counter_settle(&s->counters[i], now);
        if (!(control & READ_BACK_COUNT))
            counter_latch(&s->counters[i], now);
        if (!(control & READ_BACK_STATUS))
            counter_latch_status(&s->counters[i], now);
    }
}

static void pit_control(struct vpit_state *s, uint64_t now, uint8_t control)
{
    unsigned n = (unsigned)field_get(CONTROL_COUNTER, control);

    if (n == READ_BACK) {
        pit_read_back(s, now, control);
        return;
    }
    counter_settle(&s->counters[n], now);
    if (field_get(CONTROL_ACCESS, control) == LATCH)
        counter_latch(&s->counters[n], now);
    else
        counter_set_mode(&s->counters[n], control);
}

/* The chip sits on a bus of bytes; nobody reads or writes more at once. */
static uint64_t pit_read(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                         unsigned width)
{
    struct vpit *pit = vpit_of(dev);
    uint8_t value;

    if (width != 1 || offset >= CONTROL) /* The control word cannot be read. */
        return UINT64_MAX;
    lock_take(&pit->lock);
    value = counter_read(&pit->state.counters[offset], pit_now(pit));
    lock_drop(&pit->lock);
    return value;
}

static void pit_write(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                      unsigned width, uint64_t value)
{
    struct vpit *pit = vpit_of(dev);

    if (width != 1 || offset > CONTROL)
        return;
    lock_take(&pit->lock);
    pit_serve(pit); /* What has come by now. */
    if (offset == CONTROL)
        pit_control(&pit->state, pit_now(pit), (uint8_t)value);
    else
        counter_write(&pit->state.counters[offset], pit_now(pit), (uint8_t)value);
    pit_serve(pit);
    lock_drop(&pit->lock);
}

static uint64_t speaker_read(struct vdev *dev, [[maybe_unused]] unsigned vcpu,
                             [[maybe_unused]] uint64_t offset, [[maybe_unused]] unsigned width)
{
    struct vpit *pit = vpit_of_speaker(dev);
    struct vpit_counter *c = &pit->state.counters[GATED];
    uint64_t now = pit_now(pit), value;

    lock_take(&pit->lock);
    counter_settle(c, now);
    value = (c->gate ? SPEAKER_GATE : 0) | (pit->state.speaker ? SPEAKER_DATA : 0) |
            (counter_out(c, now) ? SPEAKER_OUT : 0);
    lock_drop(&pit->lock);
    return value | (now / REFRESH_CYCLES % 2 ? SPEAKER_REFRESH : 0);
}

static void speaker_write(struct vdev *dev, [[maybe_unused]] unsigned vcpu,
                          [[maybe_unused]] uint64_t offset, [[maybe_unused]] unsigned width,
                          uint64_t value)
{
    struct vpit *pit = vpit_of_speaker(dev);

    lock_take(&pit->lock);
    pit->state.speaker = value & SPEAKER_DATA;
    counter_set_gate(&pit->state.counters[GATED], pit_now(pit), value & SPEAKER_GATE);
    lock_drop(&pit->lock);
}

/* All stopped: what the chip does after power-up is undefined ["Programming the 8254"]. */
static void pit_reset(struct vdev *dev)
{
    struct vpit *pit = vpit_of(dev);
    struct vpit_state *s = &pit->state;

    lock_take(&pit->lock);
    for (unsigned i = 0; i < VPIT_COUNTERS; i++) {
        s->counters[i].gate = i != GATED;
        counter_set_mode(&s->counters[i], (uint8_t)field_put(CONTROL_ACCESS, BOTH_BYTES));
    }
    s->speaker = false;
    s->edge = UINT64_MAX;
    pit->paused = false;
    pit->zero = 0;
    pit->base = 0;
    pit_serve(pit);
    lock_drop(&pit->lock);
}

/* --- Snapshots --- */

#define COUNT_MAX  65536u
#define CYCLES_MAX BIT(62) /* A clock that has shown that many is none of ours. */

/* Nothing divides by 0, and what is waited for comes soon. */
static bool counter_is_possible(const struct vpit_counter *c, uint64_t now)
{
    if (c->mode > HARD_STROBE || c->access == LATCH || c->access > BOTH_BYTES || c->latched > 2)
        return false;
    if (c->phase != VPIT_IDLE && c->phase != VPIT_PAUSED && c->phase != VPIT_RUNNING)
        return false;
    return c->count >= 1 && c->count <= COUNT_MAX && c->next <= COUNT_MAX && c->start <= now &&
           c->next_from <= now + 2 * COUNT_MAX;
}

static void counter_state(struct vpit_counter *c, struct state *state)
{
    STATE(state, c->mode);
    STATE(state, c->access);
    STATE(state, c->bcd);
    STATE(state, c->gate);
    STATE(state, c->loaded);
    STATE(state, c->phase);
    STATE(state, c->start);
    STATE(state, c->count);
    STATE(state, c->next);
    STATE(state, c->next_from);
    STATE(state, c->low);
    STATE(state, c->low_written);
    STATE(state, c->low_read);
    STATE(state, c->latched);
    STATE(state, c->latch);
    STATE(state, c->status_latched);
    STATE(state, c->status);
}

/* Its clock goes on from where it was. */
static void pit_state(struct vdev *dev, struct state *state)
{
    struct vpit *pit = vpit_of(dev);
    struct vpit_state s;
    uint64_t now;

    lock_take(&pit->lock);
    s = pit->state;
    now = pit_cycles(pit, state->now);
    state_section(state, "8254", 1);
    STATE(state, now);
    for (unsigned i = 0; i < VPIT_COUNTERS; i++)
        counter_state(&s.counters[i], state);
    STATE(state, s.edge);
    STATE(state, s.speaker);
    STATE(state, s.level);
    state_require(state, now < CYCLES_MAX, "its clock is too far");
    for (unsigned i = 0; i < VPIT_COUNTERS; i++)
        state_require(state, counter_is_possible(&s.counters[i], now), "a counter is not possible");
    if (state_loading(state) && state_ok(state)) {
        pit->state = s;
        pit->base += now - pit_cycles(pit, state->now);
        pit_serve(pit);
    }
    lock_drop(&pit->lock);
}

static void speaker_reset([[maybe_unused]] struct vdev *dev)
{
    /* pit_reset() does. */
}

static const struct vdev_ops pit_ops = {
    .name = "8254",
    .read = pit_read,
    .write = pit_write,
    .reset = pit_reset,
    .state = pit_state,
};

static const struct vdev_ops speaker_ops = {
    .name = "port 61",
    .read = speaker_read,
    .write = speaker_write,
    .reset = speaker_reset,
};

void vpit_init(struct vpit *pit, uint64_t base, uint64_t speaker, uint32_t irq, unsigned home)
{
    memset(pit, 0, sizeof(*pit));
    pit->vdev = (struct vdev){.ops = &pit_ops, .base = base, .size = VPIT_SIZE, .irq = irq};
    pit->speaker = (struct vdev){.ops = &speaker_ops, .base = speaker, .size = VPIT_SPEAKER_SIZE};
    lock_init(&pit->lock, RANK_DEVICE, "vpit");
    alarm_init(&pit->alarm, &pit->lock, home, pit_fired);
    pit_reset(&pit->vdev);
}

void vpit_stop(struct vpit *pit)
{
    lock_take(&pit->lock);
    pit->state.counters[0].phase = VPIT_IDLE;
    lock_drop(&pit->lock);
    alarm_stop(&pit->alarm);
}

void vpit_set_paused(struct vpit *pit, bool paused, uint64_t paused_ticks)
{
    lock_take(&pit->lock);
    pit->paused = paused;
    pit->zero = paused_ticks;
    pit_serve(pit);
    lock_drop(&pit->lock);
}
