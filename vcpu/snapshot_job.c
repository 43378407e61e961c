/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking and restoring, as an entity of the scheduler that belongs to the VM: it goes on in pieces,
 * between which its pCPU takes interrupts and runs whoever is more urgent, or as urgent.
 *
 *     taking:     NONE -> WAITS (VM pausing) -> BEGINS -> PAGES (VM paused) -> SEALS (running) ->
 * NONE restoring:  NONE -> BEGINS -> PAGES (VM starting) -> NONE (VM running, or failed)
 *
 * A stop that comes while a VM is paused for its snapshot ends that at the next piece. vm->lock
 * guards `stage` up to BEGINS, `claimed` and `go`; what is behind belongs to the entity.
 */
#include "kernel/assert.h"
#include "kernel/irq.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "vcpu/machine_ops.h"
#include "vcpu/snapshot_impl.h"
#include "vcpu/vm_impl.h"

#define SEAL_PIECE (16 * PAGE_SIZE)

static const char *vm_name(const struct snapshot_job *job)
{
    return job->vm->config->name;
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
    job->snapshot = NULL;
    job->stage = JOB_NONE;
}

static void take_pages(struct snapshot_job *job)
{
    struct state *s = &job->writer.state;
    struct vm *vm = job->vm;

    if (vm->state != VM_PAUSED) /* Read without the lock: the next piece sees it, too. */
        state_refuse(s, E_STATE, "the VM was stopped");
    if (snapshot_take_pages(vm, &job->cursor, s))
        return;
    snapshot_take_runs(&job->cursor, s);
    snapshot_writer_end(&job->writer);
    if (!state_ok(s))
        log_error("%s: snapshot %s was not taken: %s", vm_name(job), job->snapshot->name, s->why);
    lock_take(&vm->lock);
    job->stood = arch_ticks() - vm->held_ticks;
    job->stage = JOB_SEALS; /* With the lock, for from here on the VM may do what it wants. */
    if (!state_ok(s))
        take_fail(job);
    vm_snapshot_taken(vm, job->resumes);
    lock_drop(&vm->lock);
}

void snapshot_job_seal(struct snapshot_job *job)
{
    struct snapshot *s = job->snapshot;
    const char *why;
    enum err err;

    if (job->seal_at == 0) { /* Where the parts are; all but the pages' checksum is there. */
        why = snapshot_parts_find(s);
        assert(!why);
    }
    if (!snapshot_seal(s, &job->seal_at, SEAL_PIECE))
        return;
    why = snapshot_parts_check(s, false, &err);
    assert(!why); /* It is our own. */
    if (!snapshot_add(s)) {
        log_error("%s: snapshot %s was not taken: the one before it is in use", vm_name(job),
                  s->name);
        lock_take(&job->vm->lock);
        take_fail(job);
        lock_drop(&job->vm->lock);
        return;
    }
    log_info("%s: snapshot %s taken: %llu pages, %llu KiB; the guest stood still for %llu us",
             vm_name(job), s->name, (unsigned long long)job->cursor.copied,
             (unsigned long long)(s->bytes.size / KIB),
             (unsigned long long)(ticks_to_ns(job->stood) / 1000));
    job->snapshot = NULL;
    job->stage = JOB_NONE;
}

/* --- Restoring --- */

/* As after vm_start(), but nothing is loaded: the machine is to be filled from the snapshot. */
static void restore_begin(struct snapshot_job *job)
{
    struct vm *vm = job->vm;

    vm_restore_prepare(vm);
    snapshot_reader_init(&job->reader, job->snapshot, vm->paused_at);
    snapshot_vm_state(vm, &job->reader.state);
    state_end(&job->reader.state);
    lock_take(&vm->lock);
    job->cursor.changed =
        vm->snapshot_id == job->snapshot->id && guestmap_dirty_take(&vm->map) == OK;
    if (!job->cursor.changed)
        vm->snapshot_id = 0; /* Until it is all there. */
    lock_drop(&vm->lock);
    job->stage = JOB_PAGES;
}

