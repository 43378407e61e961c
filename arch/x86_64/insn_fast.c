/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wanted of instructions of which more is known: the moves to and from device registers,
 * and those that have an exit of their own, for their length.
 */
#include "arch/x86_64/insn_decode.h"
#include "kernel/bits.h"

static bool fast_is_mov(const struct insn *insn)
{
    return (insn->op == INSN_MOV || insn->op == INSN_MOVZX) && !insn->reg_high &&
           insn->seg < INSN_FS && insn->addr_size == 8 && insn->disp == (int32_t)insn->disp;
}

struct insn_mov insn_decode_mov(const uint8_t *bytes, unsigned count)
{
    struct insn insn;

    if (insn_decode(bytes, count, INSN_MODE_64, &insn) != INSN_OK || !fast_is_mov(&insn))
        return (struct insn_mov){};
    return (struct insn_mov){
        .length = insn.length,
        .width = insn.width,
        .reg = insn.reg,
        .reg_width = insn.reg_width,
        .store = insn.form != INSN_LOAD,
        .immediate = insn.form == INSN_IMM,
        .plain = insn.base < INSN_RIP && insn.index == INSN_NO_REG,
        .base = insn.base,
        .index = insn.index,
        .scale = insn.scale,
        .disp = (int32_t)insn.disp,
        .imm = (int32_t)insn.imm, /* None is longer. */
    };
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
