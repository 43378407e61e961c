/* SPDX-License-Identifier: Apache-2.0 */
/* mm/memmap.c */
#include "mm/memmap.h"

#include "tests/host/test.h"

static struct memmap map;

static void map_clear(void)
{
    map.count = 0;
}

static void map_expect(unsigned i, uint64_t base, uint64_t size, enum mem_kind kind)
{
    ASSERT(i < map.count);
    ASSERT_EQ(map.ranges[i].base, base);
    ASSERT_EQ(map.ranges[i].size, size);
    ASSERT_EQ(map.ranges[i].kind, kind);
}

TEST(a_new_kind_of_memory_cuts_a_hole_into_the_old)
{
    map_clear();
    ASSERT_OK(memmap_set(&map, 0x10000, 0x10000, MEM_FREE));
    ASSERT_OK(memmap_set(&map, 0x14000, 0x1000, MEM_KEEP));
    ASSERT_EQ(map.count, 3);
    map_expect(0, 0x10000, 0x4000, MEM_FREE);
    map_expect(1, 0x14000, 0x1000, MEM_KEEP);
    map_expect(2, 0x15000, 0xb000, MEM_FREE);
    ASSERT_EQ(memmap_find(&map, 0x14fff)->kind, MEM_KEEP);
    ASSERT_EQ(memmap_find(&map, 0x15000)->kind, MEM_FREE);
    ASSERT(!memmap_find(&map, 0xffff) && !memmap_find(&map, 0x20000));
}

TEST(neighbouring_memory_of_one_kind_is_one_range)
{
    map_clear();
    ASSERT_OK(memmap_set(&map, 0x1000, 0x1000, MEM_FREE));
    ASSERT_OK(memmap_set(&map, 0x3000, 0x1000, MEM_FREE));
    ASSERT_EQ(map.count, 2);
    ASSERT_OK(memmap_set(&map, 0x2000, 0x1000, MEM_FREE));
    ASSERT_EQ(map.count, 1);
    map_expect(0, 0x1000, 0x3000, MEM_FREE);
}

TEST(a_full_memory_map_stays_as_it_was)
{
    map_clear();
    for (unsigned i = 0; i < MEM_RANGES_MAX; i++)
        ASSERT_OK(memmap_set(&map, 0x4000 * i, 0x2000, MEM_FREE));
    ASSERT_ERR(E_NOMEM, memmap_set(&map, 0x1000, 0x500, MEM_KEEP));
    ASSERT_ERR(E_NOMEM, memmap_set(&map, 0x3000, 0x500, MEM_FREE));
    ASSERT_EQ(map.count, MEM_RANGES_MAX);
    map_expect(0, 0, 0x2000, MEM_FREE);
    map_expect(MEM_RANGES_MAX - 1, 0x4000 * (MEM_RANGES_MAX - 1), 0x2000, MEM_FREE);
    /* What needs no more room still works. */
    ASSERT_OK(memmap_set(&map, 0x1000, 0x4000, MEM_FREE));
    ASSERT_EQ(map.count, MEM_RANGES_MAX - 1);
}

TEST(empty_and_wrapping_memory_ranges_are_refused)
{
    map_clear();
    ASSERT_ERR(E_RANGE, memmap_set(&map, 0x1000, 0, MEM_FREE));
    ASSERT_ERR(E_RANGE, memmap_set(&map, ~0xfffull, 0x2000, MEM_FREE));
    ASSERT_EQ(map.count, 0);
}

/* kinds[i] of page i; 0xff: nothing there. */
static void map_check(const uint8_t *kinds, unsigned pages)
{
    for (unsigned i = 0; i < pages; i++) {
        const struct mem_range *range = memmap_find(&map, i * PAGE_SIZE + 5);

        ASSERT_EQ(range ? (unsigned)range->kind : 0xff, kinds[i]);
    }
    for (unsigned i = 1; i < map.count; i++) {
        uint64_t end = map.ranges[i - 1].base + map.ranges[i - 1].size;

        ASSERT(end <= map.ranges[i].base);
        ASSERT(end < map.ranges[i].base || map.ranges[i - 1].kind != map.ranges[i].kind);
    }
}

TEST(the_memory_map_is_what_an_array_of_pages_would_be)
{
    uint8_t kinds[64];

    for (unsigned round = 0; round < 200; round++) {
        map_clear();
        for (unsigned i = 0; i < 64; i++)
            kinds[i] = 0xff;
        for (unsigned op = 0; op < 50; op++) {
            unsigned first = (unsigned)test_random_below(64);
            unsigned count = 1 + (unsigned)test_random_below(MIN(64u - first, 20u));
            enum mem_kind kind = (enum mem_kind)test_random_below(5);

            ASSERT_OK(memmap_set(&map, first * PAGE_SIZE, count * PAGE_SIZE, kind));
            for (unsigned i = first; i < first + count; i++)
                kinds[i] = (uint8_t)kind;
            map_check(kinds, 64);
        }
    }
}
