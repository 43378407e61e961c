/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page tables for the time between the first instruction and hostmap_init(): RAM one to one in 1
 * GiB blocks, from static memory, built with the MMU off. Coarse: a block may also cover devices
 * that share the GiB with RAM; the real tables replace them before any driver runs.
 */
#include "arch/aarch64/boot.h"
#include "kernel/bits.h"
#include "mm/memmap.h"

#define ENTRIES      512u
#define TABLES_L1    4u /* Each maps 512 GiB that hold RAM. */

#define BLOCK_NORMAL (BIT(10) | BITS(9, 8) | BIT(0)) /* AF, inner shareable, AttrIndx 0, block. */
#define TABLE_ENTRY  BITS(1, 0)

static alignas(4096) uint64_t root[ENTRIES];
static alignas(4096) uint64_t tables[TABLES_L1][ENTRIES];

static uint64_t *early_table(uint64_t gib)
{
    static unsigned used;
    uint64_t *entry = &root[gib / ENTRIES % ENTRIES];

    if (*entry == 0) {
        if (used == TABLES_L1)
            return NULL; /* RAM that far up is not needed this early. */
        *entry = (uint64_t)(uintptr_t)tables[used++] | TABLE_ENTRY;
    }
    return (uint64_t *)(uintptr_t)(*entry & ~TABLE_ENTRY);
}

hpa_t early_map(const struct memmap *map)
{
    for (unsigned i = 0; i < map->count; i++) {
        const struct mem_range *range = &map->ranges[i];

        if (range->kind == MEM_RESERVED || range->kind == MEM_DEVICE)
            continue;
        for (uint64_t gib = range->base / GIB; gib <= (range->base + range->size - 1) / GIB;
             gib++) {
            uint64_t *table = early_table(gib);

            if (table)
                table[gib % ENTRIES] = gib * GIB | BLOCK_NORMAL;
        }
    }
    return ptr_to_phys(root);
}
