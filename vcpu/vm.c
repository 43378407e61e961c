/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a VM. What takes it out of RUNNING holds its vCPUs, each by work on its own pCPU; the
 * last one queues held_work, and that makes the pause, or ends the stop outside of any guest and
 * any lock: memory cleared (vm_job.c), then restart, or rest, as the configuration says.
 *
 * Once a state that may be destroyed is set and vm->lock dropped, the VM is not touched any more.
 */
#include "vcpu/vm_impl.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "vcpu/machine_ops.h"

#define RESTART_DELAY_MS     100u   /* After a first crash; doubles with each in a row, */
#define RESTART_DELAY_MS_MAX 10000u /* up to this. */
#define RESTART_QUICK_MS     1000u  /* Resets sooner than this, after so many in a row, */
#define RESTART_FREE         3u     /* wait like crashes. */
#define RESTART_FORGET_MS    60000u /* A VM that ran so long crashes "for the first time". */

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

bool vm_may_become(enum vm_state from, enum vm_state to)
{
    static const uint8_t next[] = {
        [VM_CREATED] = BIT(VM_STARTING),
        [VM_STARTING] = BIT(VM_RUNNING) | BIT(VM_STOPPING) | BIT(VM_FAILED),
        [VM_RUNNING] = BIT(VM_PAUSING) | BIT(VM_STOPPING),
        [VM_PAUSING] = BIT(VM_PAUSED) | BIT(VM_RUNNING) | BIT(VM_STOPPING),
        [VM_PAUSED] = BIT(VM_RUNNING) | BIT(VM_STOPPING),
        [VM_STOPPING] = BIT(VM_STOPPED),
        [VM_STOPPED] = BIT(VM_STARTING),
        [VM_FAILED] = BIT(VM_STARTING),
    };

    return next[from] >> to & 1;
}

enum err vm_set_state(struct vm *vm, enum vm_state to)
{
    assert(lock_held(&vm->lock));
    if (vm->leaving || !vm_may_become(vm->state, to)) {
        log_debug("%s: is %s%s and cannot become %s", vm->config->name, vm_state_text(vm->state),
                  vm->leaving ? ", being destroyed," : "", vm_state_text(to));
        return E_STATE;
    }
    vm->state = to;
    return OK;
}

void vm_must_become(struct vm *vm, enum vm_state to)
{
    enum err err = vm_set_state(vm, to);

    assert(err == OK);
}

static unsigned vm_home(const struct vm *vm)
{
    return vm->home;
}

static uint64_t ticks_after_ms(uint64_t ms)
{
    return arch_ticks() + ticks_from_ns(ms * 1000000);
}

/* --- Start --- */

/* Its vCPUs are held. */
static void vm_prepare(struct vm *vm)
{
    vm->started_ticks = arch_ticks();
    vm->began_ticks = vm->started_ticks;
    vm->ready_told = false;
    vm->paused_ticks = 0;
    atomic_store(&vm->hole_told, false);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        vcpu_reset(&vm->vcpus[i]);
        virq_clear(&vm->vcpus[i].virq);
        arch_vcpu_set_time(&vm->vcpus[i].arch, vm->started_ticks);
    }
    vm->start_count++;
}

static void vm_set_watchdog(struct vm *vm, uint32_t ms)
{
    ms = ms ? ms : vm->config->watchdog_ms;
    alarm_set(&vm->watchdog, ms ? ticks_after_ms(ms) : TICKS_NEVER);
}

void vm_feed_watchdog(struct vm *vm, uint32_t ms)
{
    lock_take(&vm->lock);
    if (vm_is_up(vm))
        vm_set_watchdog(vm, ms);
    lock_drop(&vm->lock);
}

static void vm_let_go(struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_let_go(&vm->vcpus[i]);
}

bool vm_is_bound(const struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        enum vcpu_state state = atomic_load(&vm->vcpus[i].state);

        if (state != VCPU_READY && state != VCPU_RUNNING)
            continue;
        log_debug("%s: is %s, and vCPU %u is run by hand", vm->config->name,
                  vm_state_text(vm->state), i);
        return true;
    }
    return false;
}

enum err vm_load(struct vm *vm, struct arch_entry *entry)
{
    bool ok;

