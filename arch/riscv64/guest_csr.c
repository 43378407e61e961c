/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSRs that trap for a guest because it has no hardware behind them, like those of an IMSIC that is
 * emulated. An instruction that reads and writes becomes two exits, both marked `both`.
 * [Unprivileged ISA: Zicsr; AIA: CSRs]
 */
#include "arch/riscv64/vcpu.h"
#include "kernel/assert.h"

#define INSN_OPCODE   BITS(6, 0)
#define INSN_RD       BITS(11, 7)
#define INSN_FUNCT3   BITS(14, 12)
#define INSN_RS1      BITS(19, 15)
#define INSN_CSR      BITS(31, 20)

#define OPCODE_SYSTEM 0x73u
#define CSR_IMMEDIATE 4u /* Of funct3: rs1 is the operand itself. */

enum csr_op { CSR_OP_WRITE = 1, CSR_OP_SET, CSR_OP_CLEAR };

static void csr_access_fill(const struct arch_vcpu *vcpu, struct vcpu_exit *exit, bool read,
                            uint32_t csr, uint64_t value, bool both)
{
    exit->kind = read ? EXIT_SYSREG_READ : EXIT_SYSREG_WRITE;
    exit->advance = true;
    exit->sysreg.addr = csr;
    exit->sysreg.value = value;
    exit->sysreg.select = cpu_has.aia ? (uint32_t)vcpu_csr(vcpu, CSR_VSISELECT) : 0;
    exit->sysreg.both = both;
}

bool csr_access_start(struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint32_t insn)
{
    unsigned funct3 = (unsigned)field_get(INSN_FUNCT3, insn);
    unsigned rs1 = (unsigned)field_get(INSN_RS1, insn), rd = (unsigned)field_get(INSN_RD, insn);
    uint32_t csr = (uint32_t)field_get(INSN_CSR, insn);
    enum csr_op op = (enum csr_op)(funct3 & 3);
    uint64_t operand = funct3 & CSR_IMMEDIATE ? rs1 : vcpu->x[rs1];
    bool read = op != CSR_OP_WRITE || rd != 0, write = op == CSR_OP_WRITE || rs1 != 0;

    if (field_get(INSN_OPCODE, insn) != OPCODE_SYSTEM || (funct3 & 3) == 0)
        return false;
    if (read && write)
        vcpu->access = (struct arch_csr_access){
            .active = true,
            .op = (uint8_t)op,
            .csr = (uint16_t)csr,
            .operand = operand,
        };
    csr_access_fill(vcpu, exit, read, csr, read ? 0 : operand, read && write);
    exit->sysreg.reg = (uint8_t)rd;
    return true;
}

/* The second half. The register that gets what was read may be the operand: it is loaded last. */
void csr_access_next(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct arch_csr_access *access = &vcpu->access;
    uint64_t value = access->operand;

    if (access->op == CSR_OP_SET)
        value = access->read | access->operand;
    else if (access->op == CSR_OP_CLEAR)
        value = access->read & ~access->operand;
    exit->cause[0] = CAUSE_VIRTUAL;
    exit->cause[1] = 0;
    csr_access_fill(vcpu, exit, false, access->csr, value, true);
    exit->sysreg.reg = access->reg;
}

void csr_access_finish(struct arch_vcpu *vcpu, const struct vcpu_exit *exit)
{
    struct arch_csr_access *access = &vcpu->access;

    if (exit->kind == EXIT_SYSREG_READ) {
        access->read = exit->sysreg.value;
        access->reg = exit->sysreg.reg;
        if (exit->sysreg.both)
            return;
    }
    arch_vcpu_set_gpr(vcpu, access->reg, access->read);
    access->active = false;
    vcpu->pc += 4;
}

/* There are none: what is not the machine's does not exist for a guest. */
bool arch_vcpu_sysreg([[maybe_unused]] struct arch_vcpu *vcpu,
                      [[maybe_unused]] struct vcpu_exit *exit)
{
    return false;
}
