/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two short decoders: of the moves to and from device registers, for which insn_decode() costs too
 * much, and of the instructions that have an exit of their own, for their length.
 */
#include "arch/x86_64/insn_decode.h"
#include "kernel/bits.h"

/* What an opcode is for insn_decode_mov(): one of the first three, or 0. */
#define FAST_LOAD   1u
#define FAST_STORE  2u
#define FAST_IMM    4u
#define FAST_BYTE   8u
#define FAST_ESCAPE 16u
#define FAST_ZX_8   32u /* MOVZX of bytes, */
#define FAST_ZX_16  64u /* and of words. */

static const uint8_t fast_opcodes[256] = {
    [0x88] = FAST_STORE | FAST_BYTE,
    [0x89] = FAST_STORE,
    [0x8a] = FAST_LOAD | FAST_BYTE,
    [0x8b] = FAST_LOAD,
    [0xc7] = FAST_IMM,
    [0xc6] = FAST_IMM | FAST_BYTE,
    [0x0f] = FAST_ESCAPE,
};

static const uint8_t fast_opcodes_0f[256] = {
    [0xb6] = FAST_LOAD | FAST_ZX_8,
    [0xb7] = FAST_LOAD | FAST_ZX_16,
};

/* ModRM that names a register, a SIB, or an address relative to rip. */
static const bool fast_is_rare[256] = {
    [0x04] = true, [0x0c] = true, [0x14] = true,          [0x1c] = true, [0x24] = true,
    [0x2c] = true, [0x34] = true, [0x3c] = true,          [0x44] = true, [0x4c] = true,
    [0x54] = true, [0x5c] = true, [0x64] = true,          [0x6c] = true, [0x74] = true,
    [0x7c] = true, [0x84] = true, [0x8c] = true,          [0x94] = true, [0x9c] = true,
    [0xa4] = true, [0xac] = true, [0xb4] = true,          [0xbc] = true, [0x05] = true,
    [0x0d] = true, [0x15] = true, [0x1d] = true,          [0x25] = true, [0x2d] = true,
    [0x35] = true, [0x3d] = true, [0xc0 ... 0xff] = true,
};

static inline int32_t fast_i32(const uint8_t *at)
{
    return (int32_t)(at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24);
}

/* Base and index that SIB, at *at, names; *mod becomes 2 if 4 bytes take the place of the base. */
static uint64_t fast_sib(unsigned sib, unsigned rex, const uint64_t *gpr, unsigned *mod)
{
    unsigned index = (sib >> 3 & 7) | (rex << 2 & 8);
    uint64_t address = index != INSN_RSP ? gpr[index] << (sib >> 6) : 0;

    if ((sib & 7) != INSN_RBP || *mod != 0)
        return address + gpr[(sib & 7) | (rex << 3 & 8)];
    *mod = 2;
    return address;
}

/* The data of stores; returns how many bytes of the instruction it takes. */
static inline unsigned fast_data(const uint8_t *at, unsigned kind, const uint64_t *gpr,
                                 struct insn_mov *mov)
{
    unsigned unused = 64 - 8u * mov->width;

    if (kind & FAST_STORE) {
        mov->data = gpr[mov->reg] << unused >> unused;
        return 0;
    }
    if (mov->width == 1) {
        mov->data = *at;
        return 1;
    }
    mov->data = (uint64_t)fast_i32(at) << unused >> unused;
    return mov->width == 2 ? 2 : 4;
}

/* MOVZX and bytes. False: AH, CH, DH, BH need more thought. */
static bool fast_narrow(unsigned kind, unsigned rex, unsigned modrm, struct insn_mov *mov)
{
    mov->width = kind & FAST_ZX_16 ? 2 : 1;
    if (!(kind & FAST_BYTE))
        return true;
    mov->reg_width = 1;
    return rex != 0 || (kind & FAST_IMM) || (modrm & 0x20) == 0;
}

