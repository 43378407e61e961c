/* SPDX-License-Identifier: Apache-2.0 */
/* mm/pt.c, over all formats. */
#include "mm/pt.h"

#include <string.h>

#include "arch/aarch64/pt_aarch64.h"
#include "arch/riscv64/pt_riscv64.h"
#include "arch/x86_64/pt_x86_64.h"
#include "kernel/bits.h"
#include "tests/host/pt_memory.h"
#include "tests/host/test.h"

#define FOR_ALL_FORMATS(f)                                                                         \
    for (const struct pt_format *const *f##_ = all_pt_formats, *f; (f = *f##_); f##_++)

static const struct pt_attr RW = {.read = true, .write = true};
static const struct pt_attr RO = {.read = true};
static const struct pt_attr RX = {.read = true, .execute = true};
static const struct pt_attr DEVICE = {.read = true, .write = true, .memory = PT_DEVICE};

static struct pt_fake mem;

static uint64_t lookup(uint64_t va)
{
    struct pt_leaf leaf;

    if (pt_lookup(&mem.pt, va, &leaf) != OK)
        return UINT64_MAX;
    ASSERT(va >= leaf.va && va - leaf.va < leaf.size);
    return leaf.pa.v + (va - leaf.va);
}

static uint64_t leaf_size(uint64_t va)
{
    struct pt_leaf leaf;

    return pt_lookup(&mem.pt, va, &leaf) == OK ? leaf.size : 0;
}

static uint64_t largest_leaf(const struct pt_format *f)
{
    return PAGE_SIZE << (9 * f->leaf_level_max);
}

TEST(memory_is_mapped_by_the_largest_leaves_that_alignment_allows)
{
    FOR_ALL_FORMATS(f)
    {
        uint64_t start = GIB - 2 * MIB - PAGE_SIZE;

        pt_memory_init(&mem, f);
        ASSERT_OK(pt_map(&mem.pt, start, hpa(start), GIB + 4 * MIB + 2 * PAGE_SIZE, RW));
        ASSERT_EQ(leaf_size(start), PAGE_SIZE);
        ASSERT_EQ(leaf_size(GIB - 1), MIN(2 * MIB, largest_leaf(f)));
        ASSERT_EQ(leaf_size(GIB), largest_leaf(f));
        ASSERT_EQ(leaf_size(2 * GIB), MIN(2 * MIB, largest_leaf(f)));
        ASSERT_EQ(leaf_size(2 * GIB + 2 * MIB), PAGE_SIZE);
        ASSERT_EQ(lookup(GIB + 12345), GIB + 12345);
        ASSERT_EQ(lookup(start - 1), UINT64_MAX);
        ASSERT_EQ(mem.flushes, 0); /* Nothing valid was changed. */
        /* Host and guest not aligned alike: small leaves only. */
        ASSERT_OK(pt_map(&mem.pt, 0, hpa(PAGE_SIZE), 2 * MIB, RW));
        ASSERT_EQ(leaf_size(0), PAGE_SIZE);
        ASSERT_EQ(lookup(2 * MIB - 1), 2 * MIB + PAGE_SIZE - 1);
        pt_memory_end(&mem);
    }
}

TEST(split_changes_no_other_translation)
{
    FOR_ALL_FORMATS(f)
    {
        pt_memory_init(&mem, f);
        ASSERT_OK(pt_map(&mem.pt, 0, hpa(0), GIB, RW));
        ASSERT_OK(pt_unmap(&mem.pt, MIB, PAGE_SIZE));
        ASSERT_EQ(lookup(MIB), UINT64_MAX);
        ASSERT_EQ(lookup(MIB - 1), MIB - 1);
        ASSERT_EQ(lookup(MIB + PAGE_SIZE), MIB + PAGE_SIZE);
        ASSERT_EQ(lookup(GIB - 1), GIB - 1);
        if (f->leaf_level_max == 2)
            ASSERT_EQ(mem.pt.table_count, f->levels - 1); /* Those on the way down. */
        ASSERT(mem.flush_start <= MIB && mem.flush_end >= MIB + PAGE_SIZE);
        pt_memory_end(&mem);
    }
}

TEST(unmapping_frees_every_table_that_is_empty)
{
    FOR_ALL_FORMATS(f)
    {
        pt_memory_init(&mem, f);
        ASSERT_OK(pt_map(&mem.pt, 3 * PAGE_SIZE, hpa(GIB), 7 * PAGE_SIZE, RW));
        ASSERT_OK(pt_map(&mem.pt, GIB - PAGE_SIZE, hpa(0), 2 * PAGE_SIZE, RW));
        ASSERT_OK(pt_unmap(&mem.pt, 0, 2 * GIB)); /* Holes included. */
        ASSERT_EQ(mem.pt.table_count, 0);
        ASSERT_OK(pt_unmap(&mem.pt, 0, 2 * GIB));
        pt_memory_end(&mem);
    }
}

TEST(mapping_over_something_changes_nothing)
{
    FOR_ALL_FORMATS(f)
    {
        uint64_t tables;

        pt_memory_init(&mem, f);
        ASSERT_OK(pt_map(&mem.pt, 5 * MIB, hpa(0), PAGE_SIZE, RW));
        tables = mem.pt.table_count;
        ASSERT_ERR(E_EXISTS, pt_map(&mem.pt, 0, hpa(GIB), GIB, RW));
        ASSERT_ERR(E_EXISTS, pt_map(&mem.pt, 5 * MIB, hpa(0), PAGE_SIZE, RW));
        ASSERT_EQ(lookup(0), UINT64_MAX);
        ASSERT_EQ(lookup(5 * MIB), 0);
        ASSERT_EQ(mem.pt.table_count, tables);
        pt_memory_end(&mem);
    }
}

TEST(ranges_outside_of_the_address_space_are_refused)
{
    FOR_ALL_FORMATS(f)
    {
        uint64_t space = pt_size(f);
        uint64_t pa_end = ((f->addr_mask << f->addr_shift) | (PAGE_SIZE - 1)) + 1;
        struct pt_leaf leaf;

        pt_memory_init(&mem, f);
        ASSERT_ERR(E_RANGE, pt_map(&mem.pt, space, hpa(0), PAGE_SIZE, RW));
        ASSERT_ERR(E_RANGE, pt_map(&mem.pt, space - PAGE_SIZE, hpa(0), 2 * PAGE_SIZE, RW));
        ASSERT_ERR(E_RANGE, pt_map(&mem.pt, ~(PAGE_SIZE - 1), hpa(0), 2 * PAGE_SIZE, RW));
        ASSERT_ERR(E_RANGE, pt_map(&mem.pt, 0, hpa(0), 0, RW));
        ASSERT_ERR(E_RANGE, pt_map(&mem.pt, 0x800, hpa(0), PAGE_SIZE, RW));
        ASSERT_ERR(E_RANGE, pt_map(&mem.pt, 0, hpa(0x800), PAGE_SIZE, RW));
        ASSERT_ERR(E_RANGE, pt_map(&mem.pt, 0, hpa(pa_end), PAGE_SIZE, RW));
        ASSERT_ERR(E_RANGE, pt_map(&mem.pt, 0, hpa(pa_end - PAGE_SIZE), 2 * PAGE_SIZE, RW));
        ASSERT_ERR(E_RANGE, pt_unmap(&mem.pt, space, PAGE_SIZE));
        ASSERT_ERR(E_RANGE, pt_protect(&mem.pt, 0, space + PAGE_SIZE, RW));
        ASSERT_ERR(E_ABSENT, pt_lookup(&mem.pt, space, &leaf));
        ASSERT_ERR(E_ABSENT, pt_lookup(&mem.pt, UINT64_MAX, &leaf));
        /* The very last page is inside. */
        ASSERT_OK(pt_map(&mem.pt, space - PAGE_SIZE, hpa(pa_end - PAGE_SIZE), PAGE_SIZE, RW));
        ASSERT_EQ(lookup(space - 1), pa_end - 1);
        ASSERT_OK(pt_protect(&mem.pt, space - PAGE_SIZE, PAGE_SIZE, RO));
        ASSERT_OK(pt_unmap(&mem.pt, space - PAGE_SIZE, PAGE_SIZE));
        pt_memory_end(&mem);
    }
}

TEST(a_failed_lookup_says_where_the_walk_ended)
{
    FOR_ALL_FORMATS(f)
    {
        struct pt_leaf leaf;

        pt_memory_init(&mem, f);
        ASSERT_ERR(E_ABSENT, pt_lookup(&mem.pt, 0, &leaf));
        ASSERT_EQ(leaf.level, f->levels - 1);
        ASSERT_OK(pt_map(&mem.pt, 0, hpa(0), PAGE_SIZE, RW));
        ASSERT_ERR(E_ABSENT, pt_lookup(&mem.pt, PAGE_SIZE, &leaf));
        ASSERT_EQ(leaf.level, 0);
        ASSERT_ERR(E_ABSENT, pt_lookup(&mem.pt, 2 * MIB, &leaf));
        ASSERT_EQ(leaf.level, 1);
        pt_memory_end(&mem);
    }
}

static enum err visit_sum(const struct pt_leaf *leaf, void *arg)
{
    uint64_t *sums = arg;

    ASSERT(leaf->va >= sums[2]); /* In order. */
    sums[0]++;
    sums[1] += leaf->size;
    sums[2] = leaf->va + leaf->size;
    return sums[0] == sums[3] ? E_BUSY : OK;
}

TEST(a_visit_sees_all_leaves_in_order_and_stops_on_an_error)
{
    FOR_ALL_FORMATS(f)
    {
        uint64_t sums[4] = {0, 0, 0, 0};

        pt_memory_init(&mem, f);
        ASSERT_OK(pt_map(&mem.pt, PAGE_SIZE, hpa(GIB), 4 * MIB, RW));
        ASSERT_OK(pt_map(&mem.pt, 3 * GIB, hpa(GIB), 2 * PAGE_SIZE, RW));
        ASSERT_OK(pt_visit(&mem.pt, 0, 4 * GIB, visit_sum, sums));
        ASSERT_EQ(sums[0], 1024 + 2);
        ASSERT_EQ(sums[1], 4 * MIB + 2 * PAGE_SIZE);
        memset(sums, 0, sizeof(sums));
        sums[3] = 5;
        ASSERT_ERR(E_BUSY, pt_visit(&mem.pt, 0, 4 * GIB, visit_sum, sums));
        ASSERT_EQ(sums[0], 5);
        pt_memory_end(&mem);
    }
}

/* Our own tables: no log of dirty pages. */
static bool is_stage1(const struct pt_format *f)
{
    return f == &pt_format_s1 || f == &pt_format_sv39 || f == &pt_format_sv48 ||
           f == &pt_format_long;
}

TEST(attributes_come_back_as_they_were_given)
{
    FOR_ALL_FORMATS(f)
    {
        for (unsigned i = 0; i < 24; i++) {
            struct pt_attr attr = {.read = true,
                                   .write = i & 1,
                                   .execute = i & 2,
                                   .global = is_stage1(f),
                                   .memory = (enum pt_memory)(i >> 3)};

            for (unsigned level = 0; level <= f->leaf_level_max; level++) {
                uint64_t bits = f->leaf_bits(level, attr);
                struct pt_attr back = f->leaf_attr(level, bits);

                ASSERT_EQ(f->kind(bits, level), PTE_LEAF);
                ASSERT_EQ(bits & BITS(47, 21) & f->addr_mask, 0);
                ASSERT(back.read && back.write == attr.write && back.execute == attr.execute);
                ASSERT_EQ(back.memory, attr.memory);
            }
        }
        for (unsigned level = 1; level < f->levels; level++)
            ASSERT_EQ(f->kind(f->table_bits, level), PTE_TABLE);
    }
}

TEST(entries_of_riscv64_are_as_the_manual_has_them)
{
    const struct pt_attr rx = {.read = true, .execute = true, .global = true};
    const struct pt_attr rw = {.read = true, .write = true};

    ASSERT_EQ(pt_format_sv48.leaf_bits(0, rx), 0xeb);   /* V R X G A D */
    ASSERT_EQ(pt_format_sv39.leaf_bits(2, rw), 0xc7);   /* V R W A D */
    ASSERT_EQ(pt_format_sv39x4.leaf_bits(0, rw), 0xd7); /* And U: all are U-mode's. */
    ASSERT_EQ(pt_format_sv48x4.leaf_bits(1, (struct pt_attr){}) & BIT(4), 0);
    ASSERT_EQ(pt_format_sv39.table_bits, 1);
    /* Write without read is reserved, and a leaf without rights would be a pointer. */
    ASSERT_EQ(pt_format_sv39x4.leaf_bits(0, (struct pt_attr){.write = true}) & 6, 6);
    ASSERT_EQ(pt_format_sv39x4.kind(pt_format_sv39x4.leaf_bits(0, (struct pt_attr){}), 0),
              PTE_LEAF);
    ASSERT_EQ(pt_format_sv39.kind(1, 0), PTE_HOLE);
    ASSERT_EQ(pt_size(&pt_format_sv39x4), BIT(41));
    ASSERT_EQ(pt_size(&pt_format_sv48x4), BIT(50));
    ASSERT_EQ(pt_size(&pt_format_sv39), BIT(38)); /* The upper half is negative. */
}

TEST(entries_of_aarch64_are_as_the_manual_has_them)
{
    const struct pt_format *s1 = &pt_format_s1, *s2 = &pt_format_s2_40;

    ASSERT_EQ(s1->leaf_bits(0, RW), 0x743 | BIT(54));
    ASSERT_EQ(s1->leaf_bits(2, RX), 0x7c1);
    ASSERT_EQ(s1->leaf_bits(1, DEVICE), 0x745 | BIT(54));
    ASSERT_EQ(s2->leaf_bits(0, RW) & ~s2->writable, 0x7ff | BIT(54)); /* But for what is ours. */
    ASSERT_EQ(s2->leaf_bits(1, RX), 0x77d);
    ASSERT_EQ(s2->leaf_bits(0, DEVICE) & ~s2->writable, 0x7c7 | BIT(54));
    ASSERT_EQ(PT_S1_MAIR, 0x4404ff);
    for (unsigned i = 0; i < PT_S2_VARIANTS; i++) {
        const struct pt_s2_variant *v = &pt_s2_variants[i];

        ASSERT_EQ(pt_size(v->format), (uint64_t)1 << v->ipa_bits);
        ASSERT_EQ(v->t0sz, 64 - v->ipa_bits);
        ASSERT_EQ(v->sl0, v->format->levels - 2);
        ASSERT(v->format->root_bits <= 13); /* 16 tables. */
        /*
         * A lookup that could start lower with joined tables need not, but must not start too low.
         */
        ASSERT(v->format->levels == 4 || v->ipa_bits <= 43);
    }
}

/* --- Running out of memory, at every point --- */

static enum err nomem_op(unsigned op)
{
    switch (op) {
    case 0: /* Many tables, at several levels. */
        return pt_map(&mem.pt, 2 * GIB - 6 * MIB - PAGE_SIZE, hpa(PAGE_SIZE), 12 * MIB, RW);
    case 1:
        return pt_unmap(&mem.pt, 3 * MIB, 512 * MIB);
    default:
        return pt_protect(&mem.pt, 3 * MIB, 512 * MIB, RO);
    }
}

/* Nothing but the first GiB is mapped, and that as it was. */
static void nomem_check(void)
{
    struct pt_leaf leaf;

    for (uint64_t va = 0; va < 3 * GIB; va += MIB) {
        ASSERT_EQ(lookup(va), va < GIB ? va + GIB : UINT64_MAX);
        if (pt_lookup(&mem.pt, va, &leaf) == OK)
            ASSERT(leaf.attr.write);
    }
}

static enum err nomem_try(const struct pt_format *f, unsigned op, unsigned allocs)
{
    enum err err;

    pt_memory_init(&mem, f);
    ASSERT_OK(pt_map(&mem.pt, 0, hpa(GIB), GIB, RW));
    mem.allocs_left = allocs;
    err = nomem_op(op);
    ASSERT(allocs < 40 && (err == OK || err == E_NOMEM));
    if (err == E_NOMEM)
        nomem_check();
    mem.allocs_left = ~0u;
    ASSERT_OK(pt_unmap(&mem.pt, 0, 4 * GIB));
    ASSERT_EQ(mem.pt.table_count, 0);
    pt_memory_end(&mem);
    return err;
}

TEST(without_memory_for_tables_no_translation_changes)
{
    FOR_ALL_FORMATS(f)
    {
        for (unsigned op = 0; op < 3; op++) {
            unsigned allocs = 0;

            while (nomem_try(f, op, allocs) == E_NOMEM)
                allocs++;
        }
    }
}

TEST(a_table_without_memory_for_its_root_is_not_made)
{
    struct pt_ops ops;

    pt_memory_init(&mem, &pt_format_s2_40);
    ops = *mem.pt.ops;
    pt_memory_end(&mem);
    mem.allocs_left = 0;
    ASSERT_ERR(E_NOMEM, pt_init(&mem.pt, &pt_format_s2_40, &ops));
}

/*
 * --- Random operations against a model, and every intermediate state against both of its ends ---
 */

/* The borders of cells: between two of them everything is alike. Offsets from a window's start. */
static const uint64_t borders[] = {
    0,
    PAGE_SIZE,
    2 * PAGE_SIZE,
    5 * PAGE_SIZE,
    2 * MIB - PAGE_SIZE,
    2 * MIB,
    2 * MIB + PAGE_SIZE,
    4 * MIB,
    6 * MIB,
    6 * MIB + 17 * PAGE_SIZE,
    512 * MIB,
    GIB - 2 * MIB,
    GIB - PAGE_SIZE,
    GIB,
    GIB + 3 * PAGE_SIZE,
    GIB + 2 * MIB,
    GIB + 4 * MIB,
    2 * GIB - 2 * MIB,
    2 * GIB,
    3 * GIB - PAGE_SIZE,
    3 * GIB,
};
#define CELLS (ARRAY_SIZE(borders) - 1)

struct cell {
    bool mapped;
    uint64_t delta; /* pa - va */
    struct pt_attr attr;
};

static struct cell cells[CELLS], cells_after[CELLS];
static uint64_t window;
static bool breaks_allowed; /* The operation under way may show holes: break before make. */

static struct pt_attr random_attr(void)
{
    const struct pt_attr attrs[] = {RW, RO, RX, DEVICE};

    return attrs[test_random_below(ARRAY_SIZE(attrs))];
}

static bool cell_agrees(const struct cell *cell, uint64_t va, bool mapped, uint64_t pa,
                        uint64_t rights)
{
    if (!mapped || !cell->mapped)
        return mapped == cell->mapped;
    return pa == va + cell->delta && rights == mem.pt.format->leaf_bits(0, cell->attr);
}

static void check_state_at(unsigned i, uint64_t va)
{
    uint64_t pa = 0, rights = 0;
    bool mapped = pt_memory_walk(&mem.pt, va, &pa, &rights);

    if (!mapped && breaks_allowed)
        return;
    ASSERT(cell_agrees(&cells[i], va, mapped, pa, rights) ||
           cell_agrees(&cells_after[i], va, mapped, pa, rights));
}

/* All cells early in an operation, then one by chance. */
static void check_state(struct pt_fake *)
{
    static uint64_t ticks;
    bool all = mem.publishes < 24;

    if (!all && ++ticks % 8)
        return;
    for (unsigned i = all ? 0 : (unsigned)test_random_below(CELLS); i < CELLS; i++) {
        check_state_at(i, window + borders[i]);
        check_state_at(i, window + borders[i + 1] - 1);
        if (!all)
            break;
    }
}

static void check_cells(void)
{
    for (unsigned i = 0; i < CELLS; i++) {
        uint64_t first = window + borders[i], last = window + borders[i + 1] - 1;
        uint64_t pa = 0, rights = 0;

        for (unsigned side = 0; side < 2; side++) {
            uint64_t va = side ? last : first;
            bool mapped = pt_memory_walk(&mem.pt, va, &pa, &rights);

            ASSERT(cell_agrees(&cells[i], va, mapped, pa, rights));
            ASSERT_EQ(lookup(va), mapped ? pa : UINT64_MAX);
        }
    }
}

/* Small leaves for much memory are slow: the larger the range, the better aligned. */
static uint64_t random_delta(uint64_t size)
{
    uint64_t pa = test_random_below(16) * GIB;

    if (size <= GIB && test_random_below(2))
        pa += test_random_below(64) * 2 * MIB;
    if (size <= 4 * MIB && test_random_below(2))
        pa += test_random_below(64) * PAGE_SIZE;
    return pa - window; /* So va - window + pa. */
}

static bool same_rights(struct pt_attr a, struct pt_attr b)
{
    const struct pt_format *f = mem.pt.format;

    return f->leaf_bits(0, a) == f->leaf_bits(0, b);
}

static void flushed_all_changes(unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++) {
        if (!cells[i].mapped)
            continue;
        if (cells_after[i].mapped && same_rights(cells[i].attr, cells_after[i].attr))
            continue;
        ASSERT(mem.flush_start <= window + borders[i]);
        ASSERT(mem.flush_end >= window + borders[i + 1]);
    }
}

