/* SPDX-License-Identifier: Apache-2.0 */
/* The ACPI tables of x86_64 guests, read with our own reader of a host's tables. */
#include <string.h>

#include "drivers/acpi.h"
#include "tests/host/test.h"
#include "vcpu/guest_acpi.h"
#include "vcpu/machine.h"

#define BASE 0xe0000u

static uint8_t memory[8192];

static enum err map_memory(uint64_t base, uint64_t size, const void **start)
{
    if (base < BASE || base - BASE > sizeof(memory) || size > sizeof(memory) - (base - BASE))
        return E_RANGE;
    *start = memory + base - BASE;
    return OK;
}

static struct acpi open_tables(unsigned cpus)
{
    const struct machine_layout *machine = machine_find("x86_64");
    struct acpi acpi;
    size_t size;

    memset(memory, 0x5a, sizeof(memory));
    ASSERT_OK(guest_acpi_write(machine, cpus, BASE, memory, sizeof(memory), &size));
    ASSERT(size <= sizeof(memory));
    ASSERT_OK(acpi_open(&acpi, BASE, map_memory));
    return acpi;
}

static struct acpi_table table_of(const struct acpi *acpi, const char *name)
{
    struct acpi_table table;

    ASSERT_OK(acpi_find(acpi, name, &table));
    return table;
}

static uint8_t *at_address(uint64_t address)
{
    const void *start;

    ASSERT_OK(map_memory(address, 64, &start));
    return (uint8_t *)start;
}

TEST(a_guest_finds_its_processors_in_the_madt)
{
    unsigned cpus = 0, overrides = 0, ioapics = 0, nmis = 0;
    struct acpi acpi = open_tables(32);
    struct acpi_table madt = table_of(&acpi, "APIC");
    struct acpi_item item = {.offset = 44};

    ASSERT_EQ(acpi_read(&madt, 36, 4), 0xfee00000u);
    ASSERT_EQ(acpi_read(&madt, 40, 4), 1); /* There are 8259s. */
    while (acpi_next(&madt, &item) == OK) {
        switch (item.type) {
        case 0:
            ASSERT_EQ(acpi_read(&madt, item.offset + 3, 1), cpus);
            ASSERT_EQ(acpi_read(&madt, item.offset + 4, 4), 1);
            cpus++;
            break;
        case 1:
            ASSERT_EQ(acpi_read(&madt, item.offset + 4, 4), 0xfec00000u);
            ASSERT_EQ(acpi_read(&madt, item.offset + 8, 4), 0);
            ioapics++;
            break;
        case 2: /* The PIT on pin 2, edge; the SCI on 9, level, high. */
            if (overrides++ == 0)
                ASSERT_EQ(acpi_read(&madt, item.offset + 2, 8), 2 << 16);
            else
                ASSERT_EQ(acpi_read(&madt, item.offset + 2, 8), 0x000d000000090900u);
            break;
        case 4:
            ASSERT_EQ(acpi_read(&madt, item.offset + 2, 1), 0xff);
            ASSERT_EQ(acpi_read(&madt, item.offset + 5, 1), 1);
            nmis++;
            break;
        default:
            ASSERT(false);
        }
    }
    ASSERT(cpus == 32 && ioapics == 1 && overrides == 2 && nmis == 1);
    ASSERT(!madt.overrun);
}

