/* SPDX-License-Identifier: Apache-2.0 */
/* Effective, linear and guest-physical addresses. [AMD APM vol. 1, 2.2; vol. 2, 4.5.3, 5.3.1] */
#include "arch/x86_64/insn_address.h"

#include "arch/x86_64/insn_alu.h"

/* A linear address of an operand, and what is to be done there. */
struct address {
    uint64_t linear;
    unsigned width;
    enum insn_seg seg;
    enum arch_access access;
};

static uint64_t address_linear(const struct insn_cpu *cpu, enum insn_seg seg, uint64_t effective)
{
    if (cpu->mode != INSN_MODE_64)
        return (uint32_t)(cpu->base[seg] + effective);
    return seg >= INSN_FS ? cpu->base[seg] + effective : effective;
}

static uint64_t address_effective(const struct insn *insn, const struct insn_regs *regs)
{
    uint64_t addr = (uint64_t)insn->disp;

    if (insn->base == INSN_RIP)
        addr += *regs->rip + insn->length;
    else if (insn->base != INSN_NO_REG)
        addr += regs->gpr[insn->base];
    if (insn->index != INSN_NO_REG)
        addr += regs->gpr[insn->index] << insn->scale;
    return insn_cut(addr, insn->addr_size);
}

static enum insn_begin address_translate(const struct insn_cpu *cpu, const struct address *address,
                                         uint64_t linear, uint64_t *result,
                                         struct insn_fault *fault)
{
    gpa_t addr = {0};
    uint32_t error = 0;
    enum err err;

    if (cpu->mode == INSN_MODE_64 && !guest_walk_canonical(&cpu->paging, gva(linear))) {
        *fault = (struct insn_fault){.vector =
                                         address->seg == INSN_SS ? INSN_VECTOR_SS : INSN_VECTOR_GP};
        return INSN_BEGIN_FAULT;
    }
    err = guest_walk(&cpu->paging, gva(linear), address->access, cpu->memory, &addr, &error);
    if (err == E_ABSENT) {
        *fault = (struct insn_fault){INSN_VECTOR_PF, error, linear};
        return INSN_BEGIN_FAULT;
    }
    *result = addr.v;
    return err == OK ? INSN_BEGIN_OK : INSN_BEGIN_REFUSED;
}

/* The hardware has walked the tables for this page, with the rights that are needed. */
static bool address_is_known(const struct insn_cpu *cpu, const struct address *address,
                             uint64_t linear)
{
    return cpu->access == address->access && ((linear ^ cpu->gpa.v) & (PAGE_SIZE - 1)) == 0;
}

static enum insn_begin address_place(const struct insn_cpu *cpu, const struct address *address,
                                     struct insn_place *place, struct insn_fault *fault)
{
    unsigned room = (unsigned)(PAGE_SIZE - address->linear % PAGE_SIZE);
    unsigned pages = address->width > room ? 2 : 1;
    uint64_t linear = address->linear;

    place->first_size = (uint8_t)MIN(room, address->width);
    for (unsigned page = 0; page < pages; page++) {
        enum insn_begin begin = INSN_BEGIN_OK;

        if (address_is_known(cpu, address, linear))
            place->gpa[page] = cpu->gpa.v;
        else
            begin = address_translate(cpu, address, linear, &place->gpa[page], fault);
        if (begin != INSN_BEGIN_OK)
            return begin;
        linear += room;
        if (cpu->mode != INSN_MODE_64)
            linear = (uint32_t)linear;
    }
    return INSN_BEGIN_OK;
}

/* A register names any bit of a string that begins at the operand. */
static int64_t address_bit_offset(struct insn_exec *exec, const struct insn_regs *regs)
{
    const struct insn *insn = &exec->insn;
    unsigned bits = 8u * insn->width;
    int64_t number = insn->imm;

    if (insn->form == INSN_STORE)
        number = (int64_t)insn_sign_extend(regs->gpr[insn->reg], insn->width);
    exec->bit = (uint8_t)((uint64_t)number & (bits - 1));
    if (insn->form != INSN_STORE)
        return 0;
    return (number - exec->bit) / 8;
}

enum insn_begin insn_address_operand(struct insn_exec *exec, const struct insn_regs *regs,
                                     const struct insn_cpu *cpu, bool write,
                                     struct insn_fault *fault)
{
    const struct insn *insn = &exec->insn;
    uint64_t effective = address_effective(insn, regs);
    struct address address = {.width = insn->width,
                              .seg = (enum insn_seg)insn->seg,
                              .access = write ? ACCESS_WRITE : ACCESS_READ};

    if (insn->op >= INSN_BT && insn->op <= INSN_BTC)
        effective = insn_cut(effective + (uint64_t)address_bit_offset(exec, regs), insn->addr_size);
    address.linear = address_linear(cpu, address.seg, effective);
    return address_place(cpu, &address, &exec->places[0], fault);
}

enum insn_begin insn_address_string(struct insn_exec *exec, const struct insn_regs *regs,
                                    const struct insn_cpu *cpu, bool write,
                                    struct insn_fault *fault)
{
    const struct insn *insn = &exec->insn;
    enum insn_begin begin = INSN_BEGIN_OK;
    struct address source = {
        .width = insn->width, .seg = (enum insn_seg)insn->seg, .access = ACCESS_READ};
    struct address dest = {
        .width = insn->width, .seg = INSN_ES, .access = write ? ACCESS_WRITE : ACCESS_READ};

    source.linear = address_linear(cpu, source.seg, insn_cut(regs->gpr[INSN_RSI], insn->addr_size));
    dest.linear = address_linear(cpu, INSN_ES, insn_cut(regs->gpr[INSN_RDI], insn->addr_size));
    if (insn_string_has_source(insn))
        begin = address_place(cpu, &source, &exec->places[0], fault);
    if (begin == INSN_BEGIN_OK && insn_string_has_dest(insn))
        begin = address_place(cpu, &dest, &exec->places[1], fault);
    return begin;
}
