/* SPDX-License-Identifier: Apache-2.0 */
/* The opcode map as data. [AMD APM vol. 3, app. A, tables] */
#include "arch/x86_64/insn_table.h"

enum insn_group { GROUP_1, GROUP_3, GROUP_4, GROUP_5, GROUP_8, GROUP_11, GROUPS };

#define B ENTRY_BYTE
#define L ENTRY_LOCK

#define INSN(op_, form_, fl)                                                                       \
    {                                                                                              \
        INSN_##op_, INSN_##form_, ENTRY_INSN, (fl)                                                 \
    }
#define GROUP(n, fl)                                                                               \
    {                                                                                              \
        (n), 0, ENTRY_GROUP, (fl)                                                                  \
    }
#define UNDEFINED                                                                                  \
    {                                                                                              \
        .kind = ENTRY_UNDEFINED                                                                    \
    }

/* The two forms of each with bytes, and with what the prefixes say. */
#define TO_MEMORY(code, op_)   [code] = INSN(op_, STORE, B | L), [(code) + 1] = INSN(op_, STORE, L)
#define TO_REGISTER(code, op_) [code] = INSN(op_, LOAD, B), [(code) + 1] = INSN(op_, LOAD, 0)
#define STRING(code, op_)      [code] = INSN(op_, STRING, B), [(code) + 1] = INSN(op_, STRING, 0)
#define ARITHMETIC(code, op_)  TO_MEMORY(code, op_), TO_REGISTER((code) + 2, op_)

static const struct insn_entry map_1[256] = {
    ARITHMETIC(0x00, ADD),
    ARITHMETIC(0x08, OR),
    ARITHMETIC(0x10, ADC),
    ARITHMETIC(0x18, SBB),
    ARITHMETIC(0x20, AND),
    ARITHMETIC(0x28, SUB),
    ARITHMETIC(0x30, XOR),
    [0x38] = INSN(CMP, STORE, B),
    [0x39] = INSN(CMP, STORE, 0),
    TO_REGISTER(0x3a, CMP),
    /* With prefix 66 the makers differ in the operand's size. */
    [0x63] = INSN(MOVSX, LOAD, ENTRY_SRC_32 | ENTRY_ONLY_64 | ENTRY_NO_66),
    [0x6c] = INSN(INS, STRING, B),
    [0x6d] = INSN(INS, STRING, ENTRY_32_DOWN),
    [0x6e] = INSN(OUTS, STRING, B),
    [0x6f] = INSN(OUTS, STRING, ENTRY_32_DOWN),
    [0x80] = GROUP(GROUP_1, B | ENTRY_IMM8),
    [0x81] = GROUP(GROUP_1, ENTRY_IMM),
    [0x82] = GROUP(GROUP_1, B | ENTRY_IMM8 | ENTRY_NOT_64),
    [0x83] = GROUP(GROUP_1, ENTRY_IMM8),
    [0x84] = INSN(TEST, STORE, B),
    [0x85] = INSN(TEST, STORE, 0),
    TO_MEMORY(0x86, XCHG),
    [0x88] = INSN(MOV, STORE, B),
    [0x89] = INSN(MOV, STORE, 0),
    TO_REGISTER(0x8a, MOV),
    [0xa0] = INSN(MOV, LOAD, B | ENTRY_MOFFS),
    [0xa1] = INSN(MOV, LOAD, ENTRY_MOFFS),
    [0xa2] = INSN(MOV, STORE, B | ENTRY_MOFFS),
    [0xa3] = INSN(MOV, STORE, ENTRY_MOFFS),
    STRING(0xa4, MOVS),
    STRING(0xa6, CMPS),
    STRING(0xaa, STOS),
    STRING(0xac, LODS),
    STRING(0xae, SCAS),
    [0xc6] = GROUP(GROUP_11, B | ENTRY_IMM8),
    [0xc7] = GROUP(GROUP_11, ENTRY_IMM),
    [0xf6] = GROUP(GROUP_3, B),
    [0xf7] = GROUP(GROUP_3, 0),
    [0xfe] = GROUP(GROUP_4, B),
    [0xff] = GROUP(GROUP_5, 0),
};

/* These two begin and end with what they have. */
#define FIRST_0F      0x90
#define FIRST_0F38    0xf0
#define AT_0F(code)   [-FIRST_0F + (code)]
#define AT_0F38(code) [-FIRST_0F38 + (code)]

