/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device tree of an aarch64 guest: what vcpu/machine.h says is there, written as Linux,
 * firmware and RTOSes know it from QEMU's "virt". Pure.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"

struct config_region;
struct machine_layout;

struct guest_fdt_params {
    const struct machine_layout *machine;
    const char *name; /* Of the VM. */
    unsigned cpu_count;
    uint64_t ram_size;
    const char *cmdline;          /* "" or NULL: no bootargs. */
    uint64_t initrd, initrd_size; /* Guest-physical; size 0: none. */
    const void *rng_seed;         /* NULL: none, which makes runs repeatable. */
    size_t rng_seed_size;
    unsigned gic_version; /* 2 or 3. */
    unsigned region_count;
    const struct config_region *regions;
};

/* E_NOMEM: buf is too small; E_UNSUPPORTED: not this architecture. *size: of the tree. buf: aligned
 * to 8. */
enum err guest_fdt_write(const struct guest_fdt_params *params, void *buf, size_t room,
                         size_t *size);
