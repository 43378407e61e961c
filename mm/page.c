/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buddy allocator of physical pages. A block of order k is 2^k pages, aligned to its size; its
 * buddy is the other half of the block one order up.
 *
 * For each page there is one byte, which says something for the first page of a block only: free or
 * used, and the block's order. All others hold garbage, for to clear them would cost time in
 * proportion to RAM, and are not read. The bytes of a range lie at one of its ends. Free blocks are
 * in a list for their order, whose nodes lie in the free memory itself.
 *
 * Invariants: blocks of a range do not overlap and cover it; two free buddies are always merged.
 * So where no larger block begins, each aligned place in the range is the first page of a block.
 * Locking: page_lock, inside of every function here that is in page.h.
 */
#include "mm/page.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/list.h"
#include "kernel/lock.h"

#define PAGE_RANGES_MAX 512u
#define CHUNK_PAGES     ((uint64_t)1 << PAGE_ORDER_MAX) /* A block of the highest order. */

#define PAGE_ORDER      0x1fu
#define PAGE_FREE       0x20u
#define PAGE_USED       0x40u

/* Page frame numbers: addresses divided by the page size. */
struct page_range {
    uint64_t first, end;
    uint8_t *bytes;
};

/* A free block's first bytes. */
struct page_block {
    struct list node;
};

static struct lock page_lock = LOCK_INIT(RANK_PAGES, "pages");
static struct page_range page_ranges[PAGE_RANGES_MAX]; /* Sorted. */
static unsigned page_range_count;
static struct list page_lists[PAGE_ORDER_MAX + 1];
static uint32_t page_orders; /* Bit k: there are free blocks of order k. */
static uint64_t page_free_pages, page_total_pages;

static uint64_t page_number(const void *block)
{
    return ptr_to_phys(block).v >> PAGE_SHIFT;
}

static struct page_block *page_block(uint64_t page)
{
    return phys_to_ptr(hpa(page << PAGE_SHIFT));
}

static struct page_range *page_range_find(uint64_t page)
{
    unsigned low = 0, high = page_range_count;

    while (low < high) {
        unsigned mid = (low + high) / 2;

        if (page_ranges[mid].end > page)
            high = mid;
        else
            low = mid + 1;
    }
    return low < page_range_count && page_ranges[low].first <= page ? &page_ranges[low] : NULL;
}

static uint8_t *page_byte(const struct page_range *range, uint64_t page)
{
    assert(page >= range->first && page < range->end);
    return &range->bytes[page - range->first];
}

/* The first page of the block, free or used, that holds the page, and the block's byte. */
static uint64_t page_find_block(const struct page_range *range, uint64_t page, uint8_t *state)
{
    for (unsigned order = PAGE_ORDER_MAX;; order--) {
        uint64_t first = ALIGN_DOWN(page, (uint64_t)1 << order);

        if (first < range->first)
            continue;
        *state = *page_byte(range, first);
        if ((*state & PAGE_ORDER) == order)
            return first;
        assert(order > 0);
    }
}

/* --- The lists --- */

static void page_list_add(const struct page_range *range, uint64_t page, unsigned order)
{
    struct page_block *block = page_block(page);

    *page_byte(range, page) = (uint8_t)(PAGE_FREE | order);
    list_push_front(&page_lists[order], &block->node);
    page_orders |= 1u << order;
    page_free_pages += (uint64_t)1 << order;
}

/* The block is in no list then; its byte is the caller's to write. */
static void page_list_remove(uint64_t page, unsigned order)
{
    list_remove(&page_block(page)->node);
    if (list_empty(&page_lists[order]))
        page_orders &= ~(1u << order);
    page_free_pages -= (uint64_t)1 << order;
}

/* Largest order of a block that begins at page and ends at or before end. */
static unsigned page_fitting_order(uint64_t page, uint64_t end)
{
    unsigned order = bit_highest(end - page);

    if (page != 0)
        order = MIN(order, bit_lowest(page));
    return MIN(order, PAGE_ORDER_MAX);
}

/* Makes free blocks of [page, end), none of which has a free buddy outside. */
static void page_list_add_all(const struct page_range *range, uint64_t page, uint64_t end)
{
    while (page < end) {
        unsigned order = page_fitting_order(page, end);

        page_list_add(range, page, order);
        page += (uint64_t)1 << order;
    }
}

