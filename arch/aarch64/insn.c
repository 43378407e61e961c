/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder of A64 loads and stores. The guest chooses the word, so nothing is asserted of it:
 * what is not understood in full is refused. [Arm ARM C4.1, Loads and Stores; names as there]
 */
#include "arch/aarch64/insn.h"

#include "kernel/bits.h"

#define INSN_SIZE     BITS(31, 30) /* log2 of the bytes of an access; of a pair: opc. */
#define INSN_CLASS    BITS(29, 24) /* enum insn_class */
#define INSN_IDX      BITS(24, 23) /* enum insn_pair_idx */
#define INSN_OPC      BITS(23, 22) /* enum insn_opc */
#define INSN_L        BIT(22)      /* A load, where there is no opc. */
#define INSN_IMM12    BITS(21, 10)
#define INSN_IMM7     BITS(21, 15)
#define INSN_REG      BIT(21) /* A register offset, or an atomic. */
#define INSN_IMM9     BITS(20, 12)
#define INSN_RM       BITS(20, 16)
#define INSN_OPTION   BITS(15, 13)
#define INSN_S        BIT(12)      /* The register offset is scaled. */
#define INSN_MODE     BITS(11, 10) /* enum insn_mode, or enum insn_reg_mode with INSN_REG */
#define INSN_RT2      BITS(14, 10)
#define INSN_RN       BITS(9, 5)
#define INSN_RT       BITS(4, 0)

/* Of the exclusives' class only o2 = 1, o1 = 0, Rs = Rt2 = 31; o0 tells LDAR from LDLAR. */
#define ORDERED_MASK  (BIT(23) | BIT(21) | BITS(20, 16) | BITS(14, 10))
#define ORDERED_VALUE (BIT(23) | BITS(20, 16) | BITS(14, 10))
/* Of the atomics only A = 1, R = 0, Rs = 31, o3 = 1, opc = 100. */
#define LDAPR_MASK    BITS(23, 12)
#define LDAPR_VALUE   (BIT(23) | BIT(21) | BITS(20, 16) | BITS(15, 14))

/* Bit 26 of the word is clear in all: no SIMD. */
enum insn_class {
    CLASS_EXCLUSIVE = 0b001000, /* And ordered. */
    CLASS_RCPC = 0b011001,      /* LDAPUR, STLUR. */
    CLASS_PAIR_LOW = 0b101000,  /* No-allocate and post-index, */
    CLASS_PAIR_HIGH = 0b101001, /* offset and pre-index. */
    CLASS_SINGLE = 0b111000,
    CLASS_SINGLE_IMM = 0b111001, /* Unsigned scaled offset. */
};

enum insn_opc { OPC_STORE, OPC_LOAD, OPC_LOAD_SIGNED_64, OPC_LOAD_SIGNED_32 };
enum insn_mode { MODE_UNSCALED, MODE_POST, MODE_UNPRIVILEGED, MODE_PRE };
enum insn_reg_mode { REG_MODE_ATOMIC, REG_MODE_OFFSET = 2 }; /* 1 and 3: LDRAA, LDRAB. */
enum insn_pair_idx { IDX_NO_ALLOCATE, IDX_POST, IDX_OFFSET, IDX_PRE };
enum insn_pair_opc { PAIR_32, PAIR_SIGNED, PAIR_64, PAIR_UNPRIVILEGED };

static int64_t insn_signed(uint64_t mask, uint32_t insn)
{
    uint64_t sign = BIT(bit_count(mask) - 1);

    return (int64_t)((field_get(mask, insn) ^ sign) - sign);
}

static void insn_plain(uint32_t insn, bool load, struct a64_insn_access *access)
{
    access->load = load;
    access->width = (uint8_t)(1u << field_get(INSN_SIZE, insn));
    access->reg_width = access->width == 8 ? 8 : 4;
}

