/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an x86_64 guest finds in its memory at its start, beside its files and the ACPI tables: the
 * structures of its boot protocol with the memory map, and what ARCH_MODE_LONG needs. Pure.
 *
 *     0x7000   boot_params, hvm_start_info or multiboot information, with what they point to
 *     0x8000   ARCH_BOOT_GDT
 *     0x9000   ARCH_BOOT_TABLES: PML4, PDPT, four page directories
 *     0xf000   command line
 */
#pragma once

#include "kernel/err.h"
#include "vcpu/arch_vcpu.h"
#include "vcpu/config.h"
#include "vcpu/image.h"

struct machine_layout;

struct guest_boot_params {
    const struct machine_layout *machine;
    const struct config_vm *vm;
    const struct image_plan *plan;
    uint64_t rsdp; /* Guest-physical. */
};

#define GUEST_BOOT_SIZE (IMAGE_BOOT_END - IMAGE_BOOT_BASE)

/* The whole area into area, which goes to IMAGE_BOOT_BASE; returns how the first vCPU begins. */
struct arch_entry guest_boot_write(const struct guest_boot_params *params,
                                   uint8_t area[GUEST_BOOT_SIZE]);
