/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk of an x86 guest's own tables: every mode, its rights, its reserved bits, the error codes
 * of its page faults, accessed and dirty bits.
 */
#include <string.h>

#include "arch/x86_64/guest_walk.h"
#include "kernel/bits.h"
#include "tests/host/test.h"

#define P     BIT(0)
#define W     BIT(1)
#define U     BIT(2)
#define A     BIT(5)
#define D     BIT(6)
#define PS    BIT(7)
#define NX    BIT(63)

/* Guest-physical memory from 0, of tables only. */
#define WORDS 0x2000u
static uint64_t memory_words[WORDS];
static unsigned memory_updates, memory_races;

static enum err memory_read(void *, gpa_t addr, uint64_t *entry)
{
    ASSERT(IS_ALIGNED(addr.v, 8));
    if (addr.v / 8 >= WORDS)
        return E_ABSENT;
    *entry = memory_words[addr.v / 8];
    return OK;
}

static enum err memory_update(void *, gpa_t addr, uint64_t old, uint64_t new)
{
    memory_updates++;
    if (memory_races != 0) {
        memory_races--;
        memory_words[addr.v / 8] ^= BIT(9); /* A bit that is the guest's. */
    }
    if (memory_words[addr.v / 8] != old)
        return E_BUSY;
    memory_words[addr.v / 8] = new;
    return OK;
}

static const struct arch_guest_memory reads = {.read = memory_read};
static const struct arch_guest_memory updates = {.read = memory_read, .update = memory_update};

static struct guest_paging mode_none(void)
{
    memset(memory_words, 0, sizeof(memory_words));
    memory_updates = memory_races = 0;
    return (struct guest_paging){.cr0 = CR0_PE, .gpa_bits = 40};
}

static struct guest_paging mode_32(void)
{
    struct guest_paging paging = mode_none();

    paging.cr0 |= CR0_PG | CR0_WP;
    paging.cr3 = 0x1018; /* With bits that mean nothing here. */
    paging.cr4 = CR4_PSE;
    return paging;
}

static struct guest_paging mode_pae(void)
{
    struct guest_paging paging = mode_32();

    paging.cr4 = CR4_PAE;
    paging.cr3 = 0x1020; /* Its tables are aligned to 32. */
    paging.efer = EFER_NXE;
    return paging;
}

static struct guest_paging mode_4_levels(void)
{
    struct guest_paging paging = mode_pae();

    paging.efer |= EFER_LMA;
    paging.cr3 = 0x1000;
    return paging;
}

static struct guest_paging mode_5_levels(void)
{
    struct guest_paging paging = mode_4_levels();

    paging.cr4 |= CR4_LA57;
    return paging;
}

static void put(uint64_t table, unsigned index, uint64_t entry)
{
    memory_words[table / 8 + index] = entry;
}

static void put_32(uint64_t table, unsigned index, uint32_t entry)
{
    memcpy((uint8_t *)memory_words + table + 4 * index, &entry, 4);
}

static void expect(const struct guest_paging *paging, uint64_t addr, enum arch_access access,
                   uint64_t want)
{
    gpa_t result = {0};
    uint32_t error;

    ASSERT_OK(guest_walk(paging, gva(addr), access, &reads, &result, &error));
    ASSERT_EQ(result.v, want);
}

static void expect_fault(const struct guest_paging *paging, uint64_t addr, enum arch_access access,
                         uint32_t want)
{
    gpa_t result;
    uint32_t error = 0xffff;

    ASSERT_ERR(E_ABSENT, guest_walk(paging, gva(addr), access, &reads, &result, &error));
    ASSERT_EQ(error, want);
}

TEST(x86_walk_without_paging_is_the_linear_address)
{
    struct guest_paging paging = mode_none();

    expect(&paging, 0x123456789, ACCESS_WRITE, 0x23456789);
    paging.user = true;
    expect(&paging, 0xfee00020, ACCESS_FETCH, 0xfee00020);
}

