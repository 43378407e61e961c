/* SPDX-License-Identifier: Apache-2.0 */
/* mm/guestmap_dirty.c; the fake's stage 2 is that of aarch64, where a first write faults. */
#include <string.h>

#include "kernel/bits.h"
#include "mm/guestmap.h"
#include "mm/page.h"
#include "tests/host/test.h"

#define RAM     (64 * MIB)
#define RAM_GPA 0x40000000ull
#define ROM_GPA 0x1000000ull

static struct guestmap map;
static uint64_t free_at_start;

static void start(void)
{
    fake_ram(256 * MIB);
    ASSERT_OK(guestmap_init(&map, arch_stage2_format(), 7));
    ASSERT_OK(guestmap_add(&map, gpa(RAM_GPA), RAM + 3 * PAGE_SIZE, REGION_RAM, hpa(0)));
    ASSERT_OK(guestmap_add(&map, gpa(ROM_GPA), 5 * PAGE_SIZE, REGION_ROM, hpa(0)));
    ASSERT_OK(guestmap_add(&map, gpa(0x9000000), PAGE_SIZE, REGION_DEVICE, hpa(0x9000000)));
    free_at_start = page_free_count();
}

/* Pages of the set, which must be exactly these runs. */
struct run {
    uint64_t start, pages;
};

static void expect(const struct run *runs, unsigned count)
{
    uint64_t size = 0;
    gpa_t at = gpa(0), from = gpa(0);

    for (unsigned i = 0; i < count; i++) {
        ASSERT(guestmap_dirty_next(&map, from, &at, &size));
        ASSERT_EQ(at.v, runs[i].start);
        ASSERT_EQ(size, runs[i].pages * PAGE_SIZE);
        from = gpa(at.v + size);
    }
    ASSERT(!guestmap_dirty_next(&map, from, &at, &size));
}

#define EXPECT(...)                                                                                \
    expect((const struct run[]){__VA_ARGS__},                                                      \
           sizeof((const struct run[]){__VA_ARGS__}) / sizeof(struct run))

static void take(void)
{
    ASSERT_OK(guestmap_dirty_take(&map));
}

static struct pt_leaf leaf(uint64_t addr)
{
    struct pt_leaf leaf;

    ASSERT_OK(pt_lookup(&map.pt, addr, &leaf));
    return leaf;
}

TEST(pages_written_are_taken_once_and_exactly)
{
    static char buf[3 * PAGE_SIZE];

    start();
    ASSERT_ERR(E_STATE, guestmap_dirty_take(&map));
    ASSERT_OK(guest_fill(&map, gpa(RAM_GPA), 1, RAM)); /* Before the start: nobody asked. */
    ASSERT_OK(guestmap_dirty_start(&map));
    take();
    expect(NULL, 0);
    /* By us: parts of pages, over a word of the bitmap, the very last page, and ROM. */
    ASSERT_OK(guest_write(&map, gpa(RAM_GPA + PAGE_SIZE - 1), buf, 2));
    ASSERT_OK(guest_write(&map, gpa(RAM_GPA + 62 * PAGE_SIZE + 5), buf, 2 * PAGE_SIZE));
    ASSERT_OK(guest_fill(&map, gpa(RAM_GPA + RAM + 2 * PAGE_SIZE), 0, PAGE_SIZE));
    guest_wrote(&map, gpa(ROM_GPA + 4 * PAGE_SIZE + 8), 8);
    ASSERT_OK(guest_read(&map, gpa(RAM_GPA + 20 * PAGE_SIZE), buf, sizeof(buf)));
    ASSERT_ERR(E_RANGE, guest_write(&map, gpa(RAM_GPA + RAM + 2 * PAGE_SIZE), buf, sizeof(buf)));
    /* By a vCPU, whose first write faults. */
    ASSERT(!leaf(RAM_GPA + 2 * MIB).attr.write);
    ASSERT(guestmap_retry(&map, gpa(RAM_GPA + 2 * MIB + 123), true));
    ASSERT(leaf(RAM_GPA + 2 * MIB).attr.write);
    ASSERT(!leaf(RAM_GPA + 2 * MIB + PAGE_SIZE).attr.write);
    take();
    EXPECT({ROM_GPA + 4 * PAGE_SIZE, 1}, {RAM_GPA, 2}, {RAM_GPA + 62 * PAGE_SIZE, 3},
           {RAM_GPA + 2 * MIB, 1}, {RAM_GPA + RAM + 2 * PAGE_SIZE, 1});
    ASSERT(!leaf(RAM_GPA + 2 * MIB).attr.write);
    take();
    expect(NULL, 0);
    guestmap_destroy(&map);
}

