/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a VM. A stop is asynchronous: each vCPU parks on its own pCPU, the last one queues stopped_work, and that ends
 * the stop outside of any guest and any lock: memory cleared, then restart, or rest, as the configuration says.
 */
#include "vcpu/vm.h"

#include "kernel/assert.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"
#include "kernel/string.h"
#include "mm/page.h"
#include "vcpu/loader.h"
#include "vcpu/machine.h"
#include "vcpu/machine_ops.h"

#define RESTART_DELAY_MS     100u   /* After a first crash; doubles with each in a row, */
#define RESTART_DELAY_MS_MAX 10000u /* up to this. */
#define CRASH_FORGET_MS      60000u /* A VM that ran so long crashes "for the first time". */

extern const struct machine_ops ARCH_MACHINE;

struct vm *vms[CONFIG_VMS_MAX];
unsigned vm_count;

const char *vm_state_text(enum vm_state state)
{
    static const char *const names[] = {
        [VM_CREATED] = "created",   [VM_STARTING] = "starting", [VM_RUNNING] = "running",
        [VM_PAUSING] = "pausing",   [VM_PAUSED] = "paused",     [VM_STOPPING] = "stopping",
        [VM_STOPPED] = "stopped",   [VM_FAILED] = "failed",
    };

    return names[state];
}

struct console_port *vm_console(struct vm *vm)
{
    return vm->machine->console(vm);
}

struct vm *vm_find(const char *name)
{
    for (unsigned i = 0; i < vm_count; i++)
        if (vms[i] && strcmp(vms[i]->config->name, name) == 0)
            return vms[i];
    return NULL;
}

/* --- Making one --- */

static unsigned page_order(size_t size)
{
    unsigned order = 0;

    while ((PAGE_SIZE << order) < size)
        order++;
    return order;
}

static void *vm_alloc(size_t size)
{
    return page_alloc_zeroed(page_order(size));
}

static void vm_free(void *object, size_t size)
{
    if (object)
        page_free(object, page_order(size));
}

/* The pCPU of the mask that has the fewest vCPUs; a mask of 0 means any. */
static unsigned vm_place(uint64_t mask)
{
    static unsigned load[CPUS_MAX];
    unsigned best = CPUS_MAX;

    for (unsigned cpu = 0; cpu < pcpu_count; cpu++)
        if (pcpu(cpu)->online && (!mask || mask >> cpu & 1) &&
            (best == CPUS_MAX || load[cpu] < load[best]))
            best = cpu;
    if (best != CPUS_MAX)
        load[best]++;
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

static enum err vm_create_memory(struct vm *vm)
{
    const struct config_vm *config = vm->config;
    enum err err = guestmap_add(&vm->map, gpa(vm->layout->ram_base), config->memory_size,
                                REGION_RAM, hpa(config->memory_host));

    if (err != OK) {
        log_error("/vms/%s: cannot have %llu MiB of memory%s: %s", config->name,
                  (unsigned long long)(config->memory_size / MIB),
                  config->memory_host ? " at its memory-host address" : "", err_text(err));
        return err;
    }
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
        unsigned cpu = vm_place(config->affinity[i]);

        if (cpu == CPUS_MAX) {
            log_error("/vms/%s: vCPU %u has an affinity to no pCPU that there is (0-%u)",
                      config->name, i, pcpu_count - 1);
            return E_ABSENT;
        }
        TRY(vcpu_init(&vm->vcpus[i], vm, i, cpu, config->priority, !config->exclusive));
        vm->vcpu_count++;
    }
    return OK;
}

static void vm_stopped(struct work *work);
static void vm_restart(struct timer *timer);
static void vm_restart_work(struct work *work);

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
    vm_free(vm->vcpus, vm->config->cpu_count * sizeof(struct vcpu));
    if (vm->map.pt.root)
        guestmap_destroy(&vm->map);
}

enum err vm_create(const struct config_vm *config, struct vm **result)
{
    struct vm *vm = vm_alloc(sizeof(*vm));
    enum err err = E_NOMEM;

    if (vm) {
        vm->config = config;
        vm->machine = &ARCH_MACHINE;
        vm->layout = machine_find(vm->machine->arch);
        lock_init(&vm->lock, RANK_VM, config->name);
        vm->stopped_work.fn = vm_stopped;
        vm->restart_work.fn = vm_restart_work;
        timer_init(&vm->restart_timer, vm_restart);
        err = vm_create_parts(vm);
    }
    if (err == OK) {
        *result = vm;
        return OK;
    }
    log_error("/vms/%s: not created: %s", config->name, err_text(err));
    if (vm) {
        vm_destroy_parts(vm);
        vm_free(vm, sizeof(*vm));
    }
    return err;
}

/* --- Start --- */

