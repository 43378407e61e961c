/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the life of a VM meets its snapshots: what is asked for, and when it may begin. The
 * contracts are in snapshot.h and vm_impl.h.
 */
#include "kernel/assert.h"
#include "kernel/fmt.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "vcpu/machine_ops.h"
#include "vcpu/snapshot_impl.h"
#include "vcpu/vm_impl.h"

/* --- For vm.c --- */

bool snapshot_vm_held(struct vm *vm)
{
    struct snapshot_job *job = vm->snapshot_job;

    if (!job || job->stage != JOB_WAITS)
        return false;
    snapshot_job_take(job);
    return true;
}

void snapshot_vm_cancel(struct vm *vm)
{
    struct snapshot_job *job = vm->snapshot_job;

    if (!job || job->stage != JOB_WAITS)
        return;
    log_error("%s: snapshot %s was not taken: the VM did not pause", vm->config->name,
              job->snapshot->name);
    snapshot_free(job->snapshot);
    job->snapshot = NULL;
    job->stage = JOB_NONE;
}

bool snapshot_vm_busy(const struct vm *vm)
{
    return snapshot_vm_used(vm) && vm->snapshot_job->stage != JOB_SEALS;
}

bool snapshot_vm_used(const struct vm *vm)
{
    return vm->snapshot_job && vm->snapshot_job->stage != JOB_NONE;
}

static void job_claim(struct snapshot_job *job, struct snapshot *snapshot)
{
    if (job->claimed)
        snapshot_put(job->claimed);
    job->claimed = snapshot;
}

bool snapshot_vm_claim(struct vm *vm, bool golden)
{
    char name[SNAPSHOT_NAME_MAX];
    struct snapshot *snapshot;

    if (!golden)
        return vm->snapshot_job && vm->snapshot_job->claimed;
    fmt_buf(name, sizeof(name), "%s@%s", vm->config->name, SNAPSHOT_GOLDEN);
    snapshot = snapshot_find(name);
    if (!snapshot) {
        log_warn("%s: there is no snapshot %s to go back to", vm->config->name, name);
        return false;
    }
    if (!snapshot_job_of(vm) || snapshot_fits_all(snapshot, vm) != OK) {
        snapshot_put(snapshot);
        return false;
    }
    job_claim(vm->snapshot_job, snapshot);
    return true;
}

void snapshot_vm_unclaim(struct vm *vm)
{
    if (vm->snapshot_job)
        job_claim(vm->snapshot_job, NULL);
}

bool snapshot_vm_restore(struct vm *vm)
{
    bool claimed;

    lock_take(&vm->lock);
    claimed = vm->snapshot_job && vm->snapshot_job->claimed;
    if (claimed)
        snapshot_job_restore(vm->snapshot_job);
    lock_drop(&vm->lock);
    return claimed;
}

void snapshot_vm_leave(struct vm *vm)
{
    struct snapshot_job *job = vm->snapshot_job;

    if (!job)
        return;
    assert(job->stage == JOB_NONE && !job->claimed);
    vm_free(job, sizeof(*job));
    vm->snapshot_job = NULL;
}

/* --- What is asked for --- */

static enum err snapshot_may_be_taken(const struct vm *vm, const struct snapshot *parent)
{
    const struct config_vm *config = vm->config;

    for (unsigned i = 0; i < config->region_count; i++)
        if (config->regions[i].kind == CONFIG_DEVICE) {
            log_error("%s: no snapshot: region %s is a device of the host, whose state is not ours",
                      config->name, config->regions[i].name);
            return E_UNSUPPORTED;
        }
    if (parent && vm->snapshot_id != parent->id) {
        log_error(
            "%s: no snapshot: what was written since %s is not known; it was not the last one",
            config->name, parent->name);
        return E_INVALID;
    }
    return OK;
}

/* vm->lock held. */
static enum err take(struct vm *vm, struct snapshot *snapshot)
{
    struct snapshot_job *job = snapshot_job_of(vm);
    bool runs = vm->state == VM_RUNNING;

    if (!job)
        return E_NOMEM;
    if (job->stage != JOB_NONE || job->claimed) {
        log_error("%s: no snapshot: another one is under way", vm->config->name);
        return E_BUSY;
    }
    TRY(snapshot_may_be_taken(vm, snapshot->parent));
    if (!runs && vm->state != VM_PAUSED) {
        log_error("%s: no snapshot: it is %s; only a VM that is running or paused can have one",
                  vm->config->name, vm_state_text(vm->state));
        return E_STATE;
    }
    job->resumes = runs;
    job->snapshot = snapshot;
    job->stage = JOB_WAITS;
    if (runs)
        return vm_pause_for(vm, VM_STOP_ASKED);
    vm->held_ticks = arch_ticks();
    snapshot_vm_held(vm);
    return OK;
}

enum err vm_snapshot(struct vm *vm, const char *name, struct snapshot *parent)
{
    struct snapshot *snapshot;
    enum err err;

    TRY(snapshot_new(vm, name, parent, &snapshot));
    lock_take(&vm->lock);
    err = take(vm, snapshot);
    lock_drop(&vm->lock);
    if (err != OK)
        snapshot_free(snapshot);
    return err;
}

