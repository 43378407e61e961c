/* SPDX-License-Identifier: Apache-2.0 */
/* mm/hostmap.c */
#include "mm/hostmap.h"

#include "arch/aarch64/pt_aarch64.h"
#include "mm/memmap.h"
#include "mm/page.h"
#include "mm/pt.h"
#include "tests/host/pt_memory.h"
#include "tests/host/test.h"

#define IMAGE (5 * GIB + 6 * MIB)

static struct memmap map;
static struct pt_fake mem;

static const struct hostmap_image image = {
    .start = IMAGE,
    .text_start = IMAGE + 0x1000,
    .text_end = IMAGE + 0x9000,
    .rodata_start = IMAGE + 0x9000,
    .rodata_end = IMAGE + 0xc000,
    .data_start = IMAGE + 0xd000,
    .end = IMAGE + 0x10000,
};

/* "r", "rw", "rx", "-"; a colon follows for devices. */
static const char *rights(const struct pt *pt, uint64_t addr)
{
    struct pt_leaf leaf;

    if (pt_lookup(pt, addr, &leaf) != OK)
        return "-";
    ASSERT_EQ(leaf.pa.v, leaf.va);
    ASSERT(!(leaf.attr.write && leaf.attr.execute));
    if (leaf.attr.memory == PT_DEVICE)
        return leaf.attr.write ? "rw:" : "r:";
    return leaf.attr.write ? "rw" : leaf.attr.execute ? "rx" : "r";
}

static uint64_t size_at(uint64_t addr)
{
    struct pt_leaf leaf;

    return pt_lookup(&mem.pt, addr, &leaf) == OK ? leaf.size : 0;
}

TEST(our_own_map_has_all_ram_and_keeps_text_apart_from_data)
{
    map.count = 0;
    ASSERT_OK(memmap_set(&map, 0, 64 * MIB, MEM_FREE));
    ASSERT_OK(memmap_set(&map, 4 * GIB, 4 * GIB, MEM_FREE));
    ASSERT_OK(memmap_set(&map, IMAGE - 2 * MIB, 4 * MIB, MEM_KEEP));
    ASSERT_OK(memmap_set(&map, 9 * GIB, MIB, MEM_FIRMWARE));
    ASSERT_OK(memmap_set(&map, 10 * GIB, MIB, MEM_RESERVED));
    ASSERT_OK(memmap_set(&map, 11 * GIB, MIB, MEM_DEVICE));
    for (const struct pt_format *const *f = all_pt_formats; *f; f++) {
        if (pt_size(*f) <= 12 * GIB)
            continue;
        pt_memory_init(&mem, *f);
        ASSERT_OK(hostmap_build(&mem.pt, &map, &image, 6 * GIB + 4 * MIB, 4 * MIB));
        ASSERT_STR(rights(&mem.pt, 0), "-"); /* NULL. */
        ASSERT_STR(rights(&mem.pt, 0x1000), "rw");
        ASSERT_STR(rights(&mem.pt, IMAGE - 1), "rw");
        ASSERT_STR(rights(&mem.pt, image.start), "r");
        ASSERT_STR(rights(&mem.pt, image.text_start), "rx");
        ASSERT_STR(rights(&mem.pt, image.text_end - 1), "rx");
        ASSERT_STR(rights(&mem.pt, image.rodata_start), "r");
        ASSERT_STR(rights(&mem.pt, image.data_start - 1), "r");
        ASSERT_STR(rights(&mem.pt, image.data_start), "rw");
        ASSERT_STR(rights(&mem.pt, image.end), "rw");
        ASSERT_STR(rights(&mem.pt, 8 * GIB - 1), "rw");
        ASSERT_STR(rights(&mem.pt, 8 * GIB), "-");
        ASSERT_STR(rights(&mem.pt, 9 * GIB), "r");
        ASSERT_STR(rights(&mem.pt, 10 * GIB), "-");
        ASSERT_STR(rights(&mem.pt, 11 * GIB), "-");
        ASSERT_EQ(size_at(4 * GIB), PAGE_SIZE << (9 * (*f)->leaf_level_max));
        ASSERT_EQ(size_at(6 * GIB + 4 * MIB), PAGE_SIZE);
        ASSERT_EQ(size_at(6 * GIB + 8 * MIB - 1), PAGE_SIZE);
        ASSERT_EQ(mem.flushes, 0); /* Nothing was mapped and then changed. */
        pt_memory_end(&mem);
    }
}

