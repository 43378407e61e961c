/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform: what the machine has. Shared by the readers of ACPI and of device trees.
 *
 * Invariant after platform_end() == OK: at least one CPU; an interrupt controller with the
 * addresses that its version needs; on Arm the hypervisor timer's and the maintenance interrupt, on
 * RISC-V the time base and the ISA string. A UART may be absent.
 */
#include "drivers/platform.h"

#include "kernel/assert.h"
#include "kernel/log.h"

struct platform platform;
static unsigned cpus_left_out;

void platform_begin(const char *source)
{
    platform = (struct platform){.source = source};
    cpus_left_out = 0;
}

enum err platform_add_cpu(uint64_t hw_id, uint64_t gicr)
{
    for (unsigned i = 0; i < platform.cpu_count; i++) {
        if (platform.cpus[i].hw_id == hw_id) {
            log_error("%s: two processors have the id %#lx", platform.source, (unsigned long)hw_id);
            return E_EXISTS;
        }
    }
    if (platform.cpu_count == CPUS_MAX) {
        if (cpus_left_out++ == 0)
            log_warn("%s: more than %u processors; the others stay unused", platform.source,
                     CPUS_MAX);
        return OK;
    }
    platform.cpus[platform.cpu_count++] = (struct platform_cpu){.hw_id = hw_id, .gicr = gicr};
    return OK;
}

enum err platform_add_gicr(uint64_t base, uint64_t size)
{
    if (size == 0 || base + size < base) {
        log_error("%s: empty GIC redistributor region at %#lx", platform.source,
                  (unsigned long)base);
        return E_INVALID;
    }
    if (platform.gicr_count == PLATFORM_REGIONS_MAX) {
        log_error("%s: more than %u GIC redistributor regions", platform.source,
                  PLATFORM_REGIONS_MAX);
        return E_NOMEM;
    }
    platform.gicr[platform.gicr_count++] = (struct platform_region){base, size};
    return OK;
}

static bool gicr_known(void)
{
    for (unsigned i = 0; i < platform.cpu_count; i++) {
        if (platform.cpus[i].gicr == 0)
            return platform.gicr_count > 0;
    }
    return true;
}

static const char *riscv_missing(void)
{
    if (platform.timer_hz == 0)
        return "the frequency of the time base";
    if (platform.isa[0] == '\0')
        return "the ISA of the harts";
    if (platform.irqchip == IRQCHIP_NONE)
        return "an interrupt controller that we know (PLIC or IMSIC)";
    if (platform.irqchip == IRQCHIP_PLIC && (platform.plic == 0 || platform.plic_sources == 0))
        return "the PLIC's address or its number of sources";
    for (unsigned i = 0; platform.irqchip == IRQCHIP_AIA && i < platform.cpu_count; i++)
        if (platform.cpus[i].imsic == 0)
            return "the IMSIC of each hart";
    return NULL;
}

static const char *gic_missing(void)
{
    if (platform.irqchip == IRQCHIP_NONE)
        return "an interrupt controller that we know (GICv2 or GICv3)";
    if (platform.gicd == 0)
        return "the GIC distributor's address";
    if (platform.irqchip == IRQCHIP_GICV3 && !gicr_known())
        return "the GIC redistributors' addresses";
    if (platform.irqchip == IRQCHIP_GICV2 &&
        (platform.gicc == 0 || platform.gich == 0 || platform.gicv == 0))
        return "the GIC's CPU or virtual interface";
    if (platform.gic_maintenance_irq == 0)
        return "the GIC maintenance interrupt";
    if (platform.timer_irq_hyp == 0)
        return "the hypervisor timer's interrupt";
    return NULL;
}

/* What is missing, NULL when nothing is. */
static const char *platform_missing(void)
{
    if (platform.cpu_count == 0)
        return "an enabled processor";
    if (platform.irqchip == IRQCHIP_APIC)
        return NULL; /* The rest is in every processor. */
    return platform.psci == CONDUIT_SBI ? riscv_missing() : gic_missing();
}

enum err platform_end(void)
{
    static const char *const conduits[] = {"no PSCI", "PSCI by SMC", "PSCI by HVC", "SBI"};
    static const char *const uarts[] = {"", "PL011", "16550"};
    static const char *const irqchips[] = {"none", "GICv2", "GICv3", "PLIC", "AIA"};
    const char *missing = platform_missing();

    assert(platform.source != NULL);
    if (missing != NULL) {
        log_error("%s does not describe %s", platform.source, missing);
        return E_ABSENT;
    }
    if (platform.irqchip == IRQCHIP_APIC)
        log_info("platform: from %s: %u processors, APIC, %s at %#lx", platform.source,
                 platform.cpu_count, platform.uart == UART_NONE ? "no UART" : uarts[platform.uart],
                 (unsigned long)platform.uart_base);
    else if (platform.uart == UART_NONE)
        log_info("platform: from %s: %u processors, %s, no UART that we know, %s", platform.source,
                 platform.cpu_count, irqchips[platform.irqchip], conduits[platform.psci]);
    else
        log_info("platform: from %s: %u processors, %s, %s at %#lx, %s", platform.source,
                 platform.cpu_count, irqchips[platform.irqchip], uarts[platform.uart],
                 (unsigned long)platform.uart_base, conduits[platform.psci]);
    return OK;
}