/* --- Split and merge --- */

/* The block is in no list. Both halves have a byte afterwards: used, and the order. */
static void page_split(const struct page_range *range, uint64_t page, unsigned order)
{
    assert(order > 0);
    *page_byte(range, page) = (uint8_t)(PAGE_USED | (order - 1));
    *page_byte(range, page + ((uint64_t)1 << (order - 1))) = (uint8_t)(PAGE_USED | (order - 1));
}

static bool page_is_free(const struct page_range *range, uint64_t page, unsigned order)
{
    return page >= range->first && page < range->end &&
           *page_byte(range, page) == (PAGE_FREE | order);
}

/* Frees a block that is in no list, merging it upwards. */
static void page_put(const struct page_range *range, uint64_t page, unsigned order)
{
    uint64_t buddy;

    for (; order < PAGE_ORDER_MAX; order++) {
        buddy = page ^ (uint64_t)1 << order;
        if (!page_is_free(range, buddy, order))
            break;
        page_list_remove(buddy, order);
        page = MIN(page, buddy);
    }
    page_list_add(range, page, order);
}

/* Takes a block of exactly this order; NULL when there is none. */
static void *page_take(unsigned order)
{
    uint32_t orders = page_orders & ~((1u << order) - 1);
    struct page_range *range;
    unsigned have;
    uint64_t page;

    if (orders == 0)
        return NULL;
    have = bit_lowest(orders);
    page = page_number(list_first(&page_lists[have], struct page_block, node));
    range = page_range_find(page);
    assert(range && page_is_free(range, page, have));
    page_list_remove(page, have);
    for (; have > order; have--) {
        page_split(range, page, have);
        page_list_add(range, page + ((uint64_t)1 << (have - 1)), have - 1);
    }
    *page_byte(range, page) = (uint8_t)(PAGE_USED | order);
    return page_block(page);
}

/* --- Ranges --- */

/*
 * The bytes go where they break no chunk, if they can: to the end behind the last chunk, or the
 * beginning.
 */
static void page_range_place_bytes(struct page_range *range)
{
    uint64_t pages = ALIGN_UP(range->end - range->first, PAGE_SIZE) >> PAGE_SHIFT;
    uint64_t head = ALIGN_UP(range->first, CHUNK_PAGES) - range->first;
    uint64_t tail = range->end - ALIGN_DOWN(range->end, CHUNK_PAGES);

    if (tail < pages && head >= pages) {
        range->bytes = (uint8_t *)page_block(range->first);
        range->first += pages;
    } else {
        range->end -= pages;
        range->bytes = (uint8_t *)page_block(range->end);
    }
}

void page_add(hpa_t base, uint64_t size)
{
    struct page_range range = {.first = ALIGN_UP(base.v, PAGE_SIZE) >> PAGE_SHIFT,
                               .end = (base.v + size) >> PAGE_SHIFT};
    unsigned at;

    assert(base.v + size >= base.v);
    if (range.first == 0)
        range.first = 1;             /* NULL is no block. */
    if (range.end < range.first + 2) /* One for the bytes. */
        return;
    page_range_place_bytes(&range);
    lock_take(&page_lock);
    if (page_range_count == 0)
        for (unsigned i = 0; i <= PAGE_ORDER_MAX; i++)
            list_init(&page_lists[i]);
    assert(page_range_count < PAGE_RANGES_MAX);
    for (at = page_range_count; at > 0 && page_ranges[at - 1].first > range.first; at--)
        page_ranges[at] = page_ranges[at - 1];
    assert(at == 0 || page_ranges[at - 1].end <= range.first);
    assert(at == page_range_count || range.end <= page_ranges[at + 1].first);
    page_ranges[at] = range;
    page_range_count++;
    page_total_pages += range.end - range.first;
    page_list_add_all(&range, range.first, range.end);
    lock_drop(&page_lock);
}

void page_reset(void)
{
    lock_init(&page_lock, RANK_PAGES, "pages");
    page_range_count = 0;
    page_orders = 0;
    page_free_pages = page_total_pages = 0;
}

/* --- Blocks --- */

void *page_alloc(unsigned order)
{
    void *block;

    assert(order <= PAGE_ORDER_MAX);
    lock_take(&page_lock);
    block = page_take(order);
    lock_drop(&page_lock);
    return block;
}

