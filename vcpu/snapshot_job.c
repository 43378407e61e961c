/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking and restoring, as long work at the VM's home:
 *
 *     taking:    NONE > WAITS (VM pausing) > BEGINS > PAGES (VM paused) > SEALS (running) > NONE
 *     restoring: NONE > BEGINS > PAGES (VM starting) > NONE (VM running, or failed)
 *
 * A stop that comes while a VM is paused for its snapshot ends that at the next piece. vm->lock
 * guards the way to BEGINS and to NONE, `claimed` and `go`; what is between belongs to the work.
 */
#include "kernel/assert.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "vcpu/machine_ops.h"
#include "vcpu/snapshot_impl.h"
#include "vcpu/vm_impl.h"

#define SEAL_PIECE (16 * PAGE_SIZE)
#define OTHERS     1u /* What other VMs' guests get for each part of the time. */

static const char *vm_name(const struct snapshot_job *job)
{
    return job->vm->config->name;
}

/* vm->lock held. */
static void job_end(struct snapshot_job *job)
{
    assert(lock_held(&job->vm->lock));
    job->snapshot = NULL;
    job->stage = JOB_NONE;
    if (job->go)
        snapshot_job_restore(job);
}

/* --- Taking --- */

/* From here on what the guest writes is counted from this snapshot; it stands still as yet. */
static enum err take_track(struct snapshot_job *job)
{
    struct vm *vm = job->vm;
    enum err err = OK;

    lock_take(&vm->lock);
    job->cursor.changed = job->snapshot->parent != NULL;
    if (!job->cursor.changed)
        err = guestmap_dirty_start(&vm->map);
    else if (vm->snapshot_id != job->snapshot->parent->id)
        err = E_INVALID; /* Another was restored meanwhile. */
    if (err == OK)
        err = guestmap_dirty_take(&vm->map);
    if (err == OK)
        vm->snapshot_id = job->snapshot->id;
    lock_drop(&vm->lock);
    return err;
}

static void take_begin(struct snapshot_job *job)
{
    struct snapshot_writer *w = &job->writer;
    enum err err;

    snapshot_writer_init(w, job->snapshot, job->vm->paused_at);
    snapshot_vm_state(job->vm, &w->state);
    state_section(&w->state, "pages", 1);
    err = take_track(job);
    if (err != OK)
        state_refuse(&w->state, err, "what is written to its memory cannot be tracked");
    job->stage = JOB_PAGES;
}

/* What could not be kept: what was written since the parent counts as written again. vm->lock held.
 */
static void take_fail(struct snapshot_job *job)
{
    struct vm *vm = job->vm;

    if (vm->snapshot_id == job->snapshot->id && job->snapshot->parent) {
        guestmap_dirty_put_back(&vm->map);
        vm->snapshot_id = job->snapshot->parent->id;
    } else if (vm->snapshot_id == job->snapshot->id) {
        guestmap_dirty_stop(&vm->map);
        vm->snapshot_id = 0;
    }
    snapshot_bytes_free(&job->cursor.runs);
    snapshot_free(job->snapshot);
    job_end(job);
}

static enum err take_pages(struct snapshot_job *job)
{
    struct state *s = &job->writer.state;
    struct vm *vm = job->vm;
    bool good;

    if (vm->state != VM_PAUSED) /* Read without the lock: the next piece sees it, too. */
        state_refuse(s, E_STATE, "the VM was stopped");
    if (snapshot_take_pages(vm, &job->cursor, s))
        return E_BUSY;
    snapshot_take_runs(&job->cursor, s);
    snapshot_writer_end(&job->writer);
    good = state_ok(s);
    if (!good)
        log_error("%s: snapshot %s was not taken: %s", vm_name(job), job->snapshot->name, s->why);
    lock_take(&vm->lock);
    job->stood = arch_ticks() - vm->held_ticks;
    job->stage = JOB_SEALS; /* With the lock, for from here on the VM may do what it wants. */
    if (!good)
        take_fail(job);
    vm_snapshot_taken(vm, job->resumes);
    lock_drop(&vm->lock);
    return good ? E_BUSY : OK;
}

static void take_tell(struct snapshot *s, uint64_t copied, uint64_t stood)
{
    log_info("%s: snapshot %s taken: %llu pages, %llu KiB; the guest stood still for %llu us",
             s->vm, s->name, (unsigned long long)copied, (unsigned long long)(s->bytes.size / KIB),
             (unsigned long long)(ticks_to_ns(stood) / 1000));
    snapshot_put(s);
}

static enum err take_seal(struct snapshot_job *job)
{
    struct vm *vm = job->vm;
    struct snapshot *s = job->snapshot, *old;
    uint64_t copied, stood;
    const char *why;
    enum err err;

    if (job->seal_at == 0) { /* Where the parts are; all but the pages' checksum is there. */
        why = snapshot_parts_find(s);
        assert(!why);
    }
    if (!snapshot_seal(s, &job->seal_at, SEAL_PIECE))
        return E_BUSY;
    why = snapshot_parts_check(s, false, &err);
    assert(!why); /* It is our own. */
    copied = job->cursor.copied;
    stood = job->stood;
    snapshot_use(s);      /* From here on it can be found, and forgotten; */
    lock_take(&vm->lock); /* who finds it finds the VM ready for another. */
    if (snapshot_add(s, &old)) {
        job_end(job);
    } else {
        log_error("%s: snapshot %s was not taken: the one before it is in use", vm_name(job),
                  s->name);
        take_fail(job);
        s = NULL;
    }
    lock_drop(&vm->lock); /* The VM may be gone. */
    if (s)
        take_tell(s, copied, stood);
    if (old)
        snapshot_free(old);
    return OK;
}

