/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder: prefixes, the opcode's entry in the map, ModRM with what follows it, the immediate.
 * Reading stops at the end of the bytes and at the 15th. [AMD APM vol. 3, 1.1 to 1.8]
 */
#include "arch/x86_64/insn_decode.h"

#include "arch/x86_64/insn_table.h"

#define REX_W 8u
#define REX_R 4u
#define REX_X 2u
#define REX_B 1u

uint8_t insn_code_byte(struct insn_code *code)
{
    if (code->at >= code->count) {
        code->ended = true;
        return 0;
    }
    return code->bytes[code->at++];
}

static int64_t code_signed(struct insn_code *code, unsigned width)
{
    uint64_t value = 0;
    unsigned unused = 64 - 8 * width;

    if (width == 0)
        return 0;
    for (unsigned i = 0; i < width; i++)
        value |= (uint64_t)insn_code_byte(code) << 8 * i;
    return (int64_t)(value << unused) >> unused;
}

static void code_segment(struct insn_code *code, enum insn_seg seg)
{
    /* The four without a base in 64-bit code are no prefixes there. */
    if (code->mode != INSN_MODE_64 || seg >= INSN_FS)
        code->seg = (uint8_t)seg;
}

/* False: not a prefix. */
static bool code_prefix(struct insn_code *code, uint8_t byte)
{
    switch (byte) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
        code_segment(code, (enum insn_seg)(byte >> 3 & 3));
        return true;
    case 0x64:
    case 0x65:
        code_segment(code, (enum insn_seg)(byte & 7));
        return true;
    case 0x66:
        code->operand_prefix = true;
        return true;
    case 0x67:
        code->address_prefix = true;
        return true;
    case 0xf0:
        code->lock = true;
        return true;
    case 0xf2:
        code->rep = INSN_REPNE;
        return true;
    case 0xf3:
        code->rep = INSN_REP;
        return true;
    }
    return false;
}

static unsigned code_addr_size(const struct insn_code *code)
{
    if (!code->address_prefix)
        return code->mode;
    return code->mode == INSN_MODE_32 ? 2 : 4;
}

/* 2, 4 or 8. REX.W is stronger than 66. */
static unsigned code_operand_size(const struct insn_code *code)
{
    if (code->rex & REX_W)
        return 8;
    return (code->mode == INSN_MODE_16) != code->operand_prefix ? 2 : 4;
}

uint8_t insn_code_start(struct insn_code *code, const uint8_t *bytes, unsigned count,
                        enum insn_mode mode)
{
    uint8_t byte;

    *code = (struct insn_code){.bytes = bytes,
                               .count = MIN(count, INSN_LENGTH_MAX),
                               .mode = (uint8_t)mode,
                               .seg = INSN_SEGS};
    do {
        byte = insn_code_byte(code);
    } while (code_prefix(code, byte));
    /* REX is one only right before the opcode; elsewhere it has no effect. */
    while (mode == INSN_MODE_64 && (byte & 0xf0) == 0x40) {
        code->rex = byte;
        byte = insn_code_byte(code);
        while (code_prefix(code, byte)) {
            code->rex = 0;
            byte = insn_code_byte(code);
        }
    }
    return byte;
}

/* [AMD APM vol. 3, table A-33: 16-bit addressing] */
static void code_memory_16(struct insn_code *code, unsigned mod, unsigned rm, struct insn *insn)
{
    static const uint8_t bases[8] = {INSN_RBX, INSN_RBX, INSN_RBP, INSN_RBP,
                                     INSN_RSI, INSN_RDI, INSN_RBP, INSN_RBX};
    static const uint8_t indexes[4] = {INSN_RSI, INSN_RDI, INSN_RSI, INSN_RDI};

    if (mod == 0 && rm == 6) {
        insn->disp = code_signed(code, 2);
        return;
    }
    insn->base = bases[rm];
    if (rm < 4)
        insn->index = indexes[rm];
    insn->disp = code_signed(code, mod); /* So many bytes. */
}

