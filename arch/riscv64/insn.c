/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder of RV64 loads and stores. The guest chooses the bits, so nothing is asserted of them:
 * what is not understood in full is refused. [Unprivileged ISA: RV32/64G listings; C, "RVC
 * Instruction Set Listings"; Zcb]
 */
#include "arch/riscv64/insn.h"

/* Compressed: quadrant in bits 1:0, funct3 in 15:13. */
#define C_QUADRANT BITS(1, 0)
#define C_FUNCT3   BITS(15, 13)
#define C_FUNCT6   BITS(15, 10)
#define C_RD       BITS(11, 7)
#define C_RS2      BITS(6, 2)
#define C_RS1_     BITS(9, 7) /* x8 to x15. */
#define C_RD_      BITS(4, 2)
#define C_REG_BASE 8u
#define REG_SP     2u

enum c_funct3 { C_LW = 2, C_LD = 3, C_ZCB = 4, C_SW = 6, C_SD = 7 };
enum zcb_funct6 { ZCB_LBU = 0x20, ZCB_LH = 0x21, ZCB_SB = 0x22, ZCB_SH = 0x23 };

/* Bits of the offset, scaled: words have [5:3] in 12:10, [2] in 6, [6] in 5; double words [7:6] in
 * 6:5. */
static int32_t c_offset(uint32_t insn, unsigned width)
{
    uint64_t high = field_get(BITS(12, 10), insn) << 3;

    if (width == 8)
        return (int32_t)(high | field_get(BITS(6, 5), insn) << 6);
    return (int32_t)(high | field_get(BIT(6), insn) << 2 | field_get(BIT(5), insn) << 6);
}

static bool c_register(uint32_t insn, unsigned funct3, struct rv64_insn_access *access)
{
    unsigned width = funct3 & 1 ? 8 : 4;

    *access = (struct rv64_insn_access){
        .load = funct3 == C_LW || funct3 == C_LD,
        .sign_extend = funct3 == C_LW,
        .width = (uint8_t)width,
        .reg = (uint8_t)(C_REG_BASE + field_get(C_RD_, insn)),
        .base = (uint8_t)(C_REG_BASE + field_get(C_RS1_, insn)),
        .length = 2,
        .offset = c_offset(insn, width),
    };
    return true;
}

static bool c_zcb(uint32_t insn, struct rv64_insn_access *access)
{
    unsigned funct6 = (unsigned)field_get(C_FUNCT6, insn);
    bool bit6 = insn & BIT(6);
    bool byte = funct6 == ZCB_LBU || funct6 == ZCB_SB;
    int32_t high = insn & BIT(5) ? 2 : 0;

    *access = (struct rv64_insn_access){
        .load = funct6 == ZCB_LBU || funct6 == ZCB_LH,
        .sign_extend = funct6 == ZCB_LH && bit6,
        .width = byte ? 1 : 2,
        .reg = (uint8_t)(C_REG_BASE + field_get(C_RD_, insn)),
        .base = (uint8_t)(C_REG_BASE + field_get(C_RS1_, insn)),
        .length = 2,
        .offset = high + (byte && bit6 ? 1 : 0),
    };
    return funct6 <= ZCB_SH && !(funct6 == ZCB_SH && bit6);
}

/* C.LWSP: [5] in 12, [4:2] in 6:4, [7:6] in 3:2. C.LDSP: [5] in 12, [4:3] in 6:5, [8:6] in 4:2. rd
 * 0 is reserved. */
static bool c_stack_load(uint32_t insn, unsigned funct3, struct rv64_insn_access *access)
{
    uint64_t offset = field_get(BIT(12), insn) << 5;

    if (funct3 == C_LD)
        offset |= field_get(BITS(6, 5), insn) << 3 | field_get(BITS(4, 2), insn) << 6;
    else
        offset |= field_get(BITS(6, 4), insn) << 2 | field_get(BITS(3, 2), insn) << 6;
    *access = (struct rv64_insn_access){
        .load = true,
        .sign_extend = funct3 == C_LW,
        .width = funct3 == C_LD ? 8 : 4,
        .reg = (uint8_t)field_get(C_RD, insn),
        .base = REG_SP,
        .length = 2,
        .offset = (int32_t)offset,
    };
    return access->reg != 0;
}

/* C.SWSP: [5:2] in 12:9, [7:6] in 8:7. C.SDSP: [5:3] in 12:10, [8:6] in 9:7. */
static bool c_stack_store(uint32_t insn, unsigned funct3, struct rv64_insn_access *access)
{
    uint64_t offset;

    if (funct3 == C_SD)
        offset = field_get(BITS(12, 10), insn) << 3 | field_get(BITS(9, 7), insn) << 6;
    else
        offset = field_get(BITS(12, 9), insn) << 2 | field_get(BITS(8, 7), insn) << 6;
    *access = (struct rv64_insn_access){
        .width = funct3 == C_SD ? 8 : 4,
        .reg = (uint8_t)field_get(C_RS2, insn),
        .base = REG_SP,
        .length = 2,
        .offset = (int32_t)offset,
    };
    return true;
}

static bool insn_compressed(uint32_t insn, struct rv64_insn_access *access)
{
    unsigned funct3 = (unsigned)field_get(C_FUNCT3, insn);
    bool stack = field_get(C_QUADRANT, insn) == 2;

    if (field_get(C_QUADRANT, insn) == 1)
        return false;
    switch ((enum c_funct3)funct3) {
    case C_LW:
    case C_LD:
        return stack ? c_stack_load(insn, funct3, access) : c_register(insn, funct3, access);
    case C_SW:
    case C_SD:
        return stack ? c_stack_store(insn, funct3, access) : c_register(insn, funct3, access);
    case C_ZCB:
        return !stack && c_zcb(insn, access);
    }
    return false;
}

bool rv64_insn_decode(uint32_t insn, struct rv64_insn_access *access)
{
    if ((insn & 3) != 3)
        return insn_compressed(insn & 0xffff, access);
    return rv64_insn_basic(insn, access);
}
