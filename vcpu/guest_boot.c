/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boot protocols of x86_64; see guest_boot.h. [Linux: arch/x86/boot.rst and zero-page.rst; Xen:
 * public/arch-x86/hvm/start_info.h; Multiboot 0.6.96, 3.3; page tables and descriptors: SDM 3,
 * 4.5 and 3.4.5]
 */
#include "vcpu/guest_boot.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/string.h"
#include "vcpu/config_bzimage.h"
#include "vcpu/machine.h"

#define INFO_BASE       IMAGE_BOOT_BASE
#define CMDLINE_BASE    0xf000u
#define LISTS           0x800u   /* In the page of the information: the memory map and modules. */
#define LOW_END         0x9f000u /* Above are, on a PC, the firmware's data, VGA and ROMs. */

/* Of a memory map, in all three protocols. */
#define MEMORY_RAM      1u
#define MEMORY_RESERVED 2u

#define RANGES_MAX      (CONFIG_REGIONS_MAX + 5u)

struct range {
    uint64_t base, size;
    uint32_t type;
};

struct memory_map {
    unsigned count;
    struct range ranges[RANGES_MAX];
};

/* boot_params. */
#define BOOT_RSDP        0x070u
#define BOOT_E820_COUNT  0x1e8u
#define BOOT_LOADER      0x210u
#define BOOT_INITRD      0x218u
#define BOOT_INITRD_SIZE 0x21cu
#define BOOT_CMDLINE     0x228u
#define BOOT_E820        0x2d0u
#define BOOT_E820_ENTRY  20u
#define LOADER_UNDEFINED 0xffu

struct pvh_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, cmdline, rsdp, memory_map;
    uint32_t memory_count, reserved;
};

struct pvh_module {
    uint64_t base, size, cmdline, reserved;
};

struct pvh_memory {
    uint64_t base, size;
    uint32_t type, reserved;
};

#define PVH_MAGIC 0x336ec578u

_Static_assert(sizeof(struct pvh_info) == 56, "as guests know it");
_Static_assert(sizeof(struct pvh_memory) == 24, "as guests know it");

struct multiboot_info {
    uint32_t flags, memory_lower, memory_upper, boot_device, cmdline, module_count, modules;
    uint32_t symbols[4], memory_length, memory_map, drives_length, drives, config, loader_name;
};

struct multiboot_module {
    uint32_t start, end, string, reserved;
};

struct multiboot_memory {
    uint32_t entry_size, base[2], size[2], type;
};

#define MULTIBOOT_MEMORY  BIT(0)
#define MULTIBOOT_CMDLINE BIT(2)
#define MULTIBOOT_MODULES BIT(3)
#define MULTIBOOT_MAP     BIT(6)
#define MULTIBOOT_LOADER  BIT(9)

_Static_assert(sizeof(struct multiboot_memory) == 24, "as guests know it");

/* --- The memory map --- */

static void map_add(struct memory_map *map, uint64_t base, uint64_t size, uint32_t type)
{
    assert(map->count < RANGES_MAX);
    if (size)
        map->ranges[map->count++] = (struct range){base, size, type};
}

static void map_make(struct memory_map *map, const struct guest_boot_params *params)
{
    const struct config_vm *vm = params->vm;
    const struct machine_device *ecam = machine_device(params->machine, "pcie-ecam");
    struct machine_ram low = machine_ram(params->machine, vm->memory_size, 0);
    struct machine_ram high = machine_ram(params->machine, vm->memory_size, 1);

    map->count = 0;
    map_add(map, 0, LOW_END, MEMORY_RAM);
    map_add(map, LOW_END, MIB - LOW_END, MEMORY_RESERVED);
    map_add(map, MIB, low.size - MIB, MEMORY_RAM);
    map_add(map, ecam->base, ecam->size, MEMORY_RESERVED);
    map_add(map, high.base, high.size, MEMORY_RAM);
    for (unsigned i = 0; i < vm->region_count; i++)
        map_add(map, vm->regions[i].address, vm->regions[i].size,
                vm->regions[i].kind == CONFIG_RAM ? MEMORY_RAM : MEMORY_RESERVED);
}

/* --- The protocols: page is the one at INFO_BASE --- */

static void put(uint8_t *page, unsigned offset, uint64_t value, unsigned bytes)
{
    memcpy(page + offset, &value, bytes);
}

/* The setup header as the file has it, where there is one, and what the loader fills in. */
static void write_boot_params(const struct guest_boot_params *params, const struct memory_map *map,
                              uint8_t *page)
{
    const struct image_plan *plan = params->plan;
    const void *file = params->vm->kernel.data;

    if (plan->format == IMAGE_BZIMAGE)
        memcpy(page + BZIMAGE_HEADER, (const char *)file + BZIMAGE_HEADER,
               bzimage_header_end(file) - BZIMAGE_HEADER);
    put(page, BOOT_RSDP, params->rsdp, 8);
    put(page, BOOT_LOADER, LOADER_UNDEFINED, 1);
    put(page, BOOT_INITRD, plan->initrd, 4);
    put(page, BOOT_INITRD_SIZE, plan->initrd_size, 4);
    put(page, BOOT_CMDLINE, CMDLINE_BASE, 4);
    put(page, BOOT_E820_COUNT, map->count, 1);
    for (unsigned i = 0; i < map->count; i++) {
        unsigned at = BOOT_E820 + i * BOOT_E820_ENTRY;

        put(page, at, map->ranges[i].base, 8);
        put(page, at + 8, map->ranges[i].size, 8);
        put(page, at + 16, map->ranges[i].type, 4);
    }
}

