/* SPDX-License-Identifier: Apache-2.0 */
/* `caisson explain`: the machines that a configuration makes, printed for people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/caisson/tool.h"
#include "vcpu/image.h"
#include "vcpu/machine.h"

#define ROWS_MAX 64u

struct row {
    uint64_t base, size;
    char *text;
};

static struct input input; /* Large. */
static struct row rows[ROWS_MAX];
static unsigned row_count;

static void row_add(uint64_t base, uint64_t size, char *text)
{
    if (size && row_count < ROWS_MAX)
        rows[row_count++] = (struct row){base, size, text};
}

static int row_compare(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    if (x->base != y->base)
        return x->base < y->base ? -1 : 1;
    return x->size > y->size ? -1 : x->size < y->size;
}

static const char *size_text(uint64_t size)
{
    if (size % GIB == 0)
        return text_of("%lluG", (unsigned long long)(size / GIB));
    if (size % MIB == 0)
        return text_of("%lluM", (unsigned long long)(size / MIB));
    if (size % KIB == 0)
        return text_of("%lluK", (unsigned long long)(size / KIB));
    return text_of("%llu", (unsigned long long)size);
}

/* "0-1,3" */
static char *cpus_text(uint64_t mask)
{
    char *text = text_of("%s", "");

    for (unsigned first = 0; first < CPUS_MAX; first++) {
        unsigned last = first;

        if (!(mask >> first & 1))
            continue;
        while (last + 1 < CPUS_MAX && mask >> (last + 1) & 1)
            last++;
        text = last > first ? text_of("%s%s%u-%u", text, *text ? "," : "", first, last)
                            : text_of("%s%s%u", text, *text ? "," : "", first);
        first = last;
    }
    return *text ? text : "any";
}

static char *device_text(const struct machine_device *device)
{
    if (device->irq)
        return text_of("%s, interrupt %u", device->name, device->irq);
    return text_of("%s", device->name);
}

static void devices_add(const struct config_vm *vm)
{
    const char *irqchip = config_irqchip_text(vm->irqchip);

    for (unsigned i = 0; i < input.machine->device_count; i++) {
        const struct machine_device *device = &input.machine->devices[i];
        uint64_t size = device->per_vcpu ? device->per_vcpu * vm->cpu_count : device->size;

        if (!device->reserved && !device->ports &&
            (!device->irqchip || strcmp(device->irqchip, irqchip) == 0))
            row_add(device->base, size, device_text(device));
    }
}

static void boot_add(const struct config_vm *vm)
{
    struct image_plan plan;
    char why[200];

    if (!vm->kernel.data || image_plan(vm, input.machine, &plan, why, sizeof(why)) != OK)
        return;
    row_add(plan.kernel, plan.kernel_size,
            text_of("  kernel %s (%s), entry %#llx", vm->kernel.name,
                    image_format_text(plan.format), (unsigned long long)plan.entry));
    row_add(
        plan.tree, plan.tree_room,
        text_of("  device tree%s%s", vm->fdt.name ? " " : "", vm->fdt.name ? vm->fdt.name : ""));
    if (strcmp(input.machine->arch, "x86_64") == 0 && plan.format != IMAGE_FIRMWARE) {
        row_add(IMAGE_BOOT_BASE, IMAGE_BOOT_END - IMAGE_BOOT_BASE, text_of("  boot parameters"));
        row_add(IMAGE_ACPI_BASE, IMAGE_ACPI_END - IMAGE_ACPI_BASE, text_of("  ACPI tables"));
    }
    row_add(plan.initrd, plan.initrd_size, text_of("  initrd %s", vm->initrd.name));
}

static void regions_add(const struct config_vm *vm)
{
    for (unsigned i = 0; i < vm->region_count; i++) {
        const struct config_region *region = &vm->regions[i];
        const char *kind = config_region_kind_text(region->kind);

        row_add(region->address, region->size,
                region->host ? text_of("%s (%s, host %#llx)", region->name, kind,
                                       (unsigned long long)region->host)
                             : text_of("%s (%s)", region->name, kind));
    }
}

static void vcpus_print(const struct config_vm *vm)
{
    for (unsigned i = 0; i < vm->cpu_count; i++) {
        if (vm->exclusive)
            printf("  vCPU %-2u   owns pCPU %s\n", i, cpus_text(vm->affinity[i]));
        else
            printf("  vCPU %-2u   pCPU %s, %s%s\n", i, cpus_text(vm->affinity[i]),
                   vm->table_vcpus >> i & 1
                       ? "in its slots"
                       : text_of("priority %u, weight %u", vm->priority, vm->weight),
                   vm->budget_us
                       ? text_of(", at most %u of each %u us", vm->budget_us, vm->period_us)
                       : "");
    }
}

