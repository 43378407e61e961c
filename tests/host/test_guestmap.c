/* SPDX-License-Identifier: Apache-2.0 */
/* mm/guestmap.c */
#include "mm/guestmap.h"

#include <string.h>

#include "mm/page.h"
#include "tests/host/test.h"

#define RAM (128 * MIB)

static struct guestmap map;
static char *ram;

static void start(void)
{
    ram = fake_ram(RAM);
    ASSERT_OK(guestmap_init(&map, arch_stage2_format(), 7));
}

static bool is_all(const void *at, int byte, size_t size)
{
    const char *p = at;

    for (size_t i = 0; i < size; i++)
        if (p[i] != (char)byte)
            return false;
    return true;
}

static struct pt_leaf leaf_at(uint64_t addr)
{
    struct pt_leaf leaf;

    ASSERT_OK(pt_lookup(&map.pt, addr, &leaf));
    return leaf;
}

static void clear_all(void)
{
    gpa_t at = gpa(0);

    ASSERT(!guestmap_clear(&map, &at, 128 * MIB));
}

TEST(guest_ram_is_mapped_by_large_leaves_and_zeroed_before_it_is_used)
{
    uint64_t free_before, contiguous;
    void *secrets;

    start();
    free_before = page_free_count();
    secrets = page_alloc(14);
    ASSERT(secrets);
    memset(secrets, 0x77, 64 * MIB);
    page_release(ptr_to_phys(secrets), 64 * MIB);
    ASSERT_OK(guestmap_add(&map, gpa(0x40000000), 70 * MIB + 3 * PAGE_SIZE, REGION_RAM, hpa(0)));
    ASSERT_EQ(leaf_at(0x40000000).size, 2 * MIB);
    ASSERT_EQ(leaf_at(0x40000000 + 70 * MIB).size, PAGE_SIZE);
    ASSERT(leaf_at(0x40000000).attr.execute && leaf_at(0x40000000).attr.write);
    clear_all();
    for (uint64_t at = 0; at < 70 * MIB + 3 * PAGE_SIZE; at += contiguous) {
        void *p = guest_ptr(&map, gpa(0x40000000 + at), &contiguous);

        ASSERT(p && contiguous > 0 && is_all(p, 0, contiguous));
    }
    ASSERT(!guest_ptr(&map, gpa(0x40000000 + 70 * MIB + 3 * PAGE_SIZE), &contiguous));
    ASSERT_EQ(guestmap_ram_size(&map), 70 * MIB + 3 * PAGE_SIZE);
    guestmap_destroy(&map);
    ASSERT_EQ(page_free_count(), free_before + 2); /* The root table, too. */
    ASSERT_EQ(fake.stage2_flush_vmid, 7);
}

TEST(guest_memory_goes_back_zeroed_and_after_a_flush)
{
    uint64_t contiguous;
    char *p;

    start();
    ASSERT_OK(guestmap_add(&map, gpa(0), 8 * MIB, REGION_RAM, hpa(0)));
    ASSERT_OK(guest_fill(&map, gpa(0), 0x99, 8 * MIB));
    p = guest_ptr(&map, gpa(MIB), &contiguous);
    ASSERT_EQ(*p, (char)0x99);
    ASSERT_EQ(fake.stage2_flushes, 0);
    ASSERT_OK(guestmap_remove(&map, gpa(0)));
    ASSERT(fake.stage2_flushes > 0);
    ASSERT(is_all(p, 0, 64 * KIB));
    ASSERT(!guestmap_find(&map, gpa(MIB)));
    ASSERT_ERR(E_ABSENT, guestmap_remove(&map, gpa(0)));
    guestmap_destroy(&map);
}

