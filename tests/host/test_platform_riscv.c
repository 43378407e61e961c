/* SPDX-License-Identifier: Apache-2.0 */
/* What is found of a RISC-V machine, from device trees and from ACPI. */
#include "drivers/platform.h"
#include "kernel/fmt.h"
#include "kernel/isa.h"
#include "kernel/string.h"
#include "tests/host/acpi_tables.h"
#include "tests/host/test.h"

/* --- Device trees, as QEMU's virt has them --- */

static _Alignas(8) uint8_t blob[16384];
static struct fdt tree;

struct machine {
    bool aia, no_timebase, extensions, no_irqchip, small_imsic, few_harts;
    const char *isa[3], *uart_status;
};

enum { INTC_PHANDLE = 16, M_IMSIC = 5, S_IMSIC = 6, M_APLIC = 7, S_APLIC = 8, PLIC = 9 };

static void write_cpu(struct fdt_writer *w, const struct machine *m, unsigned i)
{
    fdt_write_node(w, "cpu@%u", i);
    fdt_write_string(w, "device_type", "cpu");
    fdt_write_u32(w, "reg", 4 * i);
    fdt_write_string(w, "status", i == 2 ? "disabled" : "okay");
    if (m->isa[i])
        fdt_write_string(w, "riscv,isa", m->isa[i]);
    if (m->extensions) {
        fdt_write_string(w, "riscv,isa-base", "rv64i");
        fdt_write_bytes(w, "riscv,isa-extensions", "i\0m\0a\0h\0sstc", 13);
    }
    fdt_write_string(w, "mmu-type", i ? "riscv,sv57" : "riscv,sv48");
    fdt_write_u32(w, "riscv,cbom-block-size", 64);
    fdt_write_u32(w, "riscv,cboz-block-size", 64u << i);
    fdt_write_node(w, "interrupt-controller");
    fdt_write_u32(w, "#interrupt-cells", 1);
    fdt_write_empty(w, "interrupt-controller");
    fdt_write_u32(w, "phandle", INTC_PHANDLE + i);
    fdt_write_node_end(w);
    fdt_write_node_end(w);
}

static void write_imsic(struct fdt_writer *w, const struct machine *m, bool supervisor)
{
    uint32_t cause = supervisor ? 9 : 11;
    uint64_t pages[1][2] = {
        {supervisor ? 0x28000000 : 0x24000000, m->small_imsic ? 0x4000 : 0xc000}};

    fdt_write_node(w, "interrupt-controller@%x", (unsigned)pages[0][0]);
    fdt_write_string(w, "compatible", "riscv,imsics");
    fdt_write_u32(w, "phandle", supervisor ? S_IMSIC : M_IMSIC);
    fdt_write_cells(
        w, "interrupts-extended",
        (const uint32_t[]){INTC_PHANDLE, cause, INTC_PHANDLE + 2, cause, INTC_PHANDLE + 1, cause},
        m->few_harts ? 2 : 6);
    fdt_write_u32(w, "riscv,num-ids", 255);
    fdt_write_u32(w, "riscv,guest-index-bits", 2);
    fdt_write_reg(w, pages, 1);
    fdt_write_node_end(w);
}

static void write_aplic(struct fdt_writer *w, bool supervisor)
{
    uint64_t reg[1][2] = {{supervisor ? 0xd000000 : 0xc000000, 0x8000}};

    fdt_write_node(w, "interrupt-controller@%x", (unsigned)reg[0][0]);
    fdt_write_string(w, "compatible", "riscv,aplic");
    fdt_write_u32(w, "phandle", supervisor ? S_APLIC : M_APLIC);
    fdt_write_u32(w, "msi-parent", supervisor ? S_IMSIC : M_IMSIC);
    fdt_write_u32(w, "#interrupt-cells", 2);
    fdt_write_empty(w, "interrupt-controller");
    fdt_write_u32(w, "riscv,num-sources", 96);
    fdt_write_reg(w, reg, 1);
    fdt_write_node_end(w);
}

static void write_plic(struct fdt_writer *w, const struct machine *m)
{
    static const uint64_t reg[1][2] = {{0xc000000, 0x600000}};

    fdt_write_node(w, "plic@c000000");
    fdt_write_bytes(w, "compatible", "sifive,plic-1.0.0\0riscv,plic0", 30);
    fdt_write_u32(w, "phandle", PLIC);
    fdt_write_u32(w, "#interrupt-cells", 1);
    fdt_write_empty(w, "interrupt-controller");
    fdt_write_u32(w, "riscv,ndev", 95);
    fdt_write_cells(w, "interrupts-extended",
                    (const uint32_t[]){INTC_PHANDLE, 11, INTC_PHANDLE, 9, INTC_PHANDLE + 1, 11,
                                       INTC_PHANDLE + 1, 9},
                    m->few_harts ? 4 : 8);
    fdt_write_reg(w, reg, 1);
    fdt_write_node_end(w);
}

