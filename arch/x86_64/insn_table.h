/* SPDX-License-Identifier: Apache-2.0 */
/* The opcode map: what the bytes of an opcode mean for the decoder. Private to insn_*.c. */
#pragma once

#include "arch/x86_64/insn.h"
#include "kernel/bits.h"

enum insn_entry_kind {
    ENTRY_UNKNOWN, /* So is what the map leaves out. */
    ENTRY_UNDEFINED,
    ENTRY_INSN,
    ENTRY_GROUP, /* The opcode goes on in ModRM.reg; op is the group's number. */
};

#define ENTRY_BYTE    0x0001u /* Operands are bytes; else the prefixes say. */
#define ENTRY_LOCK    0x0002u /* May have LOCK. */
#define ENTRY_IMM8    0x0004u
#define ENTRY_IMM     0x0008u /* 2 or 4 bytes. */
#define ENTRY_MOFFS   0x0010u /* No ModRM: the register is rAX, an address follows. */
#define ENTRY_SRC_8   0x0020u /* Memory is narrower than the register. */
#define ENTRY_SRC_16  0x0040u
#define ENTRY_SRC_32  0x0080u
#define ENTRY_NO_66   0x0100u /* With prefix 66 it is another, */
#define ENTRY_NO_REP  0x0200u /* or with F2 or F3. */
#define ENTRY_32_UP   0x0400u /* 4 or 8 bytes. */
#define ENTRY_ONLY_64 0x0800u /* In other modes it is another. */
#define ENTRY_NOT_64  0x1000u
#define ENTRY_32_DOWN 0x2000u /* 2 or 4 bytes. */

struct insn_entry {
    uint8_t op;        /* enum insn_op */
    uint8_t form;      /* enum insn_form */
    uint16_t kind : 2; /* enum insn_entry_kind */
    uint16_t flags : 14;
};
_Static_assert(sizeof(struct insn_entry) == 4, "there are hundreds of them");

enum insn_map { INSN_MAP_1, INSN_MAP_0F, INSN_MAP_0F38, INSN_MAPS };

/* For a member of a group reg is ModRM.reg; flags of the group and of the member are joined. */
struct insn_entry insn_table_find(enum insn_map map, uint8_t opcode);
struct insn_entry insn_table_group(struct insn_entry group, unsigned reg);
