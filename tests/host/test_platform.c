/* SPDX-License-Identifier: Apache-2.0 */
/* What is found of a machine, from ACPI and from device trees, right ones and wrong ones. */
#include "drivers/platform.h"
#include "kernel/string.h"
#include "mm/memmap.h"
#include "tests/host/acpi_tables.h"
#include "tests/host/test.h"

/* --- ACPI --- */

static uint8_t *tables[4];

enum { MADT, GTDT, FADT, SPCR };

static enum err from_acpi(void)
{
    struct acpi acpi;

    TRY(acpi_open(&acpi, ACPI_RSDP, acpi_test_map));
    return platform_from_acpi_tables(&acpi);
}

/* The first structure of the type in the MADT. */
static uint8_t *madt_item(uint8_t type)
{
    uint8_t *at = tables[MADT] + 44;

    while (at[0] != type)
        at += at[1];
    return at;
}

static enum err with_byte(unsigned table, uint8_t *at, uint8_t value)
{
    *at = value;
    acpi_seal_table(tables[table]);
    return from_acpi();
}

TEST(a_gicv3_machine_is_found_in_acpi)
{
    acpi_machine(GIC_V3, 6, tables);
    ASSERT_OK(from_acpi());
    ASSERT_EQ(platform.cpu_count, 6);
    ASSERT_EQ(platform.cpus[5].hw_id, 0x101);
    ASSERT_EQ(platform.irqchip, IRQCHIP_GICV3);
    ASSERT_EQ(platform.gicd, 0x8000000);
    ASSERT_EQ(platform.gicr_count, 1);
    ASSERT_EQ(platform.gicr[0].base, 0x80a0000);
    ASSERT_EQ(platform.gicr[0].size, 0xf60000);
    ASSERT_EQ(platform.gic_maintenance_irq, 25);
    ASSERT_EQ(platform.timer_irq_phys, 30);
    ASSERT_EQ(platform.timer_irq_virt, 27);
    ASSERT_EQ(platform.timer_irq_hyp, 26);
    ASSERT_EQ(platform.psci, CONDUIT_HVC);
    ASSERT_EQ(platform.uart, UART_PL011);
    ASSERT_EQ(platform.uart_base, 0x9000000);
    ASSERT_EQ(platform.uart_irq, 33);
}

TEST(redistributors_may_be_named_by_each_processor)
{
    acpi_machine(GIC_V3_PER_CPU, 3, tables);
    ASSERT_OK(from_acpi());
    ASSERT_EQ(platform.gicr_count, 0);
    ASSERT_EQ(platform.cpus[2].gicr, 0x80e0000);
}

TEST(a_gicv2_machine_is_found_in_acpi)
{
    acpi_machine(GIC_V2, 2, tables);
    ASSERT_OK(from_acpi());
    ASSERT_EQ(platform.irqchip, IRQCHIP_GICV2);
    ASSERT_EQ(platform.gicc, 0x8010000);
    ASSERT_EQ(platform.gich, 0x8030000);
    ASSERT_EQ(platform.gicv, 0x8040000);
    ASSERT_OK(with_byte(MADT, madt_item(0x0c) + 20, 0)); /* The version is not told. */
    ASSERT_EQ(platform.irqchip, IRQCHIP_GICV2);
}

TEST(processors_that_are_not_enabled_are_left_out)
{
    acpi_machine(GIC_V3, 2, tables);
    ASSERT_OK(with_byte(MADT, madt_item(0x0b) + 12, 8)); /* Only "online capable". */
    ASSERT_EQ(platform.cpu_count, 1);
    ASSERT_EQ(platform.cpus[0].hw_id, 1);
}

TEST(more_processors_than_we_use_are_no_error)
{
    acpi_machine(GIC_V3, CPUS_MAX + 3, tables);
    ASSERT_OK(from_acpi());
    ASSERT_EQ(platform.cpu_count, CPUS_MAX);
}

