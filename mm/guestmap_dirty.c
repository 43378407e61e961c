/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dirty tracking of guest memory; what it promises, says mm/guestmap.h.
 *
 * What vCPUs write is in the leaves of RAM (pt_dirty.c), which are small while it is on. What we
 * write is in `written`. A take puts both into `taken`. Where hardware keeps a log, that says which
 * leaves are to be looked at; what they say counts.
 *
 * Locking: the map's lock, but that bits of `written` are set without it too, by atomic operations.
 */
#include "mm/guestmap_dirty.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/string.h"
#include "mm/page.h"

#define WORD_PAGES DIRTY_LOG_WORD

static bool dirty_is_tracked(const struct guest_region *region)
{
    return region->kind == REGION_RAM || region->kind == REGION_ROM;
}

static uint64_t dirty_pages(const struct guest_region *region)
{
    return region->size / PAGE_SIZE;
}

static uint64_t dirty_words(const struct guest_region *region)
{
    return (dirty_pages(region) + WORD_PAGES - 1) / WORD_PAGES;
}

/* --- Bitmaps --- */

/* Of a bitmap for so many pages. */
static unsigned dirty_bits_order(uint64_t bits)
{
    uint64_t pages = (bits + 8 * PAGE_SIZE - 1) / (8 * PAGE_SIZE);

    return pages == 1 ? 0 : bit_highest(pages - 1) + 1;
}

static unsigned dirty_order(const struct guest_region *region)
{
    return dirty_bits_order(dirty_pages(region));
}

static enum err dirty_alloc(struct guest_region *region)
{
    unsigned order = dirty_order(region);
    _Atomic uint64_t *written;

    if (order > PAGE_ORDER_MAX)
        return E_NOMEM;
    written = page_alloc_zeroed(order);
    region->taken = page_alloc_zeroed(order);
    region->written = written;
    if (written && region->taken)
        return OK;
    guestmap_dirty_forget(region);
    return E_NOMEM;
}

void guestmap_dirty_forget(struct guest_region *region)
{
    if (region->written)
        page_free((void *)region->written, dirty_order(region));
    if (region->taken)
        page_free(region->taken, dirty_order(region));
    region->written = NULL;
    region->taken = NULL;
}

/* Bits of word `at` for pages [first, end). */
static uint64_t dirty_mask(uint64_t at, uint64_t first, uint64_t end)
{
    uint64_t low = MAX(first, at * WORD_PAGES) % WORD_PAGES;
    uint64_t high = MIN(end - 1, at * WORD_PAGES + WORD_PAGES - 1) % WORD_PAGES;

    return BITS(high, low);
}

static void dirty_mark_pages(struct guest_region *region, uint64_t first, uint64_t end)
{
    for (uint64_t at = first / WORD_PAGES; at * WORD_PAGES < end; at++)
        atomic_fetch_or_explicit(&region->written[at], dirty_mask(at, first, end),
                                 memory_order_relaxed);
}

void guestmap_dirty_mark(struct guestmap *map, gpa_t addr, uint64_t size)
{
    uint64_t end = addr.v + size;

    if (!atomic_load_explicit(&map->dirty_on, memory_order_relaxed))
        return;
    for (unsigned i = 0; i < map->region_count; i++) {
        struct guest_region *region = &map->regions[i];
        uint64_t base = region->base.v, first = MAX(addr.v, base);
        uint64_t last = MIN(end, base + region->size);

        if (region->written && first < last)
            dirty_mark_pages(region, (first - base) / PAGE_SIZE,
                             (last - base + PAGE_SIZE - 1) / PAGE_SIZE);
    }
}

void guest_wrote(struct guestmap *map, gpa_t addr, size_t size)
{
    if (!atomic_load_explicit(&map->dirty_on, memory_order_relaxed))
        return;
    lock_take(&map->lock);
    guestmap_dirty_mark(map, addr, size);
    lock_drop(&map->lock);
}

/* --- What hardware logs --- */

static enum err dirty_log(struct guestmap *map)
{
    uint64_t pages = 0;
    unsigned order;