    lock_take(&vm->lock);
    ok = vm_is_by_hand(vm) && !vm_is_bound(vm);
    if (!ok)
        log_debug("%s: is %s and cannot be loaded", vm->config->name, vm_state_text(vm->state));
    lock_drop(&vm->lock);
    if (!ok)
        return E_STATE;
    vm->machine->reset(vm);
    TRY(vm_job_load_now(vm));
    vm_prepare(vm);
    *entry = vm->job.boot.entry;
    return OK;
}

static void vm_clear_or_keep(struct vm *vm);

/* STARTING, and loaded, or it could not be; or STOPPING, whatever there is of it. */
static enum err vm_loaded(struct vm *vm, enum err err)
{
    bool stops;

    if (err == OK)
        vm_prepare(vm);
    lock_take(&vm->lock);
    stops = vm->state == VM_STOPPING;
    if (!stops && err == OK) {
        const struct arch_entry entry = vm->job.boot.entry;

        vm_must_become(vm, VM_RUNNING);
        log_info("%s: started, entry %#llx", vm->config->name, (unsigned long long)entry.pc.v);
        vcpu_start(&vm->vcpus[0], entry);
        vm_set_watchdog(vm, 0);
        alarm_set(&vm->ready,
                  vm->config->snapshot_ms ? ticks_after_ms(vm->config->snapshot_ms) : TICKS_NEVER);
        vm_let_go(vm);
    } else if (!stops) {
        vm_must_become(vm, VM_FAILED);
        if (vm->restarts)
            log_error("%s: could not be restarted", vm->config->name);
    }
    lock_drop(&vm->lock);
    if (stops)
        vm_clear_or_keep(vm);
    return stops ? OK : err;
}

/*
 * State STARTING, so that nobody else does anything with it. again: from a snapshot, if one is
 * claimed.
 */
static enum err vm_start_claimed(struct vm *vm, bool again)
{
    vm->restarts = again;
    if (again && snapshot_vm_restore(vm))
        return OK;
    vm->machine->reset(vm);
    return vm_job_load(vm, vm_loaded);
}

enum err vm_start(struct vm *vm)
{
    enum err err;

    lock_take(&vm->lock);
    err = vm_is_by_hand(vm) && vm_is_bound(vm) ? E_STATE : vm_set_state(vm, VM_STARTING);
    if (err == OK) {
        vm->restart_pending = false;
        snapshot_vm_unclaim(vm);
    }
    lock_drop(&vm->lock);
    return err == OK ? vm_start_claimed(vm, false) : err;
}

static void vm_restart_work(struct work *work)
{
    struct vm *vm = container_of(work, struct vm, restart_work);
    bool claimed;

    lock_take(&vm->lock);
    vm->restart_queued = false;
    /* Unless somebody was faster, or wants it to stay stopped. */
    claimed = vm->restart_pending && vm_set_state(vm, VM_STARTING) == OK;
    vm->restart_pending = false;
    lock_drop(&vm->lock);
    if (claimed)
        err_ignore(vm_start_claimed(vm, true)); /* It is logged, and the VM has failed. */
}

/* A timer runs in an interrupt: the start itself is work. */
static void vm_restart_fired(struct alarm *alarm)
{
    struct vm *vm = container_of(alarm, struct vm, restart);

    vm->restart_queued = true;
    ipi_work(vm_home(vm), &vm->restart_work);
}

/* --- Out of RUNNING: PAUSING or STOPPING --- */

static void vm_hold(struct vm *vm)
{
    vm->held_ticks = arch_ticks();
    vm->running = vm->vcpu_count;
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_hold(&vm->vcpus[i]);
}

void vm_vcpu_held(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;

    if (!vcpu->hold_asked)
        return; /* It took too long: the pause was given up. */
    vcpu->hold_asked = false;
    if (--vm->running == 0)
        ipi_work(vm_home(vm), &vm->held_work);
}

static enum config_action vm_action(const struct vm *vm, enum vm_stop_reason reason)
{
    switch (reason) {
    case VM_STOP_POWEROFF:
        return vm->config->on_poweroff;
    case VM_STOP_RESET:
        return vm->config->on_reset;
    case VM_STOP_CRASH:
        return vm->config->on_crash;
    case VM_STOP_RESTART:
        return ACTION_RESTART;
    case VM_STOP_RESTORE:
        return ACTION_RESTORE;
    case VM_STOP_ASKED:
        break;
    }
    return ACTION_STOP;
}

