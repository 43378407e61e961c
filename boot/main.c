/* SPDX-License-Identifier: Apache-2.0 */
/* The order of start, on one page. What each step does is elsewhere. */
#include "boot/boot.h"
#include "boot/guests.h"
#include "boot/handoff.h"
#include "drivers/chardev.h"
#include "drivers/platform.h"
#include "drivers/rtc.h"
#include "kernel/log.h"
#include "kernel/option.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/version.h"
#include "mm/hostmap.h"
#include "mm/memmap.h"
#include "mm/page.h"
#include "mm/pt.h"
#include "vcpu/arch_vcpu.h"
#include "vcpu/config.h"
#include "vcpu/console.h"

#define STACK_SIZE (16 * KIB)

static const struct memmap *map;
static const struct handoff *handoff; /* NULL: started directly, with a tree. */

static void boot_memory(void)
{
    for (unsigned i = 0; i < map->count; i++)
        if (map->ranges[i].kind == MEM_FREE)
            page_add(hpa(map->ranges[i].base), map->ranges[i].size);
    if (hostmap_init(map) != OK)
        panic("not enough memory for our own page tables");
}

/* A PC without tables. Whoever loaded us may know of one processor only. */
static enum err boot_platform_pc(void)
{
    uint64_t own = arch_hw_id();

    if (handoff->cpu_count == 0)
        return platform_pc(&own, 1);
    return platform_pc(handoff->cpu_ids, MIN(handoff->cpu_count, HANDOFF_CPUS_MAX));
}

/* What the machine has: from the device tree when there is one, else from ACPI. */
static void boot_platform(void)
{
    enum err err = E_ABSENT;

    if (ARCH_FDT && boot_tree.fdt.blob)
        err = platform_from_fdt(&boot_tree.fdt);
    else if (handoff && handoff->rsdp)
        err = platform_from_acpi(handoff->rsdp);
    else if (handoff)
        err = boot_platform_pc();
    console_init(chardev_console_open()); /* Now what went wrong can be seen. */
    if (err != OK)
        panic("the firmware does not describe this machine well enough");
}

/* Dense ids; the processor that boots is 0. */
static void boot_number_cpus(void)
{
    uint64_t boot_hw_id = arch_hw_id();
    bool found = false;

    for (unsigned i = 0; i < platform.cpu_count; i++) {
        struct platform_cpu cpu = platform.cpus[i];

        if (cpu.hw_id == boot_hw_id) {
            platform.cpus[i] = platform.cpus[0];
            platform.cpus[0] = cpu;
            found = true;
        }
    }
    if (!found)
        panic("the firmware does not list the processor that it started, %#llx",
              (unsigned long long)boot_hw_id);
    for (unsigned i = 0; i < platform.cpu_count; i++) {
        pcpu(i)->id = i;
        pcpu(i)->hw_id = platform.cpus[i].hw_id;
    }
    pcpu_count = platform.cpu_count;
}

/* The firmware's time, or what the clock shows; ticks are known. */
static void boot_wall_clock(void)
{
    uint64_t seconds = handoff ? handoff->wall_seconds : 0;

    if (!seconds)
        seconds = rtc_seconds();
    if (seconds)
        platform.wall_epoch = seconds - ticks_to_ns(arch_ticks()) / 1000000000;
}

static enum err boot_enable_cpu(void)
{
    TRY(arch_irqchip_init(&platform));
    TRY(arch_irqchip_init_cpu());
    TRY(arch_timer_init_cpu());
    return arch_virt_enable();
}

static void boot_this_cpu(void)
{
    char text[192];
    enum err err;

    timer_init_cpu();
    sched_init_cpu();
    err = boot_enable_cpu();
    if (err == E_NOMEM)
        panic("not enough memory to set this processor up");
    if (err != OK) /* It lacks what we need, which was said; nothing of ours is wrong. */
        arch_halt();
    boot_wall_clock();
    arch_cpu_describe(text, sizeof(text));
    log_info("cpu: %u x %s", pcpu_count, text);
}

/* The configuration: packed into the EFI program, or the initrd of a direct start. */
static const void *boot_config(uint64_t *size)
{
    const struct platform_chosen *chosen = &boot_tree.chosen;

    *size = handoff ? handoff->config_size : chosen->initrd_size;
    return (const void *)(uintptr_t)(handoff ? handoff->config : chosen->initrd_base);
}

/* Those of the configuration first: what is typed at a start is to win. */
static void boot_options(void)
{
    uint64_t size;
    const void *blob = boot_config(&size);

    options_parse(config_options(blob, size));
    options_parse(handoff ? handoff->cmdline : boot_tree.chosen.bootargs);
}

static void boot_guests(void)
{
    uint64_t size;
    const void *blob = boot_config(&size);

    guests_start(blob, size, map);
}

/* On a stack with a guard page. */
static void boot_rest(void)
{
    boot_platform();
    boot_options();
    boot_number_cpus();
    boot_this_cpu();
    log_info("memory: %llu of %llu MiB free",
             (unsigned long long)(page_free_count() * PAGE_SIZE / MIB),
             (unsigned long long)(page_total_count() * PAGE_SIZE / MIB));
    guests_init(); /* Before the others start: they enable what is attached here. */
    atomic_store(&this_cpu()->online, true);
    secondary_start_all();
    boot_guests();
    console_start();
    sched_loop();
}

void boot_main(const void *arg, const struct memmap *memory)
{
    arch_cpu_init(pcpu(0));
    log_info("Caisson " CAISSON_VERSION " for " ARCH_NAME);
    map = memory;
    if (!arg)
        panic("started without a handoff or a device tree");
    handoff = ((const struct handoff *)arg)->magic == HANDOFF_MAGIC ? arg : NULL;
    boot_memory_limit(pt_size(arch_host_format));
    boot_memory();
    this_cpu()->stack_top = hostmap_stack_alloc(STACK_SIZE);
    if (!this_cpu()->stack_top)
        panic("not enough memory for a stack");
    arch_stack_use(this_cpu()->stack_top, boot_rest);
}
