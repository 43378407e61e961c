/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decodes the load or store behind a guest-page fault, whole, compressed, or as hardware transforms it for htinst.
 * Pure, tested on the host against a disassembler. [RISC-V Unprivileged ISA: RV64I, C, Zcb]
 */
#pragma once

#include "kernel/types.h"

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
 * insn: 32 bits, or 16 in the lower half. False, and *access is worthless, for all that is not a load or store of an x
 * register (floating point, atomics, reserved encodings, …). Whether the CPU has C or Zcb is not looked at.
 */
bool rv64_insn_decode(uint32_t insn, struct rv64_insn_access *access);
/*
 * The same for a value of htinst: base and offset are not known. False also for 0, for what is no load or store of
 * ours, and when the address that faulted is not where the access begins. [hypervisor.adoc, Transformed Instruction]
 */
bool rv64_insn_transformed(uint64_t htinst, struct rv64_insn_access *access);
