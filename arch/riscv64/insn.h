/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decodes the load or store behind a guest-page fault, whole, compressed, or as hardware transforms
 * it for htinst. Pure, tested on the host against a disassembler. [RISC-V Unprivileged ISA: RV64I,
 * C, Zcb]
 */
#pragma once

#include "kernel/bits.h"

struct rv64_insn_access {
    bool load;
    bool sign_extend; /* Loads only. */
    uint8_t width;    /* Bytes: 1, 2, 4, 8. */
    uint8_t reg;      /* The value's: rd or rs2. */
    uint8_t base;     /* rs1 */
    uint8_t length;   /* Bytes of the instruction: 2 or 4. */
    int32_t offset;   /* The address is x[base] + offset. */
};

/*
 * insn: 32 bits, or 16 in the lower half. False, and *access is worthless, for all that is not a
 * load or store of an x register (floating point, atomics, reserved encodings, …). Whether the CPU
 * has C or Zcb is not looked at.
 */
bool rv64_insn_decode(uint32_t insn, struct rv64_insn_access *access);
/*
 * The two formats that are not compressed. Here, for every access to a device comes through it:
 * funct3 is log2 of the width, and 4 for unsigned loads; 7 and, for stores, 4 and more are
 * reserved.
 */
static inline bool rv64_insn_basic(uint32_t insn, struct rv64_insn_access *access)
{
    unsigned funct3 = insn >> 12 & 7;
    bool load = (insn & 0x7f) == 0x03;

    if (!load && (insn & 0x7f) != 0x23)
        return false;
    access->load = load;
    access->sign_extend = load && funct3 < 3; /* LD has nothing to extend. */
    access->width = (uint8_t)(1u << (funct3 & 3));
    access->reg = (uint8_t)(load ? insn >> 7 & 31 : insn >> 20 & 31);
    access->base = (uint8_t)(insn >> 15 & 31);
    access->length = 4;
    access->offset =
        load ? (int32_t)insn >> 20 : (int32_t)(insn & 0xfe000000) >> 20 | (int32_t)(insn >> 7 & 31);
    return load ? funct3 != 7 : funct3 < 4;
}

/*
 * The same for a value of htinst: base and offset are not known. False also for 0, for what is no
 * load or store of ours, and when the address that faulted is not where the access begins: bits
 * 19:15 hold the distance. Bit 1 tells a compressed instruction from its expansion; all but the
 * opcode, funct3 and the register is 0. [hypervisor.adoc, Transformed Instruction]
 */
static inline bool rv64_insn_transformed(uint64_t htinst, struct rv64_insn_access *access)
{
    unsigned funct3 = htinst >> 12 & 7;

    access->width = (uint8_t)(1u << (funct3 & 3));
    access->length = htinst & 2 ? 4 : 2;
    access->sign_extend = false;
    access->load = (htinst & ~(BITS(14, 12) | BITS(11, 7) | BIT(1))) == 0x01;
    if (access->load) {
        access->sign_extend = funct3 < 3;
        access->reg = (uint8_t)(htinst >> 7 & 31);
        return funct3 != 7;
    }
    access->reg = (uint8_t)(htinst >> 20 & 31);
    return (htinst & ~(BITS(24, 20) | BITS(13, 12) | BIT(1))) == 0x21;
}