    for (unsigned i = 0; i < map->region_count; i++)
        if (map->regions[i].kind == REGION_RAM)
            pages = (map->regions[i].base.v + map->regions[i].size) / PAGE_SIZE;
    if (pages == 0 || !arch_stage2_log(map->vmid, NULL))
        return OK;
    order = dirty_bits_order(pages);
    map->log.bits = order > PAGE_ORDER_MAX ? NULL : page_alloc_zeroed(order);
    if (!map->log.bits)
        return E_NOMEM;
    map->log.pages = pages;
    atomic_store(&map->log.lost, false);
    arch_stage2_log(map->vmid, &map->log);
    return OK;
}

void guestmap_dirty_unlog(struct guestmap *map)
{
    if (!map->log.bits)
        return;
    arch_stage2_log(map->vmid, NULL);
    page_free((void *)map->log.bits, dirty_bits_order(map->log.pages));
    map->log.bits = NULL;
}

static void dirty_flush(struct guestmap *map)
{
    arch_stage2_flush(map->vmid, pt_root(&map->pt), gpa(0), pt_size(map->pt.format));
}

/* Whether all pages that vCPUs have written by now are in the log. */
static bool dirty_gather(struct guestmap *map)
{
    if (!map->log.bits)
        return false;
    dirty_flush(map);
    return !atomic_exchange(&map->log.lost, false);
}

/* --- Start and stop --- */

/* Makes what vCPUs write known from now on: no leaf has its bits. */
static enum err dirty_watch(struct guestmap *map, const struct guest_region *region)
{
    if (region->kind != REGION_RAM)
        return OK;
    TRY(pt_shatter(&map->pt, region->base.v, region->size));
    pt_harvest(&map->pt, region->base.v, region->size, NULL, NULL);
    return OK;
}

static void dirty_unwatch(struct guestmap *map, const struct guest_region *region)
{
    if (region->kind == REGION_RAM)
        pt_merge(&map->pt, region->base.v, region->size);
}

enum err guestmap_dirty_add(struct guestmap *map, struct guest_region *region)
{
    if (!map->dirty_on || !dirty_is_tracked(region))
        return OK;
    TRY(dirty_alloc(region));
    if (dirty_watch(map, region) != OK) {
        guestmap_dirty_forget(region);
        return E_NOMEM;
    }
    dirty_mark_pages(region, 0, dirty_pages(region));
    return OK;
}

static void dirty_end(struct guestmap *map)
{
    atomic_store(&map->dirty_on, false);
    guestmap_dirty_unlog(map);
    for (unsigned i = 0; i < map->region_count; i++) {
        dirty_unwatch(map, &map->regions[i]);
        guestmap_dirty_forget(&map->regions[i]);
    }
}

/* All that may fail; what was done by then is undone by dirty_end(). */
static enum err dirty_prepare(struct guestmap *map)
{
    TRY(dirty_log(map)); /* Before bits are clear: one that is set is logged. */
    for (unsigned i = 0; i < map->region_count; i++) {
        struct guest_region *region = &map->regions[i];

        if (!dirty_is_tracked(region))
            continue;
        TRY(dirty_alloc(region));
        TRY(dirty_watch(map, region));
    }
    return OK;
}

enum err guestmap_dirty_start(struct guestmap *map)
{
    enum err err = OK;

    lock_take(&map->lock);
    if (!map->dirty_on) {
        err = dirty_prepare(map);
        if (err == OK)
            atomic_store(&map->dirty_on, true);
        else
            dirty_end(map);
    }
    lock_drop(&map->lock);
    return err;
}

void guestmap_dirty_stop(struct guestmap *map)
{
    lock_take(&map->lock);
    if (map->dirty_on)
        dirty_end(map);
    lock_drop(&map->lock);
}

/* --- Get and clear --- */

static void dirty_take_page(uint64_t addr, void *arg)
{
    const struct guest_region *region = arg;
    uint64_t page = (addr - region->base.v) / PAGE_SIZE;

    region->taken[page / WORD_PAGES] |= BIT(page % WORD_PAGES);
}

