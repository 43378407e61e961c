/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM's physical address space. Which host memory a RAM region consists of is written down in one
 * place only, the stage-2 tables: a region's blocks are found by looking its addresses up.
 *
 * Invariants: regions are sorted and do not overlap; every page of a RAM or ROM region is mapped;
 * no page that a guest has had goes back to the allocator before it is zeroed and the TLBs have
 * forgotten it.
 *
 * Locking: map->lock guards regions and tables, and is held in the accessors while they copy, so
 * that memory cannot go away under them. Pointers from guest_ptr() are good for as long as their
 * region.
 */
#include "mm/guestmap.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/string.h"
#include "mm/guestmap_dirty.h"
#include "mm/page.h"

static const struct pt_attr guest_attrs[] = {
    [REGION_RAM] = {.read = true, .write = true, .execute = true},
    [REGION_ROM] = {.read = true, .execute = true},
    [REGION_DEVICE] = {.read = true, .write = true, .memory = PT_DEVICE},
    [REGION_SHARED] = {.read = true, .write = true},
};

static bool guest_is_ours(enum guest_region_kind kind)
{
    return kind == REGION_RAM || kind == REGION_ROM;
}

/* --- The tables --- */

static unsigned guestmap_order(size_t size)
{
    return bit_highest(size) - PAGE_SHIFT;
}

static void *guestmap_table_alloc(struct pt *, size_t size)
{
    return page_alloc_zeroed(guestmap_order(size));
}

static void guestmap_table_free(struct pt *, void *table, size_t size)
{
    page_free(table, guestmap_order(size));
}

static void guestmap_flush(struct pt *pt, uint64_t addr, uint64_t size)
{
    struct guestmap *map = container_of(pt, struct guestmap, pt);

    arch_stage2_flush(map->vmid, pt_root(pt), gpa(addr), size);
}

static void guestmap_refresh(struct pt *pt, uint64_t addr)
{
    struct guestmap *map = container_of(pt, struct guestmap, pt);

    arch_stage2_refresh(map->vmid, pt_root(pt), gpa(addr));
}

static void guestmap_publish(struct pt *, const void *, size_t)
{
    arch_wmb();
}

static const struct pt_ops guestmap_ops = {
    .table_alloc = guestmap_table_alloc,
    .table_free = guestmap_table_free,
    .flush = guestmap_flush,
    .refresh = guestmap_refresh,
    .publish = guestmap_publish,
};

enum err guestmap_init(struct guestmap *map, const struct pt_format *format, uint16_t vmid)
{
    memset(map, 0, sizeof(*map));
    lock_init(&map->lock, RANK_GUESTMAP, "guestmap");
    map->vmid = vmid;
    return pt_init(&map->pt, format, &guestmap_ops);
}

/* --- Host memory --- */

/* Also for a guest that reads it with caches off, and would see what was in RAM before. */
static void guestmap_zero(hpa_t host, uint64_t size)
{
    void *start = phys_to_ptr(host);

    arch_zero_pages(start, size);
    arch_cache_clean(start, size);
}

/*
 * Backs a part of RAM or ROM, as large as a block can be had for, at addr. *size: what remains;
 * out: what was done.
 */
static enum err guestmap_back_block(struct guestmap *map, uint64_t addr, uint64_t *size,
                                    enum guest_region_kind kind, hpa_t *host)
{
    unsigned order = MIN(bit_highest(*size) - PAGE_SHIFT, PAGE_ORDER_MAX);
    void *block = NULL;
    enum err err;

    if (addr != 0)
        order = MIN(order, bit_lowest(addr) - PAGE_SHIFT);
    for (;; order--) {
        block = page_alloc(order);
        if (block || order == 0)
            break;
    }
    if (!block)
        return E_NOMEM;
    *host = ptr_to_phys(block);
    *size = PAGE_SIZE << order;
    if (kind == REGION_ROM)
        guestmap_zero(*host, *size);
    err = pt_map(&map->pt, addr, *host, *size, guest_attrs[kind]);
    if (err != OK)
        page_free(block, order);
    return err;
}

/* Unmaps, zeroes and frees what backs [start, end), all of whose pages are mapped. */
static void guestmap_unback(struct guestmap *map, uint64_t start, uint64_t end)
{
    struct pt_leaf leaf;
    enum err err;

    for (; start < end; start += leaf.size) {
        err = pt_lookup(&map->pt, start, &leaf);
        assert(err == OK && leaf.va == start && leaf.size <= end - start);
        err = pt_unmap(&map->pt, start, leaf.size);
        assert(err == OK); /* Whole leaves are not split. */
        arch_zero_pages(phys_to_ptr(leaf.pa), leaf.size);
        page_release(leaf.pa, leaf.size);
    }
}

