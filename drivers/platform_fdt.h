/* SPDX-License-Identifier: Apache-2.0 */
/* Private to drivers/platform_fdt*.c. */
#pragma once

#include "kernel/err.h"
#include "kernel/fdt.h"

/* E_INVALID, having said which node is wrong, and how. */
enum err platform_node_wrong(const struct fdt *fdt, int node, const char *what);
/* The next node after `node` (< 0: the first) that is enabled and compatible with one of the
 * strings; < 0: none. */
int platform_next_compatible(const struct fdt *fdt, int node, const char *const *strings);

/* Whether the tree is one of a RISC-V machine: its processors have ISA strings. */
bool platform_fdt_is_riscv(const struct fdt *fdt);
/* Harts and what they can, PLIC or AIA, all but the console. platform_fdt_riscv.c */
enum err platform_fdt_riscv(const struct fdt *fdt);
