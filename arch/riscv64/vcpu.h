/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the H backend. */
#pragma once

#include "arch/riscv64/csr.h"
#include "vcpu/arch_vcpu.h"

/* vcpu_entry.S. vcpu_enter() is not for C: see vcpu_enter_guest(). */
void fp_save(struct arch_fp_state *state);
void fp_restore(const struct arch_fp_state *state);
/* Two bytes of code at a guest-virtual address, as the guest would fetch them; < 0: it could not.
 */
int32_t guest_fetch(uint64_t addr);
/* A double word at a guest-physical address; false: no memory is there. Bound. */
bool guest_load(uint64_t addr, uint64_t *value);

/* A register of csr.def, wherever it is now. */
uint64_t vcpu_csr(const struct arch_vcpu *vcpu, enum csr_index index);
/* sstatus.SPP: what the guest was in when it trapped. */
bool vcpu_in_supervisor(const struct arch_vcpu *vcpu);

/* guest_csr.c: an access of the guest to a CSR that traps; and its second half. False: not a CSR
 * instruction. */
bool csr_access_start(struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint32_t insn);
void csr_access_next(struct arch_vcpu *vcpu, struct vcpu_exit *exit);
void csr_access_finish(struct arch_vcpu *vcpu, const struct vcpu_exit *exit);

/* guest_isa.c: what virt_caps.isa says. */
const char *guest_isa(void);

/* virt.c: hgatp's MODE; VMIDs that differ. */
extern uint64_t virt_hgatp_mode;