/* All of insn_decode_mov(). */
[[gnu::noinline]] static bool fast_decode(const uint8_t *bytes, const uint64_t *gpr, uint64_t rip,
                                          struct insn_mov *mov)
{
    const uint8_t *at = bytes;
    unsigned rex = 0, kind, modrm, mod;
    uint64_t address;

    mov->reg_width = 4;
    if (*at == 0x66) {
        mov->reg_width = 2;
        at++;
    }
    if ((*at & 0xf0) == 0x40) {
        rex = *at++;
        mov->reg_width = rex & 8 ? 8 : mov->reg_width;
    }
    kind = fast_opcodes[*at++];
    if (kind == FAST_ESCAPE)
        kind = fast_opcodes_0f[*at++];
    modrm = *at++;
    mod = modrm >> 6;
    if (kind == 0 || mod == 3 || ((kind & FAST_IMM) && (modrm & 0x38) != 0))
        return false;
    mov->reg = (uint8_t)((modrm >> 3 & 7) | (rex << 1 & 8));
    mov->store = !(kind & FAST_LOAD);
    mov->width = mov->reg_width;
    if (kind > FAST_IMM && !fast_narrow(kind, rex, modrm, mov))
        return false;
    if ((modrm & 7) == 4) {
        address = fast_sib(*at++, rex, gpr, &mod);
    } else if ((modrm & 0xc7) == 5) {
        address = rip;
        mod = 2;
    } else {
        address = gpr[(modrm & 7) | (rex << 3 & 8)];
    }
    if (mod == 1) {
        address += (uint64_t)(int8_t)*at++;
    } else if (mod == 2) {
        address += (uint64_t)fast_i32(at);
        at += 4;
    }
    if (mov->store)
        at += fast_data(at, kind, gpr, mov);
    mov->length = (uint8_t)(at - bytes);
    if ((modrm & 0xc7) == 5)
        address += mov->length;
    mov->page_offset = address & (PAGE_SIZE - 1);
    return true;
}

/* By way of a copy, so that the fields of the commonest can stay in registers. */
static inline bool fast_decode_copy(const uint8_t *bytes, const uint64_t *gpr, uint64_t rip,
                                    struct insn_mov *mov)
{
    struct insn_mov copy;

    if (!fast_decode(bytes, gpr, rip, &copy))
        return false;
    *mov = copy;
    return true;
}

/* MOV of 4 or 8 bytes: a register or an immediate; the address a register and a displacement. The
 * commonest of all, in half the instructions of the above. */
bool insn_decode_mov(const uint8_t bytes[INSN_LENGTH_MAX], const uint64_t *gpr, uint64_t rip,
                     struct insn_mov *mov)
{
    const uint8_t *at = bytes;
    unsigned rex = 0, opcode = *at, width = 4, modrm, reg;
    uint64_t address, data;

    if ((opcode & 0xf0) == 0x40) {
        rex = opcode;
        width += rex >> 1 & 4;
        opcode = *++at;
    }
    modrm = at[1];
    if (unlikely(fast_is_rare[modrm]))
        return fast_decode_copy(bytes, gpr, rip, mov);
    at += 2;
    address = gpr[(modrm & 7) | (rex << 3 & 8)];
    if (modrm & 0x40) {
        address += (uint64_t)(int8_t)*at++;
    } else if (modrm & 0x80) {
        address += (uint64_t)fast_i32(at);
        at += 4;
    }
    reg = (modrm >> 3 & 7) | (rex << 1 & 8);
    if (likely((opcode & ~2u) == 0x89)) {
        data = gpr[reg];
    } else if (opcode == 0xc7 && (modrm & 0x38) == 0) {
        data = (uint64_t)fast_i32(at);
        at += 4;
    } else {
        return fast_decode_copy(bytes, gpr, rip, mov);
    }
    mov->length = (uint8_t)(at - bytes);
    mov->width = mov->reg_width = (uint8_t)width;
    mov->reg = (uint8_t)reg;
    mov->store = opcode != 0x8b;
    mov->data = width == 4 ? (uint32_t)data : data;
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