/* As vm->lock is held. *starts: it is STARTING, and snapshot_vm_restore() is to follow. */
static enum err restore(struct vm *vm, bool *starts)
{
    *starts = vm_is_by_hand(vm) || vm->restart_pending;
    if (!*starts)
        return vm_stop_locked(vm, VM_STOP_RESTORE);
    if (vm_is_bound(vm))
        return E_STATE;
    TRY(vm_set_state(vm, VM_STARTING));
    vm->restart_pending = false;
    vm->held_ticks = arch_ticks();
    return OK;
}

enum err vm_restore(struct vm *vm, struct snapshot *snapshot)
{
    enum err err = snapshot_fits_all(snapshot, vm);
    bool starts = false;

    if (err != OK)
        return err;
    lock_take(&vm->lock);
    if (!snapshot_job_of(vm)) {
        err = E_NOMEM;
    } else if (snapshot_vm_busy(vm) || vm->state == VM_STARTING || vm->state == VM_STOPPING) {
        log_error("%s: cannot go back: it is %s%s", vm->config->name, vm_state_text(vm->state),
                  snapshot_vm_busy(vm) ? ", with a snapshot under way" : "");
        err = E_BUSY;
    } else {
        err = restore(vm, &starts);
    }
    if (err == OK) {
        snapshot_use(snapshot);
        job_claim(vm->snapshot_job, snapshot);
    }
    lock_drop(&vm->lock);
    if (err == OK && starts)
        snapshot_vm_restore(vm);
    return err;
}

void vm_ready(struct vm *vm)
{
    char name[SNAPSHOT_NAME_MAX];
    struct snapshot *golden;
    bool told;

    lock_take(&vm->lock);
    told = vm->ready_told;
    vm->ready_told = true;
    lock_drop(&vm->lock);
    if (told || vm->config->on_crash != ACTION_RESTORE)
        return;
    fmt_buf(name, sizeof(name), "%s@%s", vm->config->name, SNAPSHOT_GOLDEN);
    golden = snapshot_find(name);
    if (golden)
        snapshot_put(golden);
    else
        err_ignore(vm_snapshot(vm, SNAPSHOT_GOLDEN, NULL)); /* It is logged. */
}

static void ready_work(struct work *work)
{
    struct vm *vm = container_of(work, struct vm, ready_work);

    vm_ready(vm);
    lock_take(&vm->lock);
    vm->ready_queued = false; /* The last touch: it may be destroyed. */
    lock_drop(&vm->lock);
}

/* vm->lock held, by the alarm: the rest is work. */
static void ready_fired(struct alarm *alarm)
{
    struct vm *vm = container_of(alarm, struct vm, ready);

    vm->ready_queued = true;
    ipi_work(vm->home, &vm->ready_work);
}

void snapshot_vm_init(struct vm *vm)
{
    vm->ready_work.fn = ready_work;
    alarm_init(&vm->ready, &vm->lock, vm->home, ready_fired);
}

/* --- For the job --- */

void vm_snapshot_taken(struct vm *vm, bool resumes)
{
    assert(lock_held(&vm->lock));
    if (vm->state == VM_STOPPING) {
        ipi_work(vm->home, &vm->held_work);
    } else if (resumes) {
        vm_must_become(vm, VM_RUNNING);
        vm_go_on(vm);
    }
}

void vm_restore_prepare(struct vm *vm)
{
    vm->machine->reset(vm);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        vcpu_reset(&vm->vcpus[i]);
        virq_clear(&vm->vcpus[i].virq);
    }
    vm->map.ram = GUESTMAP_USED; /* All of it is written, from here on. */
    vm->paused_ticks = 0;
    vm->paused_at = arch_ticks();
    vm->start_count++;
    atomic_store(&vm->hole_told, false);
    lock_take(&vm->lock);
    if (vm->machine->set_paused)
        vm->machine->set_paused(vm, true);
    lock_drop(&vm->lock);
}

/* Cleared, and without what a snapshot would have filled it with. */
static enum err vm_not_restored(struct vm *vm, enum err err)
{
    bool stops;

    vm->machine->reset(vm);
    lock_take(&vm->lock);
    if (vm->machine->set_paused)
        vm->machine->set_paused(vm, false);
    stops = vm->state == VM_STOPPING;
    vm->keeps = false;
    if (!stops)
        vm_must_become(vm, VM_FAILED);
    lock_drop(&vm->lock);
    return stops ? vm_stopped(vm, err) : OK;
}

void vm_restored(struct vm *vm, bool good)
{
    lock_take(&vm->lock);
    good = good && vm->state == VM_STARTING;
    if (good) {
        vm->began_ticks = arch_ticks();
        vm->reason = VM_STOP_ASKED; /* Of a pause: it goes on by a resume. */
        vm_must_become(vm, VM_RUNNING);
        vm_go_on(vm);
    }
    lock_drop(&vm->lock);
    if (!good)
        vm_job_clear(vm, vm_not_restored);
}
