/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decodes the instructions that compilers and kernels use on device memory, and the string
 * instructions on ports. Pure, tested on the host against a disassembler. Instructions of which the
 * operand is a register are not among them: they do not fault.
 *
 * It never guesses: what it does not know is INSN_UNKNOWN, and what no processor knows
 * INSN_UNDEFINED. [AMD APM vol. 3, ch. 1 and app. A; Intel SDM vol. 2, ch. 2 and app. A]
 */
#pragma once

#include "kernel/types.h"

#define INSN_LENGTH_MAX 15u

/* Registers have their numbers in encodings: rax rcx rdx rbx rsp rbp rsi rdi r8 to r15. */
enum insn_reg {
    INSN_RAX,
    INSN_RCX,
    INSN_RDX,
    INSN_RBX,
    INSN_RSP,
    INSN_RBP,
    INSN_RSI,
    INSN_RDI,
    INSN_RIP = 16, /* Only as a base. */
    INSN_NO_REG,
};

/* In the order of their numbers in encodings. */
enum insn_seg { INSN_ES, INSN_CS, INSN_SS, INSN_DS, INSN_FS, INSN_GS, INSN_SEGS };

/* What CS says: the size of addresses, and in 16-bit code of operands. */
enum insn_mode { INSN_MODE_16 = 2, INSN_MODE_32 = 4, INSN_MODE_64 = 8 };

/* The first eight, the bit tests, and the conditions of SETcc are in the order of the encoding. */
enum insn_op {
    INSN_ADD,
    INSN_OR,
    INSN_ADC,
    INSN_SBB,
    INSN_AND,
    INSN_SUB,
    INSN_XOR,
    INSN_CMP,
    INSN_TEST,
    INSN_INC,
    INSN_DEC,
    INSN_NOT,
    INSN_NEG,
    INSN_BT,
    INSN_BTS,
    INSN_BTR,
    INSN_BTC,
    INSN_MOV, /* Also MOVNTI, MOVDIRI. */
    INSN_MOVZX,
    INSN_MOVSX, /* Also MOVSXD. */
    INSN_MOVBE,
    INSN_SETCC,
    INSN_XCHG,
    INSN_XADD,
    INSN_CMPXCHG,
    INSN_MOVS,
    INSN_CMPS,
    INSN_STOS,
    INSN_LODS,
    INSN_SCAS,
    INSN_INS,
    INSN_OUTS,
    INSN_OPS,
};

enum insn_form {
    INSN_LOAD,   /* Register, memory: the register is the destination. */
    INSN_STORE,  /* Memory, register. */
    INSN_IMM,    /* Memory, immediate. */
    INSN_UNARY,  /* Memory. */
    INSN_STRING, /* seg:rSI, ES:rDI, and DX as the port. */
};

/* REP and REPE are one. */
enum insn_rep { INSN_ONCE, INSN_REP, INSN_REPNE };

struct insn {
    uint8_t length;
    uint8_t op;        /* enum insn_op */
    uint8_t form;      /* enum insn_form */
    uint8_t width;     /* Bytes in memory, and of the operation: 1, 2, 4, 8. */
    uint8_t reg_width; /* Of the register: more than width only for MOVZX and MOVSX. */
    uint8_t reg;
    bool reg_high; /* AH, CH, DH, BH: bits 15:8 of reg. */
    uint8_t cond;  /* SETcc. */
    uint8_t rep;   /* enum insn_rep; of string instructions, which alone heed it. */
    bool lock;

    uint8_t addr_size;   /* 2, 4, 8: what the effective address is cut to. */
    uint8_t seg;         /* enum insn_seg; in 64-bit code only FS and GS have a base. */
    uint8_t base, index; /* enum insn_reg */
    uint8_t scale;       /* The index is shifted left by it. */
    int64_t disp;
    int64_t imm; /* Sign-extended. */
};

enum insn_result {
    INSN_OK,
    INSN_SHORT,     /* More bytes are needed. */
    INSN_UNKNOWN,   /* Not one of ours. */
    INSN_UNDEFINED, /* #UD. */
    INSN_TOO_LONG,  /* Beyond 15 bytes: #GP. */
};

/* Decodes the instruction at bytes, of which count are there; *insn is valid if INSN_OK. */
enum insn_result insn_decode(const uint8_t *bytes, unsigned count, enum insn_mode mode,
                             struct insn *insn);

