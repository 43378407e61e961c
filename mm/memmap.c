/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorted, non-overlapping ranges of physical memory; neighbours of the same kind are one range. A
 * change is checked for room first, so that a failure leaves the map as it was. Pure; the owner
 * locks.
 */
#include "mm/memmap.h"

#include "kernel/assert.h"

/* Index of the first range that ends above addr; count when there is none. */
static unsigned memmap_index(const struct memmap *map, uint64_t addr)
{
    unsigned low = 0, high = map->count;

    while (low < high) {
        unsigned mid = (low + high) / 2;

        if (map->ranges[mid].base + map->ranges[mid].size > addr)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

/* Replaces `removed` ranges from index on by the `count` new ones. */
static void memmap_splice(struct memmap *map, unsigned index, unsigned removed,
                          const struct mem_range *new, unsigned count)
{
    unsigned tail = map->count - index - removed;
    struct mem_range *at = &map->ranges[index];

    assert(map->count - removed + count <= MEM_RANGES_MAX);
    if (count > removed)
        for (unsigned i = tail; i-- > 0;)
            at[count + i] = at[removed + i];
    else
        for (unsigned i = 0; i < tail; i++)
            at[count + i] = at[removed + i];
    for (unsigned i = 0; i < count; i++)
        at[i] = new[i];
    map->count = map->count - removed + count;
}

enum err memmap_set(struct memmap *map, uint64_t base, uint64_t size, enum mem_kind kind)
{
    struct mem_range new[3];
    uint64_t end = base + size;
    unsigned first, last, count = 0;

    if (size == 0 || end < base)
        return E_RANGE;
    /* Ranges that overlap or touch the new one are [first, last). */
    first = memmap_index(map, base == 0 ? 0 : base - 1);
    for (last = first; last < map->count && map->ranges[last].base <= end;)
        last++;
    if (first < last && map->ranges[first].base < base) {
        const struct mem_range *left = &map->ranges[first];

        if (left->kind == kind)
            base = left->base;
        else
            new[count++] = (struct mem_range){left->base, base - left->base, left->kind};
    }
    new[count++] = (struct mem_range){base, end - base, kind};
    if (first < last) {
        const struct mem_range *right = &map->ranges[last - 1];
        uint64_t right_end = right->base + right->size;

        if (right_end > end && right->kind == kind)
            new[count - 1].size = right_end - base;
        else if (right_end > end)
            new[count++] = (struct mem_range){end, right_end - end, right->kind};
    }
    if (map->count - (last - first) + count > MEM_RANGES_MAX)
        return E_NOMEM;
    memmap_splice(map, first, last - first, new, count);
    return OK;
}

const struct mem_range *memmap_find(const struct memmap *map, uint64_t addr)
{
    unsigned i = memmap_index(map, addr);

    return i < map->count && map->ranges[i].base <= addr ? &map->ranges[i] : NULL;
}

const char *mem_kind_text(enum mem_kind kind)
{
    static const char *const texts[] = {"free", "in use", "firmware", "reserved", "device"};

    return kind < ARRAY_SIZE(texts) ? texts[kind] : "unknown";
}