/* Of the pages in the log. False: none of them had its bits. */
static bool dirty_take_logged(struct guestmap *map, struct guest_region *region)
{
    uint64_t first = region->base.v / PAGE_SIZE, end = first + dirty_pages(region);
    bool some = false;

    end = MIN(end, map->log.pages);
    for (uint64_t at = first / WORD_PAGES; first < end && at * WORD_PAGES < end; at++) {
        uint64_t bits = dirty_log_take(&map->log, at, dirty_mask(at, first, end));

        if (bits != 0)
            bits = pt_harvest_pages(&map->pt, at * WORD_PAGES * PAGE_SIZE, bits);
        some |= bits != 0;
        for (; bits != 0; bits &= bits - 1)
            dirty_take_page((at * WORD_PAGES + bit_lowest(bits)) * PAGE_SIZE, region);
    }
    return some;
}

/* True: the caller has to flush. */
static bool dirty_take_region(struct guestmap *map, struct guest_region *region, bool logged)
{
    for (uint64_t i = 0; i < dirty_words(region); i++)
        region->taken[i] = atomic_exchange_explicit(&region->written[i], 0, memory_order_relaxed);
    if (region->kind != REGION_RAM)
        return false;
    if (logged)
        return dirty_take_logged(map, region);
    pt_harvest(&map->pt, region->base.v, region->size, dirty_take_page, region);
    return false;
}

static void dirty_take_all(struct guestmap *map)
{
    bool logged = dirty_gather(map), some = false;

    for (unsigned i = 0; i < map->region_count; i++)
        if (dirty_is_tracked(&map->regions[i]))
            some |= dirty_take_region(map, &map->regions[i], logged);
    if (some)
        dirty_flush(map);
}

enum err guestmap_dirty_take(struct guestmap *map)
{
    enum err err = E_STATE;

    lock_take(&map->lock);
    if (map->dirty_on) {
        err = OK;
        dirty_take_all(map);
    }
    lock_drop(&map->lock);
    return err;
}

void guestmap_dirty_put_back(struct guestmap *map)
{
    lock_take(&map->lock);
    for (unsigned i = 0; map->dirty_on && i < map->region_count; i++) {
        struct guest_region *region = &map->regions[i];

        for (uint64_t at = 0; region->taken && at < dirty_words(region); at++) {
            atomic_fetch_or_explicit(&region->written[at], region->taken[at], memory_order_relaxed);
            region->taken[at] = 0;
        }
    }
    lock_drop(&map->lock);
}

/* The first page at or above `page` whose bit is `set`; the count of pages when there is none. */
static uint64_t dirty_find(const struct guest_region *region, uint64_t page, bool set)
{
    uint64_t count = dirty_pages(region);

    while (page < count) {
        uint64_t word = region->taken[page / WORD_PAGES];
        uint64_t bits = (set ? word : ~word) & ~(uint64_t)0 << page % WORD_PAGES;

        page = ALIGN_DOWN(page, WORD_PAGES);
        if (bits != 0)
            return MIN(page + bit_lowest(bits), count);
        page += WORD_PAGES;
    }
    return count;
}

bool guestmap_dirty_next(const struct guestmap *map, gpa_t from, gpa_t *start, uint64_t *size)
{
    for (unsigned i = 0; map->dirty_on && i < map->region_count; i++) {
        const struct guest_region *region = &map->regions[i];
        uint64_t base = region->base.v, first;

        if (!region->taken || base + region->size <= from.v)
            continue;
        first = from.v <= base ? 0 : (from.v - base + PAGE_SIZE - 1) / PAGE_SIZE;
        first = dirty_find(region, first, true);
        if (first == dirty_pages(region))
            continue;
        *start = gpa(base + first * PAGE_SIZE);
        *size = (dirty_find(region, first, false) - first) * PAGE_SIZE;
        return true;
    }
    return false;
}

/* --- vCPUs that were stopped --- */

bool guestmap_retry(struct guestmap *map, gpa_t addr, bool write)
{
    const struct guest_region *region;
    bool ram;

    lock_take(&map->lock);
    region = guestmap_find(map, addr);
    ram = region && region->kind == REGION_RAM;
    if (ram && write)
        ram = pt_wrote(&map->pt, addr.v);
    lock_drop(&map->lock);
    return ram;
}
