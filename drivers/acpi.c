/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader of ACPI's fixed tables. [ACPI 6.5, 5.2.5 RSDP, 5.2.6 header, 5.2.7 RSDT, 5.2.8 XSDT]
 *
 * Invariant: no byte outside a table's stated and mapped length is read; the length is checked
 * against the header's size and a sane maximum before the table is mapped. Tables need not be
 * aligned. Boot only, no locks.
 */
#include "drivers/acpi.h"

#include "kernel/assert.h"
#include "kernel/log.h"
#include "kernel/string.h"

#define RSDP_V1_SIZE 20u
#define RSDP_SIZE    36u

enum err acpi_wrong(const struct acpi_table *table, const char *what)
{
    log_error("ACPI: table %s: %s", table->name, what);
    return E_INVALID;
}

static bool sum_is_zero(const uint8_t *bytes, size_t size)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return sum == 0;
}

uint64_t acpi_read(struct acpi_table *table, size_t offset, unsigned width)
{
    uint64_t value = 0;

    assert(width <= sizeof(value));
    if (offset > table->size || width > table->size - offset) {
        table->overrun = true;
        return 0;
    }
    for (unsigned i = 0; i < width; i++)
        value |= (uint64_t)table->bytes[offset + i] << 8 * i;
    return value;
}

/* A name that can be printed, whatever the bytes are. */
static void name_set(char name[5], const uint8_t *bytes)
{
    for (unsigned i = 0; i < 4; i++)
        name[i] = bytes[i] >= ' ' && bytes[i] < 0x7f ? (char)bytes[i] : '?';
    name[4] = 0;
}

/* Maps first the header, to learn the length, then all of it. */
enum err acpi_at(const struct acpi *acpi, uint64_t addr, struct acpi_table *table)
{
    const void *start;

    *table = (struct acpi_table){.name = "?"};
    if (addr == 0 || acpi->map(addr, ACPI_HEADER_SIZE, &start) != OK)
        return acpi_wrong(table, "its header cannot be mapped");
    table->bytes = start;
    table->size = ACPI_HEADER_SIZE;
    name_set(table->name, start);
    table->size = (uint32_t)acpi_read(table, 4, 4);
    if (table->size < ACPI_HEADER_SIZE || table->size > ACPI_TABLE_SIZE_MAX)
        return acpi_wrong(table, "impossible length");
    if (acpi->map(addr, table->size, &start) != OK)
        return acpi_wrong(table, "it cannot be mapped");
    table->bytes = start;
    if (!sum_is_zero(table->bytes, table->size))
        return acpi_wrong(table, "wrong checksum");
    return OK;
}

/* From ACPI 2.0 on there is an XSDT, which is used if it is named [5.2.5.3]. */
static enum err root_find(struct acpi_table *rsdp, uint64_t addr, acpi_map_fn map, uint64_t *xsdt)
{
    const void *start;
    uint32_t size;

    *xsdt = 0;
    if (acpi_read(rsdp, 15, 1) < 2)
        return OK;
    if (map(addr, RSDP_SIZE, &start) != OK)
        return acpi_wrong(rsdp, "it cannot be mapped");
    rsdp->bytes = start;
    rsdp->size = RSDP_SIZE;
    size = (uint32_t)acpi_read(rsdp, 20, 4);
    if (size < RSDP_SIZE || size > PAGE_SIZE || map(addr, size, &start) != OK)
        return acpi_wrong(rsdp, "impossible length");
    if (!sum_is_zero(start, size))
        return acpi_wrong(rsdp, "wrong extended checksum");
    *xsdt = acpi_read(rsdp, 24, 8);
    return OK;
}

enum err acpi_open(struct acpi *acpi, uint64_t rsdp, acpi_map_fn map)
{
    struct acpi_table root = {.name = "RSDP", .size = RSDP_V1_SIZE};
    const void *start;
    uint64_t xsdt;

    *acpi = (struct acpi){.map = map};
    if (rsdp == 0 || map(rsdp, RSDP_V1_SIZE, &start) != OK)
        return acpi_wrong(&root, "it cannot be mapped");
    root.bytes = start;
    if (memcmp(root.bytes, "RSD PTR ", 8) != 0)
        return acpi_wrong(&root, "wrong signature");
    if (!sum_is_zero(root.bytes, RSDP_V1_SIZE))
        return acpi_wrong(&root, "wrong checksum");
    TRY(root_find(&root, rsdp, map, &xsdt));
    acpi->entry_size = xsdt ? 8 : 4;
    TRY(acpi_at(acpi, xsdt ? xsdt : acpi_read(&root, 16, 4), &acpi->root));
    if (memcmp(acpi->root.name, xsdt ? "XSDT" : "RSDT", 4) != 0)
        return acpi_wrong(&acpi->root, "it stands where the XSDT or RSDT should be");
    return OK;
}

/* Broken tables that nobody asks for do no harm: only the signature of others is looked at. */
enum err acpi_find(const struct acpi *acpi, const char signature[4], struct acpi_table *table)
{
    struct acpi_table root = acpi->root;
    const void *start;

    for (size_t at = ACPI_HEADER_SIZE; at + acpi->entry_size <= root.size; at += acpi->entry_size) {
        uint64_t addr = acpi_read(&root, at, acpi->entry_size);

        if (addr == 0 || acpi->map(addr, ACPI_HEADER_SIZE, &start) != OK)
            continue;
        if (memcmp(start, signature, 4) == 0)
            return acpi_at(acpi, addr, table);
    }
    return E_ABSENT;
}

enum err acpi_next(struct acpi_table *table, struct acpi_item *item)
{
    uint32_t at = item->offset + item->size;

    assert(at >= ACPI_HEADER_SIZE);
    if (at >= table->size)
        return at == table->size ? E_ABSENT : acpi_wrong(table, "it is too short");
    if (table->size - at < 2)
        return acpi_wrong(table, "its last structure is cut off");
    item->type = table->bytes[at];
    item->offset = at;
    item->size = table->bytes[at + 1];
    if (item->size < 2 || item->size > table->size - at)
        return acpi_wrong(table, "a structure's length is impossible");
    return OK;
}
