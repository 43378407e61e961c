/* SPDX-License-Identifier: Apache-2.0 */
/* mm/page.c */
#include <string.h>
#include <sys/mman.h>

#include "mm/page.h"
#include "tests/host/test.h"

#define ARENA_PAGES 4096u

/* The model: who has each page of the arena; 0: free. */
static uint16_t owners[ARENA_PAGES];
static struct held {
    unsigned first, count, order; /* order: of a block; ~0u: claimed. */
} held[1024];
static unsigned held_count;
static char *arena;

static unsigned arena_page(const void *block)
{
    return (unsigned)(((const char *)block - arena) / (ptrdiff_t)PAGE_SIZE);
}

static void model_take(unsigned first, unsigned count, unsigned order)
{
    for (unsigned i = first; i < first + count; i++) {
        ASSERT(i < ARENA_PAGES && owners[i] == 0);
        owners[i] = 1;
    }
    memset(arena + first * PAGE_SIZE, 0xa5, count * PAGE_SIZE);
    held[held_count++] = (struct held){first, count, order};
}

static void model_drop(unsigned i)
{
    struct held h = held[i];

    held[i] = held[--held_count];
    for (unsigned p = h.first; p < h.first + h.count; p++)
        owners[p] = 0;
    if (h.order == ~0u || test_random_below(4) == 0)
        page_release(ptr_to_phys(arena + h.first * PAGE_SIZE), h.count * PAGE_SIZE);
    else
        page_free(arena + h.first * PAGE_SIZE, h.order);
}

static void model_claim(uint64_t usable)
{
    unsigned first = (unsigned)test_random_below(usable);
    unsigned count = 1 + (unsigned)test_random_below(MIN(usable - first, 100));
    bool free = true;

    for (unsigned i = first; i < first + count; i++)
        free = free && owners[i] == 0;
    if (free) {
        ASSERT_OK(page_claim(ptr_to_phys(arena + first * PAGE_SIZE), count * PAGE_SIZE));
        model_take(first, count, ~0u);
    } else {
        ASSERT_ERR(E_BUSY, page_claim(ptr_to_phys(arena + first * PAGE_SIZE), count * PAGE_SIZE));
    }
}

static uint64_t model_free(uint64_t usable)
{
    uint64_t free = 0;

    for (unsigned i = 0; i < usable; i++)
        free += owners[i] == 0;
    return free;
}

static bool model_has_block(unsigned order, uint64_t usable)
{
    unsigned size = 1u << order;
    uint64_t base = (uintptr_t)arena >> PAGE_SHIFT;

    for (uint64_t p = ALIGN_UP(base, size); p + size <= base + usable; p += size) {
        unsigned i;

        for (i = 0; i < size && owners[p - base + i] == 0; i++)
            ;
        if (i == size)
            return true;
    }
    return false;
}

TEST(pages_are_handed_out_as_a_simple_model_says)
{
    uint64_t usable;

    arena = fake_ram(ARENA_PAGES * PAGE_SIZE);
    usable = page_total_count();
    memset(owners, 0, sizeof(owners));
    held_count = 0;
    ASSERT(usable >= ARENA_PAGES - 2); /* One byte a page, in one or two pages. */
    for (unsigned op = 0; op < 60000; op++) {
        unsigned order = (unsigned)test_random_below(test_random_below(4) ? 4 : 11);
        void *block;

        if (held_count > 0 && (test_random_below(20) < 10 || held_count == ARRAY_SIZE(held))) {
            model_drop((unsigned)test_random_below(held_count));
        } else if (test_random_below(8) == 0) {
            model_claim(usable);
        } else if ((block = page_alloc(order))) {
            ASSERT(IS_ALIGNED((uintptr_t)block, PAGE_SIZE << order));
            model_take(arena_page(block), 1u << order, order);
        } else if (op % 16 == 0) {
            ASSERT(!model_has_block(order, usable));
        }
        if (op % 64 == 0)
            ASSERT_EQ(page_free_count(), model_free(usable));
    }
    while (held_count > 0)
        model_drop(held_count - 1);
    /* Everything has merged again. */
    ASSERT_EQ(page_free_count(), usable);
    ASSERT(page_alloc(10));
}

TEST(freeing_a_page_twice_dies)
{
    void *block, *other;

    fake_ram(4 * MIB);
    block = page_alloc(0);
    other = page_alloc(0);
    ASSERT(block && other);
    page_free(block, 0);
    ASSERT_DIES(page_free(block, 0));
    fake_reset();
    fake_ram(4 * MIB);
}

TEST(freeing_with_another_size_or_inside_of_a_block_dies)
{
    char *block;

    fake_ram(4 * MIB);
    block = page_alloc(3);
    ASSERT_DIES(page_free(block, 2));
    fake_reset();
    fake_ram(4 * MIB);
    block = page_alloc(3);
    ASSERT_DIES(page_free(block + PAGE_SIZE, 0));
    fake_reset();
    fake_ram(4 * MIB);
    block = page_alloc(3);
    ASSERT_DIES(page_free(block + 512, 0));
    fake_reset();
    fake_ram(4 * MIB);
    ASSERT_DIES(page_free((void *)0x5000, 0));
    fake_reset();
    fake_ram(4 * MIB);
}

TEST(no_memory_is_an_answer_and_not_an_end)
{
    page_reset();
    ASSERT(!page_alloc(0));
    fake_ram(2 * MIB);
    ASSERT(!page_alloc(9));
    ASSERT(page_alloc(8));
    ASSERT(!page_alloc(18));
}

