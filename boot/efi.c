/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The EFI program around the hypervisor: the only file that includes <efi.h>. It finds what the
 * hypervisor must know (struct handoff), copies the flat image to its place, leaves the firmware
 * and jumps. One allocation holds what it makes, with the image on 2 MiB:
 *
 *   | image with its .bss | struct handoff | host's device tree |
 *
 * The guest configuration stays where the firmware loaded it: the section .config of this program,
 * which `caisson pack` appends, or else a file beside it. [UEFI 2.10; PE format, section table]
 */
#include <efi.h>
#include <efilib.h>

#include "boot/handoff.h"
#include "kernel/calendar.h"
#include EFI_ARCH_HEADER

#define IMAGE_ALIGN    0x200000u
#define EXIT_TRIES_MAX 8

extern const uint8_t efi_image[], efi_image_end[];

struct span {
    uint64_t base, size;
};

/* The memory map as ExitBootServices wants it: the buffer is taken before, with room for more. */
struct memory_map {
    uint8_t *descriptors;
    UINTN capacity, size, key, stride;
};

static uint64_t page_up(uint64_t size)
{
    return (size + EFI_PAGE_SIZE - 1) & ~(uint64_t)(EFI_PAGE_SIZE - 1);
}

static EFI_STATUS fail(const CHAR16 *step, EFI_STATUS status)
{
    Print(L"Caisson: %s: %r\r\n", step, status);
    return status;
}

static EFI_STATUS allocate(uint64_t size, uint64_t *base)
{
    EFI_PHYSICAL_ADDRESS at = 0;
    EFI_STATUS status =
        BS->AllocatePages(AllocateAnyPages, EfiLoaderData, EFI_SIZE_TO_PAGES(size), &at);
    *base = at;
    return status;
}

/* The section .config of our own program, as it lies in memory. */
static struct span config_section(const EFI_LOADED_IMAGE *loaded)
{
    const uint8_t *base = loaded->ImageBase;
    const uint8_t *pe = base + *(const uint32_t *)(base + 0x3c);
    unsigned count = *(const uint16_t *)(pe + 6);
    const uint8_t *section = pe + 24 + *(const uint16_t *)(pe + 20);

    for (; count > 0; count--, section += 40) {
        uint64_t size = *(const uint32_t *)(section + 8);
        uint64_t offset = *(const uint32_t *)(section + 12);

        if (CompareMem(section, ".config", 8) == 0 && offset + size <= loaded->ImageSize)
            return (struct span){(uintptr_t)base + offset, size};
    }
    return (struct span){0, 0};
}

static EFI_STATUS file_read(EFI_FILE_HANDLE file, struct span *span)
{
    EFI_FILE_INFO *info = LibFileInfo(file);
    UINTN size;
    EFI_STATUS status;

    if (!info)
        return EFI_DEVICE_ERROR;
    size = info->FileSize;
    FreePool(info);
    status = allocate(size, &span->base);
    if (EFI_ERROR(status))
        return status;
    span->size = size;
    status = file->Read(file, &size, (void *)span->base);
    return !EFI_ERROR(status) && size != span->size ? EFI_END_OF_FILE : status;
}

/* caisson.dtb or caisson.cfg in the folder that this program came from. */
static EFI_STATUS config_file(const EFI_LOADED_IMAGE *loaded, struct span *config)
{
    static const CHAR16 *const names[] = {L"caisson.dtb", L"caisson.cfg"};
    EFI_FILE_HANDLE root = LibOpenRoot(loaded->DeviceHandle), file;
    CHAR16 *program = DevicePathToStr(loaded->FilePath), path[256];
    EFI_STATUS status = EFI_NOT_FOUND;
    UINTN folder;

    if (!root || !program)
        return EFI_NOT_FOUND;
    folder = StrLen(program);
    while (folder > 0 && program[folder - 1] != L'\\')
        folder--;
    program[folder] = 0;
    for (unsigned i = 0; i < sizeof names / sizeof *names && status == EFI_NOT_FOUND; i++) {
        SPrint(path, sizeof path, L"%s%s", program, names[i]);
        status = root->Open(root, &file, path, EFI_FILE_MODE_READ, 0);
        if (EFI_ERROR(status))
            continue;
        status = file_read(file, config);
        file->Close(file);
    }
    root->Close(root);
    FreePool(program);
    return status;
}

