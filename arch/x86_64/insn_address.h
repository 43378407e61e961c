/* SPDX-License-Identifier: Apache-2.0 */
/* Where the operands of an instruction are. Private to insn_*.c. */
#pragma once

#include "arch/x86_64/insn_exec.h"

static inline bool insn_string_has_source(const struct insn *insn)
{
    return insn->op == INSN_MOVS || insn->op == INSN_CMPS || insn->op == INSN_LODS ||
           insn->op == INSN_OUTS;
}

static inline bool insn_string_has_dest(const struct insn *insn)
{
    return insn->op != INSN_LODS && insn->op != INSN_OUTS;
}

/* Fill exec->places. write: the operand, or the string's destination, is written to. */
enum insn_begin insn_address_operand(struct insn_exec *exec, const struct insn_regs *regs,
                                     const struct insn_cpu *cpu, bool write,
                                     struct insn_fault *fault);
enum insn_begin insn_address_string(struct insn_exec *exec, const struct insn_regs *regs,
                                    const struct insn_cpu *cpu, bool write,
                                    struct insn_fault *fault);
