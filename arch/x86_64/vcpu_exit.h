/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What SVM and VMX make of their exits, once each has found out by its own means which it is.
 * vcpu->insn_length is set before or after. On the way of every exit: inline.
 */
#pragma once

#include "arch/x86_64/vcpu.h"

/* It is gone: the guest's tables, or its code, changed under it; or it was answered already. */
static inline bool vcpu_exit_gone(struct vcpu_exit *exit)
{
    exit->kind = EXIT_NOTHING;
    exit->advance = false;
    return false;
}

/* Arguments stay in the registers: no call has any. */
static inline void vcpu_exit_call(const struct arch_vcpu *vcpu, struct vcpu_exit *exit,
                                  bool advance)
{
    exit->kind = EXIT_HYPERCALL;
    exit->advance = advance;
    exit->call.nr = vcpu->gpr[INSN_RAX];
}

/* The way of drivers' loads and stores. The guest may have changed the instruction since: then it
 * must still be of the kind that faulted, and go to where the fault was. In 64-bit code. */
static inline bool vcpu_exit_mov(struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint64_t cr0,
                                 uint64_t cr3, uint64_t addr, bool store)
{
    const struct arch_code_insn *insn = code_known(vcpu, cr0, cr3);
    const struct insn_mov *mov;

    if (unlikely(!insn)) {
        insn = code_decode_mov(vcpu);
        if (!insn)
            return false;
    }
    mov = &insn->mov;
    if (unlikely(mov->length == 0 || mov->store != store || (addr & (mov->width - 1u)) ||
                 ((insn_mov_addr(mov, vcpu->gpr, vcpu->rip) ^ addr) & (PAGE_SIZE - 1))))
        return false;
    vcpu->insn_length = mov->length;
    exit->kind = EXIT_MMIO_READ;
    if (store) {
        exit->kind = EXIT_MMIO_WRITE;
        exit->mmio.data = insn_mov_data(mov, vcpu->gpr);
    }
    exit->advance = true;
    exit->mmio.gpa = gpa(addr);
    exit->mmio.width = mov->width;
    exit->mmio.reg = mov->reg;
    exit->mmio.reg_width = mov->reg_width;
    exit->mmio.sign_extend = false;
    return true;
}

static inline void vcpu_exit_msr(const struct arch_vcpu *vcpu, struct vcpu_exit *exit, bool write)
{
    exit->kind = write ? EXIT_SYSREG_WRITE : EXIT_SYSREG_READ;
    exit->advance = true;
    exit->sysreg.addr = (uint32_t)vcpu->gpr[INSN_RCX];
    exit->sysreg.reg = INSN_RAX;
    exit->sysreg.both = false;
    exit->sysreg.value = vcpu->gpr[INSN_RDX] << 32 | (uint32_t)vcpu->gpr[INSN_RAX];
}

static inline void vcpu_exit_port(const struct arch_vcpu *vcpu, struct vcpu_exit *exit,
                                  uint16_t port, uint8_t width, bool in)
{
    exit->kind = in ? EXIT_PIO_IN : EXIT_PIO_OUT;
    exit->advance = true;
    exit->pio.port = port;
    exit->pio.width = width;
    exit->pio.data = vcpu->gpr[INSN_RAX] & BITS(8 * width - 1, 0);
}

/* Strings are carried out by vcpu_insn.c. A port is no address of memory: none is where it says. */
static inline void vcpu_exit_port_string(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    vcpu->port_string = true;
    exit->kind = EXIT_STAGE2_FAULT;
    exit->advance = false;
    exit->fault.gpa = gpa(UINT64_MAX);
    exit->fault.gva_valid = false;
    exit->fault.write = exit->fault.execute = false;
    exit->fault.table_walk = exit->fault.delivery = false;
}

/* INT3, before it: RIP is its own. [AMD APM 2, 15.12.4; SDM 3, 28.1] */
static inline void vcpu_exit_breakpoint(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    vcpu->insn_length = 1;
    exit->kind = EXIT_DEBUG;
    exit->advance = false;
    exit->debug.pc = vcpu->code_base + vcpu->rip;
    exit->debug.syndrome = VECTOR_BP;
    exit->debug.imm = 0;
}

/* A write to CR8 of what four bits can hold. */
static inline void vcpu_exit_cr8(struct vcpu_exit *exit, uint64_t value)
{
    exit->kind = EXIT_SYSREG_WRITE;
    exit->advance = true;
    exit->sysreg.addr = ARCH_SYSREG_CR8;
    exit->sysreg.both = false;
    exit->sysreg.value = value << 4;
}
