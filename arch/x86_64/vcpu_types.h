/* SPDX-License-Identifier: Apache-2.0 */
/* What x86_64 keeps for each vCPU, and of virtualization for each processor; see arch_types.h. */
#pragma once

#include "kernel/types.h"

struct arch_vcpu;

/* Embedded in struct arch_pcpu. */
struct arch_virt_pcpu {
    struct arch_vcpu *bound; /* The vCPU whose state is loaded. */
};

/* The complete register file of a vCPU. */
struct arch_regs {
    uint32_t arch; /* ARCH_TAG */
    uint64_t gpr[16], rip, rflags;
};

struct arch_vcpu {
    uint64_t gpr[16], rip, rflags;
};
