/* SPDX-License-Identifier: Apache-2.0 */
/* A new VM beside the one that a snapshot was taken of. What the host has but once, it cannot have
 * again. */
#include "kernel/log.h"
#include "kernel/string.h"
#include "vcpu/snapshot_impl.h"

/* NULL: such a VM can be there twice. */
static const char *only_once(const struct config_vm *config)
{
    if (config->memory_host)
        return "its memory is pinned to the host's";
    for (unsigned i = 0; i < config->region_count; i++)
        if (config->regions[i].host)
            return "it has a region that is pinned to the host's memory or devices";
    if (config->exclusive)
        return "it owns its pCPUs";
    if (config->table_vcpus)
        return "it runs in the slots of a time table";
    return NULL;
}

/* The configuration of the VM that the snapshot was taken of, which may be gone. */
static const struct config_vm *config_of(const struct snapshot *snapshot)
{
    const struct vm *vm = vm_find(snapshot->vm);

    return vm ? vm->config : vm_configured(snapshot->vm);
}

static bool name_is_good(const char *name)
{
    return strlen(name) < CONFIG_NAME_MAX && strcmp(name, "prompt") != 0 && !strchr(name, '@');
}

enum err vm_restore_new(struct snapshot *snapshot, const char *name, struct vm **vm)
{
    const struct config_vm *config = config_of(snapshot);
    const char *why = config ? only_once(config) : "the VM that it was taken of is not there";
    enum err err = E_UNSUPPORTED;

    if (!why && !name_is_good(name)) {
        why = "that is no name for a VM";
        err = E_INVALID;
    }
    if (why) {
        log_error("snapshot %s: no new VM %s: %s", snapshot->name, name, why);
        return err;
    }
    err = vm_create_like(config, name, vm);
    if (err == E_EXISTS)
        log_error("snapshot %s: there is a VM %s already", snapshot->name, name);
    if (err != OK)
        return err;
    err = vm_restore(*vm, snapshot);
    if (err != OK)
        err_ignore(vm_destroy(*vm)); /* It was never started, so it can be. */
    return err;
}