TEST(a_guest_finds_its_power_management_in_the_fadt)
{
    struct acpi acpi = open_tables(1);
    struct acpi_table fadt = table_of(&acpi, "FACP");
    uint32_t flags = (uint32_t)acpi_read(&fadt, 112, 4);

    ASSERT_EQ(acpi_read(&fadt, 46, 2), 9);
    ASSERT_EQ(acpi_read(&fadt, 56, 4), 0x600);
    ASSERT_EQ(acpi_read(&fadt, 64, 4), 0x604);
    ASSERT_EQ(acpi_read(&fadt, 76, 4), 0x608);
    ASSERT_EQ(acpi_read(&fadt, 109, 2), 5); /* No 8042, no VGA. */
    ASSERT(flags & 1 << 10);
    ASSERT(!(flags & 1 << 20)); /* Not hardware-reduced. */
    ASSERT_EQ(acpi_read(&fadt, 116, 4), 0x01000801u);
    ASSERT_EQ(acpi_read(&fadt, 120, 8), 0xcf9);
    ASSERT_EQ(acpi_read(&fadt, 128, 1), 6);
    ASSERT_EQ(acpi_read(&fadt, 140, 8), acpi_read(&fadt, 40, 4));
    ASSERT_EQ(acpi_read(&fadt, 152, 8), 0x600);
    ASSERT_EQ(acpi_read(&fadt, 176, 8), 0x604);
    ASSERT_EQ(acpi_read(&fadt, 212, 8), 0x608);
    ASSERT(memcmp(at_address(acpi_read(&fadt, 36, 4)), "FACS", 4) == 0);
    ASSERT_EQ(acpi_read(&fadt, 36, 4) % 64, 0);
}

TEST(a_guest_finds_its_config_space_and_its_console)
{
    struct acpi acpi = open_tables(2);
    struct acpi_table mcfg = table_of(&acpi, "MCFG"), spcr = table_of(&acpi, "SPCR");
    const struct machine_device *ecam = machine_device(machine_find("x86_64"), "pcie-ecam");

    ASSERT_EQ(acpi_read(&mcfg, 44, 8), ecam->base);
    ASSERT_EQ(acpi_read(&mcfg, 54, 2), 0xff00);
    ASSERT_EQ(acpi_read(&spcr, 36, 1), 0);
    ASSERT_EQ(acpi_read(&spcr, 44, 8), 0x3f8);
    ASSERT_EQ(acpi_read(&spcr, 54, 4), 4);
}

static bool dsdt_has(const uint8_t *dsdt, uint64_t value, unsigned bytes)
{
    uint32_t size;

    memcpy(&size, dsdt + 4, 4);
    for (uint32_t i = 36; i + bytes <= size; i++)
        if (memcmp(dsdt + i, &value, bytes) == 0)
            return true;
    return false;
}

TEST(the_dsdt_names_the_addresses_of_the_layout)
{
    const struct machine_layout *machine = machine_find("x86_64");
    const struct machine_device *windows = machine_device(machine, "pcie-windows");
    const struct machine_device *ecam = machine_device(machine, "pcie-ecam");
    struct acpi acpi = open_tables(1);
    struct acpi_table fadt = table_of(&acpi, "FACP");
    const uint8_t *dsdt = at_address(acpi_read(&fadt, 140, 8));
    uint32_t size;
    uint8_t sum = 0;

    ASSERT(memcmp(dsdt, "DSDT", 4) == 0);
    memcpy(&size, dsdt + 4, 4);
    for (uint32_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + dsdt[i]);
    ASSERT_EQ(sum, 0);
    ASSERT(dsdt_has(dsdt, windows->base | (windows->base + windows->size - 1) << 32, 8));
    ASSERT(dsdt_has(dsdt, ecam->base | ecam->size << 32, 8));
    for (unsigned i = 0; i < machine->device_count; i++) {
        const struct machine_device *d = &machine->devices[i];

        if (d->ports) /* IO: lowest, highest, step, size. */
            ASSERT(dsdt_has(dsdt, d->base | d->base << 16 | 1ull << 32 | d->size << 40, 6));
    }
}

TEST(tables_that_do_not_fit_are_not_written)
{
    const struct machine_layout *machine = machine_find("x86_64");
    size_t size, enough = 0;

    for (size_t room = 0; room <= sizeof(memory) && !enough; room += 8) {
        memset(memory, 0x5a, sizeof(memory));
        if (guest_acpi_write(machine, 32, BASE, memory, room, &size) == OK)
            enough = room;
        ASSERT(room == sizeof(memory) || memory[room] == 0x5a);
    }
    ASSERT(enough != 0 && size <= enough);
}