static void write_uart(struct fdt_writer *w, const struct machine *m)
{
    static const uint64_t reg[1][2] = {{0x10000000, 0x100}}, rtc[1][2] = {{0x101000, 0x1000}};

    fdt_write_node(w, "rtc@101000");
    fdt_write_string(w, "compatible", "google,goldfish-rtc");
    fdt_write_reg(w, rtc, 1);
    fdt_write_node_end(w);
    fdt_write_node(w, "serial@10000000");
    fdt_write_string(w, "compatible", "ns16550a");
    if (m->uart_status)
        fdt_write_string(w, "status", m->uart_status);
    fdt_write_u32(w, "interrupt-parent", m->aia ? S_APLIC : PLIC);
    fdt_write_cells(w, "interrupts", (const uint32_t[]){10, 4}, m->aia ? 2 : 1);
    fdt_write_reg(w, reg, 1);
    fdt_write_node_end(w);
    fdt_write_node(w, "chosen");
    fdt_write_string(w, "stdout-path", "/serial@10000000");
    fdt_write_node_end(w);
}

static enum err from_tree(struct machine m)
{
    struct fdt_writer w;
    size_t size;

    for (unsigned i = 0; i < 3 && !m.extensions; i++)
        if (!m.isa[i])
            m.isa[i] = "rv64imafdch_zicsr_sstc_ssaia";
    fdt_write_begin(&w, blob, sizeof(blob));
    fdt_write_node(&w, "%s", "");
    fdt_write_u32(&w, "#address-cells", 2);
    fdt_write_u32(&w, "#size-cells", 2);
    fdt_write_node(&w, "cpus");
    fdt_write_u32(&w, "#address-cells", 1);
    fdt_write_u32(&w, "#size-cells", 0);
    if (!m.no_timebase)
        fdt_write_u32(&w, "timebase-frequency", 10000000);
    for (unsigned i = 0; i < 3; i++)
        write_cpu(&w, &m, i);
    fdt_write_node_end(&w);
    for (unsigned i = 0; i < 2 && m.aia; i++) {
        write_aplic(&w, i);
        write_imsic(&w, &m, i);
    }
    if (!m.aia && !m.no_irqchip)
        write_plic(&w, &m);
    write_uart(&w, &m);
    fdt_write_node_end(&w);
    ASSERT_OK(fdt_write_end(&w, &size));
    ASSERT_OK(fdt_open(&tree, blob, size));
    return platform_from_fdt(&tree);
}

TEST(a_riscv_machine_with_a_plic_is_found_in_a_device_tree)
{
    ASSERT_OK(from_tree((struct machine){.isa = {NULL, "rv64imafdchv_sstc", NULL}}));
    ASSERT_EQ(platform.cpu_count, 2);
    ASSERT_EQ(platform.cpus[1].hw_id, 4);
    ASSERT_EQ(platform.irqchip, IRQCHIP_PLIC);
    ASSERT_EQ(platform.plic, 0xc000000);
    ASSERT_EQ(platform.plic_size, 0x600000);
    ASSERT_EQ(platform.plic_sources, 95);
    ASSERT_EQ(platform.cpus[0].plic_context, 1);
    ASSERT_EQ(platform.cpus[1].plic_context, 3);
    ASSERT_EQ(platform.timer_hz, 10000000);
    ASSERT_STR(platform.isa, "rv64imafdch_sstc");
    ASSERT_EQ(platform.va_bits, 48);
    ASSERT_EQ(platform.cbom_size, 64);
    ASSERT_EQ(platform.cboz_size, 0); /* Harts differ. */
    ASSERT_EQ(platform.psci, CONDUIT_SBI);
    ASSERT_EQ(platform.uart, UART_16550);
    ASSERT_EQ(platform.uart_base, 0x10000000);
    ASSERT_EQ(platform.uart_irq, 10);
    ASSERT_EQ(platform.rtc, RTC_GOLDFISH);
    ASSERT_EQ(platform.rtc_base, 0x101000);
}

TEST(a_riscv_machine_with_an_aia_is_found_in_a_device_tree)
{
    ASSERT_OK(from_tree((struct machine){.aia = true, .extensions = true}));
    ASSERT_EQ(platform.irqchip, IRQCHIP_AIA);
    ASSERT_EQ(platform.aplic, 0xd000000);
    ASSERT_EQ(platform.aplic_size, 0x8000);
    ASSERT_EQ(platform.aplic_sources, 96);
    ASSERT_EQ(platform.imsic_ids, 255);
    ASSERT_EQ(platform.imsic_guests, 3);
    ASSERT_EQ(platform.cpus[0].imsic, 0x28000000);
    ASSERT_EQ(platform.cpus[1].imsic, 0x28008000); /* The third of the IMSIC's harts. */
    ASSERT_EQ(platform.cpus[1].aplic_hart, 2);
    ASSERT_STR(platform.isa, "rv64imah_sstc");
    ASSERT_EQ(platform.uart_irq, 10);
}