static void random_map(unsigned first, unsigned end)
{
    uint64_t va = window + borders[first], size = borders[end] - borders[first];
    uint64_t delta = random_delta(size);
    struct pt_attr attr = random_attr();
    bool exists = false;
    enum err err;

    for (unsigned i = first; i < end; i++) {
        exists = exists || cells[i].mapped;
        cells_after[i] = (struct cell){true, delta, attr};
    }
    if (exists)
        memcpy(cells_after, cells, sizeof(cells));
    err = pt_map(&mem.pt, va, hpa(va + delta), size, attr);
    ASSERT_EQ(err == E_EXISTS, exists);
    if (err == E_NOMEM)
        ASSERT(mem.allocs_left == 0);
    if (err != OK)
        memcpy(cells_after, cells, sizeof(cells));
}

static void random_unmap_or_protect(unsigned first, unsigned end, bool unmap)
{
    uint64_t va = window + borders[first], size = borders[end] - borders[first];
    struct pt_attr attr = random_attr();
    enum err err;

    for (unsigned i = first; i < end; i++) {
        if (unmap)
            cells_after[i].mapped = false;
        cells_after[i].attr = attr;
    }
    breaks_allowed = mem.pt.format->break_before_make;
    err = unmap ? pt_unmap(&mem.pt, va, size) : pt_protect(&mem.pt, va, size, attr);
    breaks_allowed = false;
    if (err == OK)
        flushed_all_changes(first, end);
    if (err != OK) {
        ASSERT(err == E_NOMEM && mem.allocs_left == 0);
        memcpy(cells_after, cells, sizeof(cells));
    }
}

