/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dirty tracking over the one walker. What was written is known page by page, so leaves are made
 * small first; a format says by which bits of a leaf it is known. Hardware may set these at any
 * time: they are changed by atomic operations only.
 *
 * A translation that a TLB keeps lets writes through without a trace in the tables. So a harvest
 * flushes after it has cleared the bits and before it returns: a write that this did not stop was
 * earlier than the return, and its page is among those told, as it had the bits.
 */
#include "kernel/assert.h"
#include "mm/pt_entry.h"

static uint64_t pt_span_end(unsigned level, uint64_t va, uint64_t end)
{
    return MIN(ALIGN_DOWN(va, pt_leaf_size(level)) + pt_leaf_size(level), end);
}

/* --- Small leaves --- */

static enum err pt_shatter_table(struct pt *pt, uint64_t *table, unsigned level, uint64_t va,
                                 uint64_t end)
{
    const struct pt_format *format = pt->format;
    uint64_t *slot = &table[pt_index(format, level, va)];

    for (uint64_t next; va < end; va = next, slot++) {
        next = pt_span_end(level, va, end);
        if (format->kind(*slot, level) == PTE_LEAF)
            TRY(pt_split(pt, slot, level, va));
        if (level > 1)
            TRY(pt_shatter_table(pt, pt_table(format, *slot), level - 1, va, next));
    }
    return OK;
}

enum err pt_shatter(struct pt *pt, uint64_t va, uint64_t size)
{
    return pt_shatter_table(pt, pt->root, pt_root_level(pt->format), va, va + size);
}

/* --- What was written --- */

struct pt_harvester {
    struct pt *pt;
    void (*visit)(uint64_t va, void *arg);
    void *arg;
    uint64_t changed;
};

static void pt_harvest_leaves(struct pt_harvester *harvester, uint64_t *slot, uint64_t va,
                              uint64_t end)
{
    const uint64_t dirty = harvester->pt->format->dirty;
    const uint64_t written = dirty | harvester->pt->format->writable;
    uint64_t *first = slot, changed = harvester->changed;

    for (; va < end; va += PAGE_SIZE, slot++) {
        if ((__atomic_load_n(slot, __ATOMIC_RELAXED) & written) != written)
            continue;
        __atomic_fetch_and(slot, ~dirty, __ATOMIC_RELAXED);
        harvester->changed++;
        if (harvester->visit)
            harvester->visit(va, harvester->arg);
    }
    if (harvester->changed != changed)
        pt_publish(harvester->pt, first, (size_t)((char *)slot - (char *)first));
}

static void pt_harvest_table(struct pt_harvester *harvester, uint64_t *table, unsigned level,
                             uint64_t va, uint64_t end)
{
    const struct pt_format *format = harvester->pt->format;
    uint64_t *slot = &table[pt_index(format, level, va)];

    if (level == 0) {
        pt_harvest_leaves(harvester, slot, va, end);
        return;
    }
    for (uint64_t next; va < end; va = next, slot++) {
        next = pt_span_end(level, va, end);
        assert(format->kind(*slot, level) == PTE_TABLE); /* It is shattered. */
        pt_harvest_table(harvester, pt_table(format, *slot), level - 1, va, next);
    }
}

void pt_harvest(struct pt *pt, uint64_t va, uint64_t size, void (*visit)(uint64_t va, void *arg),
                void *arg)
{
    struct pt_harvester harvester = {.pt = pt, .visit = visit, .arg = arg};

    assert(pt->format->dirty != 0);
    pt_harvest_table(&harvester, pt->root, pt_root_level(pt->format), va, va + size);
    if (harvester.changed > 0)
        pt->ops->flush(pt, va, size);
}

/* Of the leaf that translates va. */
static uint64_t *pt_leaf_slot(const struct pt *pt, uint64_t va)
{
    const struct pt_format *format = pt->format;
    unsigned level = pt_root_level(format);
    uint64_t *slot = &pt->root[pt_index(format, level, va)];

    for (; format->kind(*slot, level) == PTE_TABLE; level--)
        slot = &pt_table(format, *slot)[pt_index(format, level - 1, va)];
    assert(format->kind(*slot, level) == PTE_LEAF);
    return slot;
}

