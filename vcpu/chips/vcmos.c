/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model of the MC146818. Nothing ticks: registers follow from the clock when they are read, and a
 * host timer is armed only for an interrupt that is enabled and whose flag the guest has cleared;
 * so there is at most one for each read of register C. [MC146818A data sheet; sections by name]
 *
 * What is not as on the chip: an update takes no time, so UIP says only that one is near; daylight
 * saving is not done; the weekday follows from the date, whatever was written.
 *
 * The lock (RANK_DEVICE) guards the state.
 */
#include "vcpu/chips/vcmos.h"

#include "kernel/arch.h"
#include "kernel/bits.h"
#include "kernel/calendar.h"
#include "kernel/string.h"
#include "vcpu/state.h"

/* Registers by index. */
enum {
    SECOND,
    SECOND_ALARM,
    MINUTE,
    MINUTE_ALARM,
    HOUR,
    HOUR_ALARM,
    WEEKDAY,
    DAY,
    MONTH,
    YEAR,
    REG_A,
    REG_B,
    REG_C,
    REG_D,
};

#define A_UIP         BIT(7)
#define A_DIVIDER     BITS(6, 4)
#define A_HELD        BITS(6, 5) /* Both: the divider is held in reset. */
#define A_32KHZ       2u
#define A_RATE        BITS(3, 0)
#define B_SET         BIT(7)
#define B_BINARY      BIT(2)
#define B_24H         BIT(1)
#define FLAG_PERIODIC BIT(6) /* In B it enables the interrupt, in C it says so. */
#define FLAG_ALARM    BIT(5)
#define FLAG_UPDATE   BIT(4)
#define FLAGS         BITS(6, 4)
#define C_IRQ         BIT(7)
#define D_VALID       BIT(7)

#define ANY           0xc0u /* An alarm's register with these bits matches always. */
#define PM            BIT(7)
#define NS            1000000000ull
#define UIP_NS        244000u    /* So long before an update ["Update Cycle"]. */
#define RELEASE_NS    500000000u /* From the divider's release to the first update. */
#define CRYSTAL       32768u
#define DAY_SECONDS   86400
#define NO_ALARM      INT64_MAX

static struct vcmos *vcmos_of(struct vdev *dev)
{
    return container_of(dev, struct vcmos, vdev);
}

/* --- The calendar --- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t seconds_from_time(const struct vcmos_time *t)
{
    return calendar_days(t->year, t->month, t->day) * DAY_SECONDS + t->hour * 3600 +
           t->minute * 60 + t->second;
}

static struct vcmos_time time_from_seconds(int64_t seconds)
{
    int64_t days = floor_div(seconds, DAY_SECONDS), second = seconds - days * DAY_SECONDS;
    int64_t z = days + 719468, era = floor_div(z, 146097), of_era = z - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153; /* From March. */

    return (struct vcmos_time){
        .year = (uint32_t)(year + era * 400 + (month >= 10)),
        .month = (uint8_t)(month < 10 ? month + 3 : month - 9),
        .day = (uint8_t)(of_year - (153 * month + 2) / 5 + 1),
        .hour = (uint8_t)(second / 3600),
        .minute = (uint8_t)(second / 60 % 60),
        .second = (uint8_t)(second % 60),
        .weekday = (uint8_t)(days + 4 - floor_div(days + 4, 7) * 7 + 1),
    };
}

/* --- The clock --- */

static bool is_stopped(const struct vcmos_state *s)
{
    return (s->b & B_SET) || (s->a & A_HELD) == A_HELD;
}

static uint64_t clock_ns(const struct vcmos_state *s)
{
    return ticks_to_ns(arch_ticks()) + s->phase;
}

static int64_t clock_seconds(const struct vcmos_state *s)
{
    return s->seconds + (int64_t)(clock_ns(s) / NS);
}

static struct vcmos_time clock_time(const struct vcmos_state *s)
{
    return is_stopped(s) ? s->held : time_from_seconds(clock_seconds(s));
}

static uint8_t encode(const struct vcmos_state *s, uint32_t v)
{
    return (uint8_t)(s->b & B_BINARY ? v : v / 10 % 10 << 4 | v % 10);
}

static uint8_t decode(const struct vcmos_state *s, uint8_t v)
{
    return (uint8_t)(s->b & B_BINARY ? v : (v >> 4) * 10 + (v & 0xf));
}

static uint8_t encode_hour(const struct vcmos_state *s, uint8_t hour)
{
    if (s->b & B_24H)
        return encode(s, hour);
    return (uint8_t)(encode(s, hour % 12 ? hour % 12 : 12) | (hour % 24 >= 12 ? PM : 0));
}

