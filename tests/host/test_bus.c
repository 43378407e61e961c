/* SPDX-License-Identifier: Apache-2.0 */
/* The bus finds the device behind an address, and only when the access is wholly inside. */
#include "tests/host/test.h"
#include "vcpu/bus.h"

static const struct vdev_ops ops = {.name = "test"};

static struct vdev make(uint64_t base, uint64_t size)
{
    return (struct vdev){.ops = &ops, .base = base, .size = size};
}

TEST(an_empty_bus_has_nothing_anywhere)
{
    struct bus bus = {0};
    struct bus_hint hint = {};

    ASSERT(bus_find(&bus, 0, 4, &hint) == NULL);
    ASSERT(bus_find(&bus, UINT64_MAX, 1, &hint) == NULL);
}

TEST(every_address_finds_its_device_with_any_hint)
{
    static struct vdev devs[BUS_DEVICES_MAX];
    struct bus bus = {0};

    for (unsigned i = 0; i < BUS_DEVICES_MAX; i++) {
        unsigned at = i * 37 % BUS_DEVICES_MAX; /* Not in order. */

        devs[at] = make(0x1000 * (at + 1), 0x800);
        ASSERT_OK(bus_add(&bus, &devs[at]));
    }
    for (unsigned h = 0; h < BUS_DEVICES_MAX; h += 7) {
        for (uint64_t addr = 0; addr < 0x1000 * (BUS_DEVICES_MAX + 2); addr += 0x400) {
            struct bus_hint hint = {{&devs[h], &devs[(h + 1) % ARRAY_SIZE(devs)]}};
            struct vdev *want = NULL;
            uint64_t slot = addr / 0x1000;

            if (slot >= 1 && slot <= BUS_DEVICES_MAX && addr % 0x1000 < 0x800)
                want = &devs[slot - 1];
            ASSERT(bus_find(&bus, addr, 8, &hint) == want);
            if (want != NULL) /* It is remembered, beside one of the former. */
                ASSERT(hint.devices[0] == want || hint.devices[1] == want);
            else
                ASSERT(hint.devices[0] == &devs[h]);
            ASSERT(hint.devices[0] == &devs[h] || hint.devices[1] == &devs[h]);
        }
    }
}

TEST(accesses_that_are_unaligned_or_reach_over_the_end_find_nothing)
{
    struct bus bus = {0};
    struct vdev dev = make(0x1000, 0x1004);
    struct bus_hint hint = {};

    ASSERT_OK(bus_add(&bus, &dev));
    ASSERT(bus_find(&bus, 0x1002, 4, &hint) == NULL);
    ASSERT(bus_find(&bus, 0x1002, 2, &hint) == &dev);
    ASSERT(bus_find(&bus, 0x2000, 8, &hint) == NULL);
    ASSERT(bus_find(&bus, 0x2000, 4, &hint) == &dev);
    ASSERT(bus_find(&bus, 0x2004, 1, &hint) == NULL);
    ASSERT(bus_find(&bus, 0xfff, 1, &hint) == NULL);
}

TEST(devices_on_a_bus_never_overlap)
{
    struct bus bus = {0};
    struct vdev a = make(0x1000, 0x1000), b = make(0x1fff, 1), c = make(0, 0x1001);
    struct vdev d = make(0, 0x4000), e = make(0x2000, 0x1000), f = make(0, 0x1000);

    ASSERT_OK(bus_add(&bus, &a));
    ASSERT_ERR(E_EXISTS, bus_add(&bus, &a));
    ASSERT_ERR(E_EXISTS, bus_add(&bus, &b));
    ASSERT_ERR(E_EXISTS, bus_add(&bus, &c));
    ASSERT_ERR(E_EXISTS, bus_add(&bus, &d));
    ASSERT_OK(bus_add(&bus, &e));
    ASSERT_OK(bus_add(&bus, &f));
    ASSERT_EQ(bus.count, 3);
}

TEST(ranges_that_are_empty_or_wrap_are_refused)
{
    struct bus bus = {0};
    struct vdev empty = make(0x1000, 0), wraps = make(UINT64_MAX - 10, 12);
    struct vdev last = make(UINT64_MAX - 7, 8);
    struct bus_hint hint = {};

    ASSERT_ERR(E_RANGE, bus_add(&bus, &empty));
    ASSERT_ERR(E_RANGE, bus_add(&bus, &wraps));
    ASSERT_OK(bus_add(&bus, &last));
    ASSERT(bus_find(&bus, UINT64_MAX - 7, 8, &hint) == &last);
}

TEST(a_full_bus_takes_no_more)
{
    static struct vdev devs[BUS_DEVICES_MAX + 1];
    struct bus bus = {0};

    for (unsigned i = 0; i <= BUS_DEVICES_MAX; i++) {
        devs[i] = make(0x1000 * i, 0x1000);
        ASSERT_ERR(i < BUS_DEVICES_MAX ? OK : E_NOMEM, bus_add(&bus, &devs[i]));
    }
}