static void ports_print(void)
{
    for (unsigned i = 0; i < input.machine->device_count; i++) {
        const struct machine_device *device = &input.machine->devices[i];

        if (device->ports && !device->reserved)
            printf("  ports %#llx-%#llx  %s\n", (unsigned long long)device->base,
                   (unsigned long long)(device->base + device->size - 1), device_text(device));
    }
}

static void table_print(const struct config_cpu *cpu)
{
    uint32_t idle = cpu->cycle_us;

    printf("a time table of %u us\n", cpu->cycle_us);
    for (unsigned i = 0; i < cpu->slot_count; i++) {
        const struct config_slot *slot = &input.config.slots[cpu->slot_first + i];

        printf("  %7u-%-7u us  %s, vCPU %u\n", slot->start_us, slot->start_us + slot->length_us,
               slot->vm, slot->vcpu);
        idle -= slot->length_us;
    }
    if (idle)
        printf("  idle for %u us of it\n", idle);
}

/* Those whose policy the configuration names. */
static void cpus_print(void)
{
    bool any = false;

    for (unsigned i = 0; i < CPUS_MAX; i++) {
        const struct config_cpu *cpu = &input.config.cpus[i];

        if (cpu->policy == CONFIG_SHARED_CPU && !cpu->slice_us)
            continue;
        any = true;
        printf("pCPU %u: ", i);
        if (cpu->policy == CONFIG_TABLE_CPU)
            table_print(cpu);
        else if (cpu->policy == CONFIG_EXCLUSIVE_CPU)
            printf("exclusive\n");
        else
            printf("shared, slices of %u us\n", cpu->slice_us);
    }
    if (any)
        printf("\n");
}

static void ram_add(const struct config_vm *vm)
{
    unsigned long long host = vm->memory_host;

    for (unsigned i = 0; i < MACHINE_RAM_PIECES; i++) {
        struct machine_ram ram = machine_ram(input.machine, vm->memory_size, i);

        if (ram.size)
            row_add(ram.base, ram.size, host ? text_of("RAM, host %#llx", host) : text_of("RAM"));
        if (host)
            host += ram.size;
    }
}

static void vm_print(const struct config_vm *vm)
{
    printf("%s: %u vCPU%s, %s of memory%s\n", vm->name, vm->cpu_count,
           vm->cpu_count == 1 ? "" : "s", size_text(vm->memory_size),
           vm->autostart ? "" : ", started by hand");
    vcpus_print(vm);
    row_count = 0;
    devices_add(vm);
    ram_add(vm);
    boot_add(vm);
    regions_add(vm);
    qsort(rows, row_count, sizeof(rows[0]), row_compare);
    for (unsigned i = 0; i < row_count; i++)
        printf("  0x%010llx-0x%010llx %7s  %s\n", (unsigned long long)rows[i].base,
               (unsigned long long)(rows[i].base + rows[i].size - 1),
               rows[i].size % KIB ? "" : size_text(rows[i].size), rows[i].text);
    ports_print();
    printf("  on crash: %s, on reset: %s, on power-off: %s\n", config_action_text(vm->on_crash),
           config_action_text(vm->on_reset), config_action_text(vm->on_poweroff));
    if (vm->watchdog_ms)
        printf("  watchdog: to be fed every %u ms\n", vm->watchdog_ms);
    if (vm->snapshot_ms)
        printf("  golden snapshot: %u ms after a start, unless there is one\n", vm->snapshot_ms);
    if (vm->clock_runs)
        printf("  its clock runs on while it is paused\n");
    printf("  command line: %s\n", *vm->cmdline ? vm->cmdline : "(none)");
}

bool command_explain(const struct options *options)
{
    struct options o = *options;

    o.arch = o.arch ? o.arch : "aarch64";
    if (o.input_count != 1)
        return fail("explain takes one file");
    if (!input_load(&input, &o))
        return false;
    cpus_print();
    for (unsigned i = 0; i < input.config.vm_count; i++) {
        if (i)
            printf("\n");
        vm_print(&input.config.vms[i]);
    }
    if (input.mistakes)
        return fail("%s: %u mistake%s; VMs with mistakes are left out", o.inputs[0], input.mistakes,
                    input.mistakes == 1 ? "" : "s");
    return true;
}