static bool vm_by_guest(enum vm_stop_reason reason)
{
    return reason >= VM_STOP_POWEROFF;
}

enum err vm_pause_for(struct vm *vm, enum vm_stop_reason reason)
{
    TRY(vm_set_state(vm, VM_PAUSING));
    vm->reason = reason;
    alarm_set(&vm->pause_limit, ticks_after_ms(VM_PAUSE_LIMIT_MS));
    vm_hold(vm);
    return OK;
}

enum err vm_pause(struct vm *vm)
{
    enum err err;

    lock_take(&vm->lock);
    err = vm_pause_for(vm, VM_STOP_ASKED);
    lock_drop(&vm->lock);
    return err;
}

/* vm->lock held, by the alarm. */
static void vm_pause_late(struct alarm *alarm)
{
    struct vm *vm = container_of(alarm, struct vm, pause_limit);

    if (vm->state != VM_PAUSING)
        return;
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        if (vm->vcpus[i].hold_asked)
            log_error("%s: not paused: vCPU %u on cpu%u did not stop within %u ms; it runs on",
                      vm->config->name, i, vm->vcpus[i].sched.cpu, VM_PAUSE_LIMIT_MS);
    vm_must_become(vm, VM_RUNNING);
    snapshot_vm_cancel(vm);
    vm_let_go(vm);
}

enum err vm_stop_locked(struct vm *vm, enum vm_stop_reason reason)
{
    enum vm_state from = vm->state;

    if (from == VM_STOPPED && vm->restart_pending && reason == VM_STOP_ASKED) {
        vm->restart_pending = false;
        snapshot_vm_unclaim(vm);
        return OK;
    }
    if (from == VM_STOPPING && reason == VM_STOP_ASKED && vm->reason != reason) {
        vm->reason = reason; /* It is not to restart. */
        return OK;
    }
    if (vm_by_guest(reason) && (from == VM_STOPPING || from == VM_STARTING))
        return E_STATE; /* Two vCPUs at once. No word about it: guests can do that often. */
    if (from == VM_RUNNING && vm_action(vm, reason) == ACTION_PAUSE)
        return vm_pause_for(vm, reason);
    TRY(vm_set_state(vm, VM_STOPPING));
    vm->reason = reason;
    snapshot_vm_cancel(vm);
    if (from == VM_RUNNING)
        vm_hold(vm);
    else if (from == VM_PAUSED &&
             !snapshot_vm_busy(vm)) /* Else that, or what starts it, sees it. */
        ipi_work(vm_home(vm), &vm->held_work);
    return OK;
}

enum err vm_stop(struct vm *vm, enum vm_stop_reason reason)
{
    enum err err;

    lock_take(&vm->lock);
    err = vm_stop_locked(vm, reason);
    lock_drop(&vm->lock);
    return err;
}

void vm_stop_by_guest(struct vm *vm, enum vm_stop_reason reason)
{
    err_ignore(vm_stop(vm, reason)); /* A stop is under way, and this vCPU is asked to leave. */
}

static uint64_t vm_ran_ms(const struct vm *vm)
{
    return ticks_to_ns(arch_ticks() - vm->began_ticks) / 1000000;
}

/*
 * 0: at once. A guest that crashes, or resets right after its start, in a loop is made ever slower.
 */
