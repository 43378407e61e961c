/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables made by hand, in an arena of "physical memory" that starts at ACPI_BASE. The tests'
 * map function refuses everything outside of it, and remembers what was mapped.
 */
#pragma once

#include "drivers/acpi.h"

#define ACPI_BASE 0x7f000000u
#define ACPI_RSDP ACPI_BASE

enum { GIC_V2, GIC_V3, GIC_V3_PER_CPU };

/* Empties the arena and puts a root pointer and an XSDT without tables there. */
void acpi_arena_reset(void);
/* Adds a table of size bytes, zeroed behind the header, and enters it into the XSDT. */
uint8_t *acpi_add(const char *signature, uint32_t size);
void acpi_put(uint8_t *table, size_t offset, uint64_t value, unsigned width);
/* Appends size bytes to the last table added. Returns the offset of the first. */
size_t acpi_grow(uint8_t *table, uint32_t size);
/* Makes the sum of all bytes 0 again, through the byte given. */
void acpi_seal(uint8_t *bytes, size_t size, size_t sum_at);
void acpi_seal_table(uint8_t *table);
void acpi_seal_root(void);
uint8_t *acpi_root(void);
uint8_t *acpi_xsdt(void);

enum err acpi_test_map(uint64_t base, uint64_t size, const void **start);

/* Tables of a machine with `cpus` processors; returned in order MADT, GTDT, FADT, SPCR. Sealed. */
void acpi_machine(int gic, unsigned cpus, uint8_t *tables[4]);
