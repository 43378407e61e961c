/* SPDX-License-Identifier: Apache-2.0 */
/* mm/pt_dirty.c, over all formats that can tell what was written. */
#include <string.h>

#include "kernel/bits.h"
#include "mm/pt.h"
#include "tests/host/pt_memory.h"
#include "tests/host/test.h"

#define FOR_ALL_DIRTY_FORMATS(f)                                                                   \
    for (const struct pt_format *const *f##_ = all_pt_formats, *f; (f = *f##_); f##_++)            \
        if (f->dirty)

#define BASE  GIB
#define SIZE  (GIB + 6 * MIB) /* A leaf of the largest size, some of the middle one, ... */
#define PAGES (SIZE / PAGE_SIZE)

static const struct pt_attr RWX = {.read = true, .write = true, .execute = true};

static struct pt_fake mem;
static uint64_t visited[64];
static unsigned visit_count;
static uint64_t visit_flushes; /* Done at the last visit. */

static void visit(uint64_t va, void *arg)
{
    ASSERT(arg == &mem);
    if (visit_count < ARRAY_SIZE(visited))
        visited[visit_count] = va;
    visit_count++;
    visit_flushes = mem.flushes;
}

static void harvest(uint64_t va, uint64_t size)
{
    visit_count = 0;
    pt_harvest(&mem.pt, va, size, visit, &mem);
    /* What a TLB kept is gone, and was not before the last bit was cleared. */
    ASSERT(visit_count == 0 || mem.flushes > visit_flushes);
}

static struct pt_leaf leaf(uint64_t va)
{
    struct pt_leaf leaf;

    ASSERT_OK(pt_lookup(&mem.pt, va, &leaf));
    return leaf;
}

/* As hardware sets it, which publishes nothing; so does the test's memory. */
static void write_by_hardware(uint64_t va)
{
    uint64_t offset_mask = pt_size(mem.pt.format) - 1, *slot = NULL;
    uint64_t *table = mem.pt.root;

    for (int level = mem.pt.format->levels - 1; level >= 0; level--) {
        slot = &table[(va & offset_mask) >> (12 + 9 * level)];
        offset_mask = BIT(12 + 9 * level) - 1;
        table = phys_to_ptr(hpa((*slot & mem.pt.format->addr_mask) << mem.pt.format->addr_shift));
    }
    *slot |= mem.pt.format->dirty;
    mem.pt.ops->publish(&mem.pt, slot, sizeof(*slot));
}

/* Somebody walks along: the translation is there, or, between break and make, is not. */
static void no_translation_changes(struct pt_fake *memory)
{
    uint64_t pa, rights;

    for (uint64_t va = BASE; va < BASE + SIZE; va += 123 * MIB + PAGE_SIZE) {
        if (pt_memory_walk(&memory->pt, va, &pa, &rights))
            ASSERT_EQ(pa, va + GIB);
        else
            ASSERT(memory->pt.format->break_before_make);
    }
}

static void start(const struct pt_format *format)
{
    pt_memory_init(&mem, format);
    ASSERT_OK(pt_map(&mem.pt, BASE, hpa(BASE + GIB), SIZE, RWX));
}

TEST(leaves_become_small_and_large_again)
{
    FOR_ALL_DIRTY_FORMATS(f)
    {
        uint64_t tables, size;

        start(f);
        tables = mem.pt.table_count;
        size = leaf(BASE).size;
        mem.on_state = no_translation_changes;
        ASSERT_OK(pt_shatter(&mem.pt, BASE, SIZE));
        for (uint64_t va = BASE; va < BASE + SIZE; va += PAGE_SIZE) {
            ASSERT_EQ(leaf(va).size, PAGE_SIZE);
            ASSERT_EQ(leaf(va).pa.v, va + GIB);
        }
        ASSERT_OK(pt_shatter(&mem.pt, BASE, SIZE)); /* Nothing is left to be done. */
        mem.on_state = NULL;
        pt_harvest(&mem.pt, BASE, SIZE, NULL, NULL);
        mem.on_state = no_translation_changes;
        pt_merge(&mem.pt, BASE, SIZE);
        mem.on_state = NULL;
        ASSERT_EQ(mem.pt.table_count, tables);
        ASSERT_EQ(leaf(BASE).size, size);
        ASSERT(leaf(BASE).attr.read && leaf(BASE).attr.write && leaf(BASE).attr.execute);
        ASSERT_EQ(leaf(BASE + GIB).size, MIN(2 * MIB, size));
        ASSERT_EQ(leaf(BASE).entry & f->dirty, f->dirty); /* Large leaves ask for no attention. */
        pt_memory_end(&mem);
    }
}

TEST(a_harvest_tells_each_page_that_was_written_and_no_other)
{
    FOR_ALL_DIRTY_FORMATS(f)
    {
        start(f);
        ASSERT_OK(pt_shatter(&mem.pt, BASE, SIZE));
        harvest(BASE, SIZE);
        ASSERT_EQ(visit_count, PAGES); /* Before the first, any may have been. */
        harvest(BASE, SIZE);
        ASSERT_EQ(visit_count, 0);
        ASSERT_EQ(leaf(BASE).entry & f->dirty, 0);
        write_by_hardware(BASE);
        write_by_hardware(BASE + 511 * PAGE_SIZE);
        pt_wrote(&mem.pt, BASE + 512 * PAGE_SIZE + 77); /* Of a fault. */
        ASSERT(leaf(BASE + 2 * MIB).attr.write);
        write_by_hardware(BASE + SIZE - PAGE_SIZE);
        harvest(BASE + PAGE_SIZE, SIZE - 2 * PAGE_SIZE);
        ASSERT_EQ(visit_count, 2);
        ASSERT_EQ(visited[0], BASE + 511 * PAGE_SIZE);
        ASSERT_EQ(visited[1], BASE + 512 * PAGE_SIZE);
        harvest(BASE, SIZE);
        ASSERT_EQ(visit_count, 2);
        ASSERT_EQ(visited[0], BASE);
        ASSERT_EQ(visited[1], BASE + SIZE - PAGE_SIZE);
        harvest(BASE, SIZE);
        ASSERT_EQ(visit_count, 0);
        pt_memory_end(&mem);
    }
}

TEST(what_may_not_be_written_stays_so)
{
    const struct pt_attr RX = {.read = true, .execute = true};

    FOR_ALL_DIRTY_FORMATS(f)
    {
        uint64_t tables;

        start(f);
        tables = mem.pt.table_count;
        ASSERT_EQ(leaf(BASE).entry & f->writable, f->writable);
        ASSERT_OK(pt_protect(&mem.pt, BASE + GIB, 2 * MIB + PAGE_SIZE, RX));
        ASSERT_EQ(leaf(BASE + GIB).entry & f->writable, 0);
        ASSERT_OK(pt_shatter(&mem.pt, BASE, SIZE));
        pt_harvest(&mem.pt, BASE, SIZE, NULL, NULL);
        ASSERT_EQ(leaf(BASE).entry & f->writable, f->writable); /* It waits for its first write. */
        ASSERT(!pt_wrote(&mem.pt, BASE + GIB));
        ASSERT(!pt_wrote(&mem.pt, BASE + GIB + 2 * MIB));
        ASSERT(pt_wrote(&mem.pt, BASE + GIB + 2 * MIB + PAGE_SIZE));
        harvest(BASE, SIZE);
        ASSERT_EQ(visit_count, 1);
        pt_merge(&mem.pt, BASE, SIZE);
        for (unsigned i = 0; i < 4; i++)
            ASSERT_EQ(leaf(BASE + GIB + i * MIB).attr.write, i * MIB > 2 * MIB);
        ASSERT_EQ(leaf(BASE + GIB).size, f->leaf_level_max ? 2 * MIB : PAGE_SIZE);
        ASSERT_OK(pt_protect(&mem.pt, BASE + GIB, 2 * MIB + PAGE_SIZE, RWX));
        pt_merge(&mem.pt, BASE, SIZE);
        ASSERT_EQ(mem.pt.table_count, tables);
        pt_memory_end(&mem);
    }
}

TEST(a_fault_that_was_answered_already_is_refreshed_for_who_still_has_it)
{
    FOR_ALL_DIRTY_FORMATS(f)
    {
        start(f);
        pt_wrote(&mem.pt, BASE + 5 * MIB); /* A large leaf: tracking has ended meanwhile. */
        ASSERT_EQ(mem.refreshes, 1);
        ASSERT(leaf(BASE + 5 * MIB).size > PAGE_SIZE);
        pt_memory_end(&mem);
    }
}

TEST(no_memory_for_small_leaves_changes_nothing_that_merging_does_not_mend)
{
    FOR_ALL_DIRTY_FORMATS(f)
    {
        uint64_t tables, size;

        start(f);
        tables = mem.pt.table_count;
        size = leaf(BASE).size;
        mem.allocs_left = 3;
        mem.on_state = no_translation_changes;
        ASSERT_ERR(E_NOMEM, pt_shatter(&mem.pt, BASE, SIZE));
        pt_merge(&mem.pt, BASE, SIZE);
        mem.on_state = NULL;
        ASSERT_EQ(mem.pt.table_count, tables);
        ASSERT_EQ(leaf(BASE).size, size);
        pt_memory_end(&mem);
    }
}

TEST(merging_joins_only_what_belongs_together_and_lies_inside)
{
    FOR_ALL_DIRTY_FORMATS(f)
    {
        pt_memory_init(&mem, f);
        /* 2 MiB of two blocks, then 2 MiB of one that begin in the middle of the range. */
        ASSERT_OK(pt_map(&mem.pt, 0, hpa(8 * MIB), MIB, RWX));
        ASSERT_OK(pt_map(&mem.pt, MIB, hpa(32 * MIB), MIB, RWX));
        ASSERT_OK(pt_map(&mem.pt, 2 * MIB, hpa(64 * MIB), 4 * MIB, RWX));
        ASSERT_OK(pt_shatter(&mem.pt, 0, 6 * MIB));
        pt_merge(&mem.pt, 0, 5 * MIB);
        ASSERT_EQ(leaf(0).size, PAGE_SIZE);
        ASSERT_EQ(leaf(2 * MIB).size, 2 * MIB);
        ASSERT_EQ(leaf(2 * MIB + PAGE_SIZE).pa.v, 64 * MIB);
        ASSERT_EQ(leaf(4 * MIB).size, PAGE_SIZE);
        pt_merge(&mem.pt, 4 * MIB, 2 * MIB);
        ASSERT_EQ(leaf(4 * MIB).size, 2 * MIB);
        pt_memory_end(&mem);
    }
}
