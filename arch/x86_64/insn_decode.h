/* SPDX-License-Identifier: Apache-2.0 */
/* What the two decoders share: the bytes, and what their prefixes said. Private to insn_*.c. */
#pragma once

#include "arch/x86_64/insn.h"

struct insn_code {
    const uint8_t *bytes;
    unsigned count, at;
    bool ended;   /* More was asked for than is there. */
    uint8_t mode; /* enum insn_mode */
    uint8_t rex;  /* 0: none. */
    uint8_t seg;  /* INSN_SEGS: no prefix said one. */
    uint8_t rep;  /* enum insn_rep; of several the last. */
    bool operand_prefix, address_prefix, lock;
    uint8_t opcode; /* Its last byte. */
};

/* The next byte; 0 beyond the end. */
uint8_t insn_code_byte(struct insn_code *code);
/* Reads the prefixes; returns the byte after them. */
uint8_t insn_code_start(struct insn_code *code, const uint8_t *bytes, unsigned count,
                        enum insn_mode mode);
/* Reads what ModRM says follows it: the memory operand into *insn. False: it is a register. */
bool insn_code_memory(struct insn_code *code, uint8_t modrm, struct insn *insn);
