/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a multiboot2 or PVH loader tells, good and hostile. It ends where a page that cannot be read
 * begins, and lies below 4 GiB, as on a machine.
 */
#include <string.h>
#include <sys/mman.h>

#include "boot/boot.h"
#include "boot/handoff.h"
#include "tests/host/test.h"

#define MULTIBOOT2 0x36d76289u
#define PVH        0x336ec578u
#define ROOM       ((size_t)4096)

static uint8_t *page; /* Of ROOM bytes; a page behind it faults. */

static void page_make(void)
{
    if (!page) {
        page = mmap(NULL, 2 * ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
                    -1, 0);
        ASSERT(page != MAP_FAILED && mprotect(page + ROOM, ROOM, PROT_NONE) == 0);
    }
    memset(page, 0, ROOM);
}

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
    memcpy(at, &value, bytes);
}

/* The range'th of the handoff is this. */
static bool is_range(const struct handoff *handoff, unsigned range, uint64_t base, uint64_t size,
                     enum handoff_mem kind)
{
    const struct handoff_range *r = &handoff->ranges[range];

    return range < handoff->range_count && r->base == base && r->size == size && r->kind == kind;
}

/* --- multiboot2 --- */

/* Tags end right before the page that faults; the first one is at the result + 8. */
static uint8_t *tags_begin(size_t size)
{
    uint8_t *info;

    page_make();
    info = page + ROOM - 8 - size;
    put(info, 8 + size, 4);
    return info;
}

static uint8_t *tag(uint8_t *at, uint32_t type, uint32_t size)
{
    put(at, type, 4);
    put(at + 4, size, 4);
    return at + (size + 7) / 8 * 8;
}

static void memory(uint8_t *at, uint64_t base, uint64_t size, uint32_t kind)
{
    put(at, base, 8);
    put(at + 8, size, 8);
    put(at + 16, kind, 4);
}

TEST(a_multiboot2_loaders_information_becomes_a_handoff)
{
    uint8_t *info = tags_begin(16 + 24 + 16 + 2 * 24 + 8 + 40), *at = info + 8;
    const struct handoff *h;

    memcpy(at + 8, "quiet", 6);
    at = tag(at, 1, 14);
    put(at + 8, 0x300000, 4);
    put(at + 12, 0x300123, 4);
    at = tag(at, 3, 17);
    put(at + 8, 24, 4);
    memory(at + 16, 0x100800, 0x10000000, 1);
    memory(at + 40, 0x200800, 0x1000, 2);
    at = tag(at, 6, 16 + 2 * 24);
    tag(at, 15, 8 + 36);
    h = boot_direct(info, MULTIBOOT2);
    ASSERT(h && h->magic == HANDOFF_MAGIC);
    ASSERT_STR(h->cmdline, "quiet");
    ASSERT_EQ(h->config, 0x300000);
    ASSERT_EQ(h->config_size, 0x123);
    ASSERT_EQ(h->rsdp, (uintptr_t)at + 8);
    ASSERT(is_range(h, 0, 0x101000, 0xffff000, HANDOFF_FREE));
    ASSERT(is_range(h, 1, 0x300000, 0x1000, HANDOFF_KEEP));
    ASSERT(is_range(h, 2, 0x200000, 0x2000, HANDOFF_RESERVED));
    ASSERT_EQ(h->range_count, 4); /* And the information itself. */
}

TEST(hostile_tags_lead_nowhere)
{
    static const struct {
        uint32_t type, size; /* Of the only tag, behind which nothing can be read. */
    } cases[] = {{1, 8},  {1, 9},  {1, 16}, {3, 8},   {3, 15}, {3, 16},  {6, 8},
                 {6, 15}, {6, 16}, {14, 8}, {14, 27}, {15, 8}, {15, 43}, {99, 16},
                 {1, 0},  {1, 7},  {1, 17}, {6, ~0u}, {3, ~7u}};

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        uint32_t room = cases[i].size > 48 ? 16 : MAX((cases[i].size + 7) / 8 * 8, 8u);
        uint8_t *info = tags_begin(room);
        const struct handoff *h;

        memset(info + 8, 'x', room);
        tag(info + 8, cases[i].type, cases[i].size);
        h = boot_direct(info, MULTIBOOT2);
        ASSERT(h != NULL);
        ASSERT_STR(h->cmdline, "");
        ASSERT_EQ(h->rsdp, 0);
        ASSERT_EQ(h->config_size, 0);
        ASSERT_EQ(h->range_count, 1);
    }
    put(page, 8, 4); /* Nothing at all; too much. */
    ASSERT(boot_direct(page, MULTIBOOT2) != NULL);
    put(page, MIB + 1, 4);
    ASSERT(boot_direct(page, MULTIBOOT2) == NULL);
    put(page, 4, 4);
    ASSERT(boot_direct(page, MULTIBOOT2) != NULL);
}

