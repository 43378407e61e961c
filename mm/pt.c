/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one radix walker; what a page-table format is, says mm/pt.h.
 *
 * Invariants: no table but the root is empty. An entry is written with one store (pt_set), a table
 * is complete before it is linked and is freed only after it was unlinked and a flush. So a
 * hardware walker sees at any time the old translation of an address, the new one, or (unmapping;
 * break before make) none.
 *
 * What may fail for lack of memory comes first and changes no translation (pt_split_at); what
 * follows cannot fail.
 */
#include "mm/pt.h"

#include "kernel/assert.h"
#include "mm/pt_entry.h"

static size_t pt_root_size(const struct pt_format *format)
{
    return MAX((size_t)sizeof(uint64_t) << format->root_bits, (size_t)TABLE_SIZE);
}

uint64_t pt_size(const struct pt_format *format)
{
    return (uint64_t)1 << (pt_shift(pt_root_level(format)) + format->root_bits);
}

hpa_t pt_root(const struct pt *pt)
{
    return ptr_to_phys(pt->root);
}

static uint64_t pt_table_entry(const struct pt_format *format, const uint64_t *table)
{
    uint64_t pa = ptr_to_phys(table).v;

    assert((((pa >> format->addr_shift) & format->addr_mask) << format->addr_shift) == pa);
    return (pa >> format->addr_shift) | format->table_bits;
}

/* --- Tables --- */

static uint64_t *pt_table_alloc(struct pt *pt)
{
    uint64_t *table = pt->ops->table_alloc(pt, TABLE_SIZE);

    if (table)
        pt->table_count++;
    return table;
}

void pt_table_free(struct pt *pt, uint64_t *table)
{
    assert(pt->table_count > 0);
    pt->table_count--;
    pt->ops->table_free(pt, table, TABLE_SIZE);
}

static void pt_link(struct pt *pt, uint64_t *slot, uint64_t *table)
{
    pt_publish(pt, table, TABLE_SIZE);
    pt_set(pt, slot, pt_table_entry(pt->format, table));
}

static bool pt_table_is_empty(const struct pt_format *format, const uint64_t *table, unsigned level)
{
    for (unsigned i = 0; i < pt_entries(format, level); i++)
        if (pt_kind(format, table[i], level) != PTE_HOLE)
            return false;
    return true;
}

/* Frees what hangs below a table. Nobody walks it any more. */
static void pt_free_below(struct pt *pt, uint64_t *table, unsigned level)
{
    const struct pt_format *format = pt->format;

    if (level == 0)
        return;
    for (unsigned i = 0; i < pt_entries(format, level); i++) {
        uint64_t *below;

        if (pt_kind(format, table[i], level) != PTE_TABLE)
            continue;
        below = pt_table(format, table[i]);
        pt_free_below(pt, below, level - 1);
        pt_table_free(pt, below);
    }
}

enum err pt_init(struct pt *pt, const struct pt_format *format, const struct pt_ops *ops)
{
    assert(format->levels >= 2 && format->leaf_level_max < format->levels);
    assert(pt_shift(pt_root_level(format)) + format->root_bits < 64);
    assert(format->kind(0, 0) == PTE_HOLE);
    *pt = (struct pt){.format = format, .ops = ops};
    pt->root = ops->table_alloc(pt, pt_root_size(format));
    if (!pt->root)
        return E_NOMEM;
    pt_publish(pt, pt->root, pt_root_size(format));
    return OK;
}

void pt_destroy(struct pt *pt)
{
    pt_free_below(pt, pt->root, pt_root_level(pt->format));
    assert(pt->table_count == 0);
    pt->ops->table_free(pt, pt->root, pt_root_size(pt->format));
    pt->root = NULL;
}

/* --- Looking --- */

/* [va, va + size) is page aligned, not empty and inside of the address space. */
static bool pt_range_ok(const struct pt_format *format, uint64_t va, uint64_t size)
{
    uint64_t space = pt_size(format);

    return IS_ALIGNED(va | size, PAGE_SIZE) && size != 0 && size <= space && va <= space - size;
}

enum err pt_lookup(const struct pt *pt, uint64_t va, struct pt_leaf *leaf)
{
    const struct pt_format *format = pt->format;
    const uint64_t *table = pt->root;
    unsigned level = pt_root_level(format);

