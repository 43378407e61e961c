/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a VM. A stop is asynchronous: each vCPU parks on its own pCPU, the last one queues
 * stopped_work, and that ends the stop outside of any guest and any lock: memory cleared, then
 * restart, or rest, as the configuration says.
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
#define RESTART_QUICK_MS     1000u  /* Resets sooner than this, after so many in a row, */
#define RESTART_FREE         3u     /* wait like crashes. */
#define RESTART_FORGET_MS    60000u /* A VM that ran so long crashes "for the first time". */

struct vm *vms[CONFIG_VMS_MAX];
unsigned vm_count;

const char *vm_state_text(enum vm_state state)
{
    static const char *const names[] = {
        [VM_CREATED] = "created", [VM_STARTING] = "starting", [VM_RUNNING] = "running",
        [VM_PAUSING] = "pausing", [VM_PAUSED] = "paused",     [VM_STOPPING] = "stopping",
        [VM_STOPPED] = "stopped", [VM_FAILED] = "failed",
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

/* vCPUs on the pCPU, of all VMs and of the one that is being made. */
static unsigned vm_load_of(const struct vm *made, unsigned cpu)
{
    unsigned load = 0;

    for (unsigned i = 0; i <= vm_count; i++) {
        const struct vm *vm = i < vm_count ? vms[i] : made;

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
        vm->layout = vm->machine->layout;
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
        .machine = vm->machine,
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

/* Takes the start, so that nobody else does; restart: only if one is still wanted. */
static bool vm_claim_start(struct vm *vm, bool restart)
{
    bool allowed;

    lock_take(&vm->lock);
    allowed = restart
                  ? vm->restart_pending
                  : vm->state == VM_CREATED || vm->state == VM_STOPPED || vm->state == VM_FAILED;
    if (allowed) {
        vm->state = VM_STARTING;
        vm->restart_pending = false;
    }
    lock_drop(&vm->lock);
    return allowed;
}

static enum err vm_start_claimed(struct vm *vm)
{
    struct loader_result boot;
    enum err err;

    vm->machine->reset(vm);
    err = vm_load(vm, &boot);
    if (err != OK) {
        guestmap_clear_ram(&vm->map); /* Part of it may be loaded. */
        vm_set_state(vm, VM_FAILED);
        return err;
    }
    vm->started_ticks = arch_ticks();
    atomic_store(&vm->hole_told, false);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        vm->vcpus[i].parked = false;
        virq_clear(&vm->vcpus[i].virq);
        arch_vcpu_set_time(&vm->vcpus[i].arch, vm->started_ticks);
    }
    vm->start_count++;
    atomic_store(&vm->running, vm->vcpu_count);
    vm_set_state(vm, VM_RUNNING);
    log_info("%s: started, entry %#llx", vm->config->name, (unsigned long long)boot.entry.pc.v);
    err = vcpu_power_on(&vm->vcpus[0], boot.entry);
    return err == E_STATE ? OK : err; /* E_STATE: it was started, and somebody has stopped it. */
}

enum err vm_start(struct vm *vm)
{
    return vm_claim_start(vm, false) ? vm_start_claimed(vm) : E_STATE;
}

/* Unless somebody was faster, or wants it to stay stopped. */
static void vm_start_again(struct vm *vm)
{
    if (vm_claim_start(vm, true) && vm_start_claimed(vm) != OK)
        log_error("%s: could not be restarted", vm->config->name);
}

/* --- Stop --- */

enum err vm_stop(struct vm *vm, enum vm_stop_reason reason)
{
    bool running, waiting;

    lock_take(&vm->lock);
    running = vm->state == VM_RUNNING;
    waiting = vm->restart_pending;
    vm->restart_pending = false;
    if (running) {
        vm->state = VM_STOPPING;
        vm->reason = reason;
    } else if (vm->state == VM_STOPPING && reason == VM_STOP_ASKED && vm->reason != reason) {
        vm->reason = reason; /* It is not to restart. */
        waiting = true;
    }
    lock_drop(&vm->lock);
    if (!running)
        return waiting ? OK : E_STATE;
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_request(&vm->vcpus[i], VCPU_REQ_STOP);
    return OK;
}

void vm_vcpu_parked(struct vm *vm)
{
    /* Always on the same pCPU, because the restart timer belongs to one. */
    if (atomic_fetch_sub(&vm->running, 1) == 1)
        ipi_work(vm->vcpus[0].sched.cpu, &vm->stopped_work);
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

/*
 * 0: at once. A guest that crashes, or resets right after its start, in a loop is made ever slower.
 */
static uint64_t vm_restart_delay_ms(struct vm *vm, enum vm_stop_reason reason)
{
    uint64_t ran_ms = ticks_to_ns(arch_ticks() - vm->started_ticks) / 1000000;
    uint64_t delay = RESTART_DELAY_MS;

    if (ran_ms > RESTART_FORGET_MS)
        vm->restart_count = 0;
    if (reason != VM_STOP_CRASH) {
        if (ran_ms > RESTART_QUICK_MS)
            return 0;
        if (vm->restart_count < RESTART_FREE) {
            vm->restart_count++;
            return 0;
        }
    }
    for (unsigned i = 0; i < vm->restart_count && delay < RESTART_DELAY_MS_MAX; i++)
        delay *= 2;
    vm->restart_count++;
    return MIN(delay, RESTART_DELAY_MS_MAX);
}

/* All vCPUs have parked: no guest, no locks. On the pCPU of vCPU 0. */
static void vm_stopped(struct work *work)
{
    static const char *const reasons[] = {
        [VM_STOP_ASKED] = "stopped",
        [VM_STOP_POWEROFF] = "powered off",
        [VM_STOP_RESET] = "reset",
        [VM_STOP_CRASH] = "crashed",
    };
    struct vm *vm = container_of(work, struct vm, stopped_work);
    enum vm_stop_reason reason;
    uint64_t delay_ms = 0;
    bool restart;

    guestmap_clear_ram(&vm->map);
    lock_take(&vm->lock);
    reason = vm->reason; /* A user may have asked for the stop while it went on. */
    restart = vm_action(vm) == ACTION_RESTART;
    if (restart)
        delay_ms = vm_restart_delay_ms(vm, reason);
    vm->state = VM_STOPPED;
    vm->restart_pending = restart;
    lock_drop(&vm->lock);
    log_info("%s: %s%s", vm->config->name, reasons[reason], restart ? ", restarting" : "");
    if (delay_ms)
        timer_arm(&vm->restart_timer, arch_ticks() + ticks_from_ns(delay_ms * 1000000));
    else
        vm_start_again(vm);
}

static void vm_restart_work(struct work *work)
{
    vm_start_again(container_of(work, struct vm, restart_work));
}

/* A timer runs in an interrupt: the start itself is work. */
static void vm_restart(struct timer *timer)
{
    struct vm *vm = container_of(timer, struct vm, restart_timer);

    ipi_work(this_cpu()->id, &vm->restart_work);
}
