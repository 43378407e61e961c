/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RAM that a guest may only read for a while. Which pages those are, their leaves say alone: by
 * pt_format.writable, for a leaf that waits for its first write is not writable either.
 */
#include "kernel/bits.h"
#include "mm/guestmap_dirty.h"

/* All of the range; sizes that wrap are none of it. The lock is held in these. */
static bool protect_is_ram(const struct guestmap *map, uint64_t addr, uint64_t size)
{
    uint64_t end = addr + size;

    for (uint64_t at = addr; at < end;) {
        const struct guest_region *region = guestmap_find(map, gpa(at));

        if (!region || region->kind != REGION_RAM)
            return false;
        at = region->base.v + region->size;
    }
    return end > addr;
}

/* Large leaves again, where they fit. */
static void protect_merge(struct guestmap *map, uint64_t addr, uint64_t size)
{
    for (unsigned i = 0; i < map->region_count; i++) {
        const struct guest_region *region = &map->regions[i];

        if (region->base.v < addr + size && addr < region->base.v + region->size)
            pt_merge(&map->pt, region->base.v, region->size);
    }
}

enum err guestmap_protect(struct guestmap *map, gpa_t base, uint64_t size, bool writable)
{
    const struct pt_attr attr = {.read = true, .write = writable, .execute = true};
    enum err err = E_RANGE;

    lock_take(&map->lock);
    if (protect_is_ram(map, base.v, size))
        err = pt_protect(&map->pt, base.v, size, attr);
    if (err == OK && map->dirty_on) {
        /* What the leaves knew of it is lost; a bit that is set would not be logged. */
        pt_harvest(&map->pt, base.v, size, NULL, NULL);
        guestmap_dirty_mark(map, base, size);
    } else if (err == OK) {
        protect_merge(map, base.v, size);
    }
    lock_drop(&map->lock);
    return err;
}

bool guest_may_write(struct guestmap *map, gpa_t addr)
{
    const struct guest_region *region;
    struct pt_leaf leaf;
    bool may;

    lock_take(&map->lock);
    region = guestmap_find(map, addr);
    may = region && region->kind == REGION_RAM && pt_lookup(&map->pt, addr.v, &leaf) == OK &&
          leaf.entry & map->pt.format->writable;
    lock_drop(&map->lock);
    return may;
}
