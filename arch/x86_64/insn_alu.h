/* SPDX-License-Identifier: Apache-2.0 */
/* What instructions compute, with the flags as a processor sets them. Pure. */
#pragma once

#include "arch/x86_64/insn.h"
#include "kernel/bits.h"

#define FLAG_CF          BIT(0)
#define FLAG_PF          BIT(2)
#define FLAG_AF          BIT(4)
#define FLAG_ZF          BIT(6)
#define FLAG_SF          BIT(7)
#define FLAG_DF          BIT(10)
#define FLAG_OF          BIT(11)
#define FLAG_RF          BIT(16)
#define FLAGS_ARITHMETIC (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

/* The low bytes of value. width: 1, 2, 4, 8. */
static inline uint64_t insn_cut(uint64_t value, unsigned width)
{
    return value & (~(uint64_t)0 >> (64 - 8 * width));
}

static inline uint64_t insn_sign_extend(uint64_t value, unsigned width)
{
    unsigned unused = 64 - 8 * width;

    return (uint64_t)((int64_t)(value << unused) >> unused);
}

/*
 * Destination a, source b, of width bytes each, for INSN_ADD to INSN_BTC; b is a bit's number for
 * BT and its like. Flags that are undefined: AF after a logical operation is cleared; the bit tests
 * change CF alone. [AMD APM vol. 3, 3, each instruction's flags]
 */
uint64_t insn_alu(enum insn_op op, unsigned width, uint64_t a, uint64_t b, uint64_t *flags);

/* Whether the condition of SETcc holds: the low 4 bits of its opcode. */
bool insn_condition(unsigned cond, uint64_t flags);
