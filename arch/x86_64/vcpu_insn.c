/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions that we carry out: those on devices that the fast way does not know, and the string
 * instructions on ports. insn_exec.h makes exits of them, which this file hands out one by one.
 */
#include "arch/x86_64/insn_exec.h"

#include "arch/x86_64/backend.h"
#include "kernel/assert.h"
#include "kernel/string.h"

#define ELEMENTS_MAX 64u /* Then the guest is entered again, and whoever waits gets in. */

static struct insn_regs insn_regs(struct arch_vcpu *vcpu, uint64_t *rflags)
{
    *rflags = virt_backend->reg(vcpu, REG_RFLAGS);
    return (struct insn_regs){.gpr = vcpu->gpr, .rip = &vcpu->rip, .rflags = rflags};
}

static struct insn_cpu insn_cpu(const struct arch_vcpu *vcpu,
                                const struct arch_guest_memory *memory,
                                const struct vcpu_exit *exit)
{
    static const enum arch_segment_index order[INSN_SEGS] = {
        [INSN_ES] = SEGMENT_ES, [INSN_CS] = SEGMENT_CS, [INSN_SS] = SEGMENT_SS,
        [INSN_DS] = SEGMENT_DS, [INSN_FS] = SEGMENT_FS, [INSN_GS] = SEGMENT_GS,
    };
    struct insn_cpu cpu = {
        .mode = vcpu_mode(vcpu),
        .paging = vcpu_paging(vcpu),
        .memory = memory,
        .access = exit->fault.write ? ACCESS_WRITE : ACCESS_READ,
        .gpa = exit->fault.gpa,
    };

    if (vcpu->port_string)
        cpu.access = ACCESS_NONE;
    for (unsigned i = 0; i < INSN_SEGS; i++)
        if (cpu.mode != INSN_MODE_64 || i == INSN_FS || i == INSN_GS)
            cpu.base[i] = virt_backend->segment(vcpu, order[i]).base;
    return cpu;
}

static void insn_fault(struct arch_vcpu *vcpu, const struct insn_fault *fault)
{
    if (fault->vector == INSN_VECTOR_PF)
        virt_backend->set_reg(vcpu, REG_CR2, fault->addr);
    vcpu_inject_error(vcpu, fault->vector, fault->error);
}

/* It, or an element of it, is done: RIP is where the guest goes on. */
static void insn_done(struct arch_vcpu *vcpu, uint64_t rflags)
{
    virt_backend->set_reg(vcpu, REG_RFLAGS, rflags);
    vcpu_step_over(vcpu, 0);
}

/* What was fetched may have been changed since by another vCPU: decoded anew, it is carried out. */
bool arch_vcpu_decode(struct arch_vcpu *vcpu, const void *bytes, unsigned size,
                      const struct arch_guest_memory *memory, struct vcpu_exit *exit)
{
    const struct insn_cpu cpu = insn_cpu(vcpu, memory, exit);
    uint64_t rflags;
    const struct insn_regs regs = insn_regs(vcpu, &rflags);
    const uint64_t rip = vcpu->rip;
    struct insn_fault fault;
    struct insn insn;

    exit->kind = EXIT_NOTHING;
    exit->advance = false;
    vcpu->elements = 0;
    switch (insn_decode(bytes, size, cpu.mode, &insn)) {
    case INSN_OK:
        break;
    case INSN_SHORT: /* Its second page is gone since: the guest's fetch finds that as well. */
        return true;
    case INSN_UNDEFINED:
        vcpu_inject(vcpu, VECTOR_UD);
        return true;
    case INSN_TOO_LONG:
        vcpu_inject_error(vcpu, VECTOR_GP, 0);
        return true;
    default:
        return false;
    }
    vcpu->port_string = false;
    switch (insn_exec_begin(vcpu->exec, &insn, &regs, &cpu, &fault)) {
    case INSN_BEGIN_OK:
        break;
    case INSN_BEGIN_FAULT:
        insn_fault(vcpu, &fault);
        return true;
    case INSN_BEGIN_REFUSED:
        return false;
    }
    if (vcpu->exec->active) {
        memcpy(vcpu->exec->bytes, bytes, MIN(size, INSN_LENGTH_MAX));
        insn_exec_next(vcpu->exec, exit);
    } else if (vcpu->rip !=
               rip) { /* REP with a count of 0; else it is another, left to the guest. */
        insn_done(vcpu, rflags);
    }
    return true;
}

bool vcpu_insn_active(const struct arch_vcpu *vcpu)
{
    return vcpu->exec->active;
}

void vcpu_insn_next(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    exit->cause[0] = exit->cause[1] = 0;
    if (vcpu->exec->between && (vcpu->wanted || ++vcpu->elements >= ELEMENTS_MAX)) {
        insn_exec_stop(vcpu->exec);
        exit->kind = EXIT_NOTHING;
        return;
    }
    insn_exec_next(vcpu->exec, exit);
}

void vcpu_insn_finish(struct arch_vcpu *vcpu, const struct vcpu_exit *exit)
{
    uint64_t rflags;
    const struct insn_regs regs = insn_regs(vcpu, &rflags);
    bool done = insn_exec_finish(vcpu->exec, &regs, exit);

    if (!done && vcpu->exec->between && (rflags & RFLAGS_TF)) { /* Each element is a step. */
        insn_exec_stop(vcpu->exec);
        done = true;
    }
    if (done)
        insn_done(vcpu, rflags);
    else
        virt_backend->set_reg(vcpu, REG_RFLAGS, rflags);
}