static void random_op(void)
{
    unsigned first = (unsigned)test_random_below(CELLS);
    unsigned end = first + 1 + (unsigned)test_random_below(CELLS - first);
    unsigned what = (unsigned)test_random_below(8);

    /* Without large leaves 3 GiB are 800000 entries. */
    if (mem.pt.format->leaf_level_max == 0)
        while (borders[end] - borders[first] > 8 * MIB && end > first + 1)
            end--;
    if (mem.pt.format->leaf_level_max == 0 && borders[end] - borders[first] > 8 * MIB)
        return;
    mem.allocs_left = test_random_below(8) ? ~0u : (unsigned)test_random_below(4);
    mem.publishes = 0;
    mem.flush_start = UINT64_MAX;
    mem.flush_end = 0;
    memcpy(cells_after, cells, sizeof(cells));
    if (what < 4)
        random_map(first, end);
    else
        random_unmap_or_protect(first, end, what < 7);
    memcpy(cells, cells_after, sizeof(cells));
}

static void random_ops(const struct pt_format *f, uint64_t at, unsigned count)
{
    window = at;
    memset(cells, 0, sizeof(cells));
    pt_memory_init(&mem, f);
    mem.on_state = check_state;
    for (unsigned i = 0; i < count; i++) {
        random_op();
        if (i % 4 == 0)
            check_cells();
    }
    mem.allocs_left = ~0u;
    mem.on_state = NULL;
    check_cells();
    ASSERT_OK(pt_unmap(&mem.pt, window, 3 * GIB));
    ASSERT_EQ(mem.pt.table_count, 0);
    pt_memory_end(&mem);
}

TEST(tables_do_what_a_simple_model_says_and_no_state_on_the_way_is_wrong)
{
    FOR_ALL_FORMATS(f)
    {
        uint64_t space = pt_size(f);

        random_ops(f, 0, 10000);
        random_ops(f, space - 3 * GIB, 10000);
        if (space > 1024 * GIB)
            random_ops(f, 512 * GIB - GIB, 10000); /* Two entries one level up. */
    }
}