TEST(x86_walk_of_32_bit_tables)
{
    struct guest_paging paging = mode_32();

    put_32(0x1000, 0x3ff, 0x2000 | P | W | A);
    put_32(0x2000, 5, 0xfee00000 | P | W | A);
    put_32(0x2000, 6, 0x7000 | P | PS); /* PAT, in a leaf. */
    put_32(0x1000, 1, 0x00400000 | 0xab << 13 | P | W | PS);
    put_32(0x1000, 2, 0x00800000 | BIT(21) | P | W | PS);
    expect(&paging, 0xffc05020, ACCESS_WRITE, 0xfee00020);
    expect(&paging, 0xdeadffc05020, ACCESS_WRITE, 0xfee00020); /* Linear addresses have 32 bits. */
    expect(&paging, 0xffc06abc, ACCESS_READ, 0x7abc);
    expect(&paging, 0x712345, ACCESS_READ, 0xab00400000 | 0x312345); /* PSE-36 */
    expect_fault(&paging, 0x800000, ACCESS_READ, PF_PRESENT | PF_RESERVED);
    expect_fault(&paging, 0xffc07000, ACCESS_WRITE, PF_WRITE);
    expect_fault(&paging, 0x1000, ACCESS_READ, 0);
    /* Without PSE the bit means nothing, and the entry names a table. */
    paging.cr4 = 0;
    put_32(0x1000, 1, 0x2000 | P | W | PS);
    expect(&paging, 0x405020, ACCESS_READ, 0xfee00020);
}

TEST(x86_walk_of_pae_tables)
{
    struct guest_paging paging = mode_pae();

    put(0x1020, 3, 0x2000 | P);
    put(0x2000, 0x1ff, 0x3000 | P | W | U);
    put(0x3000, 1, 0xff00005000 | P | W | U);
    put(0x2000, 1, 0x1200000 | P | W | U | PS);
    expect(&paging, 0xffe01007, ACCESS_WRITE, 0xff00005007);
    paging.user = true; /* The root's entries have no rights to take away. */
    expect(&paging, 0xc0300007, ACCESS_WRITE, 0x1300007);
    expect_fault(&paging, 0x300000, ACCESS_READ, PF_USER);
    put(0x1020, 3, 0x2000 | P | W);
    expect_fault(&paging, 0xffe01007, ACCESS_READ, PF_PRESENT | PF_RESERVED | PF_USER);
    put(0x1020, 3, 0x2000 | P | BIT(5)); /* As QEMU leaves it behind. */
    expect(&paging, 0xffe01007, ACCESS_WRITE, 0xff00005007);
    put(0x3000, 1, 0x5000 | P | W | U | BIT(52));
    expect_fault(&paging, 0xffe01007, ACCESS_READ, PF_PRESENT | PF_RESERVED | PF_USER);
}

/* The same in both: tables at 0x1000 (root) or 0x8000 (root of 5), 0x2000, 0x3000, 0x4000. */
static void put_long(const struct guest_paging *paging)
{
    if (paging->cr4 & CR4_LA57)
        put(0x8000, 0x1ff, 0x1000 | P | W | U);
    put(0x1000, 0x1ff, 0x2000 | P | W | U);
    put(0x2000, 2, 0x3000 | P | W | U);
    put(0x3000, 3, 0x4000 | P | W | U);
    put(0x4000, 4, 0xfed00000 | P | W | U);
    put(0x2000, 5, 0x140000000 | P | W | U | PS);
    put(0x3000, 6, 0x2600000 | BIT(12) | P | W | U | PS);
}

static void check_long(struct guest_paging paging)
{
    uint64_t base = 0xffffff8000000000;

    put_long(&paging);
    expect(&paging, base | 2 * GIB | 6 * MIB | 0x4008, ACCESS_WRITE, 0xfed00008);
    expect(&paging, base | 5 * GIB | 0x34567890, ACCESS_READ, 0x140000000 | 0x34567890);
    expect(&paging, base | 2 * GIB | 12 * MIB | 0x1fffff, ACCESS_READ, 0x27fffff);
    expect_fault(&paging, base | 2 * GIB | 6 * MIB | 0x5008, ACCESS_WRITE, PF_WRITE);
    /* Reserved: a page's address inside a large one; PS in the upper levels; bits above 40. */
    put(0x3000, 6, 0x2600000 | BIT(13) | P | W | U | PS);
    expect_fault(&paging, base | 2 * GIB | 12 * MIB, ACCESS_READ, PF_PRESENT | PF_RESERVED);
    put(0x2000, 5, 0x140000000 | BIT(29) | P | W | U | PS);
    expect_fault(&paging, base | 5 * GIB, ACCESS_READ, PF_PRESENT | PF_RESERVED);
    put(0x4000, 4, BIT(40) | P | W | U);
    expect_fault(&paging, base | 2 * GIB | 6 * MIB | 0x4008, ACCESS_WRITE,
                 PF_PRESENT | PF_RESERVED | PF_WRITE);
    put(0x1000, 0x1ff, 0x2000 | P | W | U | PS);
    expect_fault(&paging, base | 5 * GIB, ACCESS_READ, PF_PRESENT | PF_RESERVED);
}

