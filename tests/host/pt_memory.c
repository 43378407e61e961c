/* SPDX-License-Identifier: Apache-2.0 */
/* See pt_memory.h. */
#include "tests/host/pt_memory.h"

#include <stdlib.h>
#include <string.h>

#include "arch/aarch64/pt_aarch64.h"
#include "arch/riscv64/pt_riscv64.h"
#include "arch/x86_64/pt_ept.h"
#include "arch/x86_64/pt_npt.h"
#include "arch/x86_64/pt_x86_64.h"
#include "kernel/bits.h"
#include "tests/host/test.h"

/* --- Made-up formats --- */

/* Shaped as EPT: no valid bit but the rights, bit 7 makes a leaf above level 0, five levels. */
static uint64_t ept_leaf_bits(unsigned level, struct pt_attr attr)
{
    return (attr.read ? 1u : 0) | (attr.write ? 2u | BIT(52) : 0) | (attr.execute ? 4u : 0) |
           (level > 0 ? BIT(7) : 0) | (attr.memory == PT_NORMAL ? 6u << 3 : 0) |
           (attr.memory == PT_UNCACHED ? 1u << 3 : 0);
}

static struct pt_attr ept_leaf_attr(unsigned, uint64_t pte)
{
    uint64_t type = pte >> 3 & 7;

    return (struct pt_attr){.read = pte & 1,
                            .write = pte & 2,
                            .execute = pte & 4,
                            .memory = type == 6   ? PT_NORMAL
                                      : type == 1 ? PT_UNCACHED
                                                  : PT_DEVICE};
}

static enum pte_kind ept_kind(uint64_t pte, unsigned level)
{
    return !(pte & 7) ? PTE_HOLE : level == 0 || (pte & BIT(7)) ? PTE_LEAF : PTE_TABLE;
}

static const struct pt_format format_ept5 = {
    .name = "made-up: EPT with five levels",
    .levels = 5,
    .leaf_level_max = 1,
    .root_bits = 9,
    .addr_mask = BITS(51, 12),
    .table_bits = 7,
    .dirty = 2,
    .writable = BIT(52),
    .leaf_bits = ept_leaf_bits,
    .leaf_attr = ept_leaf_attr,
    .kind = ept_kind,
};

const struct pt_format *const all_pt_formats[] = {
    &pt_format_s1,        &pt_format_s2_32,
    &pt_format_s2_36,     &pt_format_s2_39,
    &pt_format_s2_40,     &pt_format_s2_42,
    &pt_format_s2_44,     &pt_format_s2_48,
    &pt_format_sv39,      &pt_format_sv48,
    &pt_format_sv39x4,    &pt_format_sv48x4,
    &pt_format_long,      &pt_format_npt,
    &pt_format_npt_2mib,  &pt_format_ept,
    &pt_format_ept_2mib,  &pt_format_ept_ro,
    &pt_format_s2_40_dbm, &pt_format_s2_48_dbm,
    &format_ept5,         NULL,
};

/*
 * --- Memory: table, then what was last published of it, then when an entry was broken, then the
 * head ---
 */

struct table_head {
    size_t size;
    bool linked;
};

static struct table_head *table_head(uint64_t *table, size_t size)
{
    return (struct table_head *)((char *)table + 3 * size);
}

static void *memory_alloc(struct pt *pt, size_t size)
{
    struct pt_fake *memory = (struct pt_fake *)pt;
    uint64_t *table;

    ASSERT(IS_ALIGNED(size, PAGE_SIZE));
    if (memory->allocs_left == 0)
        return NULL;
    memory->allocs_left--;
    table = aligned_alloc(size, 4 * size);
    ASSERT(table);
    memset(table, 0, 4 * size);
    *table_head(table, size) = (struct table_head){.size = size};
    memory->tables++;
    return table;
}

static void memory_free(struct pt *pt, void *table, size_t size)
{
    struct pt_fake *memory = (struct pt_fake *)pt;
    struct table_head *head = table_head(table, size);

    ASSERT_EQ(head->size, size);
    ASSERT(!head->linked || table == pt->root || memory->flushes >= memory->unlinked_at);
    if (head->linked)
        ASSERT(memcmp(table, (char *)table + size, size) == 0);
    memset(table, 0xff, 4 * size);
    free(table);
    memory->tables--;
}

static void memory_flush(struct pt *pt, uint64_t addr, uint64_t size)
{
    struct pt_fake *memory = (struct pt_fake *)pt;

    ASSERT(size > 0 && IS_ALIGNED(addr | size, PAGE_SIZE));
    ASSERT(addr + size <= pt_size(pt->format));
    memory->flushes++;
    memory->flush_start = MIN(memory->flush_start, addr);
    memory->flush_end = MAX(memory->flush_end, addr + size);
}

