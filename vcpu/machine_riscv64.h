/* SPDX-License-Identifier: Apache-2.0 */
/* What the firmware calls of a riscv64 guest ask of its machine, and what it has in common with
 * intent_riscv64.c. Private to these and machine_riscv64*.c. */
#pragma once

#include "kernel/types.h"

struct vcpu;
struct vm;
struct vns16550;

#define CSR_STOPEI 0x15cu /* Traps while the vCPU has no guest interrupt file. */

/* The vCPU's timer interrupt comes when its clock shows the time; one that is pending is taken
 * back. Bound. */
void riscv64_timer_set(struct vcpu *vcpu, uint64_t guest_time);
/* Software interrupts of the vCPUs in the mask, each of which there is. Bound: self. */
void riscv64_ipi_send(struct vcpu *self, uint64_t targets);
/* Takes one back; whether there was one. Bound. */
bool riscv64_ipi_clear(struct vcpu *vcpu);
struct vns16550 *riscv64_uart(struct vm *vm);
