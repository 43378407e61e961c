/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of a register file (struct arch_regs) that hold more than values of registers, and what may
 * be put there. The functions are pure, tested on the host: NULL, or why it is refused.
 */
#pragma once

#include "arch/aarch64/insn.h"
#include "kernel/bits.h"

#define ARCH_LIST_REGISTERS 16u

/* The GIC's virtual CPU interface. Of a GICv2: GICH_APR in ap0r[0]; the rest in ICH_*'s layout. */
struct arch_gic_state {
    uint64_t hcr, vmcr;
    uint64_t lr[ARCH_LIST_REGISTERS];
    uint32_t ap0r[4], ap1r[4];
    uint64_t ended; /* GICv2: EISR when it was saved. */
};

/* A load or store under way: see struct arch_insn_state. */
struct arch_insn_regs {
    uint32_t word; /* 0: none. */
    uint32_t done;
    uint64_t gpa, base, cause[2];
};

/* AArch64 at EL0 or EL1, or, with a32, AArch32 at EL0; any other return would trap ourselves. */
const char *a64_regs_check_pstate(uint64_t pstate, bool a32);

struct a64_gic_limits {
    unsigned version;
    unsigned slots;        /* List registers. */
    unsigned aprs;         /* Of each group. */
    uint32_t physical_irq; /* The only one that a guest may end. */
};

const char *a64_regs_check_gic(const struct arch_gic_state *gic,
                               const struct a64_gic_limits *limits);

/* gpa_bits: of an address that a guest can name. */
const char *a64_regs_check_insn(const struct arch_insn_regs *insn, uint64_t pstate,
                                unsigned gpa_bits);
