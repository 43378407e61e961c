/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hostile guest asks of its machine, at random: accesses of all its devices, system
 * registers and calls, of numbers that there are and are not. Nothing is expected but that the
 * model's assertions and the sanitizers find nothing.
 */
#pragma once

#include "vcpu/vm.h"

struct storm {
    const uint32_t *sysregs; /* Numbers to try besides others; */
    unsigned sysreg_count;
    const uint64_t *calls; /* of calls. */
    unsigned call_count;
    uint64_t ram; /* Where the guest has some. */
};

/* One exit, as a backend would give it. */
struct vcpu_exit storm_exit(const struct storm *storm, const struct vm *vm);
/* So many exits, answered by the machine's models for this vCPU, which is bound; time goes on. */
void storm_run(const struct storm *storm, struct vcpu *vcpu, unsigned count);