uint64_t pt_harvest_pages(struct pt *pt, uint64_t va, uint64_t pages)
{
    const uint64_t dirty = pt->format->dirty, written = dirty | pt->format->writable;
    unsigned lowest = bit_lowest(pages);
    uint64_t *slots = pt_leaf_slot(pt, va + lowest * PAGE_SIZE) - lowest, found = 0;

    assert(IS_ALIGNED(va, 64 * PAGE_SIZE)); /* So they are in one table. */
    for (; pages != 0; pages &= pages - 1) {
        unsigned i = bit_lowest(pages);

        if ((__atomic_load_n(&slots[i], __ATOMIC_RELAXED) & written) != written)
            continue;
        __atomic_fetch_and(&slots[i], ~dirty, __ATOMIC_RELAXED);
        found |= BIT(i);
    }
    if (found != 0)
        pt_publish(pt, slots, 64 * sizeof(*slots));
    return found;
}

bool pt_wrote(struct pt *pt, uint64_t va)
{
    uint64_t *slot = pt_leaf_slot(pt, va);

    if (!(*slot & pt->format->writable))
        return false;
    __atomic_fetch_or(slot, pt->format->dirty, __ATOMIC_RELEASE);
    pt_publish(pt, slot, sizeof(*slot));
    pt->ops->refresh(pt, ALIGN_DOWN(va, PAGE_SIZE));
    return true;
}

/* --- Large leaves again --- */

/* The leaf that a table of leaves can be replaced by; 0: none. */
static uint64_t pt_merged(const struct pt_format *format, const uint64_t *table, unsigned level)
{
    struct pt_leaf leaf;

    if (level > format->leaf_level_max || format->kind(table[0], level - 1) != PTE_LEAF)
        return 0;
    leaf = pt_leaf_at(format, 0, level - 1, table[0]);
    if (!IS_ALIGNED(leaf.pa.v, pt_leaf_size(level)))
        return 0;
    for (unsigned i = 0; i < 1u << TABLE_BITS; i++)
        if (table[i] != pt_leaf_entry(format, leaf.pa.v + i * leaf.size, level - 1, leaf.attr))
            return 0;
    return pt_leaf_entry(format, leaf.pa.v, level, leaf.attr);
}

/* Who walks sees the small leaves, then, where that is wanted, none, then the large one. */
static void pt_merge_slot(struct pt *pt, uint64_t *slot, unsigned level, uint64_t va)
{
    uint64_t *table = pt_table(pt->format, *slot);
    uint64_t leaf = pt_merged(pt->format, table, level);

    if (leaf == 0)
        return;
    if (pt->format->break_before_make) {
        pt_set(pt, slot, 0);
        pt->ops->flush(pt, va, pt_leaf_size(level));
        pt_set(pt, slot, leaf);
    } else {
        pt_set(pt, slot, leaf);
        pt->ops->flush(pt, va, pt_leaf_size(level));
    }
    pt_table_free(pt, table);
}

static void pt_merge_table(struct pt *pt, uint64_t *table, unsigned level, uint64_t va,
                           uint64_t end)
{
    const struct pt_format *format = pt->format;
    uint64_t *slot = &table[pt_index(format, level, va)], *first = slot;

    for (uint64_t next; va < end; va = next, slot++) {
        next = pt_span_end(level, va, end);
        if (level == 0) {
            if (*slot & format->writable)
                __atomic_fetch_or(slot, format->dirty, __ATOMIC_RELAXED);
        } else if (format->kind(*slot, level) == PTE_TABLE) {
            pt_merge_table(pt, pt_table(format, *slot), level - 1, va, next);
            if (next - va == pt_leaf_size(level))
                pt_merge_slot(pt, slot, level, va);
        }
    }
    if (level == 0)
        pt_publish(pt, first, (size_t)((char *)slot - (char *)first));
}

void pt_merge(struct pt *pt, uint64_t va, uint64_t size)
{
    pt_merge_table(pt, pt->root, pt_root_level(pt->format), va, va + size);
}
