/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's clock; see vkvmclock.h. */
#include "vcpu/vkvmclock.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "mm/guestmap.h"
#include "vcpu/state.h"

#define SYSTEM_ENABLE BIT(0)
#define STABLE        1u /* Flag: all vCPUs' clocks are one. */
#define NS            1000000000u

struct system_time {
    uint32_t version; /* Odd while it is written. */
    uint32_t pad;
    uint64_t tsc_timestamp, system_time;
    uint32_t mul;
    int8_t shift;
    uint8_t flags, pad2[2];
};

struct wall_time {
    uint32_t version, seconds, nanoseconds;
};

_Static_assert(sizeof(struct system_time) == 32, "as guests know it");
_Static_assert(sizeof(struct wall_time) == 12, "as guests know it");

/* Nanoseconds = (ticks << shift) * mul >> 32, with mul as large as fits. */
static void scale(uint64_t hz, struct system_time *t)
{
    uint64_t mul, rest;

    assert(hz > 0 && hz < BIT(40));
    mul = ((uint64_t)NS << 32) / hz;
    rest = ((uint64_t)NS << 32) % hz;
    for (; mul >> 32; t->shift++)
        mul >>= 1;
    for (; mul < BIT(31); t->shift--) {
        rest *= 2;
        mul = mul * 2 + rest / hz;
        rest %= hz;
    }
    t->mul = (uint32_t)mul;
}

static bool write_system(struct vkvmclock *clock, const struct vkvmclock_time *time)
{
    struct system_time t = {
        .version = clock->version | 1,
        .tsc_timestamp = time->tsc_zero,
        .flags = STABLE,
    };
    gpa_t place = gpa(clock->system & ~SYSTEM_ENABLE);

    scale(time->tsc_hz, &t);
    if (guest_write(time->map, place, &t, sizeof(t)) != OK)
        return false;
    clock->version = t.version + 1;
    atomic_thread_fence(memory_order_release); /* Who reads an even version finds all of it. */
    return guest_write(time->map, place, &clock->version, sizeof(clock->version)) == OK;
}

static bool write_wall(struct vkvmclock *clock, const struct vkvmclock_time *time)
{
    const struct wall_time t = {
        .version = 2,
        .seconds = (uint32_t)(time->wall_epoch / NS),
        .nanoseconds = (uint32_t)(time->wall_epoch % NS),
    };

    return guest_write(time->map, gpa(clock->wall), &t, sizeof(t)) == OK;
}

bool vkvmclock_read(const struct vkvmclock *clock, uint32_t msr, uint64_t *value)
{
    if (msr == VKVMCLOCK_MSR_SYSTEM)
        *value = clock->system;
    else if (msr == VKVMCLOCK_MSR_WALL)
        *value = clock->wall;
    else
        return false;
    return true;
}

bool vkvmclock_write(struct vkvmclock *clock, const struct vkvmclock_time *time, uint32_t msr,
                     uint64_t value)
{
    if (msr == VKVMCLOCK_MSR_WALL) {
        clock->wall = value;
        return write_wall(clock, time);
    }
    if (msr != VKVMCLOCK_MSR_SYSTEM)
        return false;
    clock->system = value;
    return !(value & SYSTEM_ENABLE) || write_system(clock, time);
}

void vkvmclock_state(struct vkvmclock *clock, struct state *state)
{
    state_section(state, "KVM clock", 1);
    STATE(state, clock->system);
    STATE(state, clock->wall);
    STATE(state, clock->version);
}

void vkvmclock_update(struct vkvmclock *clock, const struct vkvmclock_time *time)
{
    if ((clock->system & SYSTEM_ENABLE) && !write_system(clock, time))
        clock->system = 0; /* Its page is no memory any more. */
}
