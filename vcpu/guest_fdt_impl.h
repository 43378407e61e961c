/* SPDX-License-Identifier: Apache-2.0 */
/* Private to vcpu/guest_fdt*.c. */
#pragma once

#include "kernel/fdt.h"
#include "vcpu/guest_fdt.h"

#define GUEST_FDT_STRINGS(w, name, s) fdt_write_bytes((w), (name), (s), sizeof(s))

/* Of the interrupt controller that devices' interrupts go to, in every tree. */
#define GUEST_FDT_PHANDLE_IRQCHIP     1u

/* A "reg" of one range. */
void guest_fdt_reg(struct fdt_writer *w, uint64_t base, uint64_t size);
/* Processors, firmware, interrupt controller and devices. */
void guest_fdt_aarch64(struct fdt_writer *w, const struct guest_fdt_params *params);
void guest_fdt_riscv64(struct fdt_writer *w, const struct guest_fdt_params *params);