TEST(a_machine_without_a_console_runs)
{
    acpi_machine(GIC_V3, 1, tables);
    ASSERT_OK(with_byte(SPCR, tables[SPCR] + 36, 0x77));
    ASSERT_EQ(platform.uart, UART_NONE);
    ASSERT_OK(with_byte(SPCR, tables[SPCR] + 0, 'X'));
    ASSERT_EQ(platform.uart, UART_NONE);
}

TEST(the_console_is_found_also_where_the_rest_is_wrong)
{
    acpi_machine(GIC_V3, 1, tables);
    ASSERT_ERR(E_ABSENT, with_byte(GTDT, tables[GTDT] + 0, 'X'));
    ASSERT_EQ(platform.uart, UART_PL011);
}

TEST(other_uarts_are_told_apart)
{
    acpi_machine(GIC_V3, 1, tables);
    ASSERT_OK(with_byte(SPCR, tables[SPCR] + 36, 0x0e));
    ASSERT_EQ(platform.uart, UART_PL011);
    ASSERT_OK(with_byte(SPCR, tables[SPCR] + 36, 0x12));
    ASSERT_EQ(platform.uart, UART_16550);
    ASSERT_EQ(platform.uart_reg_shift, 2);
    ASSERT_OK(with_byte(SPCR, tables[SPCR] + 52, 1)); /* An 8259's interrupt: poll. */
    ASSERT_EQ(platform.uart_irq, 0);
    ASSERT_OK(with_byte(SPCR, tables[SPCR] + 40, 1)); /* In port space. */
    ASSERT_EQ(platform.uart, UART_NONE);
}

TEST(psci_may_be_called_by_smc_or_be_missing)
{
    acpi_machine(GIC_V3, 1, tables);
    ASSERT_OK(with_byte(FADT, tables[FADT] + 129, 1));
    ASSERT_EQ(platform.psci, CONDUIT_SMC);
    ASSERT_OK(with_byte(FADT, tables[FADT] + 129, 0));
    ASSERT_EQ(platform.psci, CONDUIT_NONE);
    acpi_put(tables[FADT], 4, 116, 4); /* ACPI 4.0's length. */
    ASSERT_OK(with_byte(FADT, tables[FADT] + 129, 1));
    ASSERT_EQ(platform.psci, CONDUIT_NONE);
}

TEST(each_missing_table_is_an_error)
{
    for (unsigned i = 0; i < 3; i++) {
        acpi_machine(GIC_V3, 1, tables);
        ASSERT_ERR(E_ABSENT, with_byte(i, tables[i], 'x'));
    }
}

TEST(each_missing_piece_of_a_table_is_an_error)
{
    acpi_machine(GIC_V3, 1, tables);
    ASSERT_ERR(E_ABSENT, with_byte(MADT, madt_item(0x0b) + 56, 0)); /* Maintenance interrupt. */
    acpi_machine(GIC_V3, 1, tables);
    ASSERT_ERR(E_ABSENT, with_byte(MADT, madt_item(0x0b) + 12, 0)); /* The only processor. */
    acpi_machine(GIC_V3, 1, tables);
    ASSERT_ERR(E_ABSENT, with_byte(MADT, madt_item(0x0e), 0x0d)); /* Redistributors. */
    acpi_machine(GIC_V3, 1, tables);
    ASSERT_ERR(E_ABSENT, with_byte(MADT, madt_item(0x0c), 0x0d)); /* Distributor. */
    acpi_machine(GIC_V2, 1, tables);
    acpi_put(madt_item(0x0b), 48, 0, 8);
    ASSERT_ERR(E_ABSENT, with_byte(MADT, madt_item(0x0b) + 48, 0)); /* GICH. */
    acpi_machine(GIC_V3, 1, tables);
    ASSERT_ERR(E_ABSENT, with_byte(GTDT, tables[GTDT] + 72, 0));
}

