/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Started on a PC without our EFI program: by a loader that speaks multiboot2, or PVH, which gives
 * memory map, command line, modules and ACPI's root pointer in its own form; here they become a
 * struct handoff. The first module is the guest configuration. [Multiboot2 specification 2.0, 3.6;
 * Xen: x86/HVM direct boot ABI, start_info.h]
 *
 * The first code that runs: static memory, no locks, no log, 4 GiB mapped one to one.
 */
#include "boot/direct.h"
#include "boot/boot.h"
#include "boot/handoff.h"
#include "kernel/bits.h"
#include "kernel/string.h"

#define MULTIBOOT2_LOADER  0x36d76289u
#define MULTIBOOT2_CMDLINE 1u
#define MULTIBOOT2_MODULE  3u
#define MULTIBOOT2_MEMORY  6u
#define MULTIBOOT2_RSDP_V1 14u
#define MULTIBOOT2_RSDP_V2 15u
#define MULTIBOOT2_MAX     MIB
#define RSDP_V1_SIZE       20u /* [ACPI 6.5, 5.2.5.3] */
#define RSDP_V2_SIZE       36u

#define PVH_MAGIC          0x336ec578u

/* Kinds of memory, in both as the BIOS has them [ACPI 6.5, 15, table 15.4]. */
enum { MEMORY_RAM = 1, MEMORY_ACPI = 3, MEMORY_NVS = 4 };

extern const char _image_start[], _image_end[];

static struct handoff handoff;

/* --- What both have --- */

/* Whole pages: of what is used all that it touches, of what is free those that it fills. */
static void direct_add(uint64_t base, uint64_t size, enum handoff_mem kind)
{
    struct handoff_range *range = &handoff.ranges[handoff.range_count];
    uint64_t end;

    if (size == 0 || __builtin_add_overflow(base, size, &end) || end > UINT64_MAX - PAGE_SIZE)
        return;
    base = kind == HANDOFF_FREE ? ALIGN_UP(base, PAGE_SIZE) : ALIGN_DOWN(base, PAGE_SIZE);
    end = kind == HANDOFF_FREE ? ALIGN_DOWN(end, PAGE_SIZE) : ALIGN_UP(end, PAGE_SIZE);
    if (base >= end || handoff.range_count == HANDOFF_RANGES_MAX)
        return;
    *range = (struct handoff_range){.base = base, .size = end - base, .kind = kind};
    handoff.range_count++;
}

/* Firmware's ranges may overlap, so what is free comes first and is overruled by the others. */
static void direct_add_memory(uint64_t base, uint64_t size, uint32_t kind, bool free)
{
    if ((kind == MEMORY_RAM) != free)
        return;
    if (kind == MEMORY_RAM)
        direct_add(base, size, HANDOFF_FREE);
    else if (kind == MEMORY_ACPI || kind == MEMORY_NVS)
        direct_add(base, size, HANDOFF_ACPI);
    else
        direct_add(base, size, HANDOFF_RESERVED);
}

/* Text that is not printable ASCII, or does not end in so many bytes, is none. */
static void direct_cmdline(const char *text, size_t size)
{
    size_t room = MIN(size, sizeof(handoff.cmdline)), i;

    for (i = 0; i < room && text[i] >= ' ' && text[i] <= '~'; i++)
        handoff.cmdline[i] = text[i];
    if (i == room || text[i] != '\0')
        i = 0;
    handoff.cmdline[i] = '\0';
}

static void direct_module(uint64_t base, uint64_t size)
{
    direct_add(base, size, HANDOFF_KEEP);
    if (handoff.config_size == 0) {
        handoff.config = base;
        handoff.config_size = size;
    }
}

static const struct handoff *direct_finish(void)
{
    handoff.magic = HANDOFF_MAGIC;
    handoff.version = HANDOFF_VERSION;
    handoff.size = sizeof(handoff);
    handoff.image_base = (uintptr_t)_image_start;
    handoff.image_size = (uint64_t)(_image_end - _image_start);
    return &handoff;
}

/* --- multiboot2: a size, then tags of (type, size) on 8 bytes each --- */

struct multiboot2_tag {
    uint32_t type, size;
};

struct multiboot2_module {
    struct multiboot2_tag tag;
    uint32_t start, end;
};

struct multiboot2_memory {
    struct multiboot2_tag tag;
    uint32_t entry_size, entry_version;
};

struct multiboot2_range {
    uint64_t base, size;
    uint32_t kind, reserved;
};

static void multiboot2_ranges(const struct multiboot2_memory *memory, bool free)
{
    const char *at = (const char *)(memory + 1), *end = (const char *)memory + memory->tag.size;

    if (memory->entry_size < sizeof(struct multiboot2_range))
        return;
    for (; at + sizeof(struct multiboot2_range) <= end; at += memory->entry_size) {
        const struct multiboot2_range *range = (const void *)at;

        direct_add_memory(range->base, range->size, range->kind, free);
    }
}