static uint8_t decode_hour(const struct vcmos_state *s, uint8_t v)
{
    if (s->b & B_24H)
        return decode(s, v);
    return (uint8_t)(decode(s, v & (uint8_t)~PM) % 12 + (v & PM ? 12 : 0));
}

/* --- The alarm --- */

static bool alarm_matches(const struct vcmos_state *s, unsigned reg, int64_t value)
{
    uint8_t byte = s->bytes[reg];

    if ((byte & ANY) == ANY)
        return true;
    return value == (reg == HOUR_ALARM ? decode_hour(s, byte) : decode(s, byte));
}

/* The first second after this one that matches. Each step leaves an hour, a minute or a second. */
static int64_t next_alarm(const struct vcmos_state *s, int64_t after)
{
    int64_t t = after + 1;

    for (unsigned steps = 0; steps < 25 + 60 + 60; steps++) {
        int64_t of_day = t - floor_div(t, DAY_SECONDS) * DAY_SECONDS;

        if (!alarm_matches(s, HOUR_ALARM, of_day / 3600))
            t += 3600 - of_day % 3600;
        else if (!alarm_matches(s, MINUTE_ALARM, of_day / 60 % 60))
            t += 60 - of_day % 60;
        else if (!alarm_matches(s, SECOND_ALARM, of_day % 60))
            t++;
        else
            return t;
    }
    return NO_ALARM; /* It names no time of day. */
}

/* After what decides it was changed. */
static void alarm_restart(struct vcmos_state *s)
{
    s->seen = clock_seconds(s);
    s->alarm_at = next_alarm(s, s->seen);
}

/* --- Flags and the wire --- */

/* Cycles of the crystal between periodic interrupts; 0: none ["Rate Selection"]. */
static uint64_t tick_cycles(const struct vcmos_state *s)
{
    unsigned rate = (unsigned)(s->a & A_RATE);

    if (rate == 0)
        return 0;
    return BIT((rate < 3 ? rate + 7 : rate) - 1);
}

static uint64_t tick_now(const struct vcmos_state *s)
{
    uint64_t cycles = tick_cycles(s);

    return cycles ? ticks_to_cycles(arch_ticks(), CRYSTAL) / cycles : 0;
}

static void cmos_settle(struct vcmos_state *s)
{
    uint64_t tick = tick_now(s);
    int64_t second = clock_seconds(s);

    if (tick != s->tick)
        s->flags |= FLAG_PERIODIC;
    s->tick = tick;
    if (is_stopped(s) || second == s->seen)
        return;
    s->flags |= FLAG_UPDATE;
    if (second >= s->alarm_at)
        s->flags |= FLAG_ALARM;
    if (second >= s->alarm_at || second < s->seen)
        s->alarm_at = next_alarm(s, second);
    s->seen = second;
}

/* The tick of arch_ticks() at which that second begins. */
static uint64_t second_ticks(const struct vcmos_state *s, int64_t second)
{
    uint64_t seconds = (uint64_t)second - (uint64_t)s->seconds, ns;

    if (second == NO_ALARM || __builtin_mul_overflow(seconds, NS, &ns))
        return TICKS_NEVER;
    return ticks_from_ns(ns > s->phase ? ns - s->phase : 0);
}

/* When an interrupt comes that is enabled and not there yet. */
static uint64_t cmos_deadline(const struct vcmos_state *s)
{
    uint64_t wanted = s->b & ~(uint64_t)s->flags, deadline = TICKS_NEVER;

    if ((wanted & FLAG_PERIODIC) && tick_cycles(s) != 0)
        deadline = ticks_from_cycles((s->tick + 1) * tick_cycles(s), CRYSTAL);
    if (is_stopped(s))
        return deadline;
    if (wanted & FLAG_UPDATE)
        deadline = MIN(deadline, second_ticks(s, s->seen + 1));
    if (wanted & FLAG_ALARM)
        deadline = MIN(deadline, second_ticks(s, s->alarm_at));
    return deadline;
}

/* Lock held. The last step of every change. */
static void cmos_serve(struct vcmos *cmos)
{
    struct vcmos_state *s = &cmos->state;
    uint64_t deadline;
    bool level;

    cmos_settle(s);
    deadline = cmos_deadline(s);
    if (deadline != cmos->alarm.deadline)
        alarm_set(&cmos->alarm, deadline);
    level = s->flags & s->b & FLAGS;
    if (level == s->level)
        return;
    s->level = level;
    if (cmos->vdev.set_irq != NULL)
        cmos->vdev.set_irq(&cmos->vdev, level);
}

static void cmos_fired(struct alarm *alarm)
{
    cmos_serve(container_of(alarm, struct vcmos, alarm));
}

/* --- Registers --- */