/* Text of the boot option; what is not printable ASCII is not meant as text. */
static void cmdline_copy(const EFI_LOADED_IMAGE *loaded, char cmdline[HANDOFF_CMDLINE_MAX])
{
    const CHAR16 *options = loaded->LoadOptions;
    UINTN count = options ? loaded->LoadOptionsSize / sizeof *options : 0, i;

    for (i = 0; i < count && i < HANDOFF_CMDLINE_MAX - 1 && options[i]; i++) {
        if (options[i] < ' ' || options[i] > '~') {
            i = 0;
            break;
        }
        cmdline[i] = (char)options[i];
    }
    cmdline[i] = 0;
}

/* Seconds since 1970; 0 when the firmware has no clock. */
static uint64_t wall_seconds(void)
{
    EFI_TIME time;
    int64_t days, zone;

    if (EFI_ERROR(RT->GetTime(&time, NULL)) || time.Year < 1970)
        return 0;
    days = calendar_days(time.Year, time.Month, time.Day);
    zone = time.TimeZone == EFI_UNSPECIFIED_TIMEZONE ? 0 : time.TimeZone;
    return ((days * 24 + time.Hour) * 60 + time.Minute + zone) * 60 + time.Second;
}

/* The host's device tree, where there is one; its size is in its header, big-endian. */
static struct span fdt_find(void)
{
    static EFI_GUID guid = EFI_DTB_TABLE_GUID;
    void *fdt = NULL;

    if (EFI_ERROR(LibGetSystemConfigurationTable(&guid, &fdt)) ||
        *(const uint32_t *)fdt != __builtin_bswap32(0xd00dfeed))
        return (struct span){0, 0};
    return (struct span){(uintptr_t)fdt, __builtin_bswap32(((const uint32_t *)fdt)[1])};
}

/* EFI_MP_SERVICES_PROTOCOL [UEFI PI 1.8, volume 2, 13.4] */
struct efi_mp_processor {
    UINT64 id;
    UINT32 status;
    UINT32 location[16]; /* Package, core, thread; newer firmware writes more. */
};

struct efi_mp_services {
    EFI_STATUS(EFIAPI *count)(struct efi_mp_services *self, UINTN *all, UINTN *enabled);
    EFI_STATUS(EFIAPI *info)
    (struct efi_mp_services *self, UINTN index, struct efi_mp_processor *processor);
};

#define MP_ENABLED ((UINT32)1 << 1)
#define MP_HEALTHY ((UINT32)1 << 2)

/* Processors, where neither ACPI nor a device tree will tell of them. */
static void cpus_find(struct handoff *handoff)
{
    static EFI_GUID guid = {
        0x3fdda605, 0xa76e, 0x4f46, {0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08}};
    struct efi_mp_services *services = NULL;
    struct efi_mp_processor processor;
    UINTN all = 0, enabled;

    if (EFI_ERROR(BS->LocateProtocol(&guid, NULL, (void **)&services)) ||
        EFI_ERROR(services->count(services, &all, &enabled)))
        return;
    for (UINTN i = 0; i < all && handoff->cpu_count < HANDOFF_CPUS_MAX; i++) {
        if (EFI_ERROR(services->info(services, i, &processor)) ||
            ~processor.status & (MP_ENABLED | MP_HEALTHY))
            continue;
        handoff->cpu_ids[handoff->cpu_count++] = processor.id;
    }
}

static enum handoff_mem memory_kind(const EFI_MEMORY_DESCRIPTOR *memory)
{
    switch (memory->Type) {
    case EfiLoaderCode:
    case EfiLoaderData:
    case EfiBootServicesCode:
    case EfiBootServicesData:
    case EfiConventionalMemory:
        return memory->Attribute & EFI_MEMORY_WB ? HANDOFF_FREE : HANDOFF_RESERVED;
    case EfiRuntimeServicesCode:
    case EfiRuntimeServicesData:
        return HANDOFF_RUNTIME;
    case EfiACPIReclaimMemory:
    case EfiACPIMemoryNVS:
        return HANDOFF_ACPI;
    case EfiMemoryMappedIO:
    case EfiMemoryMappedIOPortSpace:
        return HANDOFF_MMIO;
    default:
        return HANDOFF_RESERVED;
    }
}

