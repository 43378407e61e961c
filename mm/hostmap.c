/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own address space, at stage 1: address = physical address.
 *
 * Invariants: nothing is both writable and executable; a leaf is never split after hostmap_start(),
 * because with break-before-make the code that splits could be inside of it. Stacks, which need a
 * hole below them, are therefore taken from the arena: RAM that is mapped by 4 KiB leaves. It is
 * ordinary memory of the page allocator otherwise.
 *
 * Locking: hostmap_lock guards the tables.
 */
#include "mm/hostmap.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/lock.h"
#include "mm/memmap.h"
#include "mm/page.h"
#include "mm/pt.h"

#define ARENA_ORDER 10u       /* 4 MiB. */
#define ARENA_STEP  (2 * MIB) /* What one table of 4 KiB leaves maps. */

/* Borders of the image, from the linker's script. */
extern char _image_start[], _text_start[], _text_end[], _rodata_start[], _rodata_end[];
extern char _data_start[], _image_end[];

static const struct pt_attr attr_rw = {.read = true, .write = true, .global = true};
static const struct pt_attr attr_ro = {.read = true, .global = true};
static const struct pt_attr attr_rx = {.read = true, .execute = true, .global = true};
static const struct pt_attr attr_device = {
    .read = true, .write = true, .global = true, .memory = PT_DEVICE};

static struct lock hostmap_lock = LOCK_INIT(RANK_HOSTMAP, "hostmap");
static struct pt hostmap_pt;
static uint64_t hostmap_arena_end, hostmap_arena_next;

static unsigned hostmap_order(size_t size)
{
    return bit_highest(size) - PAGE_SHIFT;
}

static void *hostmap_table_alloc(struct pt *, size_t size)
{
    return page_alloc_zeroed(hostmap_order(size));
}

static void hostmap_table_free(struct pt *, void *table, size_t size)
{
    page_free(table, hostmap_order(size));
}

static void hostmap_flush(struct pt *, uint64_t addr, uint64_t size)
{
    arch_host_flush((void *)(uintptr_t)addr, size);
}

static void hostmap_publish(struct pt *, const void *, size_t)
{
    arch_wmb();
}

static const struct pt_ops hostmap_ops = {
    .table_alloc = hostmap_table_alloc,
    .table_free = hostmap_table_free,
    .flush = hostmap_flush,
    .publish = hostmap_publish,
};

/* --- Filling --- */

struct hostmap_filling {
    struct pt *pt;
    uint64_t done; /* Up to here all is mapped. */
    struct pt_attr attr;
};

/* Maps the gap up to an address. */
static enum err hostmap_fill_to(struct hostmap_filling *f, uint64_t end)
{
    uint64_t start = f->done;

    f->done = MAX(start, end);
    return start < end ? pt_map(f->pt, start, hpa(start), end - start, f->attr) : OK;
}

static enum err hostmap_fill_before(const struct pt_leaf *leaf, void *arg)
{
    struct hostmap_filling *f = arg;

    if (leaf->attr.memory != f->attr.memory)
        return E_EXISTS;
    TRY(hostmap_fill_to(f, leaf->va));
    f->done = leaf->va + leaf->size;
    return OK;
}

/*
 * Maps those pages of the range that are not mapped yet. E_EXISTS: one is, as another kind of
 * memory.
 */
static enum err hostmap_fill(struct pt *pt, uint64_t start, uint64_t end, struct pt_attr attr)
{
    struct hostmap_filling f = {.pt = pt, .done = start, .attr = attr};

    if (start >= end)
        return OK;
    TRY(pt_visit(pt, start, end - start, hostmap_fill_before, &f));
    return hostmap_fill_to(&f, end);
}

static enum err hostmap_fill_image(struct pt *pt, const struct hostmap_image *image)
{
    assert(image->start <= image->text_start && image->text_start <= image->text_end);
    assert(image->text_end <= image->rodata_start && image->rodata_start <= image->rodata_end);
    assert(image->rodata_end <= image->data_start && image->data_start <= image->end);
    TRY(hostmap_fill(pt, image->text_start, image->text_end, attr_rx));
    TRY(hostmap_fill(pt, image->data_start, image->end, attr_rw));
    return hostmap_fill(pt, image->start, image->data_start, attr_ro);
}

static bool hostmap_is_ram(enum mem_kind kind)
{
    return kind == MEM_FREE || kind == MEM_KEEP;
}