static uint8_t read_a(const struct vcmos_state *s)
{
    bool near = !is_stopped(s) && clock_ns(s) % NS >= NS - UIP_NS;

    return (uint8_t)(s->a | (near ? A_UIP : 0));
}

/* Clears the flags. */
static uint8_t read_c(struct vcmos_state *s)
{
    uint8_t flags = s->flags;

    s->flags = 0;
    return (uint8_t)(flags | (flags & s->b & FLAGS ? C_IRQ : 0));
}

static uint8_t read_byte(struct vcmos_state *s)
{
    struct vcmos_time t = clock_time(s);

    switch (s->index) {
    case SECOND:
        return encode(s, t.second);
    case MINUTE:
        return encode(s, t.minute);
    case HOUR:
        return encode_hour(s, t.hour);
    case WEEKDAY:
        return encode(s, t.weekday);
    case DAY:
        return encode(s, t.day);
    case MONTH:
        return encode(s, t.month);
    case YEAR:
        return encode(s, t.year % 100);
    case VCMOS_CENTURY:
        return encode(s, t.year / 100);
    case REG_A:
        return read_a(s);
    case REG_B:
        return s->b;
    case REG_C:
        return read_c(s);
    case REG_D:
        return D_VALID;
    }
    return s->bytes[s->index];
}

/* The clock says t from now on; its part of a second goes on as it was. */
static void clock_set(struct vcmos_state *s, const struct vcmos_time *t)
{
    if (is_stopped(s))
        s->held = *t;
    else
        s->seconds += seconds_from_time(t) - clock_seconds(s);
    alarm_restart(s);
}

/* A or B have new values: the clock may stop or go on, and registers look otherwise. */
static void write_control(struct vcmos_state *s, uint8_t a, uint8_t b)
{
    bool was_stopped = is_stopped(s), was_held = (s->a & A_HELD) == A_HELD;
    struct vcmos_time t = clock_time(s);

    s->a = a;
    s->b = b;
    s->tick = tick_now(s);
    if (was_held && (a & A_HELD) != A_HELD)
        s->phase = (uint32_t)((2 * NS - RELEASE_NS - ticks_to_ns(arch_ticks()) % NS) % NS);
    if (is_stopped(s))
        s->held = t;
    else if (was_stopped)
        clock_set(s, &t);
    alarm_restart(s);
}

/* SET also disables the interrupt of updates ["Register B"]. */
static uint8_t new_b(uint8_t value)
{
    return (uint8_t)(value & B_SET ? value & ~FLAG_UPDATE : value);
}

static void write_byte(struct vcmos_state *s, uint8_t value)
{
    struct vcmos_time t = clock_time(s);
    uint8_t v = decode(s, value);

    switch (s->index) {
    case SECOND:
        t.second = v;
        break;
    case MINUTE:
        t.minute = v;
        break;
    case HOUR:
        t.hour = decode_hour(s, value);
        break;
    case DAY:
        t.day = v;
        break;
    case MONTH:
        t.month = v;
        break;
    case YEAR:
        t.year = t.year / 100 * 100 + v;
        break;
    case VCMOS_CENTURY:
        t.year = v * 100u + t.year % 100;
        break;
    case REG_A:
        write_control(s, (uint8_t)(value & ~A_UIP), s->b);
        return;
    case REG_B:
        write_control(s, s->a, new_b(value));
        return;
    case WEEKDAY:
    case REG_C:
    case REG_D:
        return;
    default:
        s->bytes[s->index] = value;
        alarm_restart(s);
        return;
    }
    clock_set(s, &t);
}

/* The index cannot be read, as on most boards. Bit 7 masks NMIs, which nothing here sends. */
static uint64_t cmos_read(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                          unsigned width)
{
    struct vcmos *cmos = vcmos_of(dev);
    uint8_t value;

    if (width != 1 || offset != 1)
        return UINT64_MAX;
    lock_take(&cmos->lock);
    cmos_settle(&cmos->state);
    value = read_byte(&cmos->state);
    cmos_serve(cmos);
    lock_drop(&cmos->lock);
    return value;
}

/* 16 bits at once are index and data. */
static void cmos_write(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                       unsigned width, uint64_t value)
{
    struct vcmos *cmos = vcmos_of(dev);

    lock_take(&cmos->lock);
    if (offset == 0) {
        cmos->state.index = (uint8_t)(value & (VCMOS_BYTES - 1));
        value >>= 8;
    }
    if (offset == 1 || width == 2) {
        cmos_settle(&cmos->state);
        write_byte(&cmos->state, (uint8_t)value);
        cmos_serve(cmos);
    }
    lock_drop(&cmos->lock);
}