TEST(hostile_memory_maps_lead_nowhere)
{
    static const struct {
        uint32_t entry_size;
        unsigned count; /* Of the ranges that are taken. */
    } cases[] = {{24, 3}, {23, 0}, {0, 0}, {~0u, 1}, {0x80000000, 1}, {48, 2}, {72, 1}};

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        uint8_t *info = tags_begin(16 + 3 * 24);

        tag(info + 8, 6, 16 + 3 * 24);
        put(info + 16, cases[i].entry_size, 4);
        for (unsigned k = 0; k < 3; k++)
            memory(info + 24 + 24 * k, MIB * (k + 1), 0x1000, 1);
        ASSERT_EQ(boot_direct(info, MULTIBOOT2)->range_count, cases[i].count + 1);
    }
}

TEST(memory_that_wraps_or_is_less_than_a_page_is_left_out)
{
    static const uint64_t pairs[][2] = {{0x1000, 0},
                                        {0x1001, 0xffe},
                                        {~0ull - 10, 0x1000},
                                        {~0ull, ~0ull},
                                        {0xfffffffffffff000, 0x800},
                                        {1, ~0ull},
                                        {0x1800, 0x1000}};

    for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++) {
        uint8_t *info = tags_begin(16 + 24);

        tag(info + 8, 6, 16 + 24);
        put(info + 16, 24, 4);
        memory(info + 24, pairs[i][0], pairs[i][1], 1);
        ASSERT_EQ(boot_direct(info, MULTIBOOT2)->range_count, 1);
    }
}

/* --- PVH --- */

static uint8_t *pvh(uint64_t memory_at, uint32_t memory_count)
{
    page_make();
    put(page, PVH, 4);
    put(page + 4, 1, 4);
    put(page + 40, memory_at, 8);
    put(page + 48, memory_count, 4);
    return page;
}

TEST(a_pvh_loaders_information_becomes_a_handoff)
{
    uint8_t *last = (pvh(0, 0), page + ROOM - 48);
    const struct handoff *h;

    put(page + 40, (uintptr_t)last, 8);
    put(page + 48, 2, 4);
    put(page + 12, 1, 4);
    put(page + 16, (uintptr_t)page + 512, 8);
    put(page + 512, 0x500000, 8);
    put(page + 520, 0x2345, 8);
    put(page + 24, (uintptr_t)page + 1024, 8);
    memcpy(page + 1024, "log=debug", 10);
    put(page + 32, 0xf5a00, 8);
    memory(last, 0x9f000, 0x61000, 2);
    memory(last + 24, 0, 0x8000000, 1);
    h = boot_direct(page, 0);
    ASSERT(h != NULL);
    ASSERT_EQ(h->rsdp, 0xf5a00);
    ASSERT_STR(h->cmdline, "log=debug");
    ASSERT_EQ(h->config, 0x500000);
    ASSERT_EQ(h->config_size, 0x2345);
    ASSERT(is_range(h, 0, 0, 0x8000000, HANDOFF_FREE)); /* What overrules it comes behind. */
    ASSERT(is_range(h, 1, 0x9f000, 0x61000, HANDOFF_RESERVED));
    ASSERT(is_range(h, 2, 0x500000, 0x3000, HANDOFF_KEEP));
}

TEST(hostile_pvh_information_is_refused_or_left_out)
{
    const struct handoff *h;

    ASSERT(boot_direct(pvh(~0ull - 8, 1), 0) == NULL);
    ASSERT(boot_direct(pvh(4 * GIB, 1), 0) == NULL);
    ASSERT(boot_direct(pvh(4 * GIB - 24, 2), 0) == NULL);
    ASSERT(boot_direct(pvh(0x1000, ~0u), 0) == NULL);
    put(pvh(0, 0) + 4, 0, 4); /* A version without memory map. */
    ASSERT(boot_direct(page, 0) == NULL);
    put(pvh(0, 0), PVH + 1, 4); /* Something else. */
    ASSERT(boot_direct(page, 0) == NULL);
    pvh(0, 0);
    put(page + 12, ~0u, 4); /* Modules and command line out of reach. */
    put(page + 16, 0x1000, 8);
    put(page + 24, ~0ull, 8);
    h = boot_direct(page, 0);
    ASSERT(h && h->config_size == 0 && h->range_count == 0);
    ASSERT_STR(h->cmdline, "");
}

TEST(more_ranges_than_a_handoff_holds_are_left_out)
{
    uint32_t count = HANDOFF_RANGES_MAX + 9;
    size_t size = count * 24;
    uint8_t *map =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

    ASSERT(map != MAP_FAILED);
    for (unsigned i = 0; i < count; i++)
        memory(map + 24 * i, MIB * (i + 1), 0x1000, 1);
    ASSERT_EQ(boot_direct(pvh((uintptr_t)map, count), 0)->range_count, HANDOFF_RANGES_MAX);
    munmap(map, size);
}