/* Ranges come sorted. One too many is left out: what is not listed is never used. */
static void range_add(struct handoff *handoff, uint64_t base, uint64_t end, enum handoff_mem kind)
{
    struct handoff_range *range = &handoff->ranges[handoff->range_count];

    if (base >= end)
        return;
    if (handoff->range_count > 0 && range[-1].kind == kind &&
        range[-1].base + range[-1].size == base) {
        range[-1].size += end - base;
    } else if (handoff->range_count < HANDOFF_RANGES_MAX) {
        *range = (struct handoff_range){.base = base, .size = end - base, .kind = kind};
        handoff->range_count++;
    }
}

static EFI_MEMORY_DESCRIPTOR *map_entry(const struct memory_map *map, UINTN index)
{
    return (EFI_MEMORY_DESCRIPTOR *)(map->descriptors + index * map->stride);
}

/* The lowest entry at or above an address, NULL: none. The firmware's map need not be sorted. */
static const EFI_MEMORY_DESCRIPTOR *map_next(const struct memory_map *map, uint64_t from)
{
    const EFI_MEMORY_DESCRIPTOR *found = NULL;

    for (UINTN i = 0; i < map->size / map->stride; i++) {
        const EFI_MEMORY_DESCRIPTOR *entry = map_entry(map, i);

        if (entry->PhysicalStart >= from && entry->NumberOfPages > 0 &&
            (!found || entry->PhysicalStart < found->PhysicalStart))
            found = entry;
    }
    return found;
}

/* kept: whole pages, sorted, disjoint, each inside one entry of the map. */
static void ranges_convert(struct handoff *handoff, const struct memory_map *map,
                           const struct span *kept, unsigned kept_count)
{
    const EFI_MEMORY_DESCRIPTOR *entry;
    uint64_t at = 0;

    while ((entry = map_next(map, at)) != NULL) {
        enum handoff_mem kind = memory_kind(entry);
        uint64_t end = entry->PhysicalStart + entry->NumberOfPages * EFI_PAGE_SIZE;

        at = entry->PhysicalStart;
        for (unsigned i = 0; i < kept_count; i++) {
            if (kept[i].base < at || kept[i].base >= end)
                continue;
            range_add(handoff, at, kept[i].base, kind);
            at = kept[i].base + kept[i].size;
            range_add(handoff, kept[i].base, at, HANDOFF_KEEP);
        }
        range_add(handoff, at, end, kind);
        at = end;
    }
}

static EFI_STATUS map_reserve(struct memory_map *map)
{
    UINTN size = 0;
    UINT32 version;
    EFI_STATUS status = BS->GetMemoryMap(&size, NULL, &map->key, &map->stride, &version);
    uint64_t base;

    if (status != EFI_BUFFER_TOO_SMALL)
        return status;
    map->capacity = page_up(2 * size + EFI_PAGE_SIZE);
    status = allocate(map->capacity, &base);
    map->descriptors = (uint8_t *)base;
    return status;
}

/* The map may change under our feet: then the firmware refuses its key, and wants a new try. */
static EFI_STATUS boot_services_exit(EFI_HANDLE self, struct memory_map *map)
{
    EFI_STATUS status = EFI_NOT_STARTED;
    UINT32 version;

    for (int tries = 0; tries < EXIT_TRIES_MAX; tries++) {
        map->size = map->capacity;
        status = BS->GetMemoryMap(&map->size, (EFI_MEMORY_DESCRIPTOR *)map->descriptors, &map->key,
                                  &map->stride, &version);
        if (EFI_ERROR(status))
            return status;
        status = BS->ExitBootServices(self, map->key);
        if (status != EFI_INVALID_PARAMETER)
            return status;
    }
    return status;
}

