/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is riscv64's in a guest's tree. Contexts of machine level, which the guest's harts have not,
 * are "not connected" in the PLIC, so that its registers lie where they do on QEMU. [Linux,
 * Documentation/devicetree/bindings: riscv/cpus, riscv/extensions,
 * interrupt-controller/riscv,cpu-intc, sifive,plic-1.0.0, riscv,aplic, riscv,imsics, serial/8250,
 * rtc/google,goldfish-rtc, power/reset/syscon-*]
 */
#include "vcpu/guest_fdt_impl.h"

#include "kernel/bits.h"
#include "kernel/isa.h"
#include "kernel/string.h"
#include "vcpu/irqchip/vaplic.h"
#include "vcpu/irqchip/vimsic.h"
#include "vcpu/irqchip/vplic.h"
#include "vcpu/machine.h"

enum { PHANDLE_IMSIC = 2, PHANDLE_TEST = 3, PHANDLE_HART = 16 };

#define IRQ_EXTERNAL_S  9u
#define NOT_CONNECTED   UINT32_MAX
#define IRQ_LEVEL_HIGH  4u
#define UART_CLOCK_HZ   3686400u
#define TEST_POWEROFF   0x5555u
#define TEST_REBOOT     0x7777u
#define HARTS_MAX       VPLIC_HARTS_MAX
#define EXTENSIONS_SIZE 1024u

/* "riscv,isa-extensions": the same as the string, one by one. */
static void write_isa(struct fdt_writer *w, const struct guest_fdt_params *params)
{
    char isa[EXTENSIONS_SIZE / 2], list[EXTENSIONS_SIZE];
    const char *at = NULL, *ext;
    size_t length, used = 0;

    if (!str_copy(isa, sizeof(isa), params->isa ? params->isa : "rv64imac"))
        return;
    if (params->irqchip == CONFIG_AIA && isa_add(isa, sizeof(isa), "ssaia", 5) != OK)
        return;
    while ((ext = isa_next(isa, &at, &length)) != NULL) {
        memcpy(list + used, ext, length);
        used += length;
        list[used++] = '\0';
    }
    fdt_write_string(w, "riscv,isa", isa);
    fdt_write_string(w, "riscv,isa-base", "rv64i");
    fdt_write_bytes(w, "riscv,isa-extensions", list, used);
}

static void write_block_size(struct fdt_writer *w, const struct guest_fdt_params *params,
                             const char *extension, const char *name, uint32_t size)
{
    if (size != 0 && params->isa && isa_has(params->isa, extension))
        fdt_write_u32(w, name, size);
}

static void write_cpu(struct fdt_writer *w, const struct guest_fdt_params *params, unsigned i)
{
    fdt_write_node(w, "cpu@%x", i);
    fdt_write_string(w, "device_type", "cpu");
    fdt_write_string(w, "compatible", "riscv");
    fdt_write_u32(w, "reg", i);
    fdt_write_string(w, "status", "okay");
    write_isa(w, params);
    write_block_size(w, params, "zicbom", "riscv,cbom-block-size", params->cbom_size);
    write_block_size(w, params, "zicboz", "riscv,cboz-block-size", params->cboz_size);
    write_block_size(w, params, "zicbop", "riscv,cbop-block-size", params->cbop_size);
    fdt_write_string(w, "mmu-type",
                     params->va_bits == 57   ? "riscv,sv57"
                     : params->va_bits == 48 ? "riscv,sv48"
                                             : "riscv,sv39");
    fdt_write_node(w, "interrupt-controller");
    fdt_write_string(w, "compatible", "riscv,cpu-intc");
    fdt_write_u32(w, "#interrupt-cells", 1);
    fdt_write_u32(w, "#address-cells", 0);
    fdt_write_empty(w, "interrupt-controller");
    fdt_write_u32(w, "phandle", PHANDLE_HART + i);
    fdt_write_node_end(w);
    fdt_write_node_end(w);
}

static void write_cpus(struct fdt_writer *w, const struct guest_fdt_params *params)
{
    fdt_write_node(w, "cpus");
    fdt_write_u32(w, "#address-cells", 1);
    fdt_write_u32(w, "#size-cells", 0);
    fdt_write_u32(w, "timebase-frequency", (uint32_t)params->timer_hz);
    for (unsigned i = 0; i < params->cpu_count; i++)
        write_cpu(w, params, i);
    fdt_write_node_end(w);
}

static void write_plic(struct fdt_writer *w, const struct guest_fdt_params *params)
{
    const struct machine_device *plic = machine_device(params->machine, "plic");
    uint32_t cells[4 * HARTS_MAX];
    unsigned count = 0;

    for (unsigned i = 0; i < MIN(params->cpu_count, HARTS_MAX); i++) {
        cells[count++] = PHANDLE_HART + i;
        cells[count++] = NOT_CONNECTED;
        cells[count++] = PHANDLE_HART + i;
        cells[count++] = IRQ_EXTERNAL_S;
    }
    fdt_write_node(w, "plic@%llx", (unsigned long long)plic->base);
    GUEST_FDT_STRINGS(w, "compatible", "sifive,plic-1.0.0\0riscv,plic0");
    guest_fdt_reg(w, plic->base, plic->size);
    fdt_write_u32(w, "riscv,ndev", VPLIC_SOURCES);
    fdt_write_cells(w, "interrupts-extended", cells, count);
    fdt_write_u32(w, "#interrupt-cells", 1);
    fdt_write_u32(w, "#address-cells", 0);
    fdt_write_empty(w, "interrupt-controller");
    fdt_write_u32(w, "phandle", GUEST_FDT_PHANDLE_IRQCHIP);
    fdt_write_node_end(w);
}