TEST(x86_walk_of_4_and_5_levels)
{
    struct guest_paging paging = mode_4_levels();

    check_long(paging);
    paging = mode_5_levels();
    paging.cr3 = 0x8000;
    check_long(paging);
    put(0x8000, 0x1ff, 0x1000 | P | W | U | PS);
    expect_fault(&paging, 0xffffff8000000000, ACCESS_READ, PF_PRESENT | PF_RESERVED);
}

TEST(x86_canonical_addresses_depend_on_the_levels)
{
    struct guest_paging paging = mode_4_levels();

    ASSERT(guest_walk_canonical(&paging, gva(0x7fffffffffff)));
    ASSERT(guest_walk_canonical(&paging, gva(0xffff800000000000)));
    ASSERT(!guest_walk_canonical(&paging, gva(0x800000000000)));
    paging = mode_5_levels();
    ASSERT(guest_walk_canonical(&paging, gva(0x800000000000)));
    ASSERT(!guest_walk_canonical(&paging, gva(0x100000000000000)));
}

#define PAGE_AT (0xffffff8000000000 | 2 * GIB | 6 * MIB | 0x4008)

/* Rights of the leaf and of a table above, who asks, for what; -1: allowed. */
static const struct {
    uint64_t leaf, table; /* Without P. */
    bool user;
    enum arch_access access;
    uint64_t cr0, cr4; /* Changed bits. */
    bool ac;
    int error;
} rights[] = {
    {W | U, W | U, true, ACCESS_WRITE, 0, 0, false, -1},
    {W | U, U, true, ACCESS_WRITE, 0, 0, false, PF_PRESENT | PF_WRITE | PF_USER},
    {U, W | U, true, ACCESS_WRITE, CR0_WP, 0, false, PF_PRESENT | PF_WRITE | PF_USER},
    {U, W | U, true, ACCESS_READ, 0, 0, false, -1},
    {W, W | U, true, ACCESS_READ, 0, 0, false, PF_PRESENT | PF_USER},
    {W | U, W, true, ACCESS_READ, 0, 0, false, PF_PRESENT | PF_USER},
    {W, W | U, true, ACCESS_FETCH, 0, 0, false, PF_PRESENT | PF_USER | PF_FETCH},
    {W, W, true, ACCESS_NONE, 0, 0, false, -1},
    /* The kernel: CR0.WP, SMEP, SMAP. */
    {0, W, false, ACCESS_WRITE, 0, 0, false, PF_PRESENT | PF_WRITE},
    {0, W, false, ACCESS_WRITE, CR0_WP, 0, false, -1},
    {W | U, W | U, false, ACCESS_FETCH, 0, 0, false, -1},
    {W | U, W | U, false, ACCESS_FETCH, 0, CR4_SMEP, false, PF_PRESENT | PF_FETCH},
    {W | U, W, false, ACCESS_FETCH, 0, CR4_SMEP, false, -1},
    {W | U, W | U, false, ACCESS_READ, 0, CR4_SMAP, false, PF_PRESENT},
    {W | U, W | U, false, ACCESS_WRITE, 0, CR4_SMAP, false, PF_PRESENT | PF_WRITE},
    {W | U, W | U, false, ACCESS_WRITE, 0, CR4_SMAP, true, -1},
    {W | U, W | U, true, ACCESS_WRITE, 0, CR4_SMAP, false, -1},
    {W, W | U, false, ACCESS_READ, 0, CR4_SMAP, false, -1},
    /* No execution, said anywhere on the way. */
    {W | NX, W, false, ACCESS_FETCH, 0, 0, false, PF_PRESENT | PF_FETCH},
    {W, W | NX, false, ACCESS_FETCH, 0, 0, false, PF_PRESENT | PF_FETCH},
    {W | NX, W | NX, false, ACCESS_READ, 0, 0, false, -1},
};

TEST(x86_walk_knows_the_rights_of_pages)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rights); i++) {
        struct guest_paging paging = mode_4_levels();

        put_long(&paging);
        put(0x4000, 4, 0xfed00000 | P | rights[i].leaf);
        put(0x2000, 2, 0x3000 | P | rights[i].table);
        paging.cr0 ^= rights[i].cr0;
        paging.cr4 ^= rights[i].cr4;
        paging.user = rights[i].user;
        paging.ac = rights[i].ac;
        if (rights[i].error < 0)
            expect(&paging, PAGE_AT, rights[i].access, 0xfed00008);
        else
            expect_fault(&paging, PAGE_AT, rights[i].access, (uint32_t)rights[i].error);
    }
}

