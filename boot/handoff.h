/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that survives the firmware. Filled in by the EFI loader (boot/efi.c), or by the arch's start
 * code when the image was started directly; read once by boot/main.c.
 *
 * Every address is physical. The start code gets the address of struct handoff in its first
 * argument register; it lies in memory of kind HANDOFF_KEEP. A pair (address, size) of zeroes means
 * "there is none".
 */
#pragma once

#include <stdint.h>

#define HANDOFF_MAGIC       0x31304e5353494143ull /* "CAISSN01", little-endian. */
#define HANDOFF_VERSION     1u
#define HANDOFF_RANGES_MAX  512u
#define HANDOFF_CPUS_MAX    256u
#define HANDOFF_CMDLINE_MAX 256u

enum handoff_mem {
    HANDOFF_FREE,     /* RAM that nobody uses: conventional memory and what was the firmware's. */
    HANDOFF_KEEP,     /* RAM in use: image, handoff, configuration, device tree. */
    HANDOFF_ACPI,     /* RAM holding ACPI tables or ACPI NVS; only to be read. */
    HANDOFF_RUNTIME,  /* Code and data of UEFI's runtime services. */
    HANDOFF_RESERVED, /* Not to be touched, whatever it is. */
    HANDOFF_MMIO,     /* Device registers that the firmware told of. */
};

struct handoff_range {
    uint64_t base, size; /* Multiples of 4 KiB. */
    uint32_t kind;       /* enum handoff_mem */
    uint32_t reserved;
};

struct handoff {
    uint64_t magic;                     /* HANDOFF_MAGIC */
    uint32_t version, size;             /* HANDOFF_VERSION; sizeof(struct handoff) */
    uint64_t image_base, image_size;    /* The hypervisor, .bss included. */
    uint64_t rsdp;                      /* ACPI 2.0 root pointer. */
    uint64_t fdt, fdt_size;             /* The host's device tree. */
    uint64_t config, config_size;       /* The compiled guest configuration. */
    uint64_t wall_seconds;              /* Unix time at start; 0: unknown. */
    char cmdline[HANDOFF_CMDLINE_MAX];  /* ASCII, always terminated. */
    uint32_t cpu_count;                 /* Of cpu_ids; 0: to be found in ACPI or the device tree. */
    uint32_t range_count;               /* Of ranges. */
    uint64_t cpu_ids[HANDOFF_CPUS_MAX]; /* As the arch numbers its processors. */
    struct handoff_range ranges[HANDOFF_RANGES_MAX]; /* Sorted, disjoint, merged. */
};

_Static_assert(sizeof(struct handoff_range) == 24, "layout shared by loader and hypervisor");
_Static_assert(sizeof(struct handoff) % 8 == 0, "layout shared by loader and hypervisor");