/*
 * An instruction under way, see insn_exec.h, as snapshots have it; all zero: there is none. Without
 * padding.
 */
struct insn_progress {
    uint8_t bytes[16]; /* The instruction. */
    uint64_t value, read[2];
    uint64_t place[2][2];
    uint16_t port;
    uint8_t first_size[2];
    uint8_t active, between, mode, step, done, bit;
    uint8_t reserved[6];
};

_Static_assert(sizeof(struct insn_progress) == 88, "the layout is that of snapshots");

/*
 * The loads and stores by which drivers reach registers: MOV of a register or an immediate, and
 * MOVZX, in 64-bit code, where no segment has a base. What insn_decode() says of them, ready for
 * use again and again.
 */
struct insn_mov {
    uint8_t length;    /* 0: it is no such instruction. */
    uint8_t width;     /* In memory. */
    uint8_t reg;       /* Loaded or stored, */
    uint8_t reg_width; /* and its width; a load of 4 clears the upper half. */
    bool store;
    bool immediate;      /* imm is what is stored. */
    bool plain;          /* The address is a register and disp. */
    uint8_t base, index; /* enum insn_reg */
    uint8_t scale;
    int32_t disp, imm;
};

/* The instruction at bytes, of which count are there. */
struct insn_mov insn_decode_mov(const uint8_t *bytes, unsigned count);

/* Linear; rip is where the instruction is. */
static inline uint64_t insn_mov_addr(const struct insn_mov *mov, const uint64_t *gpr, uint64_t rip)
{
    uint64_t addr = (uint64_t)(int64_t)mov->disp;

    if (likely(mov->plain))
        return addr + gpr[mov->base];
    if (mov->base == INSN_RIP)
        addr += rip + mov->length;
    else if (mov->base != INSN_NO_REG)
        addr += gpr[mov->base];
    return mov->index == INSN_NO_REG ? addr : addr + (gpr[mov->index] << mov->scale);
}

/* What a store stores, cut to its width. */
static inline uint64_t insn_mov_data(const struct insn_mov *mov, const uint64_t *gpr)
{
    return (mov->immediate ? (uint64_t)(int64_t)mov->imm : gpr[mov->reg]) &
           (~(uint64_t)0 >> (64 - 8 * mov->width));
}

/* Loads a register with value, of which width bytes count: a part of it, or zero-extended to all.
 */
static inline void insn_set_reg(uint64_t *gpr, unsigned reg, unsigned width, uint64_t value)
{
    if (width == 4)
        gpr[reg] = (uint32_t)value;
    else if (width == 8)
        gpr[reg] = value;
    else if (width == 2)
        gpr[reg] = (gpr[reg] & ~(uint64_t)UINT16_MAX) | (uint16_t)value;
    else
        gpr[reg] = (gpr[reg] & ~(uint64_t)UINT8_MAX) | (uint8_t)value;
}

/* The instructions that exit with a cause of their own, so that just their length is to be found:
 * for processors that do not save it. */
enum insn_known {
    INSN_KNOWN_CPUID,
    INSN_KNOWN_HLT,
    INSN_KNOWN_RDMSR,
    INSN_KNOWN_WRMSR,
    INSN_KNOWN_RDTSC,
    INSN_KNOWN_RDTSCP,
    INSN_KNOWN_RDPMC,
    INSN_KNOWN_VMCALL,
    INSN_KNOWN_VMMCALL,
    INSN_KNOWN_XSETBV,
    INSN_KNOWN_INVD,
    INSN_KNOWN_WBINVD, /* Also WBNOINVD. */
    INSN_KNOWN_PAUSE,
    INSN_KNOWN_MONITOR,
    INSN_KNOWN_MWAIT,
    INSN_KNOWN_CLTS,
    INSN_KNOWN_LMSW,
    INSN_KNOWN_INVLPG,
    INSN_KNOWN_MOV_CR, /* Both ways. */
    INSN_KNOWN_MOV_DR,
    INSN_KNOWN_IN, /* Of all forms but the string ones. */
    INSN_KNOWN_OUT,
    INSN_KNOWN_INT,
    INSN_KNOWN_ICEBP,
    INSN_KNOWN_IRET,
    INSN_KNOWNS,
};

/* Length of the known instruction with its prefixes; 0: the bytes are another, or too few. */
unsigned insn_length_known(const uint8_t *bytes, unsigned count, enum insn_mode mode,
                           enum insn_known known);
