/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device tree of an aarch64 or riscv64 guest: what vcpu/machine.h says is there, written as
 * Linux, firmware and RTOSes know it from QEMU's "virt". Pure.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"
#include "vcpu/config.h"

struct config_region;
struct fdt_writer;
struct machine_layout;

struct guest_fdt_params {
    const struct machine_layout *machine;
    void (*write_machine)(struct fdt_writer *w, const struct guest_fdt_params *params);
    const char *name; /* Of the VM. */
    unsigned cpu_count;
    uint64_t ram_size;
    const char *cmdline;          /* "" or NULL: no bootargs. */
    uint64_t initrd, initrd_size; /* Guest-physical; size 0: none. */
    const void *rng_seed;         /* NULL: none, which makes runs repeatable. */
    size_t rng_seed_size;
    unsigned gic_version;        /* aarch64: 2 or 3. */
    const char *isa;             /* riscv64: what the guest's harts can, as in kernel/isa.h. */
    enum config_irqchip irqchip; /* riscv64. */
    uint64_t timer_hz;           /* riscv64: of the time base. */
    uint32_t va_bits;            /* riscv64: 39, 48, 57. */
    uint32_t cbom_size, cboz_size, cbop_size; /* riscv64: of cache blocks; 0: not known. */
    unsigned region_count;
    const struct config_region *regions;
};

/* E_NOMEM: buf is too small. *size: of the tree. buf: aligned to 8. */
enum err guest_fdt_write(const struct guest_fdt_params *params, void *buf, size_t room,
                         size_t *size);
