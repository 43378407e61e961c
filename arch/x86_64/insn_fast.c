/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two short decoders: of the moves to and from device registers, for which insn_decode() costs too
 * much, and of the instructions that have an exit of their own, for their length.
 */
#include "arch/x86_64/insn_decode.h"
#include "kernel/bits.h"

/* What an opcode is for insn_decode_mov(); the rest is 0. */
#define FAST_MOV   1u
#define FAST_STORE 2u
#define FAST_IMM   4u
#define FAST_BYTE  8u
#define FAST_ZX_8  16u /* MOVZX: bytes of memory. */
#define FAST_ZX_16 32u

static const uint8_t fast_opcodes[256] = {
    [0x88] = FAST_MOV | FAST_STORE | FAST_BYTE,
    [0x89] = FAST_MOV | FAST_STORE,
    [0x8a] = FAST_MOV | FAST_BYTE,
    [0x8b] = FAST_MOV,
    [0xc6] = FAST_MOV | FAST_IMM | FAST_BYTE,
    [0xc7] = FAST_MOV | FAST_IMM,
};

static inline int32_t fast_i32(const uint8_t *at)
{
    return (int32_t)(at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24);
}

/* Effective address of ModRM at *at, which is left behind it; *at NULL: a register. What comes
 * after it, for RIP-relative ones: imm_size. */
static inline uint64_t fast_address(const uint8_t **at, unsigned rex, const uint64_t *gpr)
{
    unsigned modrm = *(*at)++, mod = modrm >> 6, base = modrm & 7;
    uint64_t address = 0;

    if (base == 4) {
        unsigned sib = *(*at)++, index = (sib >> 3 & 7) | (rex << 2 & 8);

        if (index != INSN_RSP)
            address = gpr[index] << (sib >> 6);
        base = sib & 7;
    }
    if (base == INSN_RBP && mod == 0)
        mod = 2; /* No base, but 4 bytes. */
    else
        address += gpr[base | (rex << 3 & 8)];
    if (mod == 1)
        return address + (uint64_t)(int8_t) * (*at)++;
    if (mod == 2) {
        address += (uint64_t)fast_i32(*at);
        *at += 4;
    }
    return address;
}

/* The register of a byte, or 0xff for those that need more thought: AH, CH, DH, BH. */
static inline bool fast_is_high(unsigned kind, unsigned rex, unsigned reg)
{
    return (kind & (FAST_BYTE | FAST_IMM)) == FAST_BYTE && rex == 0 && reg >= 4;
}

static inline uint64_t fast_cut(uint64_t value, unsigned width)
{
    return value & (~(uint64_t)0 >> (64 - 8 * width));
}

bool insn_decode_mov(const uint8_t bytes[INSN_LENGTH_MAX], const uint64_t *gpr, uint64_t rip,
                     struct insn_mov *mov)
{
    const uint8_t *at = bytes;
    unsigned size = 4, rex = 0, kind, modrm, width;
    uint64_t address;

    if (*at == 0x66) {
        size = 2;
        at++;
    }
    if ((*at & 0xf0) == 0x40) {
        rex = *at++;
        if (rex & 8)
            size = 8;
    }
    if (*at == 0x0f) {
        at++;
        if ((*at & 0xfe) != 0xb6)
            return false;
        kind = FAST_MOV | (*at & 1 ? FAST_ZX_16 : FAST_ZX_8);
    } else {
        kind = fast_opcodes[*at];
    }
    at++;
    modrm = *at;
    mov->reg = (uint8_t)((modrm >> 3 & 7) | (rex << 1 & 8));
    if (!(kind & FAST_MOV) || modrm >= 0xc0 || fast_is_high(kind, rex, mov->reg))
        return false;
    if ((kind & FAST_IMM) && (modrm >> 3 & 7) != 0)
        return false;
    if (kind & FAST_BYTE)
        size = 1;
    width = kind & FAST_ZX_8 ? 1 : kind & FAST_ZX_16 ? 2 : size;
    address = fast_address(&at, rex, gpr);
    mov->width = (uint8_t)width;
    mov->reg_width = (uint8_t)size;
    mov->store = kind & (FAST_STORE | FAST_IMM);
    mov->has_imm = kind & FAST_IMM;
    if (kind & FAST_STORE) {
        mov->data = fast_cut(gpr[mov->reg], width);
    } else if (kind & FAST_IMM) {
        mov->data = fast_cut(size == 1 ? *at : (uint64_t)fast_i32(at), width);
        at += MIN(size, 4u);
    }
    mov->length = (uint8_t)(at - bytes);
    if ((modrm & 0xc7) == 0x05)
        address += rip + mov->length;
    mov->page_offset = address & (PAGE_SIZE - 1);
    return true;
}

/* --- Lengths. --- */

enum known_tail {
    TAIL_NONE,
    TAIL_BYTE,  /* An immediate. */
    TAIL_EXACT, /* ModRM is part of the opcode. */
    TAIL_GROUP, /* So is its reg field; what follows ModRM follows it here. */
    TAIL_REGS,  /* ModRM with two registers, whatever its mod says. */
};

