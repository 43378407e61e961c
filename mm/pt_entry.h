/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the walker (pt.c, pt_dirty.c) know of tables and entries; theirs only. */
#pragma once

#include "kernel/bits.h"
#include "mm/pt.h"

#define TABLE_BITS 9u
#define TABLE_SIZE PAGE_SIZE

static inline unsigned pt_shift(unsigned level)
{
    return PAGE_SHIFT + TABLE_BITS * level;
}

static inline uint64_t pt_leaf_size(unsigned level)
{
    return (uint64_t)1 << pt_shift(level);
}

static inline unsigned pt_root_level(const struct pt_format *format)
{
    return format->levels - 1u;
}

/* Entries in a table of this level. */
static inline unsigned pt_entries(const struct pt_format *format, unsigned level)
{
    return 1u << (level == pt_root_level(format) ? format->root_bits : TABLE_BITS);
}

static inline unsigned pt_index(const struct pt_format *format, unsigned level, uint64_t va)
{
    return (unsigned)(va >> pt_shift(level)) & (pt_entries(format, level) - 1);
}

/* --- Entries --- */

static inline uint64_t pt_get(const uint64_t *slot)
{
    return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

/* What has never been written is a hole in all formats; most entries are that. */
static inline enum pte_kind pt_kind(const struct pt_format *format, uint64_t entry, unsigned level)
{
    return entry == 0 ? PTE_HOLE : format->kind(entry, level);
}

static inline void pt_publish(struct pt *pt, const void *start, size_t size)
{
    if (pt->ops->publish)
        pt->ops->publish(pt, start, size);
}

static inline void pt_set(struct pt *pt, uint64_t *slot, uint64_t entry)
{
    __atomic_store_n(slot, entry, __ATOMIC_RELEASE);
    pt_publish(pt, slot, sizeof(*slot));
}

static inline uint64_t pt_address(const struct pt_format *format, uint64_t entry)
{
    return (entry & format->addr_mask) << format->addr_shift;
}

/* Address bits of a leaf's entry below its size are attributes, where the format has any. */
static inline uint64_t pt_leaf_address(const struct pt_format *format, uint64_t entry,
                                       unsigned level)
{
    return ALIGN_DOWN(pt_address(format, entry), pt_leaf_size(level));
}

static inline uint64_t *pt_table(const struct pt_format *format, uint64_t entry)
{
    return phys_to_ptr(hpa(pt_address(format, entry)));
}

static inline uint64_t pt_address_bits(const struct pt_format *format, uint64_t pa)
{
    return (pa >> format->addr_shift) & format->addr_mask;
}

static inline uint64_t pt_leaf_entry(const struct pt_format *format, uint64_t pa, unsigned level,
                                     struct pt_attr attr)
{
    return pt_address_bits(format, pa) | format->leaf_bits(level, attr);
}

static inline struct pt_leaf pt_leaf_at(const struct pt_format *format, uint64_t va, unsigned level,
                                        uint64_t entry)
{
    return (struct pt_leaf){
        .va = ALIGN_DOWN(va, pt_leaf_size(level)),
        .pa = hpa(pt_leaf_address(format, entry, level)),
        .size = pt_leaf_size(level),
        .level = level,
        .attr = format->leaf_attr(level, entry),
        .entry = entry,
    };
}

/* --- Of pt.c --- */

/* Replaces the leaf for va by a table of leaves that translate the same. E_NOMEM. */
enum err pt_split(struct pt *pt, uint64_t *slot, unsigned level, uint64_t va);
void pt_table_free(struct pt *pt, uint64_t *table);
