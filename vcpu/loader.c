/* SPDX-License-Identifier: Apache-2.0 */
/* Places kernel, initrd and device tree; see loader.h. Where they go is decided in config_image.c.
 */
#include "vcpu/loader.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "mm/guestmap.h"
#include "vcpu/config.h"
#include "vcpu/guest_fdt.h"
#include "vcpu/machine_ops.h"

enum err loader_fail(const struct loader_job *job, enum err err, const char *what)
{
    log_error("/vms/%s/boot: %s: %s", job->vm->name, what, err_text(err));
    return err;
}

static enum err loader_write(const struct loader_job *job, uint64_t address, const void *data,
                             size_t size)
{
    TRY(guest_write(job->map, gpa(address), data, size));
    guest_sync(job->map, gpa(address), size);
    return OK;
}

enum err loader_put(struct loader_job *job, uint64_t address, const void *data, size_t size)
{
    if (size == 0)
        return OK;
    if (size <= LOADER_SCRATCH_SIZE || job->copy_count == LOADER_COPIES_MAX)
        return loader_write(job, address, data, size);
    if (!guest_has(job->map, gpa(address), size))
        return E_RANGE;
    job->copies[job->copy_count++] = (struct loader_copy){address, data, size};
    return OK;
}

/* In the order in which they were put. */
bool loader_copy(struct loader_job *job, size_t size)
{
    struct loader_copy *copy = job->copies;
    enum err err;

    if (job->copy_count == 0)
        return false;
    size = MIN(size, copy->size);
    err = loader_write(job, copy->address, copy->data, size);
    assert(err == OK); /* loader_put() has asked. */
    copy->address += size;
    copy->data += size;
    copy->size -= size;
    if (copy->size == 0)
        memmove(copy, copy + 1, --job->copy_count * sizeof(*copy));
    return job->copy_count > 0;
}

static enum err loader_kernel(struct loader_job *job, const struct image_plan *plan)
{
    struct image_segment s;

    for (unsigned i = 0; image_segment(job->vm, plan, i, &s); i++)
        TRY(loader_put(job, s.address, s.data, s.data_size));
    return OK;
}

/* The VM's own tree, as it is, or one that we write into the scratch. */
static enum err loader_tree(const struct loader_job *job, const struct image_plan *plan,
                            const void **tree, size_t *size)
{
    const struct config_vm *vm = job->vm;
    const struct guest_fdt_params params = {
        .machine = job->machine->layout,
        .write_machine = job->machine->write_tree,
        .name = vm->name,
        .cpu_count = vm->cpu_count,
        .ram_size = vm->memory_size,
        .cmdline = vm->cmdline,
        .initrd = plan->initrd,
        .initrd_size = plan->initrd_size,
        .gic_version = job->gic_version,
        .isa = job->isa,
        .irqchip = vm->irqchip,
        .timer_hz = job->timer_hz,
        .va_bits = job->va_bits,
        .cbom_size = job->cbom_size,
        .cboz_size = job->cboz_size,
        .cbop_size = job->cbop_size,
        .region_count = vm->region_count,
        .regions = vm->regions,
    };

    *tree = vm->fdt.data;
    *size = vm->fdt.size;
    if (*tree)
        return OK;
    *tree = job->scratch;
    TRY(guest_fdt_write(&params, job->scratch, job->scratch_size, size));
    return *size <= plan->tree_room ? OK : E_NOMEM;
}

enum err loader_files(struct loader_job *job, const struct image_plan *plan)
{
    enum err err = loader_kernel(job, plan);

    if (err != OK)
        return loader_fail(job, err, "the kernel cannot be written");
    err = loader_put(job, plan->initrd, job->vm->initrd.data, plan->initrd_size);
    return err == OK ? OK : loader_fail(job, err, "the initrd cannot be written");
}

enum err loader_place_tree(struct loader_job *job, struct loader_result *result)
{
    struct image_plan *plan = &result->plan;
    const void *tree;
    size_t size;
    enum err err = loader_tree(job, plan, &tree, &size);

    if (err != OK)
        return loader_fail(job, err, "the device tree cannot be made");
    TRY(loader_files(job, plan));
    err = loader_put(job, plan->tree, tree, size);
    if (err != OK)
        return loader_fail(job, err, "the device tree cannot be written");
    result->entry = arch_entry(gpa(plan->entry), plan->tree);
    return OK;
}

enum err loader_plan(const struct loader_job *job, struct loader_result *result)
{
    char why[200];
    enum err err = image_plan(job->vm, job->machine->layout, &result->plan, why, sizeof(why));

    if (err != OK)
        log_error("/vms/%s/boot: %s", job->vm->name, why);
    return err;
}

enum err loader_load(struct loader_job *job, struct loader_result *result)
{
    job->copy_count = 0;
    return job->machine->place(job, result);
}