/* One or several opcodes: those that equal `opcode` in the bits of mask. */
struct known_form {
    bool escape; /* 0F comes first. */
    uint8_t opcode, mask;
    uint8_t tail; /* enum known_tail */
    uint8_t modrm;
};

#define ONE(opcode, tail)                                                                          \
    {                                                                                              \
        false, opcode, 0xff, tail, 0                                                               \
    }
#define TWO(opcode, mask, tail)                                                                    \
    {                                                                                              \
        true, opcode, mask, tail, 0                                                                \
    }
#define TWO_01(tail, modrm)                                                                        \
    {                                                                                              \
        true, 0x01, 0xff, tail, modrm                                                              \
    }

static const struct known_form known_forms[INSN_KNOWNS][2] = {
    [INSN_KNOWN_CPUID] = {TWO(0xa2, 0xff, TAIL_NONE)},
    [INSN_KNOWN_HLT] = {ONE(0xf4, TAIL_NONE)},
    [INSN_KNOWN_RDMSR] = {TWO(0x32, 0xff, TAIL_NONE)},
    [INSN_KNOWN_WRMSR] = {TWO(0x30, 0xff, TAIL_NONE)},
    [INSN_KNOWN_RDTSC] = {TWO(0x31, 0xff, TAIL_NONE)},
    [INSN_KNOWN_RDTSCP] = {TWO_01(TAIL_EXACT, 0xf9)},
    [INSN_KNOWN_RDPMC] = {TWO(0x33, 0xff, TAIL_NONE)},
    [INSN_KNOWN_VMCALL] = {TWO_01(TAIL_EXACT, 0xc1)},
    [INSN_KNOWN_VMMCALL] = {TWO_01(TAIL_EXACT, 0xd9)},
    [INSN_KNOWN_XSETBV] = {TWO_01(TAIL_EXACT, 0xd1)},
    [INSN_KNOWN_INVD] = {TWO(0x08, 0xff, TAIL_NONE)},
    [INSN_KNOWN_WBINVD] = {TWO(0x09, 0xff, TAIL_NONE)},
    [INSN_KNOWN_PAUSE] = {ONE(0x90, TAIL_NONE)},
    [INSN_KNOWN_MONITOR] = {TWO_01(TAIL_EXACT, 0xc8)},
    [INSN_KNOWN_MWAIT] = {TWO_01(TAIL_EXACT, 0xc9)},
    [INSN_KNOWN_CLTS] = {TWO(0x06, 0xff, TAIL_NONE)},
    [INSN_KNOWN_LMSW] = {TWO_01(TAIL_GROUP, 6)},
    [INSN_KNOWN_INVLPG] = {TWO_01(TAIL_GROUP, 7)},
    [INSN_KNOWN_MOV_CR] = {TWO(0x20, 0xfd, TAIL_REGS)},
    [INSN_KNOWN_MOV_DR] = {TWO(0x21, 0xfd, TAIL_REGS)},
    [INSN_KNOWN_IN] = {{false, 0xe4, 0xfe, TAIL_BYTE, 0}, {false, 0xec, 0xfe, TAIL_NONE, 0}},
    [INSN_KNOWN_OUT] = {{false, 0xe6, 0xfe, TAIL_BYTE, 0}, {false, 0xee, 0xfe, TAIL_NONE, 0}},
    [INSN_KNOWN_INT] = {ONE(0xcd, TAIL_BYTE), ONE(0xcc, TAIL_NONE)},
    [INSN_KNOWN_ICEBP] = {ONE(0xf1, TAIL_NONE)},
    [INSN_KNOWN_IRET] = {ONE(0xcf, TAIL_NONE)},
};

/* Whether the bytes after the opcode are as the form wants; they are read. */
static bool known_tail(struct insn_code *code, const struct known_form *form)
{
    uint8_t byte;
    struct insn unused;

    if (form->tail == TAIL_NONE)
        return true;
    byte = insn_code_byte(code);
    if (form->tail == TAIL_EXACT)
        return byte == form->modrm;
    if (form->tail == TAIL_GROUP)
        /* INVLPG has no form with a register. */
        return (byte >> 3 & 7) == form->modrm &&
               (insn_code_memory(code, byte, &unused) || form->modrm != 7);
    return true;
}

unsigned insn_length_known(const uint8_t *bytes, unsigned count, enum insn_mode mode,
                           enum insn_known known)
{
    struct insn_code code;
    uint8_t opcode = insn_code_start(&code, bytes, count, mode);
    bool escape = opcode == 0x0f;

    if (escape)
        opcode = insn_code_byte(&code);
    for (unsigned i = 0; i < ARRAY_SIZE(known_forms[known]); i++) {
        const struct known_form *form = &known_forms[known][i];

        if (form->mask != 0 && form->escape == escape && (opcode & form->mask) == form->opcode)
            return known_tail(&code, form) && !code.ended ? code.at : 0;
    }
    return 0;
}
