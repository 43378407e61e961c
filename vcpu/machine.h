/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine that a guest sees, as a table: where RAM starts, what lies where, which interrupt a
 * device has. On aarch64 and riscv64 it is the map of QEMU's "virt". The parser, the loader, the
 * guest's device tree and the host tool all take it from here. The tool knows all of them, a
 * hypervisor its own.
 */
#pragma once

#include "kernel/types.h"

struct machine_device {
    const char *name;
    uint64_t base, size;
    uint32_t
        irq; /* As the guest's controller numbers it (GIC: INTID, 32 and up are SPIs); 0: none. */
    bool reserved; /* Nothing answers there yet; kept free so that configurations stay valid. */
    const char *irqchip; /* Only in machines with this interrupt controller ("plic", "aia"); NULL:
                            in all. */
    uint64_t per_vcpu;   /* Not 0: of the window, only so much per vCPU is in use. */
    bool ports;          /* x86: base and size are of port numbers. */
};

struct image_rules;

struct machine_layout {
    const char *arch; /* "aarch64" */
    const struct image_rules *images;
    uint64_t ram_base, ram_max;
    /*
     * x86: where RAM never is; what does not fit below goes on behind it. What no device answers
     * there reads as ones. Zeroes: there is none.
     */
    uint64_t hole_base, hole_end;
    uint64_t gpa_end;    /* First address that no guest can name. */
    uint64_t raw_offset; /* Where a raw image goes, from ram_base. */
    uint16_t elf_machine;
    unsigned device_count;
    const struct machine_device *devices; /* Sorted by base; ports behind addresses. */
};

extern const struct machine_layout machine_layout_aarch64, machine_layout_riscv64,
    machine_layout_x86_64;

/* NULL: no such architecture. */
const struct machine_layout *machine_find(const char *arch);
/* The index'th that there is, NULL at the end. */
const struct machine_layout *machine_at(unsigned index);
/* By name; NULL: this machine has none. */
const struct machine_device *machine_device(const struct machine_layout *machine, const char *name);
/* A piece of a VM's RAM; size 0: it has no such piece. */
struct machine_ram {
    uint64_t base, size;
};

#define MACHINE_RAM_PIECES 2u

/* The first piece, or what lies behind the hole, of so much RAM. */
struct machine_ram machine_ram(const struct machine_layout *machine, uint64_t ram_size,
                               unsigned piece);
/* Arm: affinity of a vCPU, as MPIDR_EL1 and "reg" have it: 16 to a cluster, as the GIC's SGIs reach
 * them. */
static inline uint64_t machine_mpidr(unsigned vcpu)
{
    return (uint64_t)(vcpu / 16) << 8 | vcpu % 16;
}
