/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory map, from whoever started us: the EFI loader's handoff, or a device tree.
 * boot_memmap() is the first code that runs, with the MMU off: static memory, no locks, no log.
 */
#include "boot/boot.h"
#include "boot/handoff.h"
#include "drivers/platform.h"
#include "kernel/arch.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "mm/memmap.h"
#include "mm/pt.h"

extern const char _image_start[], _image_end[];

struct boot_tree boot_tree;

static struct memmap map;

static enum mem_kind memory_kind(uint32_t handoff_kind)
{
    switch (handoff_kind) {
    case HANDOFF_FREE:
        return MEM_FREE;
    case HANDOFF_KEEP:
        return MEM_KEEP;
    case HANDOFF_ACPI:
        return MEM_FIRMWARE;
    case HANDOFF_MMIO:
        return MEM_DEVICE;
    default:
        return MEM_RESERVED;
    }
}

/* A map that is too full loses ranges at its end: less memory, nothing wrong. */
static void memory_set(uint64_t base, uint64_t size, enum mem_kind kind)
{
    if (memmap_set(&map, base, size, kind) != OK)
        return;
}

static void memory_from_handoff(const struct handoff *handoff)
{
    for (uint32_t i = 0; i < handoff->range_count && i < HANDOFF_RANGES_MAX; i++)
        memory_set(handoff->ranges[i].base, handoff->ranges[i].size,
                   memory_kind(handoff->ranges[i].kind));
}

static void memory_from_fdt(const struct fdt *fdt)
{
    const struct platform_chosen *chosen = &boot_tree.chosen;

    if (platform_fdt_memory(fdt, &map) != OK)
        return;
    memory_set((uintptr_t)fdt->blob, fdt->size, MEM_KEEP);
    if (platform_fdt_chosen(fdt, &boot_tree.chosen) == OK && chosen->initrd_size)
        memory_set(chosen->initrd_base, chosen->initrd_size, MEM_KEEP);
}

/* Opened here and nowhere else, because that reads all of it. */
static bool memory_open_tree(uint64_t tree, uint64_t limit)
{
    return tree && fdt_open(&boot_tree.fdt, (const void *)(uintptr_t)tree, limit) == OK;
}

void boot_memory_limit(uint64_t end)
{
    uint64_t lost = 0, last = end;

    for (unsigned i = 0; i < map.count; i++) {
        const struct mem_range *range = &map.ranges[i];
        uint64_t range_end = range->base + range->size;

        if (range_end <= end)
            continue;
        if (range->kind == MEM_KEEP)
            panic("the firmware loaded us or our configuration at %#llx, beyond our tables' reach",
                  (unsigned long long)range->base);
        if (range->kind == MEM_FREE)
            lost += range_end - MAX(range->base, end);
        last = MAX(last, range_end);
    }
    if (lost == 0)
        return;
    memory_set(end, last - end, MEM_RESERVED);
    log_warn("memory: %llu MiB at %#llx and above are beyond the reach of our tables (%s): unused",
             (unsigned long long)(lost / MIB), (unsigned long long)end, arch_host_format->name);
}

const struct memmap *boot_memmap(const void *arg)
{
    const struct handoff *handoff = arg;

    if (handoff && handoff->magic == HANDOFF_MAGIC) {
        memory_open_tree(handoff->fdt, handoff->fdt_size);
        memory_from_handoff(handoff);
    } else if (memory_open_tree((uintptr_t)arg, 2 * MIB)) {
        memory_from_fdt(&boot_tree.fdt);
    }
    memory_set((uintptr_t)_image_start, (uint64_t)(_image_end - _image_start), MEM_KEEP);
    return &map;
}