TEST(guest_memory_in_small_pieces_works_too)
{
    static void *blocks[RAM / PAGE_SIZE];
    unsigned count = 0;
    uint64_t contiguous;
    char text[3 * PAGE_SIZE];

    start();
    while ((blocks[count] = page_alloc(0)))
        count++;
    for (unsigned i = 0; i < count; i += 2)
        page_free(blocks[i], 0);
    ASSERT_OK(guestmap_add(&map, gpa(0x200000), 4 * MIB, REGION_RAM, hpa(0)));
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 7 + i / 256);
    ASSERT_OK(guest_write(&map, gpa(0x2f0123), text, sizeof(text)));
    memset(text, 0, sizeof(text));
    ASSERT_OK(guest_read(&map, gpa(0x2f0123), text, sizeof(text)));
    for (unsigned i = 0; i < sizeof(text); i++)
        ASSERT_EQ(text[i], (char)(i * 7 + i / 256));
    ASSERT(guest_ptr(&map, gpa(0x2f0123), &contiguous) && contiguous == PAGE_SIZE - 0x123);
    guestmap_destroy(&map);
}

TEST(an_access_across_a_regions_border_does_nothing_at_all)
{
    char buf[64];
    uint64_t top = 0x40000000 + 2 * MIB;

    start();
    ASSERT_OK(guestmap_add(&map, gpa(0x40000000), 2 * MIB, REGION_RAM, hpa(0)));
    ASSERT_OK(guestmap_add(&map, gpa(0x9000000), PAGE_SIZE, REGION_DEVICE, hpa(0x9000000)));
    memset(buf, 0x11, sizeof(buf));
    ASSERT_ERR(E_RANGE, guest_write(&map, gpa(top - 32), buf, 64));
    ASSERT(is_all(guest_ptr(&map, gpa(top - 32), NULL), 0, 32));
    ASSERT_ERR(E_RANGE, guest_read(&map, gpa(top - 32), buf, 64));
    ASSERT(is_all(buf, 0x11, sizeof(buf)));
    ASSERT_ERR(E_RANGE, guest_read(&map, gpa(top), buf, 1));
    ASSERT_ERR(E_RANGE, guest_read(&map, gpa(0x9000000), buf, 4)); /* A device is no memory. */
    ASSERT_ERR(E_RANGE, guest_read(&map, gpa(UINT64_MAX - 3), buf, 8));
    ASSERT_ERR(E_RANGE, guest_fill(&map, gpa(0x40000000), 0, SIZE_MAX));
    ASSERT_OK(guest_read(&map, gpa(top - 1), buf, 1));
    ASSERT_OK(guest_read(&map, gpa(top - 1), buf, 0));
    /* With a region right behind it is fine. */
    ASSERT_OK(guestmap_add(&map, gpa(top), 2 * MIB, REGION_ROM, hpa(0)));
    memset(buf, 0x22, sizeof(buf));
    ASSERT_OK(guest_write(&map, gpa(top - 32), buf, 64));
    ASSERT(is_all(guest_ptr(&map, gpa(top), NULL), 0x22, 32));
    ASSERT(!leaf_at(top).attr.write);
    guest_sync(&map, gpa(top - 32), 64);
    ASSERT_EQ(fake.cache_clean.size, 32);
    guestmap_destroy(&map);
}