static enum err guestmap_back(struct guestmap *map, struct guest_region *region)
{
    uint64_t start = region->base.v, end = start + region->size, size;

    for (uint64_t at = start; at < end; at += size) {
        hpa_t host;
        enum err err;

        size = end - at;
        err = guestmap_back_block(map, at, &size, region->kind, &host);
        if (err != OK) {
            guestmap_unback(map, start, at);
            return err;
        }
        if (at == start)
            region->host = host;
    }
    return OK;
}

static enum err guestmap_back_pinned(struct guestmap *map, const struct guest_region *region)
{
    bool ours = guest_is_ours(region->kind);
    enum err err;

    if (ours)
        TRY(page_claim(region->host, region->size));
    if (region->kind == REGION_ROM)
        guestmap_zero(region->host, region->size);
    err = pt_map(&map->pt, region->base.v, region->host, region->size, guest_attrs[region->kind]);
    if (err != OK && ours)
        page_release(region->host, region->size);
    return err;
}

/* --- Regions --- */

/* Index of the first region that ends above addr. */
static unsigned guestmap_index(const struct guestmap *map, uint64_t addr)
{
    unsigned i = 0;

    while (i < map->region_count && map->regions[i].base.v + map->regions[i].size <= addr)
        i++;
    return i;
}

static enum err guestmap_check(const struct guestmap *map, const struct guest_region *region)
{
    uint64_t space = pt_size(map->pt.format), base = region->base.v, size = region->size;
    unsigned at;

    if (!IS_ALIGNED(base | size | region->host.v, PAGE_SIZE) || size == 0 || size > space ||
        base > space - size || region->host.v + size < size)
        return E_RANGE;
    if (!region->pinned && !guest_is_ours(region->kind))
        return E_RANGE;
    at = guestmap_index(map, base);
    if (at < map->region_count && map->regions[at].base.v < base + size)
        return E_EXISTS;
    return map->region_count == GUEST_REGIONS_MAX ? E_NOMEM : OK;
}

/* From the guest. */
static void guestmap_take_away(struct guestmap *map, const struct guest_region *region)
{
    uint64_t base = region->base.v;
    enum err err = OK;

    if (guest_is_ours(region->kind))
        guestmap_unback(map, base, base + region->size);
    else
        err = pt_unmap(&map->pt, base, region->size);
    assert(err == OK); /* Regions begin and end with leaves. */
}

enum err guestmap_add(struct guestmap *map, gpa_t base, uint64_t size, enum guest_region_kind kind,
                      hpa_t host)
{
    struct guest_region region = {
        .base = base, .size = size, .kind = kind, .host = host, .pinned = host.v != 0};
    enum err err;
    unsigned at;

    lock_take(&map->lock);
    err = guestmap_check(map, &region);
    if (err == OK)
        err = region.pinned ? guestmap_back_pinned(map, &region) : guestmap_back(map, &region);
    if (err == OK) {
        err = guestmap_dirty_add(map, &region);
        if (err != OK)
            guestmap_take_away(map, &region);
    }
    if (err == OK) {
        at = guestmap_index(map, base.v);
        memmove(&map->regions[at + 1], &map->regions[at],
                (map->region_count - at) * sizeof(region));
        map->regions[at] = region;
        map->region_count++;
        if (kind == REGION_RAM && map->ram == GUESTMAP_ZERO)
            map->ram = GUESTMAP_FRESH;
    }
    lock_drop(&map->lock);
    return err;
}

enum err guestmap_remove(struct guestmap *map, gpa_t base)
{
    enum err err = E_ABSENT;
    unsigned at;

    lock_take(&map->lock);
    at = guestmap_index(map, base.v);
    if (at < map->region_count && map->regions[at].base.v == base.v) {
        struct guest_region *region = &map->regions[at];

        err = OK;
        guestmap_take_away(map, region);
        guestmap_dirty_forget(region);
        map->region_count--;
        memmove(region, region + 1, (map->region_count - at) * sizeof(*region));
    }
    lock_drop(&map->lock);
    return err;
}

enum err guestmap_set_page(struct guestmap *map, gpa_t base, hpa_t host)
{
    enum err err;

    lock_take(&map->lock);
    err = pt_map(&map->pt, base.v, host, PAGE_SIZE, guest_attrs[REGION_SHARED]);
    lock_drop(&map->lock);
    return err;
}

void guestmap_forget_page(struct guestmap *map, gpa_t base)
{
    enum err err;

    lock_take(&map->lock);
    err = pt_unmap(&map->pt, base.v, PAGE_SIZE);
    lock_drop(&map->lock);
    assert(err == OK); /* It was a leaf. */
}