TEST(a_start_keeps_what_was_written_and_a_stop_gives_large_leaves_back)
{
    start();
    ASSERT_EQ(leaf(RAM_GPA).size, 2 * MIB);
    guestmap_dirty_stop(&map);
    ASSERT_OK(guestmap_dirty_start(&map));
    ASSERT_EQ(leaf(RAM_GPA).size, PAGE_SIZE);
    ASSERT_OK(guest_fill(&map, gpa(RAM_GPA + MIB), 0, 1));
    ASSERT_OK(guestmap_dirty_start(&map));
    take();
    EXPECT({RAM_GPA + MIB, 1});
    guestmap_dirty_stop(&map);
    guestmap_dirty_stop(&map);
    expect(NULL, 0);
    ASSERT_ERR(E_STATE, guestmap_dirty_take(&map));
    ASSERT_EQ(leaf(RAM_GPA).size, 2 * MIB);
    ASSERT_EQ(page_free_count(), free_at_start);
    ASSERT_OK(guest_fill(&map, gpa(RAM_GPA), 0, 1));
    ASSERT_OK(guestmap_dirty_start(&map)); /* And what was before is forgotten. */
    take();
    expect(NULL, 0);
    guestmap_destroy(&map);
}

TEST(protected_pages_are_not_written_and_count_as_written_when_that_changes)
{
    const uint64_t page = RAM_GPA + 2 * MIB + 7 * PAGE_SIZE;

    start();
    ASSERT_OK(guestmap_dirty_start(&map));
    ASSERT_OK(guestmap_protect(&map, gpa(page), 2 * PAGE_SIZE, false));
    take();
    EXPECT({page, 2});
    ASSERT(!guestmap_retry(&map, gpa(page + 8), true)); /* A vCPU's write: not so. */
    ASSERT(guestmap_retry(&map, gpa(page + 8), false));
    ASSERT(!guest_may_write(&map, gpa(page + PAGE_SIZE)));
    ASSERT(guest_may_write(&map, gpa(page + 2 * PAGE_SIZE))); /* Though it faults at first. */
    take();
    expect(NULL, 0);
    ASSERT_OK(guest_fill(&map, gpa(page), 1, 1)); /* We do. */
    take();
    EXPECT({page, 1});
    guestmap_dirty_stop(&map);
    ASSERT_EQ(leaf(page).size, PAGE_SIZE);
    ASSERT(!leaf(page).attr.write);
    ASSERT(leaf(page + 2 * PAGE_SIZE).attr.write);
    ASSERT_OK(guestmap_dirty_start(&map));
    ASSERT_OK(guestmap_protect(&map, gpa(page), 2 * PAGE_SIZE, true));
    take();
    EXPECT({page, 2});
    ASSERT(guestmap_retry(&map, gpa(page), true));
    take();
    EXPECT({page, 1});
    guestmap_dirty_stop(&map);
    ASSERT_EQ(leaf(page).size, 2 * MIB);
    ASSERT_EQ(page_free_count(), free_at_start);
    guestmap_destroy(&map);
}

TEST(a_set_that_is_put_back_comes_again_with_the_next)
{
    start();
    ASSERT_OK(guestmap_dirty_start(&map));
    ASSERT_OK(guest_fill(&map, gpa(RAM_GPA + 9 * PAGE_SIZE), 0, 1));
    take();
    ASSERT_OK(guest_fill(&map, gpa(RAM_GPA + 8 * PAGE_SIZE), 0, 1));
    guestmap_dirty_put_back(&map);
    expect(NULL, 0);
    take();
    EXPECT({RAM_GPA + 8 * PAGE_SIZE, 2});
    guestmap_dirty_stop(&map);
    guestmap_dirty_put_back(&map);
    guestmap_destroy(&map);
}

