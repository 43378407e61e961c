/* SPDX-License-Identifier: Apache-2.0 */
/* See acpi_tables.h. Offsets are those of ACPI 6.5, written a second time, not taken from the
 * reader. */
#include "tests/host/acpi_tables.h"

#include "kernel/string.h"
#include "tests/host/test.h"

#define ARENA_SIZE 65536u
#define XSDT_AT    64u

static uint8_t arena[ARENA_SIZE];
static size_t used;

void acpi_put(uint8_t *table, size_t offset, uint64_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        table[offset + i] = (uint8_t)(value >> 8 * i);
}

static uint32_t table_size(const uint8_t *table)
{
    return (uint32_t)table[4] | (uint32_t)table[5] << 8 | (uint32_t)table[6] << 16 |
           (uint32_t)table[7] << 24;
}

void acpi_seal(uint8_t *bytes, size_t size, size_t sum_at)
{
    uint8_t sum = 0;

    bytes[sum_at] = 0;
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + bytes[i]);
    bytes[sum_at] = (uint8_t)-sum;
}

void acpi_seal_table(uint8_t *table)
{
    acpi_seal(table, table_size(table), 9);
}

void acpi_seal_root(void)
{
    acpi_seal(arena, 20, 8);
    acpi_seal(arena, 36, 32);
}

uint8_t *acpi_root(void)
{
    return arena;
}

uint8_t *acpi_xsdt(void)
{
    return arena + XSDT_AT;
}

void acpi_arena_reset(void)
{
    memset(arena, 0, sizeof(arena));
    memcpy(arena, "RSD PTR ", 8);
    arena[15] = 2;
    acpi_put(arena, 20, 36, 4);
    acpi_put(arena, 24, ACPI_BASE + XSDT_AT, 8);
    acpi_seal_root();
    memcpy(acpi_xsdt(), "XSDT", 4);
    acpi_put(acpi_xsdt(), 4, 36, 4);
    acpi_seal_table(acpi_xsdt());
    used = 1024 + 3; /* Tables need not be aligned. */
}

uint8_t *acpi_add(const char *signature, uint32_t size)
{
    uint8_t *table = arena + used;
    uint32_t xsdt_size = table_size(acpi_xsdt());

    ASSERT(used + size <= ARENA_SIZE && XSDT_AT + xsdt_size + 8 <= 1024);
    memcpy(table, signature, 4);
    acpi_put(table, 4, size, 4);
    acpi_put(acpi_xsdt(), xsdt_size, ACPI_BASE + used, 8);
    acpi_put(acpi_xsdt(), 4, xsdt_size + 8, 4);
    acpi_seal_table(acpi_xsdt());
    acpi_seal_table(table);
    used += size;
    return table;
}

size_t acpi_grow(uint8_t *table, uint32_t size)
{
    uint32_t at = table_size(table);

    ASSERT(table + at == arena + used && used + size <= ARENA_SIZE);
    acpi_put(table, 4, at + size, 4);
    used += size;
    return at;
}

enum err acpi_test_map(uint64_t base, uint64_t size, const void **start)
{
    if (base < ACPI_BASE || base - ACPI_BASE >= ARENA_SIZE ||
        size > ARENA_SIZE - (base - ACPI_BASE))
        return E_RANGE;
    *start = arena + (base - ACPI_BASE);
    return OK;
}

static size_t add_item(uint8_t *table, uint8_t type, uint8_t size)
{
    size_t at = acpi_grow(table, size);

    acpi_put(table, at, type, 1);
    acpi_put(table, at + 1, size, 1);
    return at;
}

static void add_gicc(uint8_t *madt, int gic, unsigned cpu)
{
    size_t at = add_item(madt, 0x0b, 80);

    acpi_put(madt, at + 4, cpu, 4);
    acpi_put(madt, at + 12, 1, 4);
    acpi_put(madt, at + 56, 25, 4);
    acpi_put(madt, at + 68, cpu / 4 << 8 | cpu % 4, 8);
    if (gic == GIC_V3_PER_CPU)
        acpi_put(madt, at + 60, 0x80a0000 + 0x20000 * cpu, 8);
    if (gic != GIC_V2)
        return;
    acpi_put(madt, at + 32, 0x8010000, 8);
    acpi_put(madt, at + 40, 0x8040000, 8);
    acpi_put(madt, at + 48, 0x8030000, 8);
}

static uint8_t *make_madt(int gic, unsigned cpus)
{
    uint8_t *madt = acpi_add("APIC", 44);
    size_t at = add_item(madt, 0x0c, 24);

    acpi_put(madt, at + 8, 0x8000000, 8);
    acpi_put(madt, at + 20, gic == GIC_V2 ? 2 : 3, 1);
    for (unsigned i = 0; i < cpus; i++)
        add_gicc(madt, gic, i);
    if (gic == GIC_V3) {
        at = add_item(madt, 0x0e, 16);
        acpi_put(madt, at + 4, 0x80a0000, 8);
        acpi_put(madt, at + 12, 0xf60000, 4);
    }
    add_item(madt, 0x0f, 20); /* An ITS: to be skipped. */
    acpi_seal_table(madt);
    return madt;
}

void acpi_machine(int gic, unsigned cpus, uint8_t *tables[4])
{
    acpi_arena_reset();
    acpi_add("MCFG", 60);
    tables[0] = make_madt(gic, cpus);
    tables[1] = acpi_add("GTDT", 104);
    acpi_put(tables[1], 48, 29, 4);
    acpi_put(tables[1], 56, 30, 4);
    acpi_put(tables[1], 64, 27, 4);
    acpi_put(tables[1], 72, 26, 4);
    tables[2] = acpi_add("FACP", 276);
    acpi_put(tables[2], 129, 3, 2); /* PSCI, by HVC. */
    tables[3] = acpi_add("SPCR", 80);
    acpi_put(tables[3], 36, 3, 1);
    acpi_put(tables[3], 41, 32, 1);
    acpi_put(tables[3], 44, 0x9000000, 8);
    acpi_put(tables[3], 52, 8, 1);
    acpi_put(tables[3], 54, 33, 4);
    for (unsigned i = 1; i < 4; i++)
        acpi_seal_table(tables[i]);
}