const struct guest_region *guestmap_find(const struct guestmap *map, gpa_t addr)
{
    unsigned at = guestmap_index(map, addr.v);

    return at < map->region_count && map->regions[at].base.v <= addr.v ? &map->regions[at] : NULL;
}

const struct guest_region *guestmap_nearest(const struct guestmap *map, gpa_t addr)
{
    unsigned at = guestmap_index(map, addr.v);
    const struct guest_region *below = at > 0 ? &map->regions[at - 1] : NULL;
    const struct guest_region *above = at < map->region_count ? &map->regions[at] : NULL;

    if (!below || !above || above->base.v <= addr.v)
        return above ? above : below;
    return above->base.v - addr.v < addr.v - (below->base.v + below->size - 1) ? above : below;
}

static enum err guestmap_free_leaf(const struct pt_leaf *leaf, void *used)
{
    if (used)
        arch_zero_pages(phys_to_ptr(leaf->pa), leaf->size);
    page_release(leaf->pa, leaf->size);
    return OK;
}

void guestmap_destroy(struct guestmap *map)
{
    lock_take(&map->lock);
    arch_stage2_flush(map->vmid, pt_root(&map->pt), gpa(0), pt_size(map->pt.format));
    for (unsigned i = 0; i < map->region_count; i++) {
        struct guest_region *region = &map->regions[i];
        bool used = region->kind == REGION_ROM || map->ram == GUESTMAP_USED;
        enum err err = OK;

        if (guest_is_ours(region->kind))
            err = pt_visit(&map->pt, region->base.v, region->size, guestmap_free_leaf,
                           used ? map : NULL);
        assert(err == OK);
        guestmap_dirty_forget(region);
    }
    map->region_count = 0;
    atomic_store(&map->dirty_on, false);
    guestmap_dirty_unlog(map);
    pt_destroy(&map->pt);
    lock_drop(&map->lock);
}

/* Moves *addr up to where RAM is; false: there is none from there on. */
static bool guestmap_ram_from(const struct guestmap *map, uint64_t *addr)
{
    for (unsigned i = guestmap_index(map, *addr); i < map->region_count; i++) {
        if (map->regions[i].kind != REGION_RAM)
            continue;
        *addr = MAX(*addr, map->regions[i].base.v);
        return true;
    }
    return false;
}

bool guestmap_clear(struct guestmap *map, gpa_t *at, uint64_t size)
{
    uint64_t piece;
    bool more;

    assert(IS_ALIGNED(at->v | size, PAGE_SIZE));
    lock_take(&map->lock);
    while ((more = guestmap_ram_from(map, &at->v)) && size > 0) {
        struct pt_leaf leaf;
        enum err err = pt_lookup(&map->pt, at->v, &leaf);

        assert(err == OK);
        piece = MIN(size, leaf.va + leaf.size - at->v);
        guestmap_zero(hpa(leaf.pa.v + (at->v - leaf.va)), piece);
        guestmap_dirty_mark(map, *at, piece);
        at->v += piece;
        size -= piece;
    }
    if (!more)
        map->ram = GUESTMAP_ZERO;
    lock_drop(&map->lock);
    return more;
}

uint64_t guestmap_ram_size(const struct guestmap *map)
{
    uint64_t size = 0;

    for (unsigned i = 0; i < map->region_count; i++)
        if (map->regions[i].kind == REGION_RAM)
            size += map->regions[i].size;
    return size;
}

/* --- Guest memory. The lock is held in all of these but the public ones. --- */

static void *guest_find(const struct guestmap *map, gpa_t addr, uint64_t *contiguous)
{
    const struct guest_region *region = guestmap_find(map, addr);
    struct pt_leaf leaf;
    enum err err;

    if (!region || !guest_is_ours(region->kind))
        return NULL;
    err = pt_lookup(&map->pt, addr.v, &leaf);
    assert(err == OK);
    *contiguous = leaf.va + leaf.size - addr.v;
    return phys_to_ptr(hpa(leaf.pa.v + (addr.v - leaf.va)));
}

static bool guest_is_memory(const struct guestmap *map, gpa_t addr, uint64_t size)
{
    if (addr.v + size < addr.v)
        return false;
    for (uint64_t at = addr.v; at < addr.v + size;) {
        const struct guest_region *region = guestmap_find(map, gpa(at));

        if (!region || !guest_is_ours(region->kind))
            return false;
        at = region->base.v + region->size;
    }
    return true;
}

enum guest_action { GUEST_READ, GUEST_WRITE, GUEST_FILL, GUEST_SYNC };