static void multiboot2_take(const struct multiboot2_tag *tag)
{
    const struct multiboot2_module *module = (const void *)tag;

    switch (tag->type) {
    case MULTIBOOT2_CMDLINE:
        direct_cmdline((const char *)(tag + 1), tag->size - sizeof(*tag));
        break;
    case MULTIBOOT2_MODULE:
        if (tag->size >= sizeof(*module) && module->end > module->start)
            direct_module(module->start, module->end - module->start);
        break;
    case MULTIBOOT2_MEMORY:
        if (tag->size >= sizeof(struct multiboot2_memory))
            multiboot2_ranges((const void *)tag, false);
        break;
    case MULTIBOOT2_RSDP_V1: /* The tag holds a copy of the root pointer. */
        if (!handoff.rsdp && tag->size >= sizeof(*tag) + RSDP_V1_SIZE)
            handoff.rsdp = (uintptr_t)(tag + 1);
        break;
    case MULTIBOOT2_RSDP_V2:
        if (tag->size >= sizeof(*tag) + RSDP_V2_SIZE)
            handoff.rsdp = (uintptr_t)(tag + 1);
        break;
    }
}

static void multiboot2_free(const struct multiboot2_tag *tag)
{
    if (tag->type == MULTIBOOT2_MEMORY && tag->size >= sizeof(struct multiboot2_memory))
        multiboot2_ranges((const void *)tag, true);
}

static void multiboot2_for_each(const char *info, uint32_t size,
                                void (*take)(const struct multiboot2_tag *tag))
{
    uint32_t at = 8;

    while (at + sizeof(struct multiboot2_tag) <= size) {
        const struct multiboot2_tag *tag = (const void *)(info + at);

        if (tag->type == 0 || tag->size < sizeof(*tag) || tag->size > size - at)
            return;
        take(tag);
        at += (uint32_t)ALIGN_UP(tag->size, 8);
    }
}

static const struct handoff *direct_multiboot2(const char *info)
{
    uint32_t size = *(const uint32_t *)(const void *)info;

    if (size > MULTIBOOT2_MAX)
        return NULL;
    multiboot2_for_each(info, size, multiboot2_free);
    multiboot2_for_each(info, size, multiboot2_take);
    direct_add((uintptr_t)info, size, HANDOFF_KEEP);
    return direct_finish();
}

/* --- PVH --- */

struct pvh_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, cmdline, rsdp;
    uint64_t memory; /* From version 1 on. */
    uint32_t memory_count, reserved;
};

struct pvh_module {
    uint64_t base, size, cmdline, reserved;
};

struct pvh_memory {
    uint64_t base, size;
    uint32_t kind, reserved;
};

_Static_assert(offsetof(struct pvh_info, memory) == 40, "[start_info.h]");

/* More is not mapped. */
static bool pvh_reachable(uint64_t base, uint64_t size)
{
    return base < 4 * GIB && size < 4 * GIB - base;
}

static void pvh_modules(const struct pvh_info *info)
{
    const struct pvh_module *modules = (const void *)(uintptr_t)info->modules;
    uint64_t base, size;

    if (fw_cfg_is_there()) {
        if (fw_cfg_initrd(&base, &size))
            direct_module(base, size);
        return;
    }
    if (info->module_count == 0 ||
        !pvh_reachable(info->modules, (uint64_t)info->module_count * sizeof(*modules)))
        return;
    for (uint32_t i = 0; i < info->module_count; i++)
        direct_module(modules[i].base, modules[i].size);
}

static const struct handoff *direct_pvh(const struct pvh_info *info)
{
    const struct pvh_memory *memory = (const void *)(uintptr_t)info->memory;

    if (info->version < 1 ||
        !pvh_reachable(info->memory, (uint64_t)info->memory_count * sizeof(*memory)))
        return NULL; /* Version 0 has no memory map. */
    for (uint32_t i = 0; i < info->memory_count; i++)
        direct_add_memory(memory[i].base, memory[i].size, memory[i].kind, true);
    for (uint32_t i = 0; i < info->memory_count; i++)
        direct_add_memory(memory[i].base, memory[i].size, memory[i].kind, false);
    pvh_modules(info);
    if (info->cmdline && pvh_reachable(info->cmdline, sizeof(handoff.cmdline)))
        direct_cmdline((const char *)(uintptr_t)info->cmdline, sizeof(handoff.cmdline));
    handoff.rsdp = info->rsdp;
    return direct_finish();
}

/* Copies all that is needed, so the information itself need not be kept. */
const struct handoff *boot_direct(const void *info, uint32_t loader)
{
    const struct pvh_info *pvh = info;

    memset(&handoff, 0, sizeof(handoff)); /* It is once but in tests. */
    if (loader == MULTIBOOT2_LOADER)
        return direct_multiboot2(info);
    return pvh->magic == PVH_MAGIC ? direct_pvh(pvh) : NULL;
}