TEST(malformed_structures_are_errors)
{
    acpi_machine(GIC_V3, 2, tables);
    ASSERT_ERR(E_INVALID, with_byte(MADT, madt_item(0x0c) + 20, 1)); /* GICv1. */
    acpi_machine(GIC_V3, 2, tables);
    ASSERT_ERR(E_INVALID, with_byte(MADT, madt_item(0x0b) + 1, 0));
    acpi_machine(GIC_V3, 2, tables);
    ASSERT_ERR(E_INVALID, with_byte(MADT, madt_item(0x0b) + 1, 75));
    acpi_machine(GIC_V3, 2, tables);
    ASSERT_ERR(E_INVALID, with_byte(MADT, madt_item(0x0b) + 56, 24)); /* Processors differ. */
    acpi_machine(GIC_V3, 2, tables);
    ASSERT_ERR(E_EXISTS, with_byte(MADT, madt_item(0x0b) + 68, 1)); /* The same id twice. */
    acpi_machine(GIC_V3, 2, tables);
    ASSERT_ERR(E_INVALID, with_byte(MADT, madt_item(0x0b), 0x0c)); /* Two distributors. */
    acpi_machine(GIC_V3, 2, tables);
    acpi_put(tables[GTDT], 4, 75, 4);
    acpi_seal_table(tables[GTDT]);
    ASSERT_ERR(E_INVALID, from_acpi());
    acpi_machine(GIC_V3, 2, tables);
    tables[MADT][50]++; /* The checksum. */
    ASSERT_ERR(E_INVALID, from_acpi());
}

TEST(no_wrong_byte_in_a_table_leads_outside_of_it)
{
    for (unsigned i = 0; i < 20000; i++) {
        unsigned table = (unsigned)test_random_below(4);
        static const uint32_t sizes[4] = {264, 104, 276, 80};

        if (i % 8 == 0)
            acpi_machine(GIC_V3, 2, tables);
        tables[table][4 + test_random_below(sizes[table] - 4)] = (uint8_t)test_random();
        if (tables[table][6] == 0 && tables[table][7] == 0 && tables[table][5] < 8)
            acpi_seal_table(tables[table]);
        (void)(from_acpi() == OK); /* Any answer; the map function and the sanitizers watch. */
    }
}

/* --- Device trees --- */

static _Alignas(8) uint8_t blob[16384];
static struct fdt tree;

struct machine {
    bool gicv2, no_gic, no_hyp_timer, short_gic, same_ids;
    const char *stdout_path, *psci;
};

static void write_cpus(struct fdt_writer *w, const struct machine *m)
{
    static const char *const states[] = {"okay", NULL, "disabled"};

    fdt_write_node(w, "cpus");
    fdt_write_u32(w, "#address-cells", 2);
    fdt_write_u32(w, "#size-cells", 0);
    fdt_write_node(w, "cpu-map");
    fdt_write_node_end(w);
    for (unsigned i = 0; i < 3; i++) {
        fdt_write_node(w, "cpu@%u", i);
        fdt_write_string(w, "device_type", "cpu");
        if (states[i] != NULL)
            fdt_write_string(w, "status", states[i]);
        fdt_write_u64(w, "reg", m->same_ids ? 7 : 0x100000000u * i + i);
        fdt_write_node_end(w);
    }
    fdt_write_node_end(w);
}

static void write_gic(struct fdt_writer *w, const struct machine *m)
{
    static const uint64_t v3[][2] = {
        {0x8000000, 0x10000}, {0x80a0000, 0xf60000}, {0x4000000000, 0x4000000}};
    static const uint64_t v2[][2] = {
        {0x8000000, 0x10000}, {0x8010000, 0x10000}, {0x8030000, 0x10000}, {0x8040000, 0x10000}};

    fdt_write_node(w, "intc@8000000");
    fdt_write_u32(w, "phandle", 1);
    fdt_write_u32(w, "#interrupt-cells", 3);
    fdt_write_empty(w, "interrupt-controller");
    fdt_write_string(w, "compatible", m->gicv2 ? "arm,cortex-a15-gic" : "arm,gic-v3");
    if (!m->gicv2)
        fdt_write_u32(w, "#redistributor-regions", 2);
    fdt_write_reg(w, m->gicv2 ? v2 : v3, (m->gicv2 ? 4 : 3) - m->short_gic);
    fdt_write_cells(w, "interrupts", (const uint32_t[]){1, 9, 4}, 3);
    fdt_write_node_end(w);
}