/* What size and opc say together; false for PRFM and what is unallocated. */
static bool insn_sized(uint32_t insn, struct a64_insn_access *access)
{
    unsigned opc = (unsigned)field_get(INSN_OPC, insn);

    insn_plain(insn, opc != OPC_STORE, access);
    if (opc <= OPC_LOAD)
        return true;
    access->sign_extend = true;
    access->reg_width = opc == OPC_LOAD_SIGNED_64 ? 8 : 4;
    return access->width < access->reg_width;
}

/* Sets where the access goes and what the base becomes. */
static bool insn_indexed(bool post, bool writeback, int64_t offset, struct a64_insn_access *access)
{
    access->offset = post ? 0 : offset;
    access->index = writeback ? offset : 0;
    access->writeback = writeback;
    if (!writeback || access->base == INSN_REG_ZERO)
        return true;
    return access->base != access->reg && !(access->pair && access->base == access->reg2);
}

static bool insn_register_offset(uint32_t insn, struct a64_insn_access *access)
{
    access->offset_reg = true;
    access->index_reg = (uint8_t)field_get(INSN_RM, insn);
    access->extend = (uint8_t)field_get(INSN_OPTION, insn);
    access->shift = (insn & INSN_S) ? (uint8_t)field_get(INSN_SIZE, insn) : 0;
    /* Bytes and half-words cannot be extended: unallocated. */
    return (access->extend & 2) && insn_sized(insn, access);
}

static bool insn_single(uint32_t insn, struct a64_insn_access *access)
{
    unsigned mode = (unsigned)field_get(INSN_MODE, insn);

    if (!(insn & INSN_REG))
        return insn_sized(insn, access) &&
               insn_indexed(mode == MODE_POST, mode == MODE_POST || mode == MODE_PRE,
                            insn_signed(INSN_IMM9, insn), access);
    if (mode == REG_MODE_OFFSET)
        return insn_register_offset(insn, access);
    insn_plain(insn, true, access);
    return mode == REG_MODE_ATOMIC && (insn & LDAPR_MASK) == LDAPR_VALUE;
}

static bool insn_pair(uint32_t insn, struct a64_insn_access *access)
{
    unsigned opc = (unsigned)field_get(INSN_SIZE, insn), idx = (unsigned)field_get(INSN_IDX, insn);

    access->pair = true;
    access->load = insn & INSN_L;
    access->sign_extend = opc == PAIR_SIGNED;
    access->width = opc == PAIR_64 ? 8 : 4;
    access->reg_width = opc == PAIR_32 ? 4 : 8;
    access->reg2 = (uint8_t)field_get(INSN_RT2, insn);
    if (opc == PAIR_UNPRIVILEGED)
        return false;
    if (opc == PAIR_SIGNED && (!access->load || idx == IDX_NO_ALLOCATE))
        return false; /* STGP, or unallocated. */
    if (access->load && access->reg == access->reg2)
        return false;
    return insn_indexed(idx == IDX_POST, idx == IDX_POST || idx == IDX_PRE,
                        insn_signed(INSN_IMM7, insn) * access->width, access);
}

bool a64_insn_decode(uint32_t insn, struct a64_insn_access *access)
{
    *access = (struct a64_insn_access){
        .reg = (uint8_t)field_get(INSN_RT, insn),
        .base = (uint8_t)field_get(INSN_RN, insn),
    };
    switch ((enum insn_class)field_get(INSN_CLASS, insn)) {
    case CLASS_EXCLUSIVE:
        insn_plain(insn, insn & INSN_L, access);
        return (insn & ORDERED_MASK) == ORDERED_VALUE;
    case CLASS_RCPC:
        access->offset = insn_signed(INSN_IMM9, insn);
        return !(insn & (INSN_REG | INSN_MODE)) && insn_sized(insn, access);
    case CLASS_PAIR_LOW:
    case CLASS_PAIR_HIGH:
        return insn_pair(insn, access);
    case CLASS_SINGLE:
        return insn_single(insn, access);
    case CLASS_SINGLE_IMM:
        access->offset = (int64_t)(field_get(INSN_IMM12, insn) << field_get(INSN_SIZE, insn));
        return insn_sized(insn, access);
    }
    return false;
}