TEST(a_cleared_or_new_region_counts_as_written)
{
    start();
    ASSERT_OK(guestmap_dirty_start(&map));
    ASSERT(!guestmap_clear(&map, &(gpa_t){0}, GIB));
    ASSERT_OK(guestmap_add(&map, gpa(0), 2 * MIB, REGION_RAM, hpa(0)));
    ASSERT_EQ(leaf(0).size, PAGE_SIZE);
    take();
    EXPECT({0, 512}, {RAM_GPA, RAM / PAGE_SIZE + 3});
    ASSERT_OK(guest_fill(&map, gpa(PAGE_SIZE), 0, 1));
    ASSERT_OK(guestmap_remove(&map, gpa(0)));
    take();
    expect(NULL, 0);
    guestmap_dirty_stop(&map);
    ASSERT_EQ(page_free_count(), free_at_start);
    guestmap_destroy(&map);
}

TEST(tracking_that_has_no_memory_is_refused_and_changes_nothing)
{
    static void *blocks[256 * MIB / PAGE_SIZE];
    unsigned count = 0;

    start();
    while ((blocks[count] = page_alloc(0)))
        count++;
    for (unsigned left = 0; left < 34; left++) { /* 2 bitmaps of RAM, 2 of ROM, 32 tables. */
        for (unsigned i = 0; i < left; i++)
            page_free(blocks[i], 0);
        ASSERT_ERR(E_NOMEM, guestmap_dirty_start(&map));
        ASSERT_ERR(E_STATE, guestmap_dirty_take(&map));
        ASSERT_EQ(leaf(RAM_GPA).size, 2 * MIB);
        ASSERT(leaf(RAM_GPA).attr.write);
        ASSERT_EQ(page_free_count(), left);
        for (unsigned i = 0; i < left; i++)
            ASSERT((blocks[i] = page_alloc(0)));
    }
    for (unsigned i = 0; i < 40; i++)
        page_free(blocks[i], 0);
    ASSERT_OK(guestmap_dirty_start(&map));
    guestmap_destroy(&map);
}

/*
 * A processor whose TLB still lets it write: until the flush is over its writes leave no trace in
 * the tables.
 */
static bool late_done;

static void write_late(uint16_t, gpa_t at, uint64_t size)
{
    ASSERT(at.v <= RAM_GPA + 3 * MIB && at.v + size > RAM_GPA + 3 * MIB);
    memset(guest_ptr(&map, gpa(RAM_GPA + 3 * MIB), NULL), 0x42, 8);
    late_done = true;
}

static void flush_when_unlocked(uint16_t vmid, gpa_t at, uint64_t size)
{
    lock_drop(&map.lock); /* The other processor takes none. */
    write_late(vmid, at, size);
    lock_take(&map.lock);
}

TEST(a_write_through_what_a_tlb_kept_is_in_the_set_that_is_being_taken)
{
    char byte;

    start();
    ASSERT_OK(guestmap_dirty_start(&map));
    ASSERT(guestmap_retry(&map, gpa(RAM_GPA + 3 * MIB), true));
    fake.on_stage2_flush = flush_when_unlocked;
    take();
    fake.on_stage2_flush = NULL;
    ASSERT(late_done);
    EXPECT({RAM_GPA + 3 * MIB, 1});
    ASSERT_OK(guest_read(&map, gpa(RAM_GPA + 3 * MIB), &byte, 1));
    ASSERT_EQ(byte, 0x42);
    guestmap_destroy(&map);
}

TEST(only_ram_is_tried_again_and_a_read_is_no_write)
{
    start();
    ASSERT(!guestmap_retry(&map, gpa(0x9000000), true));
    ASSERT(!guestmap_retry(&map, gpa(ROM_GPA), true));
    ASSERT(!guestmap_retry(&map, gpa(0), false));
    ASSERT(guestmap_retry(&map, gpa(RAM_GPA + 5), true)); /* Tracking has ended since it faulted. */
    ASSERT_EQ(fake.stage2_refreshes, 1);
    ASSERT_OK(guestmap_dirty_start(&map));
    ASSERT(guestmap_retry(&map, gpa(RAM_GPA), false));
    take();
    expect(NULL, 0);
    guestmap_destroy(&map);
}

static void start_logged(void)
{
    start();
    fake.stage2_logs = true;
    ASSERT_OK(guestmap_dirty_start(&map));
    ASSERT(fake.stage2_log == &map.log);
}

/* A first write, which the fake's hardware logs. */
static void write_logged(uint64_t addr)
{
    ASSERT(guestmap_retry(&map, gpa(addr), true));
}