TEST(x86_walk_without_nx_reserves_its_bit_and_reports_no_fetch)
{
    struct guest_paging paging = mode_4_levels();

    put_long(&paging);
    paging.efer &= ~EFER_NXE;
    put(0x4000, 4, 0xfed00000 | P | W | NX);
    expect_fault(&paging, PAGE_AT, ACCESS_READ, PF_PRESENT | PF_RESERVED);
    put(0x4000, 4, 0);
    expect_fault(&paging, PAGE_AT, ACCESS_FETCH, 0);
    paging.cr4 |= CR4_SMEP;
    expect_fault(&paging, PAGE_AT, ACCESS_FETCH, PF_FETCH);
}

TEST(x86_walk_sets_accessed_and_dirty_bits)
{
    struct guest_paging paging = mode_4_levels();
    gpa_t result;
    uint32_t error;

    put_long(&paging);
    put(0x2000, 2, 0x3000 | P | W | U | A);
    ASSERT_OK(guest_walk(&paging, gva(PAGE_AT), ACCESS_READ, &updates, &result, &error));
    ASSERT_EQ(memory_words[0x1ff8 / 8], 0x2000 | P | W | U | A);
    ASSERT_EQ(memory_words[0x3000 / 8 + 3], 0x4000 | P | W | U | A);
    ASSERT_EQ(memory_words[0x4000 / 8 + 4], 0xfed00000 | P | W | U | A);
    ASSERT_EQ(memory_updates, 3);
    ASSERT_OK(guest_walk(&paging, gva(PAGE_AT), ACCESS_WRITE, &updates, &result, &error));
    ASSERT_EQ(memory_words[0x4000 / 8 + 4], 0xfed00000 | P | W | U | A | D);
    ASSERT_EQ(memory_updates, 4);
    ASSERT_OK(guest_walk(&paging, gva(PAGE_AT), ACCESS_WRITE, &updates, &result, &error));
    ASSERT_EQ(memory_updates, 4);
    /* Nothing is set for an access that faults, or that is none. */
    put(0x4000, 4, 0xfed00000 | P);
    ASSERT_ERR(E_ABSENT,
               guest_walk(&paging, gva(PAGE_AT), ACCESS_WRITE, &updates, &result, &error));
    ASSERT_OK(guest_walk(&paging, gva(PAGE_AT), ACCESS_NONE, &updates, &result, &error));
    ASSERT_EQ(memory_updates, 4);
}

TEST(x86_walk_sets_bits_of_the_right_half_of_two_entries)
{
    struct guest_paging paging = mode_32();
    gpa_t result;
    uint32_t error;

    put_32(0x1000, 1, 0x2000 | P | W | A);
    put_32(0x2000, 4, 0x5000 | P | W);
    put_32(0x2000, 5, 0x6000 | P | W);
    ASSERT_OK(guest_walk(&paging, gva(0x405000), ACCESS_WRITE, &updates, &result, &error));
    ASSERT_EQ(memory_words[0x2010 / 8], (0x6000 | P | W | A | D) << 32 | 0x5000 | P | W);
}

TEST(x86_walk_begins_again_when_an_entry_changes)
{
    struct guest_paging paging = mode_4_levels();
    gpa_t result;
    uint32_t error;

    put_long(&paging);
    memory_races = 2;
    ASSERT_OK(guest_walk(&paging, gva(PAGE_AT), ACCESS_WRITE, &updates, &result, &error));
    ASSERT_EQ(result.v, 0xfed00008);
    ASSERT_EQ(memory_words[0x4000 / 8 + 4] & (A | D), A | D);
    put(0x4000, 4, 0xfed00000 | P | W);
    memory_races = 1000;
    ASSERT_ERR(E_BUSY, guest_walk(&paging, gva(PAGE_AT), ACCESS_WRITE, &updates, &result, &error));
}

TEST(x86_walk_of_tables_in_no_memory_is_no_fault_of_the_guest)
{
    struct guest_paging paging = mode_4_levels();
    gpa_t result;
    uint32_t error;

    put(0x1000, 0, 0x10000000 | P | W | U);
    ASSERT_ERR(E_RANGE, guest_walk(&paging, gva(0), ACCESS_READ, &reads, &result, &error));
}
