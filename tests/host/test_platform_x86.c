/* SPDX-License-Identifier: Apache-2.0 */
/* What is found of a PC: by ACPI's tables, as QEMU's q35 has them, and without. */
#include "drivers/platform.h"
#include "kernel/string.h"
#include "tests/host/acpi_tables.h"
#include "tests/host/test.h"

enum { MADT, FADT, HPET, TABLES };

static uint8_t *dsdt;

/* DefName \_S5_, Package (4) {5, 6, 0, 0}, between other bytes. */
static const uint8_t sleep5[] = {0x08, '_',  'S', '4',  '_',  0x12, 0x02, 0x01, 0x00,
                                 0x08, '_',  'S', '5',  '_',  0x12, 0x08, 0x04, 0x0a,
                                 5,    0x0a, 6,   0x00, 0x00, 0x14, 0x00, 0x00};

static size_t add(uint8_t *madt, uint8_t type, uint8_t size)
{
    size_t at = acpi_grow(madt, size);

    acpi_put(madt, at, type, 1);
    acpi_put(madt, at + 1, size, 1);
    return at;
}

static void add_lapic(uint8_t *madt, unsigned id, bool enabled)
{
    size_t at = add(madt, 0, 8);

    acpi_put(madt, at + 3, id, 1);
    acpi_put(madt, at + 4, enabled, 4);
}

static void add_x2apic(uint8_t *madt, uint32_t id)
{
    size_t at = add(madt, 9, 16);

    acpi_put(madt, at + 4, id, 4);
    acpi_put(madt, at + 8, 1, 4);
}

static void add_override(uint8_t *madt, unsigned irq, uint32_t gsi, unsigned flags)
{
    size_t at = add(madt, 2, 10);

    acpi_put(madt, at + 3, irq, 1);
    acpi_put(madt, at + 4, gsi, 4);
    acpi_put(madt, at + 8, flags, 2);
}

static uint8_t *make_madt(void)
{
    uint8_t *madt = acpi_add("APIC", 44);
    size_t at;

    add_lapic(madt, 0, true);
    add_lapic(madt, 1, false);
    add_lapic(madt, 2, true);
    add_x2apic(madt, 2); /* Named twice. */
    add_x2apic(madt, 300);
    at = add(madt, 1, 12);
    acpi_put(madt, at + 4, 0xfec00000, 4);
    add_override(madt, 0, 2, 0);
    add_override(madt, 9, 9, 0x0d);
    add_override(madt, 11, 20, 0x0f);
    at = add(madt, 4, 6);
    acpi_put(madt, at + 5, 1, 1);
    acpi_seal_table(madt);
    return madt;
}

static uint8_t *make_fadt(void)
{
    uint8_t *fadt = acpi_add("FACP", 244);

    acpi_put(fadt, 48, 0xb2, 4);
    acpi_put(fadt, 52, 2, 1);
    acpi_put(fadt, 64, 0x604, 4);
    acpi_put(fadt, 76, 0x608, 4);
    acpi_put(fadt, 108, 0x32, 1);
    acpi_put(fadt, 112, 1u << 10, 4);
    acpi_put(fadt, 116, 1, 1);
    acpi_put(fadt, 120, 0xcf9, 8);
    acpi_put(fadt, 128, 0x0f, 1);
    acpi_put(fadt, 140, ACPI_BASE + (uint64_t)(dsdt - acpi_root()), 8);
    acpi_seal_table(fadt);
    return fadt;
}

static void make_machine(uint8_t *tables[TABLES])
{
    acpi_arena_reset();
    dsdt = acpi_add("DSDT", 36 + 64);
    memcpy(dsdt + 50, sleep5, sizeof(sleep5));
    acpi_seal_table(dsdt);
    tables[MADT] = make_madt();
    tables[FADT] = make_fadt();
    tables[HPET] = acpi_add("HPET", 56);
    acpi_put(tables[HPET], 44, 0xfed00000, 8);
    acpi_seal_table(tables[HPET]);
}

static enum err read_machine(void)
{
    struct acpi acpi;

    ASSERT_OK(acpi_open(&acpi, ACPI_RSDP, acpi_test_map));
    return platform_from_acpi_tables(&acpi);
}

TEST(a_pc_is_found_in_its_acpi_tables)
{
    uint8_t *tables[TABLES];

    make_machine(tables);
    ASSERT_OK(read_machine());
    ASSERT_EQ(platform.irqchip, IRQCHIP_APIC);
    ASSERT_EQ(platform.cpu_count, 3);
    ASSERT_EQ(platform.cpus[1].hw_id, 2);
    ASSERT_EQ(platform.cpus[2].hw_id, 300);
    ASSERT_EQ(platform.ioapic_count, 1);
    ASSERT_EQ(platform.ioapics[0].base, 0xfec00000);
    ASSERT_EQ(platform.nmi_lints, 2);
    ASSERT_EQ(platform.pm_timer, 0x608);
    ASSERT_EQ(platform.pm1_control[0], 0x604);
    ASSERT_EQ(platform.pm1_control[1], 0);
    ASSERT_EQ(platform.reset_reg, 0xcf9);
    ASSERT_EQ(platform.reset_value, 0x0f);
    ASSERT_EQ(platform.hpet, 0xfed00000);
    ASSERT_EQ(platform.rtc, RTC_CMOS);
    ASSERT_EQ(platform.rtc_century, 0x32);
    ASSERT(platform.sleep5_known && platform.sleep5[0] == 5 && platform.sleep5[1] == 6);
}