TEST(ram_is_made_read_only_and_writable_again_page_by_page)
{
    const uint64_t base = 0x40000000;
    uint64_t flushes;

    start();
    ASSERT_OK(guestmap_add(&map, gpa(base), 4 * MIB, REGION_RAM, hpa(0)));
    ASSERT_OK(guestmap_add(&map, gpa(base + 4 * MIB), PAGE_SIZE, REGION_ROM, hpa(0)));
    ASSERT_OK(guestmap_add(&map, gpa(0), PAGE_SIZE, REGION_DEVICE, hpa(0x9000000)));
    ASSERT_ERR(E_RANGE, guestmap_protect(&map, gpa(base + 1), PAGE_SIZE, false));
    ASSERT_ERR(E_RANGE, guestmap_protect(&map, gpa(base), PAGE_SIZE - 1, false));
    ASSERT_ERR(E_RANGE, guestmap_protect(&map, gpa(base), 0, false));
    ASSERT_ERR(E_RANGE, guestmap_protect(&map, gpa(base), 4 * MIB + PAGE_SIZE, false));
    ASSERT_ERR(E_RANGE, guestmap_protect(&map, gpa(base), 0 - PAGE_SIZE, false));
    ASSERT_ERR(E_RANGE, guestmap_protect(&map, gpa(base - PAGE_SIZE), 2 * PAGE_SIZE, false));
    ASSERT_ERR(E_RANGE, guestmap_protect(&map, gpa(base + 4 * MIB), PAGE_SIZE, true));
    ASSERT_ERR(E_RANGE, guestmap_protect(&map, gpa(0), PAGE_SIZE, false));
    ASSERT_ERR(E_RANGE, guestmap_protect(&map, gpa(~0xfffull), PAGE_SIZE, false));
    ASSERT(leaf_at(base).attr.write);
    flushes = fake.stage2_flushes;
    ASSERT_OK(guestmap_protect(&map, gpa(base + MIB), MIB, false));
    ASSERT(fake.stage2_flushes > flushes); /* No TLB lets writes through after the return. */
    ASSERT(leaf_at(base + MIB - PAGE_SIZE).attr.write);
    ASSERT(!leaf_at(base + MIB).attr.write && leaf_at(base + MIB).attr.execute);
    ASSERT(!guest_may_write(&map, gpa(base + 2 * MIB - 1)));
    ASSERT(guest_may_write(&map, gpa(base + 2 * MIB)));
    ASSERT(!guest_may_write(&map, gpa(base + 4 * MIB)) && !guest_may_write(&map, gpa(0)));
    ASSERT_OK(guestmap_protect(&map, gpa(base), 2 * MIB, false));
    ASSERT_EQ(leaf_at(base).size, 2 * MIB); /* All of one kind: large again. */
    ASSERT_OK(guest_fill(&map, gpa(base), 7, 2 * MIB));
    ASSERT_OK(guestmap_protect(&map, gpa(base), 4 * MIB, true));
    ASSERT(leaf_at(base).attr.write);
    guestmap_destroy(&map);
}

TEST(overlapping_regions_are_refused)
{
    uint64_t free_pages;

    start();
    ASSERT_OK(guestmap_add(&map, gpa(4 * MIB), 2 * MIB, REGION_RAM, hpa(0)));
    free_pages = page_free_count();
    ASSERT_ERR(E_EXISTS, guestmap_add(&map, gpa(4 * MIB), 2 * MIB, REGION_RAM, hpa(0)));
    ASSERT_ERR(E_EXISTS, guestmap_add(&map, gpa(2 * MIB), 4 * MIB, REGION_RAM, hpa(0)));
    ASSERT_ERR(E_EXISTS, guestmap_add(&map, gpa(0), GIB, REGION_DEVICE, hpa(GIB)));
    ASSERT_ERR(E_EXISTS,
               guestmap_add(&map, gpa(6 * MIB - PAGE_SIZE), PAGE_SIZE, REGION_RAM, hpa(0)));
    ASSERT_ERR(E_RANGE, guestmap_add(&map, gpa(0x123), PAGE_SIZE, REGION_RAM, hpa(0)));
    ASSERT_ERR(E_RANGE, guestmap_add(&map, gpa(0), 0, REGION_RAM, hpa(0)));
    ASSERT_ERR(E_RANGE, guestmap_add(&map, gpa(0), PAGE_SIZE, REGION_DEVICE, hpa(0)));
    ASSERT_ERR(E_RANGE, guestmap_add(&map, gpa(1ull << 40), PAGE_SIZE, REGION_RAM, hpa(0)));
    ASSERT_ERR(E_RANGE, guestmap_add(&map, gpa(~0xfffull), 2 * PAGE_SIZE, REGION_RAM, hpa(0)));
    ASSERT_EQ(map.region_count, 1);
    ASSERT_EQ(page_free_count(), free_pages);
    ASSERT_OK(guestmap_add(&map, gpa(2 * MIB), 2 * MIB, REGION_RAM, hpa(0)));
    ASSERT_OK(guestmap_add(&map, gpa(6 * MIB), 2 * MIB, REGION_RAM, hpa(0)));
    ASSERT_EQ(map.regions[0].base.v, 2 * MIB);
    guestmap_destroy(&map);
}