static void write_aplic(struct fdt_writer *w, const struct guest_fdt_params *params)
{
    const struct machine_device *aplic = machine_device(params->machine, "aplic");

    fdt_write_node(w, "interrupt-controller@%llx", (unsigned long long)aplic->base);
    fdt_write_string(w, "compatible", "riscv,aplic");
    guest_fdt_reg(w, aplic->base, aplic->size);
    fdt_write_u32(w, "riscv,num-sources", VAPLIC_SOURCES);
    fdt_write_u32(w, "msi-parent", PHANDLE_IMSIC);
    fdt_write_u32(w, "#interrupt-cells", 2);
    fdt_write_u32(w, "#address-cells", 0);
    fdt_write_empty(w, "interrupt-controller");
    fdt_write_u32(w, "phandle", GUEST_FDT_PHANDLE_IRQCHIP);
    fdt_write_node_end(w);
}

static void write_imsic(struct fdt_writer *w, const struct guest_fdt_params *params)
{
    const struct machine_device *imsic = machine_device(params->machine, "imsic");
    uint32_t cells[2 * HARTS_MAX];
    unsigned count = 0;

    for (unsigned i = 0; i < MIN(params->cpu_count, HARTS_MAX); i++) {
        cells[count++] = PHANDLE_HART + i;
        cells[count++] = IRQ_EXTERNAL_S;
    }
    fdt_write_node(w, "interrupt-controller@%llx", (unsigned long long)imsic->base);
    fdt_write_string(w, "compatible", "riscv,imsics");
    guest_fdt_reg(w, imsic->base, imsic->per_vcpu * params->cpu_count);
    fdt_write_u32(w, "riscv,num-ids", VIMSIC_IDS);
    fdt_write_cells(w, "interrupts-extended", cells, count);
    fdt_write_empty(w, "msi-controller");
    fdt_write_u32(w, "#msi-cells", 0);
    fdt_write_u32(w, "#interrupt-cells", 0);
    fdt_write_u32(w, "#address-cells", 0);
    fdt_write_empty(w, "interrupt-controller");
    fdt_write_u32(w, "phandle", PHANDLE_IMSIC);
    fdt_write_node_end(w);
}

/*
 * The APLIC wants to know the trigger as well. The parent is named here, not for the whole tree:
 * harts' own controllers would inherit it.
 */
static void write_irq(struct fdt_writer *w, const struct guest_fdt_params *params, uint32_t irq)
{
    uint32_t cells[2] = {irq, IRQ_LEVEL_HIGH};

    fdt_write_u32(w, "interrupt-parent", GUEST_FDT_PHANDLE_IRQCHIP);
    fdt_write_cells(w, "interrupts", cells, params->irqchip == CONFIG_AIA ? 2 : 1);
}

static void write_chips(struct fdt_writer *w, const struct guest_fdt_params *params)
{
    const struct machine_device *uart = machine_device(params->machine, "ns16550");
    const struct machine_device *rtc = machine_device(params->machine, "goldfish-rtc");
    const struct machine_device *test = machine_device(params->machine, "test");

    fdt_write_node(w, "test@%llx", (unsigned long long)test->base);
    GUEST_FDT_STRINGS(w, "compatible", "sifive,test1\0sifive,test0\0syscon");
    guest_fdt_reg(w, test->base, test->size);
    fdt_write_u32(w, "phandle", PHANDLE_TEST);
    fdt_write_node_end(w);

    fdt_write_node(w, "serial@%llx", (unsigned long long)uart->base);
    fdt_write_string(w, "compatible", "ns16550a");
    guest_fdt_reg(w, uart->base, uart->size);
    fdt_write_u32(w, "clock-frequency", UART_CLOCK_HZ);
    write_irq(w, params, uart->irq);
    fdt_write_node_end(w);

    fdt_write_node(w, "rtc@%llx", (unsigned long long)rtc->base);
    fdt_write_string(w, "compatible", "google,goldfish-rtc");
    guest_fdt_reg(w, rtc->base, rtc->size);
    write_irq(w, params, rtc->irq);
    fdt_write_node_end(w);
}

static void write_syscon(struct fdt_writer *w, const char *name, const char *compatible,
                         uint32_t value)
{
    fdt_write_node(w, "%s", name);
    fdt_write_string(w, "compatible", compatible);
    fdt_write_u32(w, "regmap", PHANDLE_TEST);
    fdt_write_u32(w, "offset", 0);
    fdt_write_u32(w, "value", value);
    fdt_write_node_end(w);
}

void guest_fdt_riscv64(struct fdt_writer *w, const struct guest_fdt_params *params)
{
    write_cpus(w, params);
    fdt_write_node(w, "soc");
    fdt_write_string(w, "compatible", "simple-bus");
    fdt_write_u32(w, "#address-cells", 2);
    fdt_write_u32(w, "#size-cells", 2);
    fdt_write_empty(w, "ranges");
    if (params->irqchip == CONFIG_AIA) {
        write_aplic(w, params);
        write_imsic(w, params);
    } else {
        write_plic(w, params);
    }
    write_chips(w, params);
    fdt_write_node_end(w);
    write_syscon(w, "poweroff", "syscon-poweroff", TEST_POWEROFF);
    write_syscon(w, "reboot", "syscon-reboot", TEST_REBOOT);
}