static void write_devices(struct fdt_writer *w, const struct machine *m)
{
    static const uint64_t pl011[][2] = {{0x9000000, 0x1000}}, ns16550[][2] = {{0x9100000, 0x100}};
    static const uint64_t pl031[][2] = {{0x9010000, 0x1000}};

    fdt_write_node(w, "timer");
    fdt_write_string(w, "compatible", "arm,armv8-timer");
    fdt_write_cells(w, "interrupts", (const uint32_t[]){1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4},
                    m->no_hyp_timer ? 9 : 12);
    fdt_write_node_end(w);
    fdt_write_node(w, "psci");
    fdt_write_bytes(w, "compatible", "arm,psci-1.0\0arm,psci-0.2", 26);
    fdt_write_string(w, "method", m->psci != NULL ? m->psci : "smc");
    fdt_write_node_end(w);
    fdt_write_node(w, "pl031@9010000");
    fdt_write_bytes(w, "compatible", "arm,pl031\0arm,primecell", 24);
    fdt_write_reg(w, pl031, 1);
    fdt_write_node_end(w);
    fdt_write_node(w, "pl011@9000000");
    fdt_write_bytes(w, "compatible", "arm,pl011\0arm,primecell", 24);
    fdt_write_reg(w, pl011, 1);
    fdt_write_cells(w, "interrupts", (const uint32_t[]){0, 1, 4}, 3);
    fdt_write_node_end(w);
    fdt_write_node(w, "serial@9100000");
    fdt_write_string(w, "compatible", "ns16550a");
    fdt_write_reg(w, ns16550, 1);
    fdt_write_u32(w, "reg-shift", 2);
    fdt_write_node_end(w);
    fdt_write_node(w, "aliases");
    fdt_write_string(w, "serial0", "/pl011@9000000");
    fdt_write_string(w, "serial1", "/serial@9100000");
    fdt_write_node_end(w);
}

static void begin_tree(struct fdt_writer *w)
{
    fdt_write_begin(w, blob, sizeof(blob));
    fdt_write_node(w, "%s", "");
    fdt_write_u32(w, "#address-cells", 2);
    fdt_write_u32(w, "#size-cells", 2);
    fdt_write_u32(w, "interrupt-parent", 1);
}

static void end_tree(struct fdt_writer *w)
{
    size_t size;

    fdt_write_node_end(w);
    ASSERT_OK(fdt_write_end(w, &size));
    ASSERT_OK(fdt_open(&tree, blob, size));
}

static enum err from_tree(struct machine m)
{
    struct fdt_writer w;

    begin_tree(&w);
    write_cpus(&w, &m);
    if (!m.no_gic)
        write_gic(&w, &m);
    write_devices(&w, &m);
    if (m.stdout_path != NULL) {
        fdt_write_node(&w, "chosen");
        fdt_write_string(&w, "stdout-path", m.stdout_path);
        fdt_write_node_end(&w);
    }
    end_tree(&w);
    return platform_from_fdt(&tree);
}

