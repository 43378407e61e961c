/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI's fixed tables: finds them and reads them within their bounds. No AML. Pure but for mapping,
 * which the caller gives. [ACPI 6.5, chapter 5.2]
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"

#define ACPI_HEADER_SIZE    36u
#define ACPI_TABLE_SIZE_MAX (16 * MIB)

/* As hostmap_readonly(). */
typedef enum err (*acpi_map_fn)(uint64_t base, uint64_t size, const void **start);

struct acpi_table {
    char name[5]; /* "APIC" */
    const uint8_t *bytes;
    uint32_t size;
    bool overrun; /* A read went beyond the end; it gave 0. */
};

struct acpi {
    acpi_map_fn map;
    struct acpi_table root; /* XSDT, or RSDT: */
    unsigned entry_size;    /* 8 or 4 bytes. */
};

/* Root pointer and its table, checked. rsdp: physical address. Errors are logged. */
enum err acpi_open(struct acpi *acpi, uint64_t rsdp, acpi_map_fn map);
/* The first table with the signature, checked. E_ABSENT: none, not logged; others are logged. */
enum err acpi_find(const struct acpi *acpi, const char signature[4], struct acpi_table *table);
/* The table at a physical address that another one names, checked. */
enum err acpi_at(const struct acpi *acpi, uint64_t addr, struct acpi_table *table);
/* The little-endian number of width bytes (1, 2, 4, 8) at offset. */
uint64_t acpi_read(struct acpi_table *table, size_t offset, unsigned width);
/* E_INVALID, having said which table is wrong, and how. */
enum err acpi_wrong(const struct acpi_table *table, const char *what);

/* A table's list of (type, length, …) structures. */
struct acpi_item {
    uint8_t type;
    uint32_t offset, size; /* In the table. */
};

/* From size 0 at the first. E_ABSENT: at the end; E_INVALID: malformed, logged. */
enum err acpi_next(struct acpi_table *table, struct acpi_item *item);