/* One contiguous piece; ours: our side of a copy. */
static void guest_do(enum guest_action action, void *guest, void *ours, int byte, size_t size)
{
    switch (action) {
    case GUEST_READ:
        memcpy(ours, guest, size);
        break;
    case GUEST_WRITE:
        memcpy(guest, ours, size);
        break;
    case GUEST_FILL:
        memset(guest, byte, size);
        break;
    case GUEST_SYNC:
        arch_cache_clean(guest, size);
        break;
    }
}

static enum err guest_access(struct guestmap *map, gpa_t addr, enum guest_action action, void *ours,
                             int byte, size_t size)
{
    enum err err = E_RANGE;

    lock_take(&map->lock);
    if (guest_is_memory(map, addr, size)) {
        char *at = ours;

        if (action == GUEST_WRITE || action == GUEST_FILL) {
            guestmap_dirty_mark(map, addr, size);
            map->ram = GUESTMAP_USED;
        }
        while (size > 0) {
            uint64_t contiguous = 0;
            void *guest = guest_find(map, addr, &contiguous);
            size_t piece = MIN((uint64_t)size, contiguous);

            guest_do(action, guest, at, byte, piece);
            addr.v += piece;
            size -= piece;
            if (at)
                at += piece;
        }
        err = OK;
    }
    lock_drop(&map->lock);
    return err;
}

enum err guest_read(struct guestmap *map, gpa_t addr, void *to, size_t size)
{
    return guest_access(map, addr, GUEST_READ, to, 0, size);
}

enum err guest_write(struct guestmap *map, gpa_t addr, const void *from, size_t size)
{
    return guest_access(map, addr, GUEST_WRITE, (void *)(uintptr_t)from, 0, size);
}

enum err guest_fill(struct guestmap *map, gpa_t addr, int byte, size_t size)
{
    return guest_access(map, addr, GUEST_FILL, NULL, byte, size);
}

bool guest_has(struct guestmap *map, gpa_t addr, uint64_t size)
{
    bool has;

    lock_take(&map->lock);
    has = guest_is_memory(map, addr, size);
    lock_drop(&map->lock);
    return has;
}

void *guest_ptr(struct guestmap *map, gpa_t addr, uint64_t *contiguous)
{
    uint64_t size = 0;
    void *guest;

    lock_take(&map->lock);
    guest = guest_find(map, addr, &size);
    lock_drop(&map->lock);
    if (contiguous)
        *contiguous = size;
    return guest;
}

void guest_sync(struct guestmap *map, gpa_t addr, size_t size)
{
    enum err err = guest_access(map, addr, GUEST_SYNC, NULL, 0, size);

    assert(err == OK); /* The caller has written there. */
}

/* --- All of it --- */

/* Where the region's memory begins in a dump; with index region_count: how much there is in all. */
static uint64_t dump_start(const struct guestmap *map, unsigned index)
{
    uint64_t size = 0;

    for (unsigned i = 0; i < index; i++)
        if (guest_is_ours(map->regions[i].kind))
            size += map->regions[i].size;
    return size;
}

uint64_t guestmap_memory_size(struct guestmap *map)
{
    uint64_t size;

    lock_take(&map->lock);
    size = dump_start(map, map->region_count);
    lock_drop(&map->lock);
    return size;
}

uint64_t guestmap_dump_offset(struct guestmap *map, gpa_t addr)
{
    uint64_t offset = UINT64_MAX;
    unsigned at;

    lock_take(&map->lock);
    if (guest_is_memory(map, addr, 1)) {
        at = guestmap_index(map, addr.v);
        offset = dump_start(map, at) + (addr.v - map->regions[at].base.v);
    }
    lock_drop(&map->lock);
    return offset;
}

/* The first piece of memory at or above *addr, not larger than DUMP_PIECE. False: there is none. */
#define DUMP_PIECE MIB
static bool dump_next(struct guestmap *map, uint64_t *addr, uint64_t *size)
{
    bool found = false;

    lock_take(&map->lock);
    for (unsigned i = guestmap_index(map, *addr); i < map->region_count && !found; i++) {
        const struct guest_region *region = &map->regions[i];

        if (!guest_is_ours(region->kind))
            continue;
        found = true;
        *addr = MAX(*addr, region->base.v);
        *size = MIN(region->base.v + region->size - *addr, DUMP_PIECE);
    }
    lock_drop(&map->lock);
    return found;
}

/* The lock is let go between pieces: others' accesses, and vCPUs that wait for it, go on. */
enum err guestmap_dump(struct guestmap *map, void *to, uint64_t size)
{
    uint64_t left = guestmap_memory_size(map), addr = 0, piece;
    char *at = to;

    if (left > size)
        return E_RANGE;
    for (; left > 0; left -= piece, at += piece, addr += piece)
        if (!dump_next(map, &addr, &piece) || piece > left ||
            guest_read(map, gpa(addr), at, piece) != OK)
            return E_ABSENT;
    return OK;
}