static enum err vm_load(struct vm *vm, struct loader_result *result)
{
    struct loader_job job = {
        .map = &vm->map,
        .vm = vm->config,
        .machine = vm->layout,
        .gic_version = virt_caps.gic_version,
        .isa = virt_caps.isa,
        .timer_hz = platform.timer_hz,
        .va_bits = platform.va_bits,
        .cbom_size = platform.cbom_size,
        .cboz_size = platform.cboz_size,
        .cbop_size = platform.cbop_size,
        .scratch = vm_alloc(LOADER_SCRATCH_SIZE),
        .scratch_size = LOADER_SCRATCH_SIZE,
    };
    enum err err = job.scratch ? loader_load(&job, result) : E_NOMEM;

    vm_free(job.scratch, LOADER_SCRATCH_SIZE);
    return err;
}

static void vm_set_state(struct vm *vm, enum vm_state state)
{
    lock_take(&vm->lock);
    vm->state = state;
    lock_drop(&vm->lock);
}

enum err vm_start(struct vm *vm)
{
    struct loader_result boot;
    bool allowed;
    enum err err;

    lock_take(&vm->lock);
    allowed = vm->state == VM_CREATED || vm->state == VM_STOPPED || vm->state == VM_FAILED;
    if (allowed)
        vm->state = VM_STARTING;
    lock_drop(&vm->lock);
    if (!allowed)
        return E_STATE;

    vm->machine->reset(vm);
    err = vm_load(vm, &boot);
    if (err != OK) {
        guestmap_clear_ram(&vm->map); /* Part of it may be loaded. */
        vm_set_state(vm, VM_FAILED);
        return err;
    }
    vm->started_ticks = arch_ticks();
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        vm->vcpus[i].parked = false;
        virq_clear(&vm->vcpus[i].virq);
        arch_vcpu_set_time(&vm->vcpus[i].arch, vm->started_ticks);
    }
    vm->start_count++;
    atomic_store(&vm->running, vm->vcpu_count);
    vm_set_state(vm, VM_RUNNING);
    log_info("%s: started, entry %#llx", vm->config->name, (unsigned long long)boot.entry.v);
    return vcpu_power_on(&vm->vcpus[0], boot.entry, boot.arg);
}

/* --- Stop --- */

enum err vm_stop(struct vm *vm, enum vm_stop_reason reason)
{
    bool allowed;

    lock_take(&vm->lock);
    allowed = vm->state == VM_RUNNING;
    if (allowed) {
        vm->state = VM_STOPPING;
        vm->reason = reason;
    }
    lock_drop(&vm->lock);
    if (!allowed)
        return E_STATE;
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_request(&vm->vcpus[i], VCPU_REQ_STOP);
    return OK;
}

void vm_vcpu_parked(struct vm *vm)
{
    if (atomic_fetch_sub(&vm->running, 1) == 1)
        ipi_work(this_cpu()->id, &vm->stopped_work);
}

static enum config_action vm_action(const struct vm *vm)
{
    switch (vm->reason) {
    case VM_STOP_POWEROFF:
        return vm->config->on_poweroff;
    case VM_STOP_RESET:
        return vm->config->on_reset;
    case VM_STOP_CRASH:
        return vm->config->on_crash;
    case VM_STOP_ASKED:
        break;
    }
    return ACTION_STOP;
}

static uint64_t vm_restart_delay_ms(struct vm *vm)
{
    uint64_t delay = RESTART_DELAY_MS;

    if (ticks_to_ns(arch_ticks() - vm->started_ticks) / 1000000 > CRASH_FORGET_MS)
        vm->crash_count = 0;
    for (unsigned i = 0; i < vm->crash_count && delay < RESTART_DELAY_MS_MAX; i++)
        delay *= 2;
    vm->crash_count++;
    return MIN(delay, RESTART_DELAY_MS_MAX);
}

/* On the pCPU where the last vCPU parked; no guest, no locks. */
static void vm_stopped(struct work *work)
{
    static const char *const reasons[] = {
        [VM_STOP_ASKED] = "stopped",
        [VM_STOP_POWEROFF] = "powered off",
        [VM_STOP_RESET] = "reset",
        [VM_STOP_CRASH] = "crashed",
    };
    struct vm *vm = container_of(work, struct vm, stopped_work);
    enum config_action action = vm_action(vm);

    guestmap_clear_ram(&vm->map);
    vm_set_state(vm, VM_STOPPED);
    log_info("%s: %s%s", vm->config->name, reasons[vm->reason],
             action == ACTION_RESTART ? ", restarting" : "");
    if (action != ACTION_RESTART)
        return;
    if (vm->reason == VM_STOP_CRASH)
        timer_arm(&vm->restart_timer,
                  arch_ticks() + ticks_from_ns(vm_restart_delay_ms(vm) * 1000000));
    else if (vm_start(vm) != OK)
        log_error("%s: could not be restarted", vm->config->name);
}

static void vm_restart_work(struct work *work)
{
    struct vm *vm = container_of(work, struct vm, restart_work);

    enum err err = vm_start(vm);

    if (err != OK && err != E_STATE) /* E_STATE: somebody was faster. */
        log_error("%s: could not be restarted", vm->config->name);
}

/* A timer runs in an interrupt: the start itself is work. */
static void vm_restart(struct timer *timer)
{
    struct vm *vm = container_of(timer, struct vm, restart_timer);

    ipi_work(this_cpu()->id, &vm->restart_work);
}
