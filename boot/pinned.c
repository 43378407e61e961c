/* SPDX-License-Identifier: Apache-2.0 */
/* Pinned host memory. Boot processor only, before and between vm_create()s. */
#include "boot/pinned.h"

#include "kernel/arch.h"
#include "kernel/log.h"
#include "kernel/platform.h"
#include "mm/memmap.h"
#include "mm/page.h"
#include "vcpu/config.h"

#define SHARED_MAX 32u
#define OWN_WINDOW (64 * KIB) /* What a device of ours may take: as large as a distributor. */

/* Ranges that some VMs share: taken once, by the first that names them. */
static struct platform_region shared[SHARED_MAX];
static unsigned shared_count;

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a < b + b_size && b < a + a_size;
}

static bool pinned_refuse(const struct config_vm *vm, const char *region, const char *why)
{
    log_error("/vms/%s%s%s: %s", vm->name, region ? "/regions/" : "", region ? region : "", why);
    return false;
}

static bool pinned_claim_shared(const struct config_vm *vm, const struct config_region *region)
{
    for (unsigned i = 0; i < shared_count; i++) {
        if (shared[i].base == region->host && shared[i].size == region->size)
            return true;
        if (overlap(shared[i].base, shared[i].size, region->host, region->size))
            return pinned_refuse(vm, region->name, "shares a part of another shared range only");
    }
    if (shared_count == SHARED_MAX)
        return pinned_refuse(vm, region->name, "too many ranges are shared");
    if (page_claim(hpa(region->host), region->size) != OK)
        return pinned_refuse(vm, region->name, "its host address is not free memory");
    arch_zero_pages(phys_to_ptr(hpa(region->host)), region->size);
    shared[shared_count++] = (struct platform_region){region->host, region->size};
    return true;
}

/* Whether the range holds RAM, or devices that the hypervisor itself uses. */
static bool pinned_is_ours(const struct memmap *map, uint64_t base, uint64_t size)
{
    const uint64_t own[] = {platform.gicd, platform.gicc, platform.gich, platform.gicv,
                            platform.uart_base};

    for (unsigned i = 0; i < map->count; i++)
        if (map->ranges[i].kind != MEM_DEVICE && map->ranges[i].kind != MEM_RESERVED &&
            overlap(map->ranges[i].base, map->ranges[i].size, base, size))
            return true;
    for (unsigned i = 0; i < platform.gicr_count; i++)
        if (overlap(platform.gicr[i].base, platform.gicr[i].size, base, size))
            return true;
    for (unsigned i = 0; i < ARRAY_SIZE(own); i++)
        if (own[i] && overlap(own[i], OWN_WINDOW, base, size))
            return true;
    return false;
}

static bool pinned_claim_region(const struct config_vm *vm, const struct config_region *region,
                                const struct memmap *map)
{
    switch (region->kind) {
    case CONFIG_SHARED:
        return pinned_claim_shared(vm, region);
    case CONFIG_DEVICE:
        if (pinned_is_ours(map, region->host, region->size))
            return pinned_refuse(vm, region->name,
                                 "its host address is memory, or a device of the hypervisor's own");
        return true;
    case CONFIG_RAM:
    case CONFIG_ROM:
        if (region->host && page_claim(hpa(region->host), region->size) != OK)
            return pinned_refuse(vm, region->name, "its host address is not free memory");
        return true;
    }
    return true;
}

/* RAM, and the first `regions` regions that are RAM or ROM. */
static void pinned_give_back(const struct config_vm *vm, unsigned regions)
{
    for (unsigned i = 0; i < regions; i++)
        if (vm->regions[i].host &&
            (vm->regions[i].kind == CONFIG_RAM || vm->regions[i].kind == CONFIG_ROM))
            page_release(hpa(vm->regions[i].host), vm->regions[i].size);
    if (vm->memory_host)
        page_release(hpa(vm->memory_host), vm->memory_size);
}

bool pinned_claim(const struct config_vm *vm, const struct memmap *map)
{
    unsigned done = 0;
    bool ok = true;

    if (vm->memory_host && page_claim(hpa(vm->memory_host), vm->memory_size) != OK)
        return pinned_refuse(vm, NULL, "its 'memory-host' address is not free memory");
    for (; ok && done < vm->region_count; done++)
        ok = pinned_claim_region(vm, &vm->regions[done], map);
    if (ok)
        return true;
    pinned_give_back(vm, done - 1); /* The last one was refused. */
    return false;
}

void pinned_release(const struct config_vm *vm)
{
    pinned_give_back(vm, vm->region_count);
}
