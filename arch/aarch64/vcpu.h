/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the EL2 backend. */
#pragma once

#include "arch/aarch64/sysreg.h"
#include "vcpu/arch_vcpu.h"

/* vcpu_entry.S */
void fp_save(struct arch_fp_state *state);
void fp_restore(const struct arch_fp_state *state);

/* An EL1 register of sysreg.def, wherever it is now. */
uint64_t vcpu_sys(const struct arch_vcpu *vcpu, enum sysreg_index index);

/* guest_sysreg.c: idreg.def. */
void vcpu_identification(uint64_t id[IDREG_COUNT]);

/* guest_fault.c: the next access of a decoded load or store; and its completion. */
void insn_next(const struct arch_vcpu *vcpu, struct vcpu_exit *exit);
void insn_finish(struct arch_vcpu *vcpu, const struct vcpu_exit *exit);
/* As if the instruction of so many bytes at pc had been executed. */
static inline void vcpu_step_over(struct arch_vcpu *vcpu, unsigned size)
{
    vcpu->pc += size;
    if (!(vcpu->pstate & PSTATE_A32)) /* AArch32 has other bits there, and takes what it gets. */
        vcpu->pstate &= ~(PSTATE_SS | PSTATE_BTYPE);
}

/* A register gets the value of a load. */
void vcpu_load_reg(struct arch_vcpu *vcpu, unsigned reg, uint64_t value, unsigned width,
                   unsigned reg_width, bool sign_extend);