static void memory_refresh(struct pt *pt, uint64_t)
{
    ((struct pt_fake *)pt)->refreshes++;
}

/*
 * The level is not known here; what says so is the same for all levels but 0, where kinds differ.
 */
static bool entry_valid(const struct pt_format *format, uint64_t entry)
{
    return format->kind(entry, 0) != PTE_HOLE || format->kind(entry, 1) != PTE_HOLE;
}

static bool only_rights_differ(const struct pt_format *format, uint64_t a, uint64_t b)
{
    if ((a & format->addr_mask) != (b & format->addr_mask))
        return false;
    for (unsigned level = 0; level <= 1; level++)
        if (format->kind(a, level) == PTE_LEAF && format->kind(b, level) == PTE_LEAF &&
            format->leaf_attr(level, a).memory == format->leaf_attr(level, b).memory)
            return true;
    return false;
}

/* The table that a slot is in, and its size. */
static uint64_t *table_of(const struct pt *pt, uint64_t *slot, size_t *size)
{
    *size = MAX(sizeof(uint64_t) << pt->format->root_bits, (size_t)PAGE_SIZE);
    if (slot >= pt->root && slot < pt->root + *size / sizeof(*slot))
        return pt->root;
    *size = PAGE_SIZE;
    return (uint64_t *)ALIGN_DOWN((uintptr_t)slot, PAGE_SIZE);
}

static void memory_publish_entry(struct pt_fake *memory, uint64_t *slot)
{
    const struct pt *pt = &memory->pt;
    size_t size;
    uint64_t *table = table_of(pt, slot, &size);
    uint64_t *shadow = slot + size / sizeof(*slot), *broken = slot + 2 * size / sizeof(*slot);
    bool was = entry_valid(pt->format, *shadow), is = entry_valid(pt->format, *slot);

    if (table_head(table, size)->linked && pt->format->break_before_make) {
        ASSERT(!was || !is || only_rights_differ(pt->format, *shadow, *slot));
        ASSERT(!is || memory->flushes >= *broken);
    }
    if (was && !is)
        *broken = memory->unlinked_at = memory->flushes + 1;
    *shadow = *slot;
    memory->publishes++;
    if (memory->on_state)
        memory->on_state(memory);
}

/* A new table as a whole, or some of its entries. */
static void memory_publish(struct pt *pt, const void *start, size_t size)
{
    uint64_t *slot = (uint64_t *)(uintptr_t)start, *table;
    size_t whole;

    table = table_of(pt, slot, &whole);
    if (size == whole && !table_head(table, whole)->linked) {
        memcpy((char *)table + size, table, size);
        table_head(table, whole)->linked = true;
        return;
    }
    for (size_t i = 0; i < size / sizeof(*slot); i++)
        memory_publish_entry((struct pt_fake *)pt, slot + i);
}

static const struct pt_ops memory_ops = {
    .table_alloc = memory_alloc,
    .table_free = memory_free,
    .flush = memory_flush,
    .refresh = memory_refresh,
    .publish = memory_publish,
};

void pt_memory_init(struct pt_fake *memory, const struct pt_format *format)
{
    memset(memory, 0, sizeof(*memory));
    memory->allocs_left = ~0u;
    ASSERT_OK(pt_init(&memory->pt, format, &memory_ops));
    memory->flush_start = UINT64_MAX;
}

void pt_memory_end(struct pt_fake *memory)
{
    memory->on_state = NULL;
    ASSERT_EQ(memory->tables, memory->pt.table_count + 1);
    memory->unlinked_at = 0; /* Whoever destroys a table has flushed. */
    pt_destroy(&memory->pt);
    ASSERT_EQ(memory->tables, 0);
}

bool pt_memory_walk(const struct pt *pt, uint64_t va, uint64_t *pa, uint64_t *rights)
{
    const struct pt_format *f = pt->format;
    uint64_t entry, offset_mask = pt_size(f) - 1;
    const uint64_t *table = pt->root;

    for (int level = f->levels - 1; level >= 0; level--) {
        uint64_t index = (va & offset_mask) / ((uint64_t)4096 << (9 * level));

        entry = table[index];
        offset_mask = ((uint64_t)4096 << (9 * level)) - 1;
        if (f->kind(entry, (unsigned)level) == PTE_HOLE)
            return false;
        if (f->kind(entry, (unsigned)level) == PTE_LEAF) {
            *pa = ((entry & f->addr_mask) << f->addr_shift) + (va & offset_mask);
            *rights = f->leaf_bits(0, f->leaf_attr((unsigned)level, entry));
            return true;
        }
        table = (const uint64_t *)(uintptr_t)((entry & f->addr_mask) << f->addr_shift);
        ASSERT(table_head((uint64_t *)table, PAGE_SIZE)->linked);
    }
    return false;
}
