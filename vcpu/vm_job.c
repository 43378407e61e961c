/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What takes long in the life of a VM: its memory is cleared, its images are copied. That is long
 * work of its home, where nine tenths are left to the guests that want to run there.
 *
 * There is one job at a time, and the VM is STARTING or STOPPING as long as it lasts: nobody else
 * touches its memory. The first piece is done by whoever asks for the job. A load whose VM is to
 * stop ends at its next step.
 */
#include "kernel/bits.h"
#include "kernel/platform.h"
#include "vcpu/machine_ops.h"
#include "vcpu/vm_impl.h"

#define STEP_SIZE (256 * KIB) /* Bytes, between two looks at the clock. */
#define OTHERS    9u          /* What other VMs' guests get for each part of the time. */

static bool clear_more(struct vm *vm)
{
    return guestmap_clear(&vm->map, &vm->job.cleared, STEP_SIZE);
}

static enum err clear_step(struct long_work *work)
{
    struct vm *vm = container_of(work, struct vm, job.work);

    return clear_more(vm) ? E_BUSY : vm->job.done(vm, OK);
}

static bool load_more(struct vm *vm)
{
    struct vm_job *job = &vm->job;

    if (job->loaded)
        return loader_copy(&job->loader, STEP_SIZE);
    if (vm->map.ram != GUESTMAP_ZERO && clear_more(vm))
        return true;
    job->err = loader_load(&job->loader, &job->boot);
    job->loaded = true;
    return job->err == OK && job->loader.copy_count > 0;
}

static void load_end(struct vm *vm)
{
    vm_free(vm->job.loader.scratch, LOADER_SCRATCH_SIZE);
    vm->job.loader.scratch = NULL;
}

static enum err load_step(struct long_work *work)
{
    struct vm *vm = container_of(work, struct vm, job.work);

    if (vm->state == VM_STARTING && load_more(vm)) /* Without the lock: done() looks again. */
        return E_BUSY;
    load_end(vm);
    return vm->job.done(vm, vm->job.err);
}

void vm_job_init(struct vm *vm)
{
    long_work_init(&vm->job.work, vm->home, OTHERS);
}

static void job_prepare(struct vm *vm, vm_job_done done)
{
    vm->job.done = done;
    vm->job.cleared = gpa(0);
    vm->job.loaded = false;
    vm->job.err = OK;
}

void vm_job_clear(struct vm *vm, vm_job_done done)
{
    job_prepare(vm, done);
    err_ignore(long_work_begin(&vm->job.work, clear_step)); /* It cannot fail. */
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
    job_prepare(vm, done);
    return long_work_begin(&vm->job.work, load_step);
}

enum err vm_job_load_now(struct vm *vm)
{
    TRY(load_begin(vm));
    job_prepare(vm, NULL);
    while (load_more(vm))
        ;
    load_end(vm);
    return vm->job.err;
}