TEST(a_gicv3_machine_is_found_in_a_device_tree)
{
    ASSERT_OK(from_tree((struct machine){.stdout_path = "/pl011@9000000"}));
    ASSERT_EQ(platform.cpu_count, 2);
    ASSERT_EQ(platform.cpus[1].hw_id, 0x100000001);
    ASSERT_EQ(platform.irqchip, IRQCHIP_GICV3);
    ASSERT_EQ(platform.gicd, 0x8000000);
    ASSERT_EQ(platform.gicr_count, 2);
    ASSERT_EQ(platform.gicr[1].base, 0x4000000000);
    ASSERT_EQ(platform.gicr[1].size, 0x4000000);
    ASSERT_EQ(platform.gic_maintenance_irq, 25);
    ASSERT_EQ(platform.timer_irq_phys, 30);
    ASSERT_EQ(platform.timer_irq_virt, 27);
    ASSERT_EQ(platform.timer_irq_hyp, 26);
    ASSERT_EQ(platform.psci, CONDUIT_SMC);
    ASSERT_EQ(platform.rtc, RTC_PL031);
    ASSERT_EQ(platform.rtc_base, 0x9010000);
    ASSERT_EQ(platform.uart, UART_PL011);
    ASSERT_EQ(platform.uart_base, 0x9000000);
    ASSERT_EQ(platform.uart_irq, 33);
}

TEST(a_gicv2_machine_is_found_in_a_device_tree)
{
    ASSERT_OK(from_tree((struct machine){.gicv2 = true, .psci = "hvc"}));
    ASSERT_EQ(platform.irqchip, IRQCHIP_GICV2);
    ASSERT_EQ(platform.gicc, 0x8010000);
    ASSERT_EQ(platform.gich, 0x8030000);
    ASSERT_EQ(platform.gicv, 0x8040000);
    ASSERT_EQ(platform.psci, CONDUIT_HVC);
    ASSERT_EQ(platform.uart, UART_NONE);
}

TEST(the_console_may_be_named_by_an_alias_with_options)
{
    ASSERT_OK(from_tree((struct machine){.stdout_path = "serial0:115200n8"}));
    ASSERT_EQ(platform.uart, UART_PL011);
    ASSERT_OK(from_tree((struct machine){.stdout_path = "serial1"}));
    ASSERT_EQ(platform.uart, UART_16550);
    ASSERT_EQ(platform.uart_base, 0x9100000);
    ASSERT_EQ(platform.uart_reg_shift, 2);
    ASSERT_EQ(platform.uart_irq, 0);
    ASSERT_OK(from_tree((struct machine){.stdout_path = "serial9:115200"}));
    ASSERT_EQ(platform.uart, UART_NONE);
}

TEST(each_thing_missing_in_a_device_tree_is_an_error)
{
    ASSERT_ERR(E_ABSENT, from_tree((struct machine){.no_gic = true}));
    ASSERT_ERR(E_ABSENT, from_tree((struct machine){.no_hyp_timer = true}));
    ASSERT_ERR(E_INVALID, from_tree((struct machine){.short_gic = true}));
    ASSERT_ERR(E_INVALID, from_tree((struct machine){.gicv2 = true, .short_gic = true}));
    ASSERT_ERR(E_INVALID, from_tree((struct machine){.psci = "telepathy"}));
    ASSERT_ERR(E_EXISTS, from_tree((struct machine){.same_ids = true}));
}

static enum mem_kind kind_at(const struct memmap *map, uint64_t addr)
{
    const struct mem_range *range = memmap_find(map, addr);

    return range == NULL ? MEM_DEVICE : range->kind;
}

