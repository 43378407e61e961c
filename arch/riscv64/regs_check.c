/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a register file may hold: nothing that a guest could not have put there by itself. A
 * snapshot may be crafted. CSRs are asked of the hardware, in vcpu_regs.c.
 */
#include "arch/riscv64/csr.h"
#include "arch/riscv64/regs.h"

#define FCSR_MAY BITS(7, 0)

const char *rv64_regs_check(const struct rv64_regs_plain *regs)
{
    const struct arch_access_regs *access = &regs->access;

    if (regs->x0 != 0)
        return "x0 is not zero";
    if (regs->supervisor > 1)
        return "a mode that is not a guest's";
    if (regs->hvip & ~INT_VS)
        return "interrupts that are not a guest's";
    if (regs->fcsr & ~FCSR_MAY)
        return "fcsr: reserved bits";
    if (access->op > 3 || access->csr >> 12 || access->reg >= 32)
        return "the instruction under way: no access to a CSR";
    return NULL;
}

uint64_t rv64_regs_hash(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
    return hash;
}