/* fake_ram() and the host map that is made of it. */
static uint64_t host_start(void)
{
    uint64_t ram = (uintptr_t)fake_ram(32 * MIB);

    map.count = 0;
    ASSERT_OK(memmap_set(&map, ram, 32 * MIB, MEM_FREE));
    ASSERT_OK(hostmap_start(&map, &image));
    ASSERT(fake.host_root.v != 0);
    return ram;
}

/* What hardware would see. */
static struct pt host_pt(void)
{
    return (struct pt){.format = arch_host_format, .root = phys_to_ptr(fake.host_root)};
}

TEST(a_device_may_be_mapped_twice_but_not_over_ram)
{
    volatile void *regs;
    uint64_t ram = host_start();
    struct pt pt = host_pt();

    ASSERT_OK(hostmap_device(0x9000004, 8, &regs));
    ASSERT_EQ(regs, 0x9000004);
    ASSERT_STR(rights(&pt, 0x9000fff), "rw:");
    ASSERT_STR(rights(&pt, 0x9001000), "-");
    ASSERT_OK(hostmap_device(0x8fff000, 0x4000, &regs));
    ASSERT_STR(rights(&pt, 0x9002fff), "rw:");
    ASSERT_ERR(E_EXISTS, hostmap_device(ram + MIB, 0x1000, &regs));
    ASSERT_ERR(E_RANGE, hostmap_device(UINT64_MAX - 5, 10, &regs));
    ASSERT_ERR(E_RANGE, hostmap_device(0x1000, 0, &regs));
}

TEST(firmware_tables_become_readable)
{
    const void *start;
    uint64_t ram = host_start();
    struct pt pt = host_pt();

    ASSERT_OK(hostmap_readonly(0x7fff0ff0, 0x20, &start));
    ASSERT_EQ(start, 0x7fff0ff0);
    ASSERT_STR(rights(&pt, 0x7fff0000), "r");
    ASSERT_STR(rights(&pt, 0x7fff1fff), "r");
    ASSERT_OK(hostmap_readonly(ram + 5, 100, &start)); /* Readable already. */
    ASSERT_STR(rights(&pt, ram), "rw");
}

TEST(below_each_stack_is_a_hole)
{
    const size_t size = 16 * KIB;
    struct pt pt;
    uint64_t free_pages;
    char *top[64];

    host_start();
    pt = host_pt();
    free_pages = page_free_count();
    for (unsigned i = 0; i < 64; i++) {
        top[i] = hostmap_stack_alloc(size);
        ASSERT(top[i]);
        ASSERT_STR(rights(&pt, (uintptr_t)top[i] - 1), "rw");
        ASSERT_STR(rights(&pt, (uintptr_t)top[i] - size), "rw");
        ASSERT_STR(rights(&pt, (uintptr_t)top[i] - size - 1), "-");
        ASSERT_EQ(fake.host_flush.start, (uintptr_t)top[i] - size - PAGE_SIZE);
        ASSERT_EQ(fake.host_flush.size, PAGE_SIZE);
        for (size_t b = 1; b <= size; b++)
            top[i][-(ptrdiff_t)b] = (char)i;
    }
    for (unsigned i = 0; i < 64; i++)
        ASSERT_EQ(top[i][-1], (char)i);
    ASSERT_EQ(page_free_count(), free_pages - 64 * (size + PAGE_SIZE) / PAGE_SIZE);
    /* The arena ends at some time, and that is an answer, too. */
    for (unsigned i = 0; i < 1000; i++)
        if (!hostmap_stack_alloc(64 * KIB))
            return;
    ASSERT(false);
}