TEST(interrupts_of_the_isa_bus_are_where_the_madt_says)
{
    const struct platform_isa_irq *irqs = platform.isa_irqs;
    uint8_t *tables[TABLES];

    make_machine(tables);
    ASSERT_OK(read_machine());
    ASSERT(irqs[0].gsi == 2 && !irqs[0].level && !irqs[0].low);
    ASSERT(irqs[4].gsi == 4 && !irqs[4].level && !irqs[4].low);
    ASSERT(irqs[9].gsi == 9 && irqs[9].level && !irqs[9].low);
    ASSERT(irqs[11].gsi == 20 && irqs[11].level && irqs[11].low);
}

TEST(a_pc_may_have_no_clock)
{
    uint8_t *tables[TABLES];

    make_machine(tables);
    acpi_put(tables[FADT], 109, 1u << 5, 2);
    acpi_seal_table(tables[FADT]);
    ASSERT_OK(read_machine());
    ASSERT_EQ(platform.rtc, RTC_NONE);
}

TEST(acpi_1_0_has_an_rsdt)
{
    uint8_t *tables[TABLES], *rsdt;

    make_machine(tables);
    rsdt = acpi_add("RSDT", 36 + 4 * TABLES);
    for (unsigned i = 0; i < TABLES; i++)
        acpi_put(rsdt, 36 + 4 * i, ACPI_BASE + (uint64_t)(tables[i] - acpi_root()), 4);
    acpi_seal_table(rsdt);
    acpi_root()[15] = 0;
    acpi_put(acpi_root(), 16, ACPI_BASE + (uint64_t)(rsdt - acpi_root()), 4);
    acpi_put(acpi_root(), 24, 0x1000, 8); /* Nobody looks there. */
    acpi_seal_root();
    ASSERT_OK(read_machine());
    ASSERT_EQ(platform.cpu_count, 3);
    ASSERT_EQ(platform.hpet, 0xfed00000);
}

TEST(com1_is_the_console_when_its_scratch_register_answers)
{
    uint8_t *tables[TABLES];

    make_machine(tables);
    ASSERT_OK(read_machine()); /* The fake's ports keep what is written. */
    ASSERT_EQ(platform.uart, UART_16550);
    ASSERT_EQ(platform.uart_base, 0x3f8);
    ASSERT_EQ(platform.uart_irq, 4);
    ASSERT_EQ(fake_ports[0x3ff], 0xff); /* As it was. */
}

static void put_spcr(uint8_t space, uint64_t base, uint8_t irq_kind)
{
    uint8_t *spcr = acpi_add("SPCR", 80);

    acpi_put(spcr, 40, space, 1);
    acpi_put(spcr, 41, 8, 1);
    acpi_put(spcr, 44, base, 8);
    acpi_put(spcr, 52, irq_kind, 1);
    acpi_put(spcr, 53, 11, 1);
    acpi_put(spcr, 54, 19, 4);
    acpi_seal_table(spcr);
}

TEST(a_console_at_a_port_is_found_in_the_spcr)
{
    uint8_t *tables[TABLES];

    make_machine(tables);
    put_spcr(1, 0x2f8, 1); /* An interrupt of the 8259, */
    ASSERT_OK(read_machine());
    ASSERT_EQ(platform.uart_base, 0x2f8);
    ASSERT_EQ(platform.uart_irq, 20);

    make_machine(tables);
    put_spcr(0, 0xfe034000, 2); /* of the I/O APICs. */
    ASSERT_OK(read_machine());
    ASSERT_EQ(platform.uart_base, 0xfe034000);
    ASSERT_EQ(platform.uart_irq, 19);

    make_machine(tables);
    put_spcr(1, 0xfe034000, 2); /* There is no such port: COM1 it is. */
    ASSERT_OK(read_machine());
    ASSERT_EQ(platform.uart_base, 0x3f8);
}

TEST(what_powers_off_is_not_guessed)
{
    static const uint8_t wrong[][9] = {
        {'_', 'S', '5', '_', 0x08, 0x08, 0x04, 0x0a, 5},    /* No package. */
        {'_', 'S', '5', '_', 0x12, 0x08, 0x01, 0x0a, 5},    /* Of one element. */
        {'_', 'S', '5', '_', 0x12, 0x08, 0x04, 0x0b, 5},    /* A word. */
        {'_', 'S', '5', '_', 0x12, 0x08, 0x04, 0x0a, 0x20}, /* More than three bits. */
    };
    uint8_t *tables[TABLES];

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        make_machine(tables);
        memset(dsdt + 50, 0, sizeof(sleep5));
        memcpy(dsdt + 50, wrong[i], sizeof(wrong[i]));
        acpi_seal_table(dsdt);
        ASSERT_OK(read_machine());
        ASSERT(!platform.sleep5_known);
    }
    make_machine(tables);
    memset(dsdt + 50, 0, 50);
    memcpy(dsdt + 93, "_S5_\x12\x08\x04", 7); /* At the very end. */
    acpi_seal_table(dsdt);
    ASSERT_OK(read_machine());
    ASSERT(!platform.sleep5_known);
}

TEST(a_pc_without_acpi_has_what_its_loader_knows)
{
    const uint64_t ids[] = {0, 4};

    ASSERT_OK(platform_pc(ids, 2));
    ASSERT_EQ(platform.cpu_count, 2);
    ASSERT_EQ(platform.cpus[1].hw_id, 4);
    ASSERT_EQ(platform.ioapic_count, 1); /* Where all PCs have it. */
    ASSERT_EQ(platform.ioapics[0].base, 0xfec00000);
    ASSERT_EQ(platform.uart_base, 0x3f8);
    ASSERT_EQ(platform.uart_irq, 4);
    ASSERT_ERR(E_ABSENT, platform_pc(ids, 0));
}