static uint64_t vm_restart_delay_ms(struct vm *vm, enum vm_stop_reason reason)
{
    uint64_t ran_ms = vm_ran_ms(vm), delay = RESTART_DELAY_MS;

    if (ran_ms > RESTART_FORGET_MS)
        vm->restart_count = 0;
    if (reason != VM_STOP_CRASH || vm->config->on_crash == ACTION_RESTORE) {
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

/* vm->lock held, by the alarm. */
static void vm_watchdog_fired(struct alarm *alarm)
{
    struct vm *vm = container_of(alarm, struct vm, watchdog);

    if (vm->state == VM_PAUSING) {
        alarm_set(alarm, ticks_after_ms(1)); /* It is due when the VM goes on. */
    } else if (vm->state == VM_RUNNING) {
        log_error("%s: its watchdog was not fed in time", vm->config->name);
        err_ignore(vm_stop_locked(vm, VM_STOP_CRASH)); /* It runs, so this is allowed. */
    }
}

static const char *vm_reason_text(enum vm_stop_reason reason)
{
    static const char *const texts[] = {
        [VM_STOP_ASKED] = "stopped",   [VM_STOP_RESTART] = "stopped",
        [VM_STOP_RESTORE] = "stopped", [VM_STOP_POWEROFF] = "powered off",
        [VM_STOP_RESET] = "reset",     [VM_STOP_CRASH] = "crashed",
    };

    return texts[reason];
}

/* Whether it starts again, and after which delay. vm->lock held. */
static bool vm_restarts(struct vm *vm, uint64_t *delay_ms)
{
    enum config_action action = vm_action(vm, vm->reason);

    *delay_ms = 0;
    if (vm->reason == VM_STOP_RESTART || vm->reason == VM_STOP_RESTORE)
        return true;
    /* It paused before, and was told to go on with what the guest wanted. */
    if (action == ACTION_PAUSE)
        return vm->reason == VM_STOP_RESET;
    if (action == ACTION_STOP)
        return false;
    *delay_ms = vm_restart_delay_ms(vm, vm->reason);
    return true;
}

/* Memory is kept as it is by what goes back to a snapshot at once. vm->lock held. */
static bool vm_goes_back(struct vm *vm)
{
    bool quick = vm_ran_ms(vm) <= RESTART_QUICK_MS && vm->restart_count >= RESTART_FREE;

    if (vm->reason == VM_STOP_RESTORE)
        return snapshot_vm_claim(vm, false);
    return vm->reason == VM_STOP_CRASH && vm->config->on_crash == ACTION_RESTORE && !quick &&
           snapshot_vm_claim(vm, true);
}

enum err vm_stopped(struct vm *vm, [[maybe_unused]] enum err err)
{
    uint64_t delay_ms;
    bool restart, now;

    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_reset(&vm->vcpus[i]);
    lock_take(&vm->lock);
    restart = vm_restarts(vm, &delay_ms); /* A user may have asked while it went on. */
    now = restart && delay_ms == 0;
    if (vm->keeps && !now) {
        vm->keeps = false;
        lock_drop(&vm->lock);
        vm_job_clear(vm, vm_stopped);
        return OK;
    }
    if (!restart)
        snapshot_vm_unclaim(vm);
    else if (!vm->keeps && vm_action(vm, vm->reason) == ACTION_RESTORE)
        snapshot_vm_claim(vm, vm->reason == VM_STOP_CRASH); /* Or it restarts. */
    log_info("%s: %s%s", vm->config->name, vm_reason_text(vm->reason),
             !restart    ? ""
             : vm->keeps ? ", going back to a snapshot"
                         : ", restarting");
    vm_must_become(vm, VM_STOPPED);
    if (now)
        vm_must_become(vm, VM_STARTING);
    vm->restart_pending = restart && !now;
    alarm_set(&vm->watchdog, TICKS_NEVER);
    alarm_set(&vm->ready, TICKS_NEVER);
    alarm_set(&vm->restart, vm->restart_pending ? ticks_after_ms(delay_ms) : TICKS_NEVER);
    lock_drop(&vm->lock);
    return now ? vm_start_claimed(vm, true) : OK;
}

static void vm_paused(struct vm *vm)
{
    alarm_set(&vm->pause_limit, TICKS_NEVER);
    vm->paused_at = arch_ticks();
    vm->watchdog_left = vm->watchdog.deadline;
    if (vm->watchdog_left != TICKS_NEVER)
        vm->watchdog_left = MAX(vm->watchdog_left, vm->paused_at) - vm->paused_at;
    alarm_set(&vm->watchdog, TICKS_NEVER);
    if (vm->machine->set_paused)
        vm->machine->set_paused(vm, true);
    vm_must_become(vm, VM_PAUSED);
    if (snapshot_vm_held(vm))
        return;
    if (vm->reason == VM_STOP_ASKED)
        log_info("%s: paused", vm->config->name);
    else
        log_info("%s: %s, paused", vm->config->name, vm_reason_text(vm->reason));
}

static void vm_clear_or_keep(struct vm *vm)
{
    lock_take(&vm->lock);
    vm->keeps = vm_goes_back(vm);
    lock_drop(&vm->lock);
    if (vm->keeps)
        err_ignore(vm_stopped(vm, OK)); /* It is logged, and the VM has failed. */
    else
        vm_job_clear(vm, vm_stopped);
}

static void vm_held_work(struct work *work)
{
    struct vm *vm = container_of(work, struct vm, held_work);
    bool stopped;

    lock_take(&vm->lock);
    stopped = vm->state == VM_STOPPING && vm->running == 0;
    if (vm->state == VM_PAUSING && vm->running == 0)
        vm_paused(vm);
    lock_drop(&vm->lock);
    if (stopped)
        vm_clear_or_keep(vm);
}

void vm_go_on(struct vm *vm)
{
    uint64_t ticks = vm->config->clock_runs ? 0 : arch_ticks() - vm->paused_at;

    vm->started_ticks += ticks;
    vm->paused_ticks += ticks;
    if (vm->watchdog_left != TICKS_NEVER)
        alarm_set(&vm->watchdog, arch_ticks() + vm->watchdog_left);
    if (vm->machine->set_paused)
        vm->machine->set_paused(vm, false);
    vm_let_go(vm);
}

enum err vm_resume(struct vm *vm)
{
    bool stop;
    enum err err = E_STATE;

    lock_take(&vm->lock);
    stop = vm->reason == VM_STOP_POWEROFF || vm->reason == VM_STOP_RESET;
    if (snapshot_vm_busy(vm)) {
        log_error("%s: cannot go on: a snapshot of it is being taken", vm->config->name);
        err = E_BUSY;
    } else if (vm->state == VM_PAUSED && stop) {
        err = vm_stop_locked(vm, vm->reason);
    } else if (vm->state != VM_PAUSED) { /* PAUSING may become RUNNING as well, but not so. */
        log_debug("%s: is %s and cannot become running: it is not paused", vm->config->name,
                  vm_state_text(vm->state));
    } else {
        err = vm_set_state(vm, VM_RUNNING);
        log_info("%s: resumed", vm->config->name);
        vm_go_on(vm);
    }
    lock_drop(&vm->lock);
    return err;
}

/* --- Its making and its end --- */

void vm_life_init(struct vm *vm)
{
    vm->held_work.fn = vm_held_work;
    vm->restart_work.fn = vm_restart_work;
    vm_job_init(vm);
    alarm_init(&vm->restart, &vm->lock, vm_home(vm), vm_restart_fired);
    alarm_init(&vm->watchdog, &vm->lock, vm_home(vm), vm_watchdog_fired);
    alarm_init(&vm->pause_limit, &vm->lock, vm_home(vm), vm_pause_late);
    snapshot_vm_init(vm);
}

enum err vm_leave(struct vm *vm)
{
    bool busy, queued;

    lock_take(&vm->lock);
    busy = snapshot_vm_used(vm);
    vm->leaving = (vm->state == VM_CREATED || vm->state == VM_STOPPED || vm->state == VM_FAILED) &&
                  !vm_is_bound(vm) && !busy;
    if (vm->leaving) {
        vm->restart_pending = false;
        snapshot_vm_unclaim(vm);
    }
    lock_drop(&vm->lock);
    if (!vm->leaving) {
        log_debug("%s: is %s%s and cannot be destroyed", vm->config->name, vm_state_text(vm->state),
                  busy ? ", with a snapshot under way," : "");
        return busy ? E_BUSY : E_STATE;
    }
    alarm_stop(&vm->restart);
    alarm_stop(&vm->watchdog);
    alarm_stop(&vm->pause_limit);
    alarm_stop(&vm->ready);
    do { /* It finds nothing to do, but must have looked. */
        if (vm_home(vm) == this_cpu()->id)
            ipi_run_work();
        lock_take(&vm->lock);
        queued = vm->restart_queued || vm->ready_queued;
        lock_drop(&vm->lock);
    } while (queued);
    snapshot_vm_leave(vm);
    return OK;
}
