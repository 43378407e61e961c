/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making VMs from their configuration, and taking them apart again, so that nothing is left: pages,
 * interrupt files, the VMID, which is the configuration's index and one. On the boot pCPU.
 */
#include "vcpu/vm_impl.h"

#include "kernel/assert.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "mm/page.h"
#include "vcpu/caps.h"
#include "vcpu/image.h"
#include "vcpu/machine.h"
#include "vcpu/machine_ops.h"

struct vm *vms[CONFIG_VMS_MAX];
unsigned vm_count;

static const struct config *configured;

void vm_configure(const struct config *config)
{
    configured = config;
}

const struct config_vm *vm_configured(const char *name)
{
    return configured ? config_find(configured, name) : NULL;
}

struct vm *vm_find(const char *name)
{
    for (unsigned i = 0; i < vm_count; i++)
        if (vms[i] && strcmp(vms[i]->config->name, name) == 0)
            return vms[i];
    return NULL;
}

static unsigned page_order(size_t size)
{
    unsigned order = 0;

    while ((PAGE_SIZE << order) < size)
        order++;
    return order;
}

void *vm_alloc(size_t size)
{
    return page_alloc_zeroed(page_order(size));
}

void vm_free(void *object, size_t size)
{
    if (object)
        page_free(object, page_order(size));
}

/* vCPUs on the pCPU, of all VMs and of the one that is being made. */
static unsigned vm_load_of(const struct vm *made, unsigned cpu)
{
    unsigned load = 0;

    for (unsigned i = 0; i <= vm_count; i++) {
        const struct vm *vm = i < vm_count ? vms[i] : made; /* made: not listed yet. */

        for (unsigned v = 0; vm && v < vm->vcpu_count; v++)
            load += vm->vcpus[v].sched.cpu == cpu;
    }
    return load;
}

/*
 * The pCPU of the mask that has the fewest vCPUs; a mask of 0 means any. CPUS_MAX: there is none.
 */
static unsigned vm_place(const struct vm *vm, uint64_t mask)
{
    unsigned best = CPUS_MAX, best_load = UINT_MAX;

    for (unsigned cpu = 0; cpu < pcpu_count; cpu++) {
        unsigned load = vm_load_of(vm, cpu);

        if (!pcpu(cpu)->online || (mask && !(mask >> cpu & 1)) || load >= best_load)
            continue;
        best = cpu;
        best_load = load;
    }
    return best;
}

static enum guest_region_kind vm_region_kind(enum config_region_kind kind)
{
    switch (kind) {
    case CONFIG_RAM:
        return REGION_RAM;
    case CONFIG_ROM:
        return REGION_ROM;
    case CONFIG_DEVICE:
        return REGION_DEVICE;
    case CONFIG_SHARED:
        return REGION_SHARED;
    }
    unreachable();
}

/* Of RAM at a host address of its own the pieces follow each other. */
static enum err vm_create_ram(struct vm *vm)
{
    uint64_t host = vm->config->memory_host;

    for (unsigned i = 0; i < MACHINE_RAM_PIECES; i++) {
        struct machine_ram ram = machine_ram(vm->layout, vm->config->memory_size, i);

        if (ram.size)
            TRY(guestmap_add(&vm->map, gpa(ram.base), ram.size, REGION_RAM, hpa(host)));
        if (host)
            host += ram.size;
    }
    return OK;
}

static enum err vm_create_memory(struct vm *vm)
{
    const struct config_vm *config = vm->config;
    enum err err = vm_create_ram(vm);

    if (err != OK) {
        log_error("/vms/%s: cannot have %llu MiB of memory%s: %s", config->name,
                  (unsigned long long)(config->memory_size / MIB),
                  config->memory_host ? " at its memory-host address" : "", err_text(err));
        return err;
    }
    if (config->firmware)
        TRY(guestmap_add(&vm->map, gpa(IMAGE_FIRMWARE_END - config->kernel.size),
                         config->kernel.size, REGION_ROM, hpa(0)));
    for (unsigned i = 0; i < config->region_count; i++) {
        const struct config_region *region = &config->regions[i];

        err = guestmap_add(&vm->map, gpa(region->address), region->size,
                           vm_region_kind(region->kind), hpa(region->host));
        if (err != OK) {
            log_error("/vms/%s/regions/%s: cannot be given: %s", config->name, region->name,
                      err_text(err));
            return err;
        }
    }
    return OK;
}

