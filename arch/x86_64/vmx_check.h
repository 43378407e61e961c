/* SPDX-License-Identifier: Apache-2.0 */
/* What an entry by VMX refuses in the guest's state. Pure, tested on the host. [SDM 3, 27.3.1] */
#pragma once

#include "arch/x86_64/vmcs.h"

struct fmt_sink;

struct vmx_limits {
    uint64_t cr0_ones, cr0_may; /* Bits that must be set, and those that may be, */
    uint64_t cr4_ones, cr4_may; /* for VMX; unrestricted guests aside. */
    uint64_t efer;              /* Bits that the processor has. */
    unsigned physical_bits;
};

/* The values of all fields, by enum vmcs_index. */
struct vmx_fields {
    uint64_t value[VMCS_FIELDS];
};

/* Says in a line for each what is refused; how many there are. */
unsigned vmx_check(const struct vmx_fields *fields, const struct vmx_limits *limits,
                   struct fmt_sink *out);
