/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the configuration to running VMs. One that is wrong or does not fit is named, the others
 * start.
 */
#include "boot/guests.h"
#include "boot/pinned.h"

#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "mm/page.h"
#include "vcpu/config.h"
#include "vcpu/console.h"
#include "vcpu/machine.h"
#include "vcpu/machine_ops.h"
#include "vcpu/vm.h"

static struct config config; /* Large, and VMs point into it. */

static void guests_mistake([[maybe_unused]] struct config_report *report, const char *path,
                           const char *text)
{
    log_error("%s: %s", path, text);
}

static void guests_create(const struct memmap *map)
{
    bool wanted[CONFIG_VMS_MAX];
    struct vm *vm;

    for (unsigned i = 0; i < config.vm_count; i++)
        wanted[i] = pinned_claim(&config.vms[i], map);
    for (unsigned i = 0; i < config.vm_count; i++) {
        if (!wanted[i])
            continue;
        pinned_release(&config.vms[i]);
        err_ignore(vm_create(&config.vms[i], &vm)); /* It is logged; the others are made. */
    }
}

static void guests_focus(void)
{
    struct vm *vm = config.console ? vm_find(config.console) : NULL;

    for (unsigned i = 0; !config.console && !vm && i < vm_count; i++)
        vm = vms[i];
    if (vm)
        console_focus(vm_console(vm));
}

void guests_init(void)
{
    if (ARCH_MACHINE.init() != OK)
        panic("the interrupts that guests need are not to be had");
}

void guests_start(const void *blob, uint64_t size, const struct memmap *map)
{
    const struct config_context context = {
        .machine = ARCH_MACHINE.layout,
        .cpu_count = pcpu_count,
        .ram_size = page_total_count() * PAGE_SIZE,
        .packed = true,
    };
    struct config_report report = {.mistake = guests_mistake};

    if (size == 0) {
        log_warn("no guest configuration came with this image; 'caisson pack' puts one in");
        return;
    }
    if (config_parse(&config, blob, size, &context, &report) == E_ABSENT)
        log_error("what was packed is not a configuration of Caisson");
    if (config.log_set)
        log_set_level(config.log);
    vm_share_slices(&config);
    vm_configure(&config);
    guests_create(map);
    vm_share_tables(&config);
    guests_focus();
    for (unsigned i = 0; i < vm_count; i++)
        if (vms[i] && vms[i]->config->autostart && vm_start(vms[i]) != OK)
            log_error("%s: not started", vms[i]->config->name);
}
