/* SPDX-License-Identifier: Apache-2.0 */
/* Sorted, non-overlapping ranges of physical memory, and carving holes out of them. Pure. */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"

enum mem_kind { MEM_FREE, MEM_KEEP, MEM_FIRMWARE, MEM_RESERVED, MEM_DEVICE };

struct mem_range {
    uint64_t base, size;
    enum mem_kind kind;
};

#define MEM_RANGES_MAX 512u

struct memmap {
    unsigned count;
    struct mem_range ranges[MEM_RANGES_MAX];
};

/* Adds a range; where it overlaps others, the new kind wins (split, merge). E_NOMEM: table full. */
enum err memmap_set(struct memmap *map, uint64_t base, uint64_t size, enum mem_kind kind);
/* The range that holds addr, or NULL. */
const struct mem_range *memmap_find(const struct memmap *map, uint64_t addr);
const char *mem_kind_text(enum mem_kind kind);