void *page_alloc_zeroed(unsigned order)
{
    void *block = page_alloc(order);

    if (block)
        arch_zero_pages(block, PAGE_SIZE << order);
    return block;
}

void page_free(void *block, unsigned order)
{
    uint64_t page = page_number(block);
    struct page_range *range;
    uint8_t state;

    assert(order <= PAGE_ORDER_MAX);
    assert(IS_ALIGNED((uintptr_t)block, PAGE_SIZE << order));
    lock_take(&page_lock);
    range = page_range_find(page);
    assert(range);
    /* Neither free already, nor of another order, nor inside of a block. */
    assert(page_find_block(range, page, &state) == page && state == (PAGE_USED | order));
    page_put(range, page, order);
    lock_drop(&page_lock);
}

static bool page_all_free(const struct page_range *range, uint64_t page, uint64_t end)
{
    uint8_t state;

    while (page < end) {
        page = page_find_block(range, page, &state);
        if (!(state & PAGE_FREE))
            return false;
        page += (uint64_t)1 << (state & PAGE_ORDER);
    }
    return true;
}

/*
 * Splits blocks, free (and in no list) or used, until one begins at page and ends at or before end.
 */
static unsigned page_isolate(const struct page_range *range, uint64_t page, uint64_t end)
{
    uint8_t state;
    uint64_t first = page_find_block(range, page, &state);
    unsigned order = state & PAGE_ORDER;

    while (first != page || first + ((uint64_t)1 << order) > end) {
        page_split(range, first, order);
        order--;
        if (page >= first + ((uint64_t)1 << order))
            first += (uint64_t)1 << order;
    }
    return order;
}

/* Makes a used block, of any order, of the free block that holds the page. */
static void page_use_block(const struct page_range *range, uint64_t page)
{
    uint8_t state;
    uint64_t first = page_find_block(range, page, &state);

    page_list_remove(first, state & PAGE_ORDER);
    *page_byte(range, first) = (uint8_t)((state & PAGE_ORDER) | PAGE_USED);
}

/* Gives back the used pages [first, end), splitting the blocks that reach over the borders. */
static void page_put_all(const struct page_range *range, uint64_t first, uint64_t end)
{
    while (first < end) {
        unsigned order = page_isolate(range, first, end);

        page_put(range, first, order);
        first += (uint64_t)1 << order;
    }
}

enum err page_claim(hpa_t base, uint64_t size)
{
    uint64_t first = base.v >> PAGE_SHIFT, end = (base.v + size) >> PAGE_SHIFT;
    const struct page_range *range;
    enum err err = E_BUSY;

    assert(IS_ALIGNED(base.v | size, PAGE_SIZE) && size != 0);
    lock_take(&page_lock);
    range = page_range_find(first);
    if (range && end > first && end <= range->end && page_all_free(range, first, end)) {
        uint8_t state;
        uint64_t page = first, next, begin = page_find_block(range, first, &state);

        for (; page < end; page = next) {
            page = page_find_block(range, page, &state);
            next = page + ((uint64_t)1 << (state & PAGE_ORDER));
            page_use_block(range, page);
        }
        /* What was taken too much, at both ends. */
        page_put_all(range, begin, first);
        page_put_all(range, end, page);
        err = OK;
    }
    lock_drop(&page_lock);
    return err;
}

void page_release(hpa_t base, uint64_t size)
{
    uint64_t first = base.v >> PAGE_SHIFT, end = (base.v + size) >> PAGE_SHIFT;
    const struct page_range *range;
    uint8_t state;

    assert(IS_ALIGNED(base.v | size, PAGE_SIZE) && end > first);
    lock_take(&page_lock);
    range = page_range_find(first);
    assert(range && end <= range->end);
    for (uint64_t page = first; page < end; page++) {
        page = page_find_block(range, page, &state);
        assert(state & PAGE_USED);
        page += ((uint64_t)1 << (state & PAGE_ORDER)) - 1;
    }
    page_put_all(range, first, end);
    lock_drop(&page_lock);
}

uint64_t page_free_count(void)
{
    uint64_t pages;

    lock_take(&page_lock);
    pages = page_free_pages;
    lock_drop(&page_lock);
    return pages;
}

uint64_t page_total_count(void)
{
    uint64_t pages;

    lock_take(&page_lock);
    pages = page_total_pages;
    lock_drop(&page_lock);
    return pages;
}
