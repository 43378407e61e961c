/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decodes the load or store instruction behind a data abort for which the hardware gives no
 * syndrome: those with write-back, and pairs. Pure, tested on the host against a disassembler.
 * [Arm ARM C4.1, Loads and Stores]
 */
#pragma once

#include "kernel/types.h"

#define INSN_REG_ZERO 31u /* As a data register: reads as zero, writes vanish. As a base: sp. */

struct a64_insn_access {
    bool load;
    bool sign_extend;  /* Loads only: from width to reg_width. */
    bool pair;         /* Two registers, the second `width` bytes after the first. */
    bool writeback;    /* The base register gets base + index after the access. */
    uint8_t width;     /* Bytes of each access: 1, 2, 4, 8. */
    uint8_t reg_width; /* 4: upper half of the destination is zeroed; 8. At least width. */
    uint8_t reg, reg2; /* reg2: of a pair, else 0. */
    uint8_t base;
    int64_t offset;  /* Address of the access = base + offset (0 for post-index), */
    int64_t index;   /* and the base becomes base + index, 0 without write-back. */
    bool offset_reg; /* Address is base + (extended index_reg << shift); offset is 0. */
    uint8_t index_reg;
    uint8_t extend; /* The option field: 2 UXTW, 3 none (LSL), 6 SXTW, 7 none (SXTX). */
    uint8_t shift;
};

/*
 * False, and *access is worthless, for all that is not a load or store of general registers that
 * we know (SIMD, atomics, exclusives, tags, prefetches, literals, …), and for those that are
 * CONSTRAINED UNPREDICTABLE: write-back to a register that is transferred, two loads to one
 * register. Whether the CPU has the extension that an instruction belongs to is not looked at.
 */
bool a64_insn_decode(uint32_t insn, struct a64_insn_access *access);
