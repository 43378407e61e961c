/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of a register file (struct arch_regs) that hold more than values of CSRs, and what may be
 * put there. The function is pure, tested on the host.
 */
#pragma once

#include "kernel/types.h"

struct arch_fp_state {
    uint64_t f[32];
    uint64_t fcsr;
};

/* A CSR access under way: see struct arch_csr_access. */
struct arch_access_regs {
    uint32_t op; /* enum csr_op; 0: none. */
    uint32_t csr;
    uint64_t reg, operand, read;
};

/* What of a register file is no CSR that hardware looks at. */
struct rv64_regs_plain {
    uint64_t x0, supervisor, hvip, fcsr;
    struct arch_access_regs access;
};

/* NULL, or why it is refused. */
const char *rv64_regs_check(const struct rv64_regs_plain *regs);

/* Of a text: what stands for the ISA string in a register file [FNV-1a, 64 bits]. */
uint64_t rv64_regs_hash(const char *text);