TEST(ram_that_is_not_there_leaves_everything_as_it_was)
{
    uint64_t free_pages;

    start();
    free_pages = page_free_count();
    ASSERT_ERR(E_NOMEM, guestmap_add(&map, gpa(0), 2 * RAM, REGION_RAM, hpa(0)));
    ASSERT_EQ(page_free_count(), free_pages);
    ASSERT_EQ(map.pt.table_count, 0);
    ASSERT_EQ(map.region_count, 0);
    ASSERT_OK(guestmap_add(&map, gpa(0), RAM / 2, REGION_RAM, hpa(0)));
    guestmap_destroy(&map);
}

TEST(pinned_ram_lies_where_it_was_asked_for_and_goes_back)
{
    hpa_t host;
    uint64_t free_pages, contiguous;

    start();
    host = hpa(ALIGN_UP((uintptr_t)ram, 16 * MIB) + 16 * MIB);
    free_pages = page_free_count();
    ASSERT_OK(guestmap_add(&map, gpa(0x40000000), 4 * MIB + PAGE_SIZE, REGION_RAM, host));
    ASSERT(guest_ptr(&map, gpa(0x40000000), &contiguous) == phys_to_ptr(host));
    ASSERT_EQ(contiguous, 2 * MIB);
    ASSERT_ERR(E_BUSY, guestmap_add(&map, gpa(0), 2 * MIB, REGION_RAM, host));
    ASSERT_OK(guestmap_add(&map, gpa(0), PAGE_SIZE, REGION_SHARED, host));
    ASSERT(guestmap_find(&map, gpa(0x40000000))->pinned);
    ASSERT_OK(guestmap_remove(&map, gpa(0)));
    ASSERT_OK(guestmap_remove(&map, gpa(0x40000000)));
    ASSERT_EQ(page_free_count(), free_pages);
    guestmap_destroy(&map);
}

TEST(the_nearest_region_is_named)
{
    start();
    ASSERT(!guestmap_nearest(&map, gpa(5)));
    ASSERT_OK(guestmap_add(&map, gpa(0x10000), PAGE_SIZE, REGION_RAM, hpa(0)));
    ASSERT_OK(guestmap_add(&map, gpa(0x20000), PAGE_SIZE, REGION_RAM, hpa(0)));
    ASSERT_EQ(guestmap_nearest(&map, gpa(0))->base.v, 0x10000);
    ASSERT_EQ(guestmap_nearest(&map, gpa(0x10001))->base.v, 0x10000);
    ASSERT_EQ(guestmap_nearest(&map, gpa(0x11000))->base.v, 0x10000);
    ASSERT_EQ(guestmap_nearest(&map, gpa(0x1ffff))->base.v, 0x20000);
    ASSERT_EQ(guestmap_nearest(&map, gpa(0x20000))->base.v, 0x20000);
    ASSERT_EQ(guestmap_nearest(&map, gpa(UINT64_MAX))->base.v, 0x20000);
    guestmap_destroy(&map);
}

TEST(a_reset_clears_ram_and_keeps_rom)
{
    start();
    ASSERT_OK(guestmap_add(&map, gpa(0), 4 * MIB, REGION_RAM, hpa(0)));
    ASSERT_OK(guestmap_add(&map, gpa(4 * MIB), PAGE_SIZE, REGION_ROM, hpa(0)));
    ASSERT_OK(guest_fill(&map, gpa(0), 5, 4 * MIB + PAGE_SIZE));
    ASSERT_EQ(map.ram, GUESTMAP_USED);
    clear_all();
    ASSERT_EQ(map.ram, GUESTMAP_ZERO);
    ASSERT(is_all(guest_ptr(&map, gpa(2 * MIB), NULL), 0, 2 * MIB));
    ASSERT(is_all(guest_ptr(&map, gpa(4 * MIB), NULL), 5, PAGE_SIZE));
    guestmap_destroy(&map);
}