TEST(a_log_of_the_hardware_says_which_leaves_are_looked_at)
{
    start_logged();
    take();
    expect(NULL, 0);
    write_logged(RAM_GPA);
    write_logged(RAM_GPA + 5 * MIB);
    write_logged(RAM_GPA + RAM + 2 * PAGE_SIZE); /* The last one. */
    ASSERT_OK(guest_fill(&map, gpa(RAM_GPA + PAGE_SIZE), 1, 1));
    fake.stage2_flushes = 0;
    take();
    ASSERT_EQ(fake.stage2_flushes, 2); /* vCPUs tell what they have; leaves have changed. */
    EXPECT({RAM_GPA, 2}, {RAM_GPA + 5 * MIB, 1}, {RAM_GPA + RAM + 2 * PAGE_SIZE, 1});
    fake.stage2_flushes = 0;
    take();
    ASSERT_EQ(fake.stage2_flushes, 1);
    expect(NULL, 0);
    guestmap_dirty_stop(&map);
    ASSERT(!fake.stage2_log);
    ASSERT_EQ(page_free_count(), free_at_start);
    guestmap_destroy(&map);
}

TEST(a_page_in_the_log_whose_leaf_is_clean_was_not_written)
{
    start_logged();
    dirty_log_add(fake.stage2_log, gpa(RAM_GPA + 7 * PAGE_SIZE));
    dirty_log_add(fake.stage2_log, gpa(ROM_GPA));
    dirty_log_add(fake.stage2_log, gpa(0x9000000));
    take();
    expect(NULL, 0);
    write_logged(RAM_GPA + 7 * PAGE_SIZE);
    take();
    EXPECT({RAM_GPA + 7 * PAGE_SIZE, 1});
    guestmap_destroy(&map);
    ASSERT(!fake.stage2_log);
}

TEST(a_page_beyond_the_log_makes_a_take_look_at_all_leaves)
{
    const uint64_t added = RAM_GPA + 2 * RAM;

    start_logged();
    ASSERT_OK(guestmap_add(&map, gpa(added), 2 * PAGE_SIZE, REGION_RAM, hpa(0)));
    take();
    EXPECT({added, 2});
    take();
    expect(NULL, 0);
    write_logged(added + PAGE_SIZE);
    write_logged(RAM_GPA);
    take();
    EXPECT({RAM_GPA, 1}, {added + PAGE_SIZE, 1});
    write_logged(RAM_GPA);
    take();
    EXPECT({RAM_GPA, 1});
    guestmap_destroy(&map);
}

TEST(pages_that_may_be_written_again_are_clean_so_that_a_write_is_logged)
{
    struct pt_leaf clean;

    start_logged();
    clean = leaf(RAM_GPA);
    ASSERT_OK(guestmap_protect(&map, gpa(RAM_GPA), PAGE_SIZE, false));
    ASSERT_OK(guestmap_protect(&map, gpa(RAM_GPA), PAGE_SIZE, true));
    ASSERT_EQ(leaf(RAM_GPA).entry, clean.entry);
    take();
    EXPECT({RAM_GPA, 1});
    write_logged(RAM_GPA);
    take();
    EXPECT({RAM_GPA, 1});
    guestmap_destroy(&map);
}

/* A pCPU that leaves its guest for a flush: its vCPU has set a dirty bit before. */
static void log_late(uint16_t, gpa_t, uint64_t)
{
    fake.on_stage2_flush = NULL;
    lock_drop(&map.lock);
    write_logged(RAM_GPA + 3 * MIB);
    lock_take(&map.lock);
}

TEST(what_the_processors_have_not_told_yet_is_asked_for_by_a_take)
{
    start_logged();
    fake.on_stage2_flush = log_late;
    take();
    fake.on_stage2_flush = NULL;
    EXPECT({RAM_GPA + 3 * MIB, 1});
    guestmap_destroy(&map);
}

TEST(without_memory_for_the_log_nothing_is_watched)
{
    start();
    fake.stage2_logs = true;
    while (page_alloc(0))
        ;
    ASSERT_ERR(E_NOMEM, guestmap_dirty_start(&map));
    ASSERT(!fake.stage2_log);
    ASSERT_ERR(E_STATE, guestmap_dirty_take(&map));
}