    if (va >= pt_size(format)) {
        *leaf = (struct pt_leaf){.va = va, .level = level};
        return E_ABSENT;
    }
    for (;; level--) {
        uint64_t entry = pt_get(&table[pt_index(format, level, va)]);

        switch (format->kind(entry, level)) {
        case PTE_HOLE:
            *leaf = (struct pt_leaf){.va = va, .level = level, .entry = entry};
            return E_ABSENT;
        case PTE_LEAF:
            *leaf = pt_leaf_at(format, va, level, entry);
            return OK;
        case PTE_TABLE:
            assert(level > 0);
            table = pt_table(format, entry);
        }
    }
}

struct pt_visitor {
    const struct pt *pt;
    enum err (*visit)(const struct pt_leaf *leaf, void *arg);
    void *arg;
};

static enum err pt_visit_table(const struct pt_visitor *visitor, const uint64_t *table,
                               unsigned level, uint64_t va, uint64_t end)
{
    const struct pt_format *format = visitor->pt->format;
    uint64_t size = pt_leaf_size(level);
    const uint64_t *slot = &table[pt_index(format, level, va)];

    for (uint64_t next; va < end; va = next, slot++) {
        uint64_t entry = pt_get(slot);
        enum pte_kind kind;

        next = MIN(ALIGN_DOWN(va, size) + size, end);
        if (entry == 0)
            continue; /* Most are holes. */
        kind = format->kind(entry, level);
        if (kind == PTE_TABLE) {
            TRY(pt_visit_table(visitor, pt_table(format, entry), level - 1, va, next));
        } else if (kind == PTE_LEAF) {
            struct pt_leaf leaf = pt_leaf_at(format, va, level, entry);

            TRY(visitor->visit(&leaf, visitor->arg));
        }
    }
    return OK;
}

enum err pt_visit(const struct pt *pt, uint64_t va, uint64_t size,
                  enum err (*visit)(const struct pt_leaf *leaf, void *arg), void *arg)
{
    struct pt_visitor visitor = {.pt = pt, .visit = visit, .arg = arg};

    if (!pt_range_ok(pt->format, va, size))
        return E_RANGE;
    return pt_visit_table(&visitor, pt->root, pt_root_level(pt->format), va, va + size);
}

/* --- Splitting --- */

enum err pt_split(struct pt *pt, uint64_t *slot, unsigned level, uint64_t va)
{
    const struct pt_format *format = pt->format;
    struct pt_leaf leaf = pt_leaf_at(format, va, level, *slot);
    uint64_t *table = pt_table_alloc(pt);

    assert(level > 0);
    if (!table)
        return E_NOMEM;
    for (unsigned i = 0; i < 1u << TABLE_BITS; i++)
        table[i] =
            pt_leaf_entry(format, leaf.pa.v + i * pt_leaf_size(level - 1), level - 1, leaf.attr);
    if (format->break_before_make) {
        pt_set(pt, slot, 0);
        pt->ops->flush(pt, leaf.va, leaf.size);
    }
    pt_link(pt, slot, table);
    return OK;
}

/* Splits leaves until none reaches over va. Changes no translation. */
static enum err pt_split_at(struct pt *pt, uint64_t va)
{
    const struct pt_format *format = pt->format;
    uint64_t *table = pt->root;

    for (unsigned level = pt_root_level(format); !IS_ALIGNED(va, pt_leaf_size(level)); level--) {
        uint64_t *slot = &table[pt_index(format, level, va)];
        enum pte_kind kind = format->kind(*slot, level);

        if (kind == PTE_HOLE)
            return OK;
        if (kind == PTE_LEAF)
            TRY(pt_split(pt, slot, level, va));
        table = pt_table(format, *slot);
    }
    return OK;
}

/* No leaf reaches over a border of the range afterwards. */
static enum err pt_split_borders(struct pt *pt, uint64_t va, uint64_t size)
{
    TRY(pt_split_at(pt, va));
    return va + size == pt_size(pt->format) ? OK : pt_split_at(pt, va + size);
}

/* --- Unmapping --- */

/* What was changed and waits for the flush. */
struct pt_changes {
    uint64_t start, end; /* start ≥ end: nothing. */
    uint64_t *tables;    /* Unlinked ones, each with the address of the next in its first entry. */
};

#define PT_NO_CHANGES                                                                              \
    {                                                                                              \
        .start = UINT64_MAX                                                                        \
    }