static void code_sib(struct insn_code *code, unsigned mod, struct insn *insn)
{
    uint8_t sib = insn_code_byte(code), index = (sib >> 3 & 7) | (code->rex & REX_X ? 8 : 0);

    if (index != INSN_RSP) {
        insn->index = index;
        insn->scale = sib >> 6;
    }
    if ((sib & 7) != INSN_RBP || mod != 0)
        insn->base = (sib & 7) | (code->rex & REX_B ? 8 : 0);
}

static void code_memory(struct insn_code *code, unsigned mod, unsigned rm, struct insn *insn)
{
    static const uint8_t disp_sizes[3] = {0, 1, 4};
    unsigned disp_size = disp_sizes[mod];

    if (rm == 4)
        code_sib(code, mod, insn);
    else if (rm == 5 && mod == 0)
        insn->base = code->mode == INSN_MODE_64 ? INSN_RIP : INSN_NO_REG;
    else
        insn->base = (uint8_t)(rm | (code->rex & REX_B ? 8 : 0));
    if (mod == 0 && (insn->base == INSN_NO_REG || insn->base == INSN_RIP))
        disp_size = 4;
    insn->disp = code_signed(code, disp_size);
}

bool insn_code_memory(struct insn_code *code, uint8_t modrm, struct insn *insn)
{
    unsigned mod = modrm >> 6, rm = modrm & 7;

    insn->base = insn->index = INSN_NO_REG;
    insn->scale = 0;
    insn->disp = 0;
    insn->addr_size = (uint8_t)code_addr_size(code);
    if (mod == 3)
        return false;
    if (insn->addr_size == 2)
        code_memory_16(code, mod, rm, insn);
    else
        code_memory(code, mod, rm, insn);
    if (code->seg != INSN_SEGS)
        insn->seg = code->seg;
    else
        insn->seg = insn->base == INSN_RBP || insn->base == INSN_RSP ? INSN_SS : INSN_DS;
    return true;
}

/* The opcode's entry; ModRM is read if it takes part in it. */
static struct insn_entry decode_entry(struct insn_code *code, uint8_t opcode)
{
    enum insn_map map = INSN_MAP_1;

    if (opcode == 0x0f) {
        map = INSN_MAP_0F;
        opcode = insn_code_byte(code);
    }
    if (map == INSN_MAP_0F && opcode == 0x38) {
        map = INSN_MAP_0F38;
        opcode = insn_code_byte(code);
    }
    code->opcode = opcode;
    return insn_table_find(map, opcode);
}

/* Whether prefixes or the mode make another instruction of it. */
static bool decode_is_other(const struct insn_code *code, unsigned flags)
{
    return ((flags & ENTRY_NO_66) && code->operand_prefix) ||
           ((flags & ENTRY_NO_REP) && code->rep != INSN_ONCE) ||
           ((flags & ENTRY_ONLY_64) && code->mode != INSN_MODE_64);
}

static void decode_widths(const struct insn_code *code, unsigned flags, struct insn *insn)
{
    unsigned size = flags & ENTRY_BYTE ? 1 : code_operand_size(code);

    if ((flags & ENTRY_32_UP) && size == 2)
        size = 4;
    if ((flags & ENTRY_32_DOWN) && size == 8)
        size = 4;
    insn->reg_width = insn->width = (uint8_t)size;
    if (flags & (ENTRY_SRC_8 | ENTRY_SRC_16 | ENTRY_SRC_32))
        insn->width = flags & ENTRY_SRC_8 ? 1 : flags & ENTRY_SRC_16 ? 2 : 4;
}

/* Bytes of immediate. */
static unsigned decode_imm_size(unsigned flags, const struct insn *insn)
{
    if (flags & ENTRY_IMM)
        return MIN(insn->width, 4u);
    return flags & ENTRY_IMM8 ? 1 : 0;
}