/* Takes the allocation, puts image and device tree there, and fills in all but the ranges. */
static EFI_STATUS handoff_make(const EFI_LOADED_IMAGE *loaded, struct span *kept,
                               struct handoff **out)
{
    static EFI_GUID acpi20 = ACPI_20_TABLE_GUID;
    uint64_t image_size = page_up(efi_arch_image_size(efi_image));
    uint64_t handoff_size = page_up(sizeof(struct handoff));
    struct span fdt = fdt_find();
    struct handoff *handoff;
    void *rsdp = NULL;
    EFI_STATUS status;

    kept->size = image_size + handoff_size + page_up(fdt.size);
    status = allocate(kept->size + IMAGE_ALIGN, &kept->base);
    if (EFI_ERROR(status))
        return status;
    kept->base = (kept->base + IMAGE_ALIGN - 1) & ~(uint64_t)(IMAGE_ALIGN - 1);
    SetMem((void *)kept->base, kept->size, 0);
    CopyMem((void *)kept->base, (void *)efi_image, efi_image_end - efi_image);

    handoff = (struct handoff *)(kept->base + image_size);
    handoff->magic = HANDOFF_MAGIC;
    handoff->version = HANDOFF_VERSION;
    handoff->size = sizeof *handoff;
    handoff->image_base = kept->base;
    handoff->image_size = image_size;
    if (!EFI_ERROR(LibGetSystemConfigurationTable(&acpi20, &rsdp)))
        handoff->rsdp = (uintptr_t)rsdp;
    if (fdt.size > 0) {
        handoff->fdt = kept->base + image_size + handoff_size;
        handoff->fdt_size = fdt.size;
        CopyMem((void *)handoff->fdt, (void *)fdt.base, fdt.size);
    }
    if (!handoff->rsdp && fdt.size == 0)
        cpus_find(handoff);
    handoff->wall_seconds = wall_seconds();
    cmdline_copy(loaded, handoff->cmdline);
    *out = handoff;
    return EFI_SUCCESS;
}

static void span_order(struct span pair[2])
{
    struct span first = pair[0];

    if (first.base > pair[1].base) {
        pair[0] = pair[1];
        pair[1] = first;
    }
}

EFI_STATUS efi_main(EFI_HANDLE self, EFI_SYSTEM_TABLE *system)
{
    EFI_LOADED_IMAGE *loaded = NULL;
    struct memory_map map = {0};
    struct span kept[2], config;
    struct handoff *handoff;
    EFI_STATUS status;

    InitializeLib(self, system);
    if (efi_arch_refusal()) {
        Print(L"\r\n%a\r\n", efi_arch_refusal());
        return EFI_UNSUPPORTED;
    }
    status = BS->HandleProtocol(self, &gEfiLoadedImageProtocolGuid, (void **)&loaded);
    if (EFI_ERROR(status))
        return fail(L"cannot find its own image", status);
    config = config_section(loaded);
    if (config.size == 0) {
        status = config_file(loaded, &config);
        if (status == EFI_NOT_FOUND)
            Print(L"Caisson: no guest configuration, neither in this program nor beside it "
                  L"(caisson.dtb): starting without guests.\r\n");
        else if (EFI_ERROR(status))
            return fail(L"cannot read the guest configuration", status);
    }
    status = handoff_make(loaded, &kept[0], &handoff);
    if (EFI_ERROR(status))
        return fail(L"no memory for the hypervisor", status);
    handoff->config = config.base;
    handoff->config_size = config.size;
    kept[1].base = config.base & ~(uint64_t)(EFI_PAGE_SIZE - 1);
    kept[1].size = page_up(config.base + config.size) - kept[1].base;
    status = map_reserve(&map);
    if (EFI_ERROR(status))
        return fail(L"no memory map", status);
    Print(L"\r\n"); /* The firmware's last line is seldom ended. */
    status = boot_services_exit(self, &map);
    if (EFI_ERROR(status))
        return fail(L"the firmware does not let go (ExitBootServices)", status);

    span_order(kept);
    ranges_convert(handoff, &map, kept, 2);
    efi_arch_clean(kept[0].base, kept[0].size);
    efi_arch_clean(kept[1].base, kept[1].size);
    efi_arch_enter(handoff->image_base, (uintptr_t)handoff);
}