TEST(ram_is_cleared_in_pieces_across_regions_and_leaves)
{
    const uint64_t size = 2 * MIB + 3 * PAGE_SIZE;
    gpa_t at = gpa(0);
    unsigned pieces = 0;

    start();
    ASSERT_OK(guestmap_add(&map, gpa(2 * MIB), size, REGION_RAM, hpa(0)));
    ASSERT_OK(guestmap_add(&map, gpa(8 * MIB), PAGE_SIZE, REGION_ROM, hpa(0)));
    ASSERT_OK(guestmap_add(&map, gpa(16 * MIB), 5 * PAGE_SIZE, REGION_RAM, hpa(0)));
    ASSERT_EQ(map.ram, GUESTMAP_FRESH);
    ASSERT_OK(guest_fill(&map, gpa(2 * MIB), 5, size));
    ASSERT_OK(guest_fill(&map, gpa(8 * MIB), 5, PAGE_SIZE));
    ASSERT_OK(guest_fill(&map, gpa(16 * MIB), 5, 5 * PAGE_SIZE));
    while (guestmap_clear(&map, &at, 7 * PAGE_SIZE)) {
        pieces++;
        ASSERT_EQ(map.ram, GUESTMAP_USED);
        ASSERT(is_all(guest_ptr(&map, gpa(at.v - PAGE_SIZE), NULL), 0, PAGE_SIZE));
        if (guestmap_find(&map, at))
            ASSERT(is_all(guest_ptr(&map, at, NULL), 5, PAGE_SIZE));
    }
    ASSERT_EQ(pieces, (size / PAGE_SIZE + 5) / 7);
    ASSERT_EQ(map.ram, GUESTMAP_ZERO);
    ASSERT(is_all(guest_ptr(&map, gpa(16 * MIB), NULL), 0, 4 * PAGE_SIZE));
    ASSERT(is_all(guest_ptr(&map, gpa(8 * MIB), NULL), 5, PAGE_SIZE));
    ASSERT_OK(guestmap_add(&map, gpa(32 * MIB), PAGE_SIZE, REGION_RAM, hpa(0)));
    ASSERT_EQ(map.ram, GUESTMAP_FRESH); /* Not all of it is zeroes. */
    guestmap_destroy(&map);
}

TEST(what_a_guest_had_is_zeroed_at_its_maps_end)
{
    char *p;

    start();
    ASSERT_OK(guestmap_add(&map, gpa(0), 8 * MIB, REGION_RAM, hpa(0)));
    ASSERT_OK(guest_fill(&map, gpa(MIB), 0x99, MIB));
    p = guest_ptr(&map, gpa(MIB), NULL);
    guestmap_destroy(&map);
    ASSERT(is_all(p, 0, MIB));
}

TEST(there_are_no_more_regions_than_there_is_room_for)
{
    start();
    for (unsigned i = 0; i < GUEST_REGIONS_MAX; i++)
        ASSERT_OK(guestmap_add(&map, gpa(i * MIB), PAGE_SIZE, REGION_RAM, hpa(0)));
    ASSERT_ERR(E_NOMEM, guestmap_add(&map, gpa(GIB), PAGE_SIZE, REGION_RAM, hpa(0)));
    ASSERT_OK(guestmap_remove(&map, gpa(3 * MIB)));
    ASSERT_OK(guestmap_add(&map, gpa(GIB), PAGE_SIZE, REGION_RAM, hpa(0)));
    guestmap_destroy(&map);
}
