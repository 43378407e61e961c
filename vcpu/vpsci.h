/* SPDX-License-Identifier: Apache-2.0 */
/* PSCI 1.1 and SMCCC for guests [Arm DEN0022, DEN0028]. */
#pragma once

#include "kernel/err.h"
#include "vcpu/exit.h"

struct vcpu;
struct vm;

/*
 * A call by HVC or SMC: answers it in the guest's registers, or turns *exit into what it asks for
 * (EXIT_CPU_UP, EXIT_CPU_DOWN, EXIT_IDLE, EXIT_SYSTEM_DOWN, EXIT_SYSTEM_RESET). Bound.
 */
void vpsci_call(struct vcpu *vcpu, struct vcpu_exit *exit);
/* The latter alone, with nothing answered; false: it asks for nothing like that. */
bool vpsci_intent(struct vcpu_exit *exit);
uint64_t vpsci_cpu_up_result(enum err err);
/* By MPIDR affinity. */
bool vpsci_cpu_find(const struct vm *vm, uint64_t target, unsigned *index);