/* Neighbouring ranges are mapped together, by larger leaves. */
static enum err hostmap_fill_ram(struct pt *pt, const struct memmap *map)
{
    for (unsigned i = 0; i < map->count; i++) {
        const struct mem_range *range = &map->ranges[i];
        uint64_t start = MAX(ALIGN_DOWN(range->base, PAGE_SIZE), PAGE_SIZE);
        uint64_t end = range->base + range->size;

        if (!hostmap_is_ram(range->kind))
            continue;
        for (; i + 1 < map->count && range[1].base == end && hostmap_is_ram(range[1].kind); i++) {
            range++;
            end += range->size;
        }
        TRY(hostmap_fill(pt, start, ALIGN_UP(end, PAGE_SIZE), attr_rw));
    }
    return OK;
}

enum err hostmap_build(struct pt *pt, const struct memmap *map, const struct hostmap_image *image,
                       uint64_t arena, uint64_t arena_size)
{
    TRY(hostmap_fill_image(pt, image));
    /* A page by itself makes a table, which the rest of RAM then fills with leaves of 4 KiB. */
    for (uint64_t at = arena; at < arena + arena_size; at += ARENA_STEP)
        TRY(pt_map(pt, at, hpa(at), PAGE_SIZE, attr_rw));
    TRY(hostmap_fill_ram(pt, map));
    for (unsigned i = 0; i < map->count; i++) {
        const struct mem_range *range = &map->ranges[i];
        uint64_t start = MAX(ALIGN_DOWN(range->base, PAGE_SIZE), PAGE_SIZE);

        if (range->kind == MEM_FIRMWARE)
            TRY(hostmap_fill(pt, start, ALIGN_UP(range->base + range->size, PAGE_SIZE), attr_ro));
    }
    return OK;
}

/* --- Ours --- */

enum err hostmap_start(const struct memmap *map, const struct hostmap_image *image)
{
    void *arena;

    TRY(pt_init(&hostmap_pt, arch_host_format, &hostmap_ops));
    arena = page_alloc(ARENA_ORDER);
    if (!arena)
        return E_NOMEM;
    hostmap_arena_next = ptr_to_phys(arena).v;
    hostmap_arena_end = hostmap_arena_next + (PAGE_SIZE << ARENA_ORDER);
    TRY(hostmap_build(&hostmap_pt, map, image, hostmap_arena_next, PAGE_SIZE << ARENA_ORDER));
    page_free(arena, ARENA_ORDER);
    hostmap_use();
    return OK;
}

enum err hostmap_init(const struct memmap *map)
{
    const struct hostmap_image image = {
        .start = (uintptr_t)_image_start,
        .text_start = (uintptr_t)_text_start,
        .text_end = (uintptr_t)_text_end,
        .rodata_start = (uintptr_t)_rodata_start,
        .rodata_end = (uintptr_t)_rodata_end,
        .data_start = (uintptr_t)_data_start,
        .end = (uintptr_t)_image_end,
    };

    return hostmap_start(map, &image);
}

void hostmap_use(void)
{
    arch_host_map_use(pt_root(&hostmap_pt));
}

static enum err hostmap_add(uint64_t base, uint64_t size, struct pt_attr attr)
{
    uint64_t start = ALIGN_DOWN(base, PAGE_SIZE), end;
    enum err err;

    if (size == 0 || size > pt_size(hostmap_pt.format) || base > pt_size(hostmap_pt.format) - size)
        return E_RANGE;
    end = ALIGN_UP(base + size, PAGE_SIZE);
    lock_take(&hostmap_lock);
    err = hostmap_fill(&hostmap_pt, start, end, attr);
    lock_drop(&hostmap_lock);
    if (err == OK)
        arch_host_flush((void *)(uintptr_t)start, end - start);
    return err;
}

enum err hostmap_device(uint64_t base, uint64_t size, volatile void **regs)
{
    TRY(hostmap_add(base, size, attr_device));
    *regs = (volatile void *)(uintptr_t)base;
    return OK;
}

enum err hostmap_readonly(uint64_t base, uint64_t size, const void **start)
{
    TRY(hostmap_add(base, size, attr_ro));
    *start = (const void *)(uintptr_t)base;
    return OK;
}

void *hostmap_stack_alloc(size_t size)
{
    uint64_t hole = 0;
    enum err err = E_NOMEM;

    assert(size >= PAGE_SIZE && (size & (size - 1)) == 0);
    lock_take(&hostmap_lock);
    while (err != OK && hostmap_arena_end - hostmap_arena_next >= size + PAGE_SIZE) {
        hole = hostmap_arena_next;
        err = page_claim(hpa(hole), size + PAGE_SIZE);
        hostmap_arena_next += err == OK ? size + PAGE_SIZE : PAGE_SIZE;
    }
    if (err == OK)
        err = pt_unmap(&hostmap_pt, hole, PAGE_SIZE);
    lock_drop(&hostmap_lock);
    return err == OK ? phys_to_ptr(hpa(hole + PAGE_SIZE + size)) : NULL;
}
