/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one radix walker. A page-table format is data and pure functions; map, unmap, protect, split,
 * lookup and dirty harvesting are written once over it, for host tables and for guests' stage 2 on
 * every backend. Levels count from the leaf: level 0 maps 4 KiB, 1: 2 MiB, 2: 1 GiB.
 *
 * Locking: the owner's. An entry is written with one 64-bit store, and a table is complete before
 * it is linked, so a hardware walker never sees a broken state; flushing the TLB is the owner's
 * duty, through pt_ops.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"

enum pt_memory { PT_NORMAL, PT_DEVICE, PT_UNCACHED };

struct pt_attr {
    bool read : 1, write : 1, execute : 1;
    bool user : 1; /* Stage 1 only. */
    bool global : 1;
    enum pt_memory memory;
};

enum pte_kind { PTE_HOLE, PTE_LEAF, PTE_TABLE };

struct pt_format {
    const char *name;
    uint8_t levels;         /* Depth; level 0 maps 4 KiB. */
    uint8_t leaf_level_max; /* 0: 4 KiB leaves only, 1: also 2 MiB, 2: also 1 GiB. */
    uint8_t root_bits;      /* Index bits of the root: 9, or more where root tables are joined. */
    uint8_t addr_shift;     /* Address = (entry & addr_mask) << addr_shift. */
    uint64_t addr_mask;
    uint64_t table_bits; /* Or-ed into an entry that points lower. */
    /*
     * Bits that tell of a leaf that it was written, if they are cleared before: hardware sets them,
     * or the first write faults and pt_wrote() does. Set in all others. 0: not to be known.
     */
    uint64_t dirty;
    /* Where dirty is not 0: a bit of all leaves that may be written, whatever the former say. */
    uint64_t writable;
    /* A valid entry must be made a hole and flushed before it becomes another translation. */
    bool break_before_make;
    uint64_t (*leaf_bits)(unsigned level, struct pt_attr attr);
    struct pt_attr (*leaf_attr)(unsigned level, uint64_t pte);
    enum pte_kind (*kind)(uint64_t pte, unsigned level);
};

struct pt;

/* What the owner of a table gives: memory for tables, and how to flush. */
struct pt_ops {
    void *(*table_alloc)(struct pt *pt, size_t size); /* Zeroed, aligned to size; NULL: none. */
    void (*table_free)(struct pt *pt, void *table, size_t size);
    /*
     * A valid translation of [addr, addr + size) was removed or changed: nobody may use it after
     * the return.
     */
    void (*flush)(struct pt *pt, uint64_t addr, uint64_t size);
    /* A page may be written now. Who does not know yet faults, and asks again. */
    void (*refresh)(struct pt *pt, uint64_t addr);
    /*
     * A new table, or entries side by side, must be visible to the hardware walker (cache cleaning,
     * barrier). May be NULL.
     */
    void (*publish)(struct pt *pt, const void *start, size_t size);
};

struct pt {
    const struct pt_format *format;
    const struct pt_ops *ops;
    uint64_t *root;
    uint64_t table_count; /* Tables below the root. */
};

enum err pt_init(struct pt *pt, const struct pt_format *format, const struct pt_ops *ops);
void pt_destroy(struct pt *pt); /* Frees all tables; the memory mapped is not touched. */
hpa_t pt_root(const struct pt *pt);
uint64_t pt_size(const struct pt_format *format); /* Of the address space, in bytes. */

/*
 * Map [va, va + size) to pa with the largest leaves that alignment allows. All page aligned.
 * E_EXISTS when something is mapped there (nothing is changed then), E_NOMEM (what was mapped is
 * unmapped again), E_RANGE.
 */
enum err pt_map(struct pt *pt, uint64_t va, hpa_t pa, uint64_t size, struct pt_attr attr);
/*
 * Holes inside the range are allowed. E_NOMEM: a large leaf had to be split. Empty tables are
 * freed.
 */
enum err pt_unmap(struct pt *pt, uint64_t va, uint64_t size);
/* Change the attributes of what is mapped; holes are skipped. */
enum err pt_protect(struct pt *pt, uint64_t va, uint64_t size, struct pt_attr attr);

struct pt_leaf {
    uint64_t va;   /* Of the leaf's first byte. */
    hpa_t pa;      /* What va maps to. */
    uint64_t size; /* Of the leaf. */
    unsigned level;
    struct pt_attr attr;
    uint64_t entry; /* Raw. */
};

/*
 * The leaf that translates va. E_ABSENT when there is none; then leaf->level says where the walk
 * ended.
 */
enum err pt_lookup(const struct pt *pt, uint64_t va, struct pt_leaf *leaf);
/*
 * Visit all leaves in [va, va + size) in order; the visitor may map what lies before the leaf, and
 * change nothing else. Stops on an error, which it returns.
 */
enum err pt_visit(const struct pt *pt, uint64_t va, uint64_t size,
                  enum err (*visit)(const struct pt_leaf *leaf, void *arg), void *arg);

/*
 * Dirty tracking (pt_dirty.c), of a range without holes: first pt_shatter(), then pt_harvest() as
 * often as wanted, at last pt_merge(). What may not be written stays so. Hardware may walk the
 * tables, and set dirty bits in them, all the while.
 */
/* Leaves are all of level 0 after it. E_NOMEM: some may be. Changes no translation. */
enum err pt_shatter(struct pt *pt, uint64_t va, uint64_t size);
/*
 * Clears the dirty bits of a shattered range, and calls visit (unless NULL) for each page that had
 * them. Flushes before it returns: whatever was written by then through what a TLB had kept is told
 * by this visit.
 */
void pt_harvest(struct pt *pt, uint64_t va, uint64_t size, void (*visit)(uint64_t va, void *arg),
                void *arg);
/* The same of some of 64 pages, a bit for each: which of them had theirs. The caller flushes. */
uint64_t pt_harvest_pages(struct pt *pt, uint64_t va, uint64_t pages);
/* A page's leaf counts as written; refreshes it. False: it may not be written. */
bool pt_wrote(struct pt *pt, uint64_t va);
/* Counts as written, by the largest leaves that fit and lie in the range. */
void pt_merge(struct pt *pt, uint64_t va, uint64_t size);