static enum err vm_create_vcpus(struct vm *vm)
{
    const struct config_vm *config = vm->config;

    vm->vcpus = vm_alloc(config->cpu_count * sizeof(struct vcpu));
    if (!vm->vcpus)
        return E_NOMEM;
    for (unsigned i = 0; i < config->cpu_count; i++) {
        unsigned cpu = vm_place(vm, config->affinity[i]);

        if (cpu == CPUS_MAX) {
            log_error("/vms/%s: vCPU %u has an affinity to no pCPU that there is (0-%u)",
                      config->name, i, pcpu_count - 1);
            return E_ABSENT;
        }
        TRY(vcpu_init(&vm->vcpus[i], vm, i, cpu, config->priority, !config->exclusive));
        vm_share_vcpu(&vm->vcpus[i]);
        vm->home = i == 0 ? cpu : vm->home;
        vm->vcpu_count++;
    }
    vm_life_init(vm);
    return OK;
}

static enum err vm_create_parts(struct vm *vm)
{
    TRY(guestmap_init(&vm->map, arch_stage2_format(), (uint16_t)(vm->config->index + 1)));
    TRY(vm_create_memory(vm));
    TRY(vm_create_vcpus(vm));
    vm->machine_state = vm_alloc(vm->machine->state_size);
    if (!vm->machine_state)
        return E_NOMEM;
    return vm->machine->create(vm);
}

static void vm_destroy_parts(struct vm *vm)
{
    if (vm->machine_state)
        vm->machine->destroy(vm);
    vm_free(vm->machine_state, vm->machine->state_size);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_destroy(&vm->vcpus[i]);
    vm_free(vm->vcpus, vm->config->cpu_count * sizeof(struct vcpu));
    if (vm->map.pt.root)
        guestmap_destroy(&vm->map);
    vm_free(vm, sizeof(*vm));
}

static enum err vm_make(struct vm *vm, const struct config_vm *config)
{
    vm->config = config;
    vm->machine = &ARCH_MACHINE;
    vm->layout = vm->machine->layout;
    lock_init(&vm->lock, RANK_VM, config->name);
    return vm_create_parts(vm);
}

enum err vm_create(const struct config_vm *config, struct vm **result)
{
    struct vm *vm = NULL;
    enum err err;

    assert(config->index < CONFIG_VMS_MAX);
    if (vms[config->index])
        return E_EXISTS;
    err = caps_check(config);
    if (err == OK) {
        vm = vm_alloc(sizeof(*vm));
        err = vm ? vm_make(vm, config) : E_NOMEM;
    }
    if (err != OK) {
        log_error("/vms/%s: not created: %s", config->name, err_text(err));
        if (vm)
            vm_destroy_parts(vm);
        return err;
    }
    vms[config->index] = vm;
    vm_count = MAX(vm_count, config->index + 1);
    vm_share_slots(vm, true);
    *result = vm;
    return OK;
}

/* A configuration of its own, in one block with its name. */
struct config_copy {
    struct config_vm config;
    char name[CONFIG_NAME_MAX];
};

/* Neither a VM nor a configured one has it. CONFIG_VMS_MAX: there is none. */
static unsigned index_free(void)
{
    unsigned index = configured ? configured->vm_count : 0;

    while (index < CONFIG_VMS_MAX && vms[index])
        index++;
    return index;
}

enum err vm_create_like(const struct config_vm *like, const char *name, struct vm **vm)
{
    unsigned index = index_free();
    struct config_copy *copy;
    enum err err;

    if (vm_find(name) || vm_configured(name))
        return E_EXISTS;
    copy = index < CONFIG_VMS_MAX ? vm_alloc(sizeof(*copy)) : NULL;
    if (!copy)
        return E_NOMEM;
    copy->config = *like;
    str_copy(copy->name, sizeof(copy->name), name);
    copy->config.name = copy->name;
    copy->config.index = index;
    err = vm_create(&copy->config, vm);
    if (err != OK)
        vm_free(copy, sizeof(*copy));
    else
        (*vm)->config_copy = copy;
    return err;
}

enum err vm_destroy(struct vm *vm)
{
    const struct config_vm *config = vm->config;
    struct config_copy *copy = vm->config_copy;

    TRY(vm_leave(vm));
    vm_share_slots(vm, false);
    vms[config->index] = NULL;
    vm_destroy_parts(vm);
    log_info("%s: destroyed", config->name);
    vm_free(copy, sizeof(*copy));
    return OK;
}