static void pt_changed(struct pt_changes *changes, uint64_t va, uint64_t size)
{
    changes->start = MIN(changes->start, va);
    changes->end = MAX(changes->end, va + size);
}

/* Flushes; then the tables may go. */
static void pt_commit(struct pt *pt, struct pt_changes *changes)
{
    if (changes->start < changes->end)
        pt->ops->flush(pt, changes->start, changes->end - changes->start);
    while (changes->tables) {
        uint64_t *table = changes->tables;

        changes->tables = phys_to_ptr(hpa(table[0]));
        pt_table_free(pt, table);
    }
}

/*
 * Unlinks an empty table for va. A walker may still be in it: the address put there is a hole for
 * it. All that the table spanned is flushed, because hardware may keep the entry that pointed to
 * it.
 */
static void pt_unlink(struct pt *pt, uint64_t *slot, unsigned level, uint64_t va,
                      struct pt_changes *changes)
{
    uint64_t *table = pt_table(pt->format, *slot);
    uint64_t link = ptr_to_phys(changes->tables).v;

    assert(pt->format->kind(link, level - 1) == PTE_HOLE);
    pt_set(pt, slot, 0);
    pt_set(pt, &table[0], link);
    changes->tables = table;
    pt_changed(changes, ALIGN_DOWN(va, pt_leaf_size(level)), pt_leaf_size(level));
}

/* All leaves that are in the range are wholly in it. */
static void pt_unmap_table(struct pt *pt, uint64_t *table, unsigned level, uint64_t va,
                           uint64_t end, struct pt_changes *changes)
{
    const struct pt_format *format = pt->format;

    for (uint64_t next; va < end; va = next) {
        uint64_t *slot = &table[pt_index(format, level, va)];
        enum pte_kind kind = format->kind(*slot, level);

        next = MIN(ALIGN_DOWN(va, pt_leaf_size(level)) + pt_leaf_size(level), end);
        if (kind == PTE_LEAF) {
            assert(next - va == pt_leaf_size(level));
            pt_set(pt, slot, 0);
            pt_changed(changes, va, next - va);
        } else if (kind == PTE_TABLE) {
            uint64_t *below = pt_table(format, *slot);

            pt_unmap_table(pt, below, level - 1, va, next, changes);
            if (pt_table_is_empty(format, below, level - 1))
                pt_unlink(pt, slot, level, va, changes);
        }
    }
}

/* Unmaps a range whose borders no leaf reaches over. */
static void pt_clear(struct pt *pt, uint64_t va, uint64_t size)
{
    struct pt_changes changes = PT_NO_CHANGES;

    pt_unmap_table(pt, pt->root, pt_root_level(pt->format), va, va + size, &changes);
    pt_commit(pt, &changes);
}

enum err pt_unmap(struct pt *pt, uint64_t va, uint64_t size)
{
    if (!pt_range_ok(pt->format, va, size))
        return E_RANGE;
    TRY(pt_split_borders(pt, va, size));
    pt_clear(pt, va, size);
    return OK;
}

/* --- Mapping --- */

/* What is still to be mapped. */
struct pt_request {
    uint64_t va, end, pa;
    struct pt_attr attr;
};

static enum err pt_map_table(struct pt *pt, uint64_t *table, unsigned level,
                             struct pt_request *request);

/* A new table for a hole, filled before it is linked; it is not linked when that fails. */
static enum err pt_map_new_table(struct pt *pt, uint64_t *slot, unsigned level,
                                 struct pt_request *request)
{
    uint64_t *table = pt_table_alloc(pt);

    if (!table)
        return E_NOMEM;
    if (pt_map_table(pt, table, level - 1, request) != OK) {
        pt_free_below(pt, table, level - 1);
        pt_table_free(pt, table);
        return E_NOMEM;
    }
    pt_link(pt, slot, table);
    return OK;
}

/* Leaves side by side, as many as there are holes for and as fit; returns the slot behind. */
static uint64_t *pt_map_leaves(struct pt *pt, uint64_t *slot, const uint64_t *end, unsigned level,
                               struct pt_request *request)
{
    const struct pt_format *format = pt->format;
    uint64_t size = pt_leaf_size(level), *first = slot, bits;