TEST(zeroed_pages_are_zero)
{
    char *block;

    fake_ram(2 * MIB);
    block = page_alloc(8);
    ASSERT(block);
    memset(block, 0x5a, MIB);
    page_free(block, 8);
    block = page_alloc_zeroed(8);
    ASSERT(block);
    for (unsigned i = 0; i < 256 * PAGE_SIZE; i++)
        ASSERT_EQ(block[i], 0);
}

/*
 * Address space without memory behind it, until it is touched: begins at a multiple of 1 GiB plus
 * offset.
 */
static char *sparse_map(uint64_t size)
{
    void *at = mmap(NULL, size + GIB, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    ASSERT(at != MAP_FAILED);
    ASSERT(madvise(at, size + GIB, MADV_NOHUGEPAGE) == 0);
    return (char *)ALIGN_UP((uintptr_t)at, GIB);
}

TEST(adding_much_memory_clears_nothing)
{
    char *start = sparse_map(40 * GIB);

    page_reset();
    page_add(ptr_to_phys(start + 2 * MIB), 40 * GIB - 4 * MIB);
    ASSERT_EQ(fake.zeroed_bytes, 0);
    /* Overhead at most 0.1 %. */
    ASSERT(page_total_count() >= (40 * GIB - 4 * MIB) / PAGE_SIZE / 1000 * 999);
    ASSERT_EQ(page_free_count(), page_total_count());
    page_reset();
    munmap(start, 40 * GIB);
}

static void use_garbage(int garbage)
{
    char *start = sparse_map(4 * GIB), *chunk, *page, *other;
    uint64_t total;

    page_reset();
    memset(start + 3 * GIB, garbage, 4 * MIB);
    page_add(ptr_to_phys(start), 3 * GIB + 4 * MIB);
    total = page_total_count();
    for (unsigned i = 0; i < 3; i++)
        ASSERT((chunk = page_alloc(18)));
    ASSERT(!page_alloc(18));
    /* Inside of a used chunk there is nothing to free. */
    ASSERT_EQ(page_total_count() - page_free_count(), 3 * GIB / PAGE_SIZE);
    page_free(chunk, 18);
    ASSERT_OK(page_claim(ptr_to_phys(chunk + 5 * PAGE_SIZE), 700 * PAGE_SIZE));
    ASSERT_ERR(E_BUSY, page_claim(ptr_to_phys(chunk + 704 * PAGE_SIZE), PAGE_SIZE));
    ASSERT_OK(page_claim(ptr_to_phys(chunk + 705 * PAGE_SIZE), PAGE_SIZE));
    page_release(ptr_to_phys(chunk + 5 * PAGE_SIZE), 701 * PAGE_SIZE);
    ASSERT((page = page_alloc(0)) && (other = page_alloc(9)));
    page_free(page, 0);
    page_free(other, 9);
    ASSERT(page_alloc(18) == chunk);
    page_free(chunk, 18);
    for (char *other_chunk = start; other_chunk < start + 3 * GIB; other_chunk += GIB)
        if (other_chunk != chunk)
            page_release(ptr_to_phys(other_chunk), GIB);
    ASSERT_EQ(page_free_count(), total);
    page_reset();
    munmap(start, 4 * GIB);
}

TEST(descriptors_hold_garbage_where_no_block_begins)
{
    use_garbage(0x41); /* Would be "used, order 1" everywhere, */
    use_garbage(0x20); /* "free, order 0", */
    use_garbage(0x32); /* "free, order 18". */
}

TEST(descriptors_go_to_the_end_that_breaks_no_chunk)
{
    char *start = sparse_map(3 * GIB);

    page_reset();
    page_add(ptr_to_phys(start + GIB - 4 * MIB), 2 * GIB + 4 * MIB);
    ASSERT(page_alloc(18) && page_alloc(18));
    ASSERT(!page_alloc(18));
    page_reset();
    munmap(start, 3 * GIB);
}

TEST(blocks_never_merge_across_ranges)
{
    char *start = fake_ram(2 * MIB), *second = start + 64 * PAGE_SIZE;

    page_reset();
    page_add(ptr_to_phys(second), 64 * PAGE_SIZE); /* Not in order. */
    page_add(ptr_to_phys(start), 64 * PAGE_SIZE);
    page_add(ptr_to_phys(start + 131 * PAGE_SIZE), PAGE_SIZE); /* Too small to be of use. */
    ASSERT_EQ(page_total_count(), 126);
    ASSERT(!page_alloc(6));
    ASSERT_ERR(E_BUSY, page_claim(ptr_to_phys(second - PAGE_SIZE), 2 * PAGE_SIZE));
    ASSERT_ERR(E_BUSY, page_claim(ptr_to_phys(start + 131 * PAGE_SIZE), PAGE_SIZE));
    ASSERT_OK(page_claim(ptr_to_phys(start), 63 * PAGE_SIZE));
    ASSERT_EQ(page_free_count(), 63);
    page_release(ptr_to_phys(start), 63 * PAGE_SIZE);
    ASSERT_EQ(page_free_count(), 126);
}

TEST(ranges_not_aligned_to_pages_are_used_inside)
{
    char *start = fake_ram(2 * MIB), *block;

    page_reset();
    page_add(ptr_to_phys(start + 100), 10 * PAGE_SIZE);
    ASSERT_EQ(page_total_count(), 8);
    for (unsigned i = 0; i < 8; i++) {
        block = page_alloc(0);
        ASSERT(block >= start + PAGE_SIZE && block < start + 10 * PAGE_SIZE);
    }
    ASSERT(!page_alloc(0));
}