static void restore_end(struct snapshot_job *job)
{
    struct vm *vm = job->vm;
    bool good = state_ok(&job->reader.state);

    if (!good)
        log_error("%s: snapshot %s cannot be restored: %s: %s", vm_name(job), job->snapshot->name,
                  job->reader.state.part, job->reader.state.why);
    arch_stage2_flush(vm->map.vmid, pt_root(&vm->map.pt), gpa(0), pt_size(vm->map.pt.format));
    lock_take(&vm->lock);
    if (good && guestmap_dirty_start(&vm->map) == OK && guestmap_dirty_take(&vm->map) == OK)
        vm->snapshot_id = job->snapshot->id;
    lock_drop(&vm->lock);
    if (good)
        log_info(
            "%s: back at snapshot %s: %llu pages copied, %llu zeroed; it stood still for %llu us",
            vm_name(job), job->snapshot->name, (unsigned long long)job->cursor.copied,
            (unsigned long long)job->cursor.zeroed,
            (unsigned long long)(ticks_to_ns(arch_ticks() - vm->held_ticks) / 1000));
    snapshot_put(job->snapshot);
    job->snapshot = NULL;
    job->stage = JOB_NONE;
    vm_restored(vm, good);
}

static void restore_pages(struct snapshot_job *job)
{
    if (!state_ok(&job->reader.state) ||
        !snapshot_restore_pages(job->vm, &job->cursor, job->snapshot))
        restore_end(job);
}

/* --- The entity --- */

/* A VM that has stopped for a snapshot, and waits for the one before to be sealed. */
static bool job_begins(struct snapshot_job *job)
{
    struct vm *vm = job->vm;

    lock_take(&vm->lock);
    if (job->go) {
        job->go = false;
        job->snapshot = job->claimed;
        job->claimed = NULL;
        job->restores = true;
        job->cursor = (struct snapshot_cursor){};
        job->stage = JOB_BEGINS;
    }
    lock_drop(&vm->lock);
    return job->stage == JOB_BEGINS;
}

/* False: there is nothing to do. */
static bool job_step(struct snapshot_job *job)
{
    switch (job->stage) {
    case JOB_NONE:
        return job_begins(job);
    case JOB_WAITS:
        return false;
    case JOB_BEGINS:
        (job->restores ? restore_begin : take_begin)(job);
        return true;
    case JOB_PAGES:
        (job->restores ? restore_pages : take_pages)(job);
        return true;
    case JOB_SEALS:
        snapshot_job_seal(job);
        return true;
    }
    unreachable();
}

static void job_run(struct sched_entity *entity)
{
    struct snapshot_job *job = container_of(entity, struct snapshot_job, sched);

    for (;;) {
        while (job_step(job)) {
            irq_handle(); /* Interrupts are masked: let them say that somebody else is to run. */
            if (sched_leave(&this_cpu()->sched))
                return;
        }
        if (sched_block(entity))
            return;
    }
}

/* Where it may run: in a time table it has no slot. */
static unsigned job_cpu(const struct vm *vm)
{
    for (unsigned i = 0; i < pcpu_count; i++) {
        unsigned cpu = (vm->home + i) % pcpu_count;

        if (pcpu(cpu)->online && !pcpu(cpu)->sched.slots)
            return cpu;
    }
    return CPUS_MAX;
}

struct snapshot_job *snapshot_job_of(struct vm *vm)
{
    unsigned cpu = job_cpu(vm);
    struct snapshot_job *job = vm->snapshot_job;

    if (job)
        return job;
    if (cpu == CPUS_MAX) {
        log_error("%s: no snapshot: each pCPU has a time table, and none has time for it",
                  vm->config->name);
        return NULL;
    }
    job = vm_alloc(sizeof(*job));
    if (!job) {
        log_error("%s: no snapshot: there is no memory left for it", vm->config->name);
        return NULL;
    }
    job->vm = vm;
    job->sched.run = job_run;
    sched_add(&job->sched, cpu, vm->config->priority);
    vm->snapshot_job = job;
    return job;
}