static void decode_reg(const struct insn_code *code, unsigned flags, unsigned reg,
                       struct insn *insn)
{
    insn->reg = (uint8_t)(reg | (code->rex & REX_R ? 8 : 0));
    if (!(flags & ENTRY_BYTE) || code->rex != 0 || reg < 4)
        return;
    insn->reg = (uint8_t)(reg - 4);
    insn->reg_high = true;
}

static void decode_string(const struct insn_code *code, struct insn *insn)
{
    insn->rep = code->rep;
    insn->seg = code->seg != INSN_SEGS ? code->seg : (uint8_t)INSN_DS;
    insn->base = insn->index = INSN_NO_REG;
    insn->addr_size = (uint8_t)code_addr_size(code);
}

static void decode_moffs(struct insn_code *code, struct insn *insn)
{
    insn->base = insn->index = INSN_NO_REG;
    insn->seg = code->seg != INSN_SEGS ? code->seg : (uint8_t)INSN_DS;
    insn->addr_size = (uint8_t)code_addr_size(code);
    insn->disp = code_signed(code, insn->addr_size);
}

static enum insn_result decode_refuse(const struct insn_code *code, enum insn_result result)
{
    if (!code->ended)
        return result;
    return code->count == INSN_LENGTH_MAX ? INSN_TOO_LONG : INSN_SHORT;
}

/* What follows the opcode. False: the operand is a register. */
static bool decode_operands(struct insn_code *code, struct insn_entry entry, uint8_t modrm,
                            struct insn *insn)
{
    decode_widths(code, entry.flags, insn);
    if (insn->form == INSN_STRING) {
        decode_string(code, insn);
    } else if (entry.flags & ENTRY_MOFFS) {
        decode_moffs(code, insn);
    } else {
        if (!insn_code_memory(code, modrm, insn))
            return false;
        if (insn->form == INSN_LOAD || insn->form == INSN_STORE)
            decode_reg(code, entry.flags, modrm >> 3 & 7, insn);
    }
    insn->imm = code_signed(code, decode_imm_size(entry.flags, insn));
    if (insn->op == INSN_SETCC)
        insn->cond = code->opcode & 15;
    return true;
}

static bool decode_has_modrm(struct insn_entry entry)
{
    if (entry.kind == ENTRY_GROUP)
        return true;
    return entry.kind == ENTRY_INSN && entry.form != INSN_STRING && !(entry.flags & ENTRY_MOFFS);
}

enum insn_result insn_decode(const uint8_t *bytes, unsigned count, enum insn_mode mode,
                             struct insn *insn)
{
    struct insn_code code;
    uint8_t opcode = insn_code_start(&code, bytes, count, mode), modrm = 0;
    struct insn_entry entry = decode_entry(&code, opcode);

    if (decode_has_modrm(entry))
        modrm = insn_code_byte(&code);
    if (entry.kind == ENTRY_GROUP && (entry.flags & ENTRY_NOT_64) && mode == INSN_MODE_64)
        return decode_refuse(&code, INSN_UNDEFINED);
    if (entry.kind == ENTRY_GROUP)
        entry = insn_table_group(entry, modrm >> 3);
    if (entry.kind != ENTRY_INSN || decode_is_other(&code, entry.flags))
        return decode_refuse(&code, entry.kind == ENTRY_UNDEFINED ? INSN_UNDEFINED : INSN_UNKNOWN);
    *insn = (struct insn){.op = entry.op, .form = entry.form, .lock = code.lock};
    if (!decode_operands(&code, entry, modrm, insn))
        return decode_refuse(&code, INSN_UNKNOWN);
    if (code.lock && !(entry.flags & ENTRY_LOCK))
        return decode_refuse(&code, INSN_UNDEFINED);
    insn->length = (uint8_t)code.at;
    return decode_refuse(&code, INSN_OK);
}