    if (level > format->leaf_level_max || !IS_ALIGNED(request->va | request->pa, size))
        return slot;
    bits = format->leaf_bits(level, request->attr);
    for (; slot < end && request->end - request->va >= size; slot++) {
        if (pt_kind(format, *slot, level) != PTE_HOLE)
            break;
        __atomic_store_n(slot, pt_address_bits(format, request->pa) | bits, __ATOMIC_RELAXED);
        request->va += size;
        request->pa += size;
    }
    if (slot > first)
        pt_publish(pt, first, (size_t)((char *)slot - (char *)first));
    return slot;
}

/* Maps the part of the request that lies below this table. */
static enum err pt_map_table(struct pt *pt, uint64_t *table, unsigned level,
                             struct pt_request *request)
{
    const struct pt_format *format = pt->format;
    uint64_t *slot = &table[pt_index(format, level, request->va)];
    uint64_t *end = &table[pt_entries(format, level)];

    for (;; slot++) {
        enum pte_kind kind;

        slot = pt_map_leaves(pt, slot, end, level, request);
        if (slot == end || request->va == request->end)
            return OK;
        kind = pt_kind(format, *slot, level);
        assert(level > 0 && kind != PTE_LEAF);
        if (kind == PTE_TABLE)
            TRY(pt_map_table(pt, pt_table(format, *slot), level - 1, request));
        else
            TRY(pt_map_new_table(pt, slot, level, request));
    }
}

static enum err pt_visit_mapped(const struct pt_leaf *, void *)
{
    return E_EXISTS;
}

enum err pt_map(struct pt *pt, uint64_t va, hpa_t pa, uint64_t size, struct pt_attr attr)
{
    uint64_t pa_max = (pt->format->addr_mask << pt->format->addr_shift) | (PAGE_SIZE - 1);
    struct pt_request request = {.va = va, .end = va + size, .pa = pa.v, .attr = attr};
    enum err err;

    if (!pt_range_ok(pt->format, va, size) || !IS_ALIGNED(pa.v, PAGE_SIZE) || pa.v > pa_max ||
        size - 1 > pa_max - pa.v)
        return E_RANGE;
    TRY(pt_visit(pt, va, size, pt_visit_mapped, NULL));
    err = pt_map_table(pt, pt->root, pt_root_level(pt->format), &request);
    if (err != OK)
        pt_clear(pt, va, size); /* All that is there is ours. */
    return err;
}

/* --- Protecting --- */

/* Only permissions may change in place; another memory type is another translation. */
static void pt_protect_leaf(struct pt *pt, uint64_t *slot, const struct pt_leaf *leaf,
                            struct pt_attr attr, struct pt_changes *changes)
{
    uint64_t entry = pt_leaf_entry(pt->format, leaf->pa.v, leaf->level, attr);

    if (entry == leaf->entry)
        return;
    if (pt->format->break_before_make && attr.memory != leaf->attr.memory) {
        pt_set(pt, slot, 0);
        pt->ops->flush(pt, leaf->va, leaf->size);
    }
    pt_set(pt, slot, entry);
    pt_changed(changes, leaf->va, leaf->size);
}

static void pt_protect_table(struct pt *pt, uint64_t *table, unsigned level, uint64_t va,
                             uint64_t end, struct pt_attr attr, struct pt_changes *changes)
{
    const struct pt_format *format = pt->format;

    for (uint64_t next; va < end; va = next) {
        uint64_t *slot = &table[pt_index(format, level, va)];
        enum pte_kind kind = format->kind(*slot, level);

        next = MIN(ALIGN_DOWN(va, pt_leaf_size(level)) + pt_leaf_size(level), end);
        if (kind == PTE_TABLE) {
            pt_protect_table(pt, pt_table(format, *slot), level - 1, va, next, attr, changes);
        } else if (kind == PTE_LEAF) {
            struct pt_leaf leaf = pt_leaf_at(format, va, level, *slot);

            pt_protect_leaf(pt, slot, &leaf, attr, changes);
        }
    }
}

enum err pt_protect(struct pt *pt, uint64_t va, uint64_t size, struct pt_attr attr)
{
    struct pt_changes changes = PT_NO_CHANGES;

    if (!pt_range_ok(pt->format, va, size))
        return E_RANGE;
    TRY(pt_split_borders(pt, va, size));
    pt_protect_table(pt, pt->root, pt_root_level(pt->format), va, va + size, attr, &changes);
    pt_commit(pt, &changes);
    return OK;
}