static const struct insn_entry map_0f[] = {
    [0x0 ... 0xf] = INSN(SETCC, UNARY, B), /* From FIRST_0F on. */
    AT_0F(0xa3) = INSN(BT, STORE, 0),
    AT_0F(0xab) = INSN(BTS, STORE, L),
    TO_MEMORY(0xb0 - FIRST_0F, CMPXCHG),
    AT_0F(0xb3) = INSN(BTR, STORE, L),
    AT_0F(0xb6) = INSN(MOVZX, LOAD, ENTRY_SRC_8),
    AT_0F(0xb7) = INSN(MOVZX, LOAD, ENTRY_SRC_16),
    AT_0F(0xba) = GROUP(GROUP_8, ENTRY_IMM8),
    AT_0F(0xbb) = INSN(BTC, STORE, L),
    AT_0F(0xbe) = INSN(MOVSX, LOAD, ENTRY_SRC_8),
    AT_0F(0xbf) = INSN(MOVSX, LOAD, ENTRY_SRC_16),
    TO_MEMORY(0xc0 - FIRST_0F, XADD),
    /* MOVNTI */
    AT_0F(0xc3) = INSN(MOV, STORE, ENTRY_32_UP | ENTRY_NO_66 | ENTRY_NO_REP),
};

static const struct insn_entry map_0f38[] = {
    AT_0F38(0xf0) = INSN(MOVBE, LOAD, ENTRY_NO_REP),
    AT_0F38(0xf1) = INSN(MOVBE, STORE, ENTRY_NO_REP),
    /* MOVDIRI */
    AT_0F38(0xf9) = INSN(MOV, STORE, ENTRY_32_UP | ENTRY_NO_66 | ENTRY_NO_REP),
};

/* Left out: what multiplies, divides, calls, jumps, pushes. */
static const struct insn_entry groups[GROUPS][8] = {
    [GROUP_1] = {INSN(ADD, IMM, L), INSN(OR, IMM, L), INSN(ADC, IMM, L), INSN(SBB, IMM, L),
                 INSN(AND, IMM, L), INSN(SUB, IMM, L), INSN(XOR, IMM, L), INSN(CMP, IMM, 0)},
    [GROUP_3] = {INSN(TEST, IMM, ENTRY_IMM), INSN(TEST, IMM, ENTRY_IMM), INSN(NOT, UNARY, L),
                 INSN(NEG, UNARY, L)},
    [GROUP_4] = {INSN(INC, UNARY, L), INSN(DEC, UNARY, L), UNDEFINED, UNDEFINED, UNDEFINED,
                 UNDEFINED, UNDEFINED, UNDEFINED},
    [GROUP_5] = {INSN(INC, UNARY, L), INSN(DEC, UNARY, L), [7] = UNDEFINED},
    [GROUP_8] = {UNDEFINED, UNDEFINED, UNDEFINED, UNDEFINED, INSN(BT, IMM, 0), INSN(BTS, IMM, L),
                 INSN(BTR, IMM, L), INSN(BTC, IMM, L)},
    /* 7 is XABORT and XBEGIN, without memory. */
    [GROUP_11] = {INSN(MOV, IMM, 0), UNDEFINED, UNDEFINED, UNDEFINED, UNDEFINED, UNDEFINED,
                  UNDEFINED},
};

struct insn_entry insn_table_find(enum insn_map map, uint8_t opcode)
{
    static const struct {
        const struct insn_entry *entries;
        uint8_t first;
        uint16_t count;
    } maps[INSN_MAPS] = {
        [INSN_MAP_1] = {map_1, 0x00, ARRAY_SIZE(map_1)},
        [INSN_MAP_0F] = {map_0f, FIRST_0F, ARRAY_SIZE(map_0f)},
        [INSN_MAP_0F38] = {map_0f38, FIRST_0F38, ARRAY_SIZE(map_0f38)},
    };
    unsigned i = (unsigned)opcode - maps[map].first; /* What is below is far beyond the end. */

    return i < maps[map].count ? maps[map].entries[i] : (struct insn_entry){.kind = ENTRY_UNKNOWN};
}

struct insn_entry insn_table_group(struct insn_entry group, unsigned reg)
{
    struct insn_entry member = groups[group.op][reg & 7];

    member.flags |= group.flags;
    return member;
}
