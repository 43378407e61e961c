/* SPDX-License-Identifier: Apache-2.0 */
/* Places what an x86_64 guest finds beside its files: ACPI tables, its boot protocol's structures.
 */
#include "vcpu/config.h"
#include "vcpu/guest_acpi.h"
#include "vcpu/guest_boot.h"
#include "vcpu/loader.h"
#include "vcpu/machine_ops.h"

static enum err loader_acpi(struct loader_job *job)
{
    size_t size;

    TRY(guest_acpi_write(job->machine->layout, job->vm->cpu_count, IMAGE_ACPI_BASE, job->scratch,
                         MIN(job->scratch_size, IMAGE_ACPI_END - IMAGE_ACPI_BASE), &size));
    return loader_put(job, IMAGE_ACPI_BASE, job->scratch, size);
}

static enum err loader_boot(struct loader_job *job, struct loader_result *result)
{
    const struct guest_boot_params params = {
        .machine = job->machine->layout,
        .vm = job->vm,
        .plan = &result->plan,
        .rsdp = IMAGE_ACPI_BASE,
    };

    if (job->scratch_size < GUEST_BOOT_SIZE)
        return E_NOMEM;
    result->entry = guest_boot_write(&params, job->scratch);
    return loader_put(job, IMAGE_BOOT_BASE, job->scratch, GUEST_BOOT_SIZE);
}

enum err loader_place_x86(struct loader_job *job, struct loader_result *result)
{
    enum err err;

    TRY(loader_files(job, &result->plan));
    if (result->plan.format == IMAGE_FIRMWARE) {
        result->entry = arch_entry(gpa(result->plan.entry), 0);
        return OK;
    }
    err = loader_acpi(job);
    if (err == OK)
        err = loader_boot(job, result);
    return err == OK ? OK : loader_fail(job, err, "the tables cannot be made");
}
