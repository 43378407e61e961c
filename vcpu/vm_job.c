/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What takes long in the life of a VM: its memory is cleared, its images are copied. That is done
 * in pieces, each of them work on the pCPU of vCPU 0. In between that pCPU takes its interrupts and
 * runs its guests: the next piece comes at once while none of them wants to run, else after a pause
 * that leaves them most of the time.
 *
 * There is one job at a time, and the VM is STARTING or STOPPING as long as it lasts: nobody else
 * touches its memory. The first piece is done by whoever asks for the job.
 */
#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"
#include "vcpu/machine_ops.h"
#include "vcpu/vm_impl.h"

#define PIECE_NS  200000u     /* At least, if so much is left; and at most a step more. */
#define STEP_SIZE (256 * KIB) /* Bytes, between two looks at the clock. */

static bool clear_step(struct vm *vm)
{
    return guestmap_clear(&vm->map, &vm->job.cleared, STEP_SIZE);
}

static bool load_step(struct vm *vm)
{
    struct vm_job *job = &vm->job;

    if (job->loaded)
        return loader_copy(&job->loader, STEP_SIZE);
    if (vm->map.ram != GUESTMAP_ZERO && clear_step(vm))
        return true;
    job->err = loader_load(&job->loader, &job->boot);
    job->loaded = true;
    return job->err == OK && job->loader.copy_count > 0;
}

static void job_end(struct vm *vm)
{
    vm_free(vm->job.loader.scratch, LOADER_SCRATCH_SIZE);
    vm->job.loader.scratch = NULL;
}

/* What done() says, OK while there is more to do. After done() the VM is not touched. */
static enum err job_run(struct vm *vm)
{
    struct vm_job *job = &vm->job;
    uint64_t start = arch_ticks(), took;

    while (job->step(vm)) {
        took = arch_ticks() - start;
        if (took < ticks_from_ns(PIECE_NS))
            continue;
        if (this_cpu()->id == vm->home)
            timer_arm(&job->timer, arch_ticks() + sched_work_pause(took));
        else
            ipi_work(vm->home, &job->work); /* It may be under way there from here on. */
        return OK;
    }
    job_end(vm);
    return job->done(vm, job->err);
}

static void job_work(struct work *work)
{
    err_ignore(job_run(container_of(work, struct vm, job.work))); /* It has been logged. */
}

/* In an interrupt. */
static void job_fired(struct timer *timer)
{
    struct vm *vm = container_of(timer, struct vm, job.timer);

    ipi_work(vm->home, &vm->job.work);
}

void vm_job_init(struct vm *vm)
{
    vm->job.work.fn = job_work;
    timer_init(&vm->job.timer, job_fired);
}

static void job_begin(struct vm *vm, bool (*step)(struct vm *vm), vm_job_done done)
{
    assert(!vm->job.timer.armed);
    vm->job.step = step;
    vm->job.done = done;
    vm->job.cleared = gpa(0);
    vm->job.loaded = false;
    vm->job.err = OK;
}

void vm_job_clear(struct vm *vm, vm_job_done done)
{
    job_begin(vm, clear_step, done);
    err_ignore(job_run(vm)); /* It cannot fail. */
}

/* Where everything goes is known at the return, and the scratch memory is there. */
static enum err load_begin(struct vm *vm)
{
    struct loader_job *loader = &vm->job.loader;

    *loader = (struct loader_job){
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
        .scratch_size = LOADER_SCRATCH_SIZE,
    };
    TRY(loader_plan(loader, &vm->job.boot));
    loader->scratch = vm_alloc(LOADER_SCRATCH_SIZE);
    return loader->scratch ? OK : E_NOMEM;
}

enum err vm_job_load(struct vm *vm, vm_job_done done)
{
    enum err err = load_begin(vm);

    if (err != OK)
        return done(vm, err);
    job_begin(vm, load_step, done);
    return job_run(vm);
}

enum err vm_job_load_now(struct vm *vm)
{
    TRY(load_begin(vm));
    job_begin(vm, load_step, NULL);
    while (load_step(vm))
        ;
    job_end(vm);
    return vm->job.err;
}
