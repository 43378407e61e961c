/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine can do: put together, printed, and held against a configuration. */
#include "vcpu/caps.h"

#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/shell.h"
#include "mm/guestmap.h"
#include "mm/page.h"
#include "vcpu/config.h"
#include "vcpu/machine.h"
#include "vcpu/machine_ops.h"

static const char *caps_irqchips(void)
{
    if (virt_caps.gic_version)
        return virt_caps.gic_version == 2 ? "GICv2" : "GICv3";
    if (virt_caps.isa)
        return virt_caps.guest_msi ? "PLIC, AIA" : "PLIC";
    return "local and I/O APIC";
}

struct caps caps_get(void)
{
    const struct machine_layout *layout = ARCH_MACHINE.layout;

    return (struct caps){
        .arch = ARCH_NAME,
        .backend = virt_caps.backend,
        .irqchips = caps_irqchips(),
        .cpus = pcpu_count,
        .vms_max = MIN(CONFIG_VMS_MAX, virt_caps.vmids_max - 1),
        .vcpus_max = MIN(CONFIG_VCPUS_MAX, virt_caps.vcpus_max),
        .regions_max = GUEST_REGIONS_MAX,
        .memory_min = CONFIG_MEMORY_MIN,
        .memory_max = MIN(layout->ram_max, ((uint64_t)1 << virt_caps.gpa_bits) - layout->ram_base),
        .memory_free = page_free_count() * PAGE_SIZE,
        .memory_all = page_total_count() * PAGE_SIZE,
        .gpa_bits = virt_caps.gpa_bits,
        .virq_slots = virt_caps.virq_slots,
        .guest_files = virt_caps.guest_files,
        .guest_timer = virt_caps.guest_timer || virt_caps.gic_version,
        .dirty = virt_caps.dirty,
        .manual = true,
        .snapshot = true,
    };
}

static enum err caps_check_memory(const struct caps *caps, const struct config_vm *config)
{
    uint64_t size = config->memory_size;

    if (size < caps->memory_min || !IS_ALIGNED(size, PAGE_SIZE)) {
        log_error("/vms/%s: memory of %llu bytes: it is a multiple of 4 KiB, and %llu MiB at least",
                  config->name, (unsigned long long)size,
                  (unsigned long long)(caps->memory_min / MIB));
        return E_RANGE;
    }
    if (size > caps->memory_max) {
        log_error("/vms/%s: %llu MiB of memory are more than this machine gives a VM, %llu MiB",
                  config->name, (unsigned long long)(size / MIB),
                  (unsigned long long)(caps->memory_max / MIB));
        return E_UNSUPPORTED;
    }
    if (config->memory_host == 0 && size > caps->memory_free) {
        log_error("/vms/%s: cannot have %llu MiB of memory: %llu MiB are free", config->name,
                  (unsigned long long)(size / MIB), (unsigned long long)(caps->memory_free / MIB));
        return E_NOMEM;
    }
    return OK;
}

enum err caps_check(const struct config_vm *config)
{
    const struct caps caps = caps_get();

    if (config->cpu_count == 0) {
        log_error("/vms/%s: it has no vCPU", config->name);
        return E_RANGE;
    }
    if (config->cpu_count > caps.vcpus_max) {
        log_error("/vms/%s: cpus = <%u>, but this machine gives a VM %u at most (%s, %s)",
                  config->name, config->cpu_count, caps.vcpus_max, caps.backend, caps.irqchips);
        return E_UNSUPPORTED;
    }
    if (config->index >= caps.vms_max) {
        log_error("/vms/%s: it is one VM more than the %u of this machine", config->name,
                  caps.vms_max);
        return E_UNSUPPORTED;
    }
    return caps_check_memory(&caps, config);
}

static const char *yes(bool has)
{
    return has ? "yes" : "no";
}

SHELL_CMD(capabilities, "", "Show what this machine can do for guests", 0, 0)
{
    const struct caps caps = caps_get();

    fmt_print(out, "architecture      %s, backend %s\n", caps.arch, caps.backend);
    fmt_print(out, "processors        %u\n", caps.cpus);
    fmt_print(out, "VMs               at most %u, of at most %u vCPUs and %u regions\n",
              caps.vms_max, caps.vcpus_max, caps.regions_max);
    fmt_print(out, "memory of a VM    %llu MiB to %llu MiB, addresses of %u bits\n",
              (unsigned long long)(caps.memory_min / MIB),
              (unsigned long long)(caps.memory_max / MIB), caps.gpa_bits);
    fmt_print(out, "memory            %llu of %llu MiB free\n",
              (unsigned long long)(caps.memory_free / MIB),
              (unsigned long long)(caps.memory_all / MIB));
    fmt_print(out, "interrupts        %s; %u slots in hardware, %u interrupt files on a pCPU\n",
              caps.irqchips, caps.virq_slots, caps.guest_files);
    fmt_print(out, "guest's timer     %s\n",
              caps.guest_timer ? "in hardware" : "a timer of the hypervisor's");
    fmt_print(out, "dirty tracking    %s\n",
              caps.dirty == VIRT_DIRTY_LOG    ? "by bits that hardware sets, and a log of them"
              : caps.dirty == VIRT_DIRTY_BITS ? "by bits that hardware sets"
                                              : "by first writes, which exit");
    fmt_print(out, "nested            %s\n", yes(caps.nested));
    fmt_print(out, "run by hand       %s\n", yes(caps.manual));
    fmt_print(out, "snapshots         %s\n", yes(caps.snapshot));
}
