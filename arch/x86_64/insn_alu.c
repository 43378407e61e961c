/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/x86_64/insn_alu.h"

static uint64_t alu_flag(bool set, uint64_t flag)
{
    return set ? flag : 0;
}

static bool alu_sign(uint64_t value, unsigned width)
{
    return value >> (8 * width - 1) & 1;
}

/* PF is of the low byte alone. */
static uint64_t alu_result_flags(uint64_t result, unsigned width)
{
    return alu_flag(result == 0, FLAG_ZF) | alu_flag(alu_sign(result, width), FLAG_SF) |
           alu_flag(!(bit_count(result & 0xff) & 1), FLAG_PF);
}

static void alu_set(uint64_t *flags, uint64_t mask, uint64_t value)
{
    *flags = (*flags & ~mask) | (value & mask);
}

static uint64_t alu_add(unsigned width, uint64_t a, uint64_t b, bool carry, uint64_t *flags)
{
    uint64_t sum = insn_cut(a + b + carry, width);

    alu_set(flags, FLAGS_ARITHMETIC,
            alu_result_flags(sum, width) | alu_flag(sum < a || (carry && sum == a), FLAG_CF) |
                ((a ^ b ^ sum) & FLAG_AF) |
                alu_flag(alu_sign((a ^ sum) & (b ^ sum), width), FLAG_OF));
    return sum;
}

static uint64_t alu_sub(unsigned width, uint64_t a, uint64_t b, bool borrow, uint64_t *flags)
{
    uint64_t rest = insn_cut(a - b - borrow, width);

    alu_set(flags, FLAGS_ARITHMETIC,
            alu_result_flags(rest, width) | alu_flag(a < b || (borrow && a == b), FLAG_CF) |
                ((a ^ b ^ rest) & FLAG_AF) |
                alu_flag(alu_sign((a ^ b) & (a ^ rest), width), FLAG_OF));
    return rest;
}

static uint64_t alu_logic(unsigned width, uint64_t result, uint64_t *flags)
{
    alu_set(flags, FLAGS_ARITHMETIC, alu_result_flags(result, width));
    return result;
}

/* INC and DEC leave the carry alone. */
static uint64_t alu_step(enum insn_op op, unsigned width, uint64_t a, uint64_t *flags)
{
    uint64_t carry = *flags & FLAG_CF;
    uint64_t result =
        op == INSN_INC ? alu_add(width, a, 1, false, flags) : alu_sub(width, a, 1, false, flags);

    alu_set(flags, FLAG_CF, carry);
    return result;
}

static uint64_t alu_bit(enum insn_op op, unsigned width, uint64_t a, uint64_t number,
                        uint64_t *flags)
{
    uint64_t bit = BIT(number & (8 * width - 1));

    alu_set(flags, FLAG_CF, alu_flag(a & bit, FLAG_CF));
    if (op == INSN_BTS)
        return a | bit;
    if (op == INSN_BTR)
        return a & ~bit;
    return op == INSN_BTC ? a ^ bit : a;
}

uint64_t insn_alu(enum insn_op op, unsigned width, uint64_t a, uint64_t b, uint64_t *flags)
{
    bool carry = *flags & FLAG_CF;

    a = insn_cut(a, width);
    b = insn_cut(b, width);
    switch (op) {
    case INSN_ADD:
        return alu_add(width, a, b, false, flags);
    case INSN_ADC:
        return alu_add(width, a, b, carry, flags);
    case INSN_SUB:
    case INSN_CMP:
        return alu_sub(width, a, b, false, flags);
    case INSN_SBB:
        return alu_sub(width, a, b, carry, flags);
    case INSN_OR:
        return alu_logic(width, a | b, flags);
    case INSN_AND:
    case INSN_TEST:
        return alu_logic(width, a & b, flags);
    case INSN_XOR:
        return alu_logic(width, a ^ b, flags);
    case INSN_INC:
    case INSN_DEC:
        return alu_step(op, width, a, flags);
    case INSN_NEG:
        return alu_sub(width, 0, a, false, flags);
    case INSN_NOT:
        return insn_cut(~a, width);
    case INSN_BT:
    case INSN_BTS:
    case INSN_BTR:
    case INSN_BTC:
        return alu_bit(op, width, a, b, flags);
    default:
        return a;
    }
}

bool insn_condition(unsigned cond, uint64_t flags)
{
    bool sign_differs = !(flags & FLAG_SF) != !(flags & FLAG_OF), holds = false;

    switch (cond >> 1 & 7) {
    case 0:
        holds = flags & FLAG_OF;
        break;
    case 1:
        holds = flags & FLAG_CF;
        break;
    case 2:
        holds = flags & FLAG_ZF;
        break;
    case 3:
        holds = flags & (FLAG_CF | FLAG_ZF);
        break;
    case 4:
        holds = flags & FLAG_SF;
        break;
    case 5:
        holds = flags & FLAG_PF;
        break;
    case 6:
        holds = sign_differs;
        break;
    case 7:
        holds = sign_differs || (flags & FLAG_ZF);
        break;
    }
    return holds != (cond & 1);
}
