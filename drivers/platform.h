/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fills kernel/platform.h's `platform` from what the firmware says of the machine. Firmware is
 * careless: each wrong thing is an error, and a log line names the table or node. Boot processor
 * only, once; no locks.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/fdt.h"
#include "kernel/platform.h"

struct acpi;
struct memmap;

/* E_ABSENT: something that we cannot do without is not described; E_INVALID: malformed. */
enum err platform_from_fdt(const struct fdt *fdt);
/* After hostmap_init(): maps the tables. rsdp: physical address of the root pointer. */
enum err platform_from_acpi(uint64_t rsdp);
/* The same over tables that were opened before. */
enum err platform_from_acpi_tables(const struct acpi *acpi);

/* A PC without ACPI: processors by their APIC ids, and what every PC has. */
enum err platform_pc(const uint64_t *cpu_ids, unsigned cpu_count);

/*
 * Adds to map what the tree says of memory: RAM as MEM_FREE, then what is reserved in it as
 * MEM_RESERVED. Our own image, the tree and the configuration are the caller's to mark.
 */
enum err platform_fdt_memory(const struct fdt *fdt, struct memmap *map);

struct platform_chosen {
    uint64_t initrd_base, initrd_size; /* Our configuration in direct starts; 0, 0: none. */
    const char *bootargs;              /* Never NULL. */
};

/* E_INVALID: the initrd's end lies before its start. */
enum err platform_fdt_chosen(const struct fdt *fdt, struct platform_chosen *chosen);

/* --- For drivers/platform_*.c --- */

/* Forgets what was found, and starts anew. */
void platform_begin(const char *source);
/* Beyond CPUS_MAX they are left parked, with one warning. E_EXISTS: hw_id is there already. */
enum err platform_add_cpu(uint64_t hw_id, uint64_t gicr);
enum err platform_add_gicr(uint64_t base, uint64_t size);
/* x86: COM1 is the console, if it is there. platform_pc.c */
void platform_pc_console(void);
/* What nobody can do without is there; logs what is missing (E_ABSENT), else what there is. */
enum err platform_end(void);
