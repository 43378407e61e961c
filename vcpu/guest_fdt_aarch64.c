/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is aarch64's in a guest's tree. [Linux, Documentation/devicetree/bindings: arm/cpus,
 * arm/psci, interrupt-controller/arm,gic*, timer/arm,arch_timer, serial/pl011, rtc/arm,pl031]
 */
#include "vcpu/guest_fdt_impl.h"

#include "vcpu/machine.h"

enum { PHANDLE_CLOCK = 2 };

/* Cells of an interrupt specifier. [arm,gic.yaml] */
enum { GIC_SPI = 0, GIC_PPI = 1 };
enum { IRQ_LEVEL_HIGH = 4 };

#define GIC_SPI_FIRST 32u

/* The timer's PPIs, from 16: secure physical, physical, virtual, hypervisor's. */
static const uint32_t timer_ppis[] = {13, 14, 11, 10};

static void write_cells2(struct fdt_writer *w, const char *name, uint32_t a, uint32_t b)
{
    uint32_t cells[] = {a, b};

    fdt_write_cells(w, name, cells, ARRAY_SIZE(cells));
}

static void write_spi(struct fdt_writer *w, uint32_t irq)
{
    uint32_t cells[] = {GIC_SPI, irq - GIC_SPI_FIRST, IRQ_LEVEL_HIGH};

    fdt_write_cells(w, "interrupts", cells, ARRAY_SIZE(cells));
}

static void write_cpus(struct fdt_writer *w, unsigned count)
{
    fdt_write_node(w, "cpus");
    fdt_write_u32(w, "#address-cells", 1);
    fdt_write_u32(w, "#size-cells", 0);
    for (unsigned i = 0; i < count; i++) {
        uint32_t mpidr = (uint32_t)machine_mpidr(i);

        fdt_write_node(w, "cpu@%x", mpidr);
        fdt_write_string(w, "device_type", "cpu");
        fdt_write_string(w, "compatible", "arm,armv8");
        fdt_write_u32(w, "reg", mpidr);
        fdt_write_string(w, "enable-method", "psci");
        fdt_write_node_end(w);
    }
    fdt_write_node_end(w);
}

static void write_psci(struct fdt_writer *w)
{
    fdt_write_node(w, "psci");
    GUEST_FDT_STRINGS(w, "compatible", "arm,psci-1.0\0arm,psci-0.2");
    fdt_write_string(w, "method", "hvc");
    fdt_write_node_end(w);
}

static void write_timer(struct fdt_writer *w, const struct guest_fdt_params *params)
{
    uint32_t cells[3 * ARRAY_SIZE(timer_ppis)];
    uint32_t flags = IRQ_LEVEL_HIGH;

    if (params->gic_version == 2) /* Which CPUs have it: as many bits. */
        flags |= ((1u << MIN(params->cpu_count, 8u)) - 1) << 8;
    for (unsigned i = 0; i < ARRAY_SIZE(timer_ppis); i++) {
        cells[3 * i] = GIC_PPI;
        cells[3 * i + 1] = timer_ppis[i];
        cells[3 * i + 2] = flags;
    }
    fdt_write_node(w, "timer");
    GUEST_FDT_STRINGS(w, "compatible", "arm,armv8-timer\0arm,armv7-timer");
    fdt_write_cells(w, "interrupts", cells, ARRAY_SIZE(cells));
    fdt_write_empty(w, "always-on");
    fdt_write_node_end(w);
}

static void write_gic(struct fdt_writer *w, const struct guest_fdt_params *params)
{
    const struct machine_device *gicd = machine_device(params->machine, "gicd");
    const struct machine_device *gicr = machine_device(params->machine, "gicr");
    const struct machine_device *gicc = machine_device(params->machine, "gicc");
    uint64_t frames[2][2] = {{gicd->base, gicd->size},
                             {gicr->base, gicr->per_vcpu * params->cpu_count}};

    fdt_write_node(w, "intc@%llx", (unsigned long long)gicd->base);
    if (params->gic_version == 3) {
        fdt_write_string(w, "compatible", "arm,gic-v3");
        fdt_write_u32(w, "#redistributor-regions", 1);
    } else {
        fdt_write_string(w, "compatible", "arm,cortex-a15-gic");
        frames[1][0] = gicc->base;
        frames[1][1] = gicc->size;
    }
    fdt_write_reg(w, frames, 2);
    fdt_write_u32(w, "#interrupt-cells", 3);
    fdt_write_empty(w, "interrupt-controller");
    fdt_write_u32(w, "#address-cells", 2);
    fdt_write_u32(w, "#size-cells", 2);
    fdt_write_empty(w, "ranges");
    fdt_write_u32(w, "phandle", GUEST_FDT_PHANDLE_IRQCHIP);
    fdt_write_node_end(w);
}

/* The UART and the RTC, and the clock that their drivers ask for. */
static void write_chips(struct fdt_writer *w, const struct machine_layout *machine)
{
    const struct machine_device *uart = machine_device(machine, "pl011");
    const struct machine_device *rtc = machine_device(machine, "pl031");

    fdt_write_node(w, "apb-pclk");
    fdt_write_string(w, "compatible", "fixed-clock");
    fdt_write_u32(w, "#clock-cells", 0);
    fdt_write_u32(w, "clock-frequency", 24000000);
    fdt_write_string(w, "clock-output-names", "clk24mhz");
    fdt_write_u32(w, "phandle", PHANDLE_CLOCK);
    fdt_write_node_end(w);

    fdt_write_node(w, "pl011@%llx", (unsigned long long)uart->base);
    GUEST_FDT_STRINGS(w, "compatible", "arm,pl011\0arm,primecell");
    guest_fdt_reg(w, uart->base, uart->size);
    write_spi(w, uart->irq);
    write_cells2(w, "clocks", PHANDLE_CLOCK, PHANDLE_CLOCK);
    GUEST_FDT_STRINGS(w, "clock-names", "uartclk\0apb_pclk");
    fdt_write_node_end(w);

    fdt_write_node(w, "pl031@%llx", (unsigned long long)rtc->base);
    GUEST_FDT_STRINGS(w, "compatible", "arm,pl031\0arm,primecell");
    guest_fdt_reg(w, rtc->base, rtc->size);
    write_spi(w, rtc->irq);
    fdt_write_u32(w, "clocks", PHANDLE_CLOCK);
    fdt_write_string(w, "clock-names", "apb_pclk");
    fdt_write_node_end(w);
}

void guest_fdt_aarch64(struct fdt_writer *w, const struct guest_fdt_params *params)
{
    write_cpus(w, params->cpu_count);
    write_psci(w);
    write_timer(w, params);
    write_gic(w, params);
    write_chips(w, params->machine);
}