TEST(memory_is_what_the_tree_has_less_what_it_reserves)
{
    static const uint64_t ram[][2] = {{0x40000000, 0x10000000}, {0x80000800, 0x10000}};
    static const uint64_t firmware[][2] = {{0x41000000, 0x1234}};
    static struct memmap map;
    struct fdt_writer w;

    map.count = 0;
    begin_tree(&w);
    fdt_write_node(&w, "memory@40000000");
    fdt_write_string(&w, "device_type", "memory");
    fdt_write_reg(&w, ram, 2);
    fdt_write_node_end(&w);
    fdt_write_node(&w, "reserved-memory");
    fdt_write_u32(&w, "#address-cells", 2);
    fdt_write_u32(&w, "#size-cells", 2);
    fdt_write_empty(&w, "ranges");
    fdt_write_node(&w, "firmware@41000000");
    fdt_write_reg(&w, firmware, 1);
    fdt_write_node_end(&w);
    fdt_write_node(&w, "anywhere");
    fdt_write_u64(&w, "size", 0x100000);
    fdt_write_node_end(&w);
    fdt_write_node_end(&w);
    end_tree(&w);
    ASSERT_OK(platform_fdt_memory(&tree, &map));
    ASSERT_EQ(kind_at(&map, 0x3fffffff), MEM_DEVICE);
    ASSERT_EQ(kind_at(&map, 0x40000000), MEM_FREE);
    ASSERT_EQ(kind_at(&map, 0x40ffffff), MEM_FREE);
    ASSERT_EQ(kind_at(&map, 0x41000000), MEM_RESERVED);
    ASSERT_EQ(kind_at(&map, 0x41001fff), MEM_RESERVED); /* Whole pages. */
    ASSERT_EQ(kind_at(&map, 0x41002000), MEM_FREE);
    ASSERT_EQ(kind_at(&map, 0x80000fff), MEM_DEVICE); /* Half a page of RAM is none. */
    ASSERT_EQ(kind_at(&map, 0x80001000), MEM_FREE);
    ASSERT_EQ(kind_at(&map, 0x80010000), MEM_DEVICE);
}

TEST(a_tree_without_memory_is_an_error)
{
    static struct memmap map;
    struct fdt_writer w;

    map.count = 0;
    begin_tree(&w);
    end_tree(&w);
    ASSERT_ERR(E_ABSENT, platform_fdt_memory(&tree, &map));
    ASSERT_ERR(E_ABSENT, platform_from_fdt(&tree));
}

TEST(memory_that_wraps_is_an_error)
{
    static const uint64_t ram[][2] = {{UINT64_MAX - 0xfff, 0x2000}};
    static struct memmap map;
    struct fdt_writer w;

    map.count = 0;
    begin_tree(&w);
    fdt_write_node(&w, "memory");
    fdt_write_string(&w, "device_type", "memory");
    fdt_write_reg(&w, ram, 1);
    fdt_write_node_end(&w);
    end_tree(&w);
    ASSERT(platform_fdt_memory(&tree, &map) != OK);
}

static enum err chosen_of(uint64_t start, uint64_t end, struct platform_chosen *chosen)
{
    struct fdt_writer w;

    begin_tree(&w);
    fdt_write_node(&w, "chosen");
    fdt_write_string(&w, "bootargs", "log=debug");
    fdt_write_u32(&w, "linux,initrd-start", (uint32_t)start);
    fdt_write_u64(&w, "linux,initrd-end", end);
    fdt_write_node_end(&w);
    end_tree(&w);
    return platform_fdt_chosen(&tree, chosen);
}

TEST(bootargs_and_initrd_are_found)
{
    struct platform_chosen chosen;
    struct fdt_writer w;

    ASSERT_OK(chosen_of(0x48000000, 0x48001234, &chosen));
    ASSERT_STR(chosen.bootargs, "log=debug");
    ASSERT_EQ(chosen.initrd_base, 0x48000000);
    ASSERT_EQ(chosen.initrd_size, 0x1234);
    ASSERT_OK(chosen_of(0x48000000, 0x48000000, &chosen));
    ASSERT_EQ(chosen.initrd_base, 0);
    ASSERT_ERR(E_INVALID, chosen_of(0x48000000, 0x47ffffff, &chosen));

    begin_tree(&w);
    end_tree(&w);
    ASSERT_OK(platform_fdt_chosen(&tree, &chosen));
    ASSERT_STR(chosen.bootargs, "");
    ASSERT_EQ(chosen.initrd_size, 0);
}
