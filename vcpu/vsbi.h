/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SBI 2.0 for guests: BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN, and the legacy calls. Hart ids are
 * indexes of vCPUs. [RISC-V SBI Specification 2.0]
 */
#pragma once

#include "kernel/err.h"
#include "vcpu/exit.h"

struct vcpu;
struct vm;

/*
 * An ECALL: answers it in the guest's registers, or turns *exit into what it asks for (EXIT_CPU_UP,
 * EXIT_CPU_DOWN, EXIT_IDLE, EXIT_SYSTEM_DOWN, EXIT_SYSTEM_RESET). Bound.
 */
void vsbi_call(struct vcpu *vcpu, struct vcpu_exit *exit);
/* The latter, and EXIT_SEND_IPI, with nothing answered; false: it asks for nothing like that. */
bool vsbi_intent(struct vcpu_exit *exit);
uint64_t vsbi_cpu_up_result(enum err err);
/* By hart id. */
bool vsbi_cpu_find(const struct vm *vm, uint64_t target, unsigned *index);