TEST(each_thing_missing_of_a_riscv_machine_is_an_error)
{
    ASSERT_ERR(E_ABSENT, from_tree((struct machine){.no_timebase = true}));
    ASSERT_ERR(E_ABSENT, from_tree((struct machine){.no_irqchip = true}));
    ASSERT_ERR(E_INVALID, from_tree((struct machine){.few_harts = true}));
    ASSERT_ERR(E_INVALID, from_tree((struct machine){.few_harts = true, .aia = true}));
    ASSERT_ERR(E_INVALID, from_tree((struct machine){.small_imsic = true, .aia = true}));
    ASSERT_ERR(E_INVALID, from_tree((struct machine){.isa = {"rv32ima"}}));
    ASSERT_EQ(platform.uart, UART_16550); /* So that the error is seen. */
    ASSERT_EQ(platform.uart_base, 0x10000000);
}

TEST(a_uart_that_the_firmware_keeps_for_itself_is_left_alone)
{
    ASSERT_OK(from_tree((struct machine){.uart_status = "reserved"}));
    ASSERT_EQ(platform.uart, UART_NONE);
    ASSERT_OK(from_tree((struct machine){.uart_status = "okay"}));
    ASSERT_EQ(platform.uart, UART_16550);
}

TEST(an_isa_string_of_a_hundred_extensions_is_kept_whole)
{
    static char isa[PLATFORM_ISA_MAX];
    char name[16];

    memcpy(isa, "rv64imafdch", 12);
    for (unsigned i = 0; i < 100; i++) {
        fmt_buf(name, sizeof(name), "zlong%uname", i);
        ASSERT_OK(isa_add(isa, sizeof(isa), name, strlen(name)));
    }
    ASSERT_OK(from_tree((struct machine){.isa = {isa, isa, isa}}));
    ASSERT_STR(platform.isa, isa);
}

/* --- ACPI --- */

static uint8_t *madt, *rhct, *spcr;

static size_t add_item(uint8_t type, uint8_t size)
{
    size_t at = acpi_grow(madt, size);

    acpi_put(madt, at, type, 1);
    acpi_put(madt, at + 1, size, 1);
    acpi_put(madt, at + 2, 1, 1);
    return at;
}

static void add_madt(bool aia, unsigned cpus)
{
    size_t at;

    madt = acpi_add("APIC", 44);
    for (unsigned i = 0; i < cpus; i++) {
        at = add_item(0x18, 36);
        acpi_put(madt, at + 4, i == 2 ? 0 : 1, 4);
        acpi_put(madt, at + 8, 4 * i, 8);
        acpi_put(madt, at + 16, 100 + i, 4);
        acpi_put(madt, at + 20, aia ? i : 2 * i + 1, 4);
        acpi_put(madt, at + 24, aia ? 0x28000000 + 0x4000 * i : 0, 8);
        acpi_put(madt, at + 32, aia ? 0x4000 : 0, 4);
    }
    if (aia) {
        at = add_item(0x19, 16);
        acpi_put(madt, at + 8, 255, 2);
        acpi_put(madt, at + 10, 255, 2);
        acpi_put(madt, at + 12, 2, 1);
        acpi_put(madt, at + 13, 1, 1);
        at = add_item(0x1a, 36);
        acpi_put(madt, at + 18, 96, 2);
        acpi_put(madt, at + 24, 0xd000000, 8);
        acpi_put(madt, at + 32, 0x8000, 4);
    } else {
        at = add_item(0x1b, 36);
        acpi_put(madt, at + 12, 95, 2);
        acpi_put(madt, at + 20, 0x600000, 4);
        acpi_put(madt, at + 24, 0xc000000, 8);
    }
    acpi_seal_table(madt);
}

static void add_rhct(unsigned cpus)
{
    static const char isa[] = "RV64imafdch_zicsr_sstc";

    rhct = acpi_add("RHCT", 56 + 8 + 24 + 10 + 8 + 24 * cpus);
    acpi_put(rhct, 40, 10000000, 8);
    acpi_put(rhct, 48, 3 + cpus, 4);
    acpi_put(rhct, 52, 56, 4);
    acpi_put(rhct, 56, 0, 2); /* The ISA string. */
    acpi_put(rhct, 58, 8 + 24, 2);
    acpi_put(rhct, 62, sizeof(isa), 2);
    memcpy(rhct + 64, isa, sizeof(isa));
    acpi_put(rhct, 88, 1, 2); /* Block sizes. */
    acpi_put(rhct, 90, 10, 2);
    acpi_put(rhct, 95, 6, 1);
    acpi_put(rhct, 97, 7, 1);
    acpi_put(rhct, 98, 2, 2); /* Sv48. */
    acpi_put(rhct, 100, 8, 2);
    acpi_put(rhct, 105, 1, 1);
    for (unsigned i = 0; i < cpus; i++) {
        size_t at = 106 + 24 * i;

        acpi_put(rhct, at, 65535, 2);
        acpi_put(rhct, at + 2, 24, 2);
        acpi_put(rhct, at + 6, 3, 2);
        acpi_put(rhct, at + 8, 100 + i, 4);
        acpi_put(rhct, at + 12, 56, 4);
        acpi_put(rhct, at + 16, 88, 4);
        acpi_put(rhct, at + 20, 98, 4);
    }
    acpi_seal_table(rhct);
}

