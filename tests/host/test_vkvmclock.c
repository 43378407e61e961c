/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's clock: what a guest computes from it, and places that are no memory. */
#include <string.h>

#include "mm/guestmap.h"
#include "tests/host/test.h"
#include "vcpu/vkvmclock.h"

#define PLACE 0x1ff0u

static struct guestmap map;

static struct vkvmclock_time time_of(uint64_t hz, uint64_t zero)
{
    return (struct vkvmclock_time){&map, hz, zero, 1234567890123456789};
}

static void start(void)
{
    fake_ram(16 * MIB);
    ASSERT_OK(guestmap_init(&map, arch_stage2_format(), 1));
    ASSERT_OK(guestmap_add(&map, gpa(0), MIB, REGION_RAM, hpa(0)));
}

static uint64_t get(unsigned offset, unsigned bytes)
{
    uint64_t v = 0;

    ASSERT_OK(guest_read(&map, gpa(PLACE + offset), &v, bytes));
    return v;
}

/* As a guest computes it. [Linux: msr.rst] */
static uint64_t nanoseconds(uint64_t tsc)
{
    uint64_t delta = tsc - get(8, 8), mul = get(24, 4);
    int8_t shift = (int8_t)get(28, 1);

    delta = shift < 0 ? delta >> -shift : delta << shift;
    return get(16, 8) + (uint64_t)((unsigned __int128)delta * mul >> 32);
}

TEST(a_guest_learns_how_its_tsc_counts_nanoseconds)
{
    static const uint64_t rates[] = {1,          999999,    1000000000, 1000000001,
                                     2596253000, 999999999, 5100000000, 100000000};

    start();
    for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
        const struct vkvmclock_time time = time_of(rates[i], 1000);
        struct vkvmclock clock = {};
        uint64_t ns, value;

        ASSERT(vkvmclock_write(&clock, &time, VKVMCLOCK_MSR_SYSTEM, PLACE | 1));
        ASSERT_EQ(get(0, 4), 2);
        ASSERT_EQ(get(29, 1), 1);
        ASSERT_EQ(nanoseconds(1000), 0);
        ns = nanoseconds(1000 + 1000 * rates[i]); /* 1000 seconds, to 1 us. */
        ASSERT(ns <= 1000000000000 && ns >= 1000000000000 - 1000);
        vkvmclock_update(&clock, &time);
        ASSERT_EQ(get(0, 4), 4);
        ASSERT(vkvmclock_read(&clock, VKVMCLOCK_MSR_SYSTEM, &value) && value == (PLACE | 1));
    }
    guestmap_destroy(&map);
}

TEST(a_guest_learns_the_time_of_day)
{
    const struct vkvmclock_time time = time_of(1000000000, 0);
    struct vkvmclock clock = {};

    start();
    ASSERT(vkvmclock_write(&clock, &time, VKVMCLOCK_MSR_WALL, PLACE));
    ASSERT_EQ(get(0, 4), 2);
    ASSERT_EQ(get(4, 4), 1234567890);
    ASSERT_EQ(get(8, 4), 123456789);
    guestmap_destroy(&map);
}

TEST(a_clock_that_is_off_or_nowhere_is_not_written)
{
    const struct vkvmclock_time time = time_of(1000000000, 0);
    struct vkvmclock clock = {};
    uint64_t value;

    start();
    ASSERT(vkvmclock_write(&clock, &time, VKVMCLOCK_MSR_SYSTEM, PLACE));
    vkvmclock_update(&clock, &time);
    ASSERT_EQ(get(0, 4), 0);
    ASSERT(!vkvmclock_write(&clock, &time, VKVMCLOCK_MSR_SYSTEM, (MIB - 16) | 1));
    vkvmclock_update(&clock, &time);
    ASSERT(!vkvmclock_write(&clock, &time, VKVMCLOCK_MSR_WALL, UINT64_MAX - 3));
    ASSERT(!vkvmclock_write(&clock, &time, 0x12, 0));
    ASSERT(!vkvmclock_read(&clock, 0x12, &value));
    guestmap_destroy(&map);
}