/* Time and memory have a battery ["RESET"]. */
static void cmos_reset(struct vdev *dev)
{
    struct vcmos *cmos = vcmos_of(dev);
    struct vcmos_state *s = &cmos->state;

    lock_take(&cmos->lock);
    cmos_settle(s);
    write_control(s, s->a, (uint8_t)(s->b & ~(FLAGS | BIT(3))));
    s->flags = 0;
    cmos_serve(cmos);
    lock_drop(&cmos->lock);
}

/* --- Snapshots --- */

#define YEAR_MAX    30000u  /* Beyond what a guest can set. */
#define SECONDS_MAX BIT(40) /* From 1970 to beyond that. */

static bool is_moment(int64_t seconds)
{
    return seconds >= -(int64_t)SECONDS_MAX && seconds <= (int64_t)SECONDS_MAX;
}

static bool cmos_is_possible(const struct vcmos_state *s)
{
    return is_moment(s->seconds) && is_moment(s->seen) && s->phase < NS &&
           s->held.year < YEAR_MAX && s->index < VCMOS_BYTES && !(s->a & A_UIP) &&
           !(s->flags & ~FLAGS);
}

/*
 * It has a battery: a clock that goes on while there is no guest to look at it. So what is kept is
 * how far the guest has set it off the host's.
 */
static void cmos_state(struct vdev *dev, struct state *state)
{
    struct vcmos *cmos = vcmos_of(dev);
    struct vcmos_state s;

    lock_take(&cmos->lock);
    s = cmos->state;
    s.seconds = (int64_t)((uint64_t)s.seconds - (uint64_t)cmos->epoch);
    state_section(state, "RTC", 1);
    STATE(state, s.seconds);
    STATE(state, s.phase);
    STATE(state, s.held.year);
    STATE(state, s.held.month);
    STATE(state, s.held.day);
    STATE(state, s.held.hour);
    STATE(state, s.held.minute);
    STATE(state, s.held.second);
    STATE(state, s.held.weekday);
    STATE(state, s.seen);
    STATE(state, s.index);
    STATE(state, s.a);
    STATE(state, s.b);
    STATE(state, s.flags);
    STATE_ARRAY(state, s.bytes);
    STATE(state, s.level);
    s.seconds = (int64_t)((uint64_t)s.seconds + (uint64_t)cmos->epoch);
    state_require(state, cmos_is_possible(&s), "a register is not possible");
    if (state_loading(state) && state_ok(state)) {
        s.tick = tick_now(&s);
        s.alarm_at = next_alarm(&s, s.seen);
        cmos->state = s;
        cmos_serve(cmos);
    }
    lock_drop(&cmos->lock);
}

static const struct vdev_ops cmos_ops = {
    .name = "RTC",
    .read = cmos_read,
    .write = cmos_write,
    .reset = cmos_reset,
    .state = cmos_state,
};

void vcmos_init(struct vcmos *cmos, uint64_t base, uint32_t irq, uint64_t epoch, unsigned home)
{
    memset(cmos, 0, sizeof(*cmos));
    cmos->vdev = (struct vdev){.ops = &cmos_ops, .base = base, .size = VCMOS_SIZE, .irq = irq};
    cmos->epoch = (int64_t)epoch;
    cmos->state.seconds = cmos->epoch;
    cmos->state.a = (uint8_t)(field_put(A_DIVIDER, A_32KHZ) | 6); /* As firmware leaves it. */
    cmos->state.b = B_24H;
    cmos->state.tick = tick_now(&cmos->state);
    alarm_restart(&cmos->state);
    lock_init(&cmos->lock, RANK_DEVICE, "vcmos");
    alarm_init(&cmos->alarm, &cmos->lock, home, cmos_fired);
}

void vcmos_stop(struct vcmos *cmos)
{
    lock_take(&cmos->lock);
    cmos->state.b &= (uint8_t)~FLAGS;
    lock_drop(&cmos->lock);
    alarm_stop(&cmos->alarm);
}

void vcmos_set_memory(struct vcmos *cmos, uint64_t low, uint64_t high)
{
    uint64_t behind = high / (64 * KIB);
    uint64_t above = MIN(low > MIB ? (low - MIB) / KIB : 0, (uint64_t)UINT16_MAX);
    uint64_t above_isa = low > 16 * MIB ? (low - 16 * MIB) / (64 * KIB) : 0;
    const uint16_t words[][2] = {{0x15, 640},
                                 {0x17, (uint16_t)above},
                                 {0x30, (uint16_t)above},
                                 {0x34, (uint16_t)above_isa},
                                 {0x5b, (uint16_t)behind},
                                 {0x5d, (uint16_t)(behind >> 16)}};

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        memcpy(&cmos->state.bytes[words[i][0]], &words[i][1], 2);
}