static void add_tables(bool aia)
{
    acpi_arena_reset();
    add_madt(aia, 3);
    add_rhct(3);
    spcr = acpi_add("SPCR", 80);
    acpi_put(spcr, 36, 0x12, 1);
    acpi_put(spcr, 41, 32, 1);
    acpi_put(spcr, 43, 1, 1); /* By bytes. */
    acpi_put(spcr, 44, 0x10000000, 8);
    acpi_put(spcr, 52, 16, 1);
    acpi_put(spcr, 54, 10, 4);
    acpi_seal_table(spcr);
}

static enum err from_acpi(void)
{
    struct acpi acpi;

    TRY(acpi_open(&acpi, ACPI_RSDP, acpi_test_map));
    return platform_from_acpi_tables(&acpi);
}

TEST(a_riscv_machine_with_a_plic_is_found_in_acpi)
{
    add_tables(false);
    ASSERT_OK(from_acpi());
    ASSERT_EQ(platform.cpu_count, 2);
    ASSERT_EQ(platform.cpus[1].hw_id, 4);
    ASSERT_EQ(platform.irqchip, IRQCHIP_PLIC);
    ASSERT_EQ(platform.plic, 0xc000000);
    ASSERT_EQ(platform.plic_sources, 95);
    ASSERT_EQ(platform.cpus[1].plic_context, 3);
    ASSERT_EQ(platform.timer_hz, 10000000);
    ASSERT_STR(platform.isa, "rv64imafdch_zicsr_sstc");
    ASSERT_EQ(platform.va_bits, 48);
    ASSERT_EQ(platform.cbom_size, 64);
    ASSERT_EQ(platform.cboz_size, 128);
    ASSERT_EQ(platform.uart, UART_16550);
    ASSERT_EQ(platform.uart_irq, 10);
    ASSERT_EQ(platform.uart_reg_shift, 0);
}

TEST(a_riscv_machine_with_an_aia_is_found_in_acpi)
{
    add_tables(true);
    ASSERT_OK(from_acpi());
    ASSERT_EQ(platform.irqchip, IRQCHIP_AIA);
    ASSERT_EQ(platform.aplic, 0xd000000);
    ASSERT_EQ(platform.aplic_sources, 96);
    ASSERT_EQ(platform.imsic_ids, 255);
    ASSERT_EQ(platform.imsic_guests, 3);
    ASSERT_EQ(platform.cpus[1].imsic, 0x28004000);
    ASSERT_EQ(platform.cpus[1].aplic_hart, 1);
}

TEST(riscv_tables_that_lack_something_are_errors)
{
    add_tables(true);
    rhct[0] = 'x';
    acpi_seal_table(rhct);
    ASSERT_ERR(E_ABSENT, from_acpi());
    add_tables(true);
    acpi_put(rhct, 90, 0, 2); /* A node without length. */
    acpi_seal_table(rhct);
    ASSERT_ERR(E_INVALID, from_acpi());
    add_tables(true);
    acpi_put(rhct, 62, 1000, 2); /* A string longer than its node. */
    acpi_seal_table(rhct);
    ASSERT_ERR(E_INVALID, from_acpi());
    add_tables(true);
    acpi_put(rhct, 106 + 12, 4000, 4); /* A hart's node elsewhere. */
    acpi_seal_table(rhct);
    ASSERT_ERR(E_INVALID, from_acpi());
}

TEST(no_wrong_byte_in_a_riscv_table_leads_outside_of_it)
{
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t *tables[3], *table;
        uint32_t size;

        if (i % 8 == 0)
            add_tables(i % 16 == 0);
        tables[0] = madt, tables[1] = rhct, tables[2] = spcr;
        table = tables[test_random_below(3)];
        size = (uint32_t)table[4] | (uint32_t)table[5] << 8;
        table[8 + test_random_below(size - 8)] = (uint8_t)test_random();
        acpi_seal_table(table);
        (void)(from_acpi() == OK); /* Any answer; the map function and the sanitizers watch. */
    }
}