/* --- Restoring --- */

/*
 * Where memory is what it was at a snapshot, but for pages that are known, what differs is known,
 * too. vm->lock held.
 */
static bool restore_track(struct snapshot_job *job)
{
    struct vm *vm = job->vm;
    struct snapshot *last = vm->snapshot_id ? snapshot_find_id(vm->snapshot_id) : NULL;
    bool known = last && !job->cursor.cleared;

    if (known)
        snapshot_mark_differences(vm, last, job->snapshot);
    known = known && guestmap_dirty_take(&vm->map) == OK;
    if (last)
        snapshot_put(last);
    return known;
}

/* As after vm_start(), but nothing is loaded: the machine is to be filled from the snapshot. */
static void restore_begin(struct snapshot_job *job)
{
    struct vm *vm = job->vm;

    job->cursor.cleared = vm->map.ram == GUESTMAP_ZERO;
    vm_restore_prepare(vm);
    snapshot_reader_init(&job->reader, job->snapshot, vm->paused_at);
    snapshot_vm_state(vm, &job->reader.state);
    state_end(&job->reader.state);
    lock_take(&vm->lock);
    job->cursor.changed = restore_track(job);
    vm->snapshot_id = 0; /* Until it is all there. */
    lock_drop(&vm->lock);
    job->stage = JOB_PAGES;
}

static void restore_end(struct snapshot_job *job)
{
    struct snapshot *snapshot = job->snapshot;
    struct vm *vm = job->vm;
    bool good = state_ok(&job->reader.state);

    if (!good && vm->state == VM_STARTING) /* Else it is to stop, and says so. */
        log_error("%s: snapshot %s cannot be restored: %s: %s", vm_name(job), snapshot->name,
                  job->reader.state.part, job->reader.state.why);
    arch_stage2_flush(vm->map.vmid, pt_root(&vm->map.pt), gpa(0), pt_size(vm->map.pt.format));
    lock_take(&vm->lock);
    if (good && guestmap_dirty_start(&vm->map) == OK && guestmap_dirty_take(&vm->map) == OK)
        vm->snapshot_id = snapshot->id;
    else
        guestmap_dirty_stop(&vm->map);
    job_end(job);
    lock_drop(&vm->lock);
    if (good)
        log_info(
            "%s: back at snapshot %s: %llu pages copied, %llu zeroed; it stood still for %llu us",
            vm_name(job), snapshot->name, (unsigned long long)job->cursor.copied,
            (unsigned long long)job->cursor.zeroed,
            (unsigned long long)(ticks_to_ns(arch_ticks() - vm->held_ticks) / 1000));
    snapshot_put(snapshot);
    vm_restored(vm, good);
}

static enum err restore_pages(struct snapshot_job *job)
{
    if (job->vm->state != VM_STARTING) /* Read without the lock: vm_restored() sees it, too. */
        state_refuse(&job->reader.state, E_STATE, "the VM was stopped");
    if (state_ok(&job->reader.state) &&
        snapshot_restore_pages(job->vm, &job->cursor, job->snapshot))
        return E_BUSY;
    restore_end(job);
    return OK;
}

/* --- Both --- */

static enum err job_step(struct long_work *work)
{
    struct snapshot_job *job = container_of(work, struct snapshot_job, work);

    switch (job->stage) {
    case JOB_NONE:
    case JOB_WAITS:
        break;
    case JOB_BEGINS:
        (job->restores ? restore_begin : take_begin)(job);
        return E_BUSY;
    case JOB_PAGES:
        return (job->restores ? restore_pages : take_pages)(job);
    case JOB_SEALS:
        return take_seal(job);
    }
    unreachable();
}

static void job_begin(struct snapshot_job *job, struct snapshot *snapshot, bool restores)
{
    assert(lock_held(&job->vm->lock));
    job->snapshot = snapshot;
    job->restores = restores;
    job->cursor = (struct snapshot_cursor){};
    job->seal_at = 0;
    job->stage = JOB_BEGINS;
    long_work_queue(&job->work, job_step);
}

void snapshot_job_take(struct snapshot_job *job)
{
    assert(job->stage == JOB_WAITS);
    job_begin(job, job->snapshot, false);
}

void snapshot_job_restore(struct snapshot_job *job)
{
    job->go = job->stage != JOB_NONE;
    if (job->go)
        return;
    job_begin(job, job->claimed, true);
    job->claimed = NULL;
}

struct snapshot_job *snapshot_job_of(struct vm *vm)
{
    struct snapshot_job *job = vm->snapshot_job;

    if (job)
        return job;
    job = vm_alloc(sizeof(*job));
    if (!job) {
        log_error("%s: no snapshot: there is no memory left for it", vm->config->name);
        return NULL;
    }
    job->vm = vm;
    long_work_init(&job->work, vm->home, OTHERS);
    vm->snapshot_job = job;
    return job;
}