static void write_pvh(const struct guest_boot_params *params, const struct memory_map *map,
                      uint8_t *page)
{
    const struct image_plan *plan = params->plan;
    const struct pvh_module module = {.base = plan->initrd, .size = plan->initrd_size};
    unsigned at = LISTS + sizeof(module);
    const struct pvh_info info = {
        .magic = PVH_MAGIC,
        .version = 1,
        .module_count = plan->initrd_size != 0,
        .modules = plan->initrd_size ? INFO_BASE + LISTS : 0,
        .cmdline = CMDLINE_BASE,
        .rsdp = params->rsdp,
        .memory_map = INFO_BASE + at,
        .memory_count = map->count,
    };

    memcpy(page, &info, sizeof(info));
    memcpy(page + LISTS, &module, sizeof(module));
    for (unsigned i = 0; i < map->count; i++) {
        const struct range *r = &map->ranges[i];
        const struct pvh_memory entry = {r->base, r->size, r->type, 0};

        memcpy(page + at + i * sizeof(entry), &entry, sizeof(entry));
    }
}

static void write_multiboot(const struct guest_boot_params *params, const struct memory_map *map,
                            uint8_t *page)
{
    static const char loader[] = "caisson";
    const struct image_plan *plan = params->plan;
    const struct multiboot_module module = {
        .start = (uint32_t)plan->initrd,
        .end = (uint32_t)(plan->initrd + plan->initrd_size),
    };
    unsigned at = LISTS + sizeof(module), name = LISTS - sizeof(loader);
    uint64_t low = machine_ram(params->machine, params->vm->memory_size, 0).size;
    const struct multiboot_info info = {
        .flags = MULTIBOOT_MEMORY | MULTIBOOT_CMDLINE | MULTIBOOT_MODULES | MULTIBOOT_MAP |
                 MULTIBOOT_LOADER,
        .memory_lower = (uint32_t)(LOW_END / KIB),
        .memory_upper = (uint32_t)((low - MIB) / KIB),
        .cmdline = CMDLINE_BASE,
        .module_count = plan->initrd_size != 0,
        .modules = INFO_BASE + LISTS,
        .memory_length = map->count * (uint32_t)sizeof(struct multiboot_memory),
        .memory_map = INFO_BASE + at,
        .loader_name = INFO_BASE + name,
    };

    memcpy(page, &info, sizeof(info));
    memcpy(page + name, loader, sizeof(loader));
    memcpy(page + LISTS, &module, sizeof(module));
    for (unsigned i = 0; i < map->count; i++) {
        const struct range *r = &map->ranges[i];
        struct multiboot_memory entry = {.entry_size = sizeof(entry) - 4, .type = r->type};

        memcpy(entry.base, &r->base, 8);
        memcpy(entry.size, &r->size, 8);
        memcpy(page + at + i * sizeof(entry), &entry, sizeof(entry));
    }
}

/* --- For ARCH_MODE_LONG --- */

#define PTE_TABLE 0x003u /* Present, writable. */
#define PTE_LARGE 0x083u

static void write_tables(uint8_t *area)
{
    uint64_t *tables = (uint64_t *)(area + ARCH_BOOT_TABLES - IMAGE_BOOT_BASE);
    uint64_t *pml4 = tables, *pdpt = tables + 512, *directories = tables + 1024;

    pml4[0] = (ARCH_BOOT_TABLES + PAGE_SIZE) | PTE_TABLE;
    for (unsigned i = 0; i < 4; i++)
        pdpt[i] = (ARCH_BOOT_TABLES + (2 + i) * PAGE_SIZE) | PTE_TABLE;
    for (unsigned i = 0; i < 4 * 512; i++)
        directories[i] = (uint64_t)i << 21 | PTE_LARGE;
}

static void write_gdt(uint8_t *area)
{
    static const uint64_t gdt[ARCH_BOOT_GDT_SIZE / 8] = {
        0, 0, 0x00af9b000000ffff, /* 64-bit code, present, accessed. */
        0x00cf93000000ffff,       /* Data, 4 GiB. */
    };

    memcpy(area + ARCH_BOOT_GDT - IMAGE_BOOT_BASE, gdt, sizeof(gdt));
}

struct arch_entry guest_boot_write(const struct guest_boot_params *params,
                                   uint8_t area[GUEST_BOOT_SIZE])
{
    struct arch_entry entry = {.pc = gpa(params->plan->entry), .arg = INFO_BASE};
    const char *cmdline = params->vm->cmdline;
    struct memory_map map;

    memset(area, 0, GUEST_BOOT_SIZE);
    memcpy(area + CMDLINE_BASE - IMAGE_BOOT_BASE, cmdline, strlen(cmdline) + 1);
    map_make(&map, params);
    switch (params->plan->format) {
    case IMAGE_PVH:
        write_pvh(params, &map, area);
        entry.mode = ARCH_MODE_PROTECTED;
        return entry;
    case IMAGE_MULTIBOOT:
        write_multiboot(params, &map, area);
        entry.mode = ARCH_MODE_PROTECTED;
        return entry;
    default:
        write_boot_params(params, &map, area);
        write_tables(area);
        write_gdt(area);
        entry.mode = ARCH_MODE_LONG;
        return entry;
    }
}

_Static_assert(CONFIG_CMDLINE_MAX <= IMAGE_BOOT_END - CMDLINE_BASE, "the command line fits");
_Static_assert(BOOT_E820 + RANGES_MAX * BOOT_E820_ENTRY <= LISTS, "inside the page");
_Static_assert(LISTS + 64 + RANGES_MAX * sizeof(struct pvh_memory) <= PAGE_SIZE, "inside the page");
_Static_assert(ARCH_BOOT_TABLES + 6 * PAGE_SIZE <= CMDLINE_BASE, "the tables fit");
