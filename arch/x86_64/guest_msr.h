/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSRs that hold nothing of a guest, but that kernels read or write without asking whether they are
 * there: identification, chicken bits, machine checks. They read as constants, and what is written
 * is forgotten. Pure. The backend asks here for what neither the machine nor itself knows; what is
 * not here either is a #GP(0).
 */
#pragma once

#include "arch/x86_64/guest_cpuid.h"

/* False: not one of these. */
bool guest_msr_read(const struct guest_cpuid *cpuid, uint32_t msr, uint64_t *value);
/* False: not one of these, or a value that it does not take. */
bool guest_msr_write(const struct guest_cpuid *cpuid, uint32_t msr, uint64_t value);

/* Eight memory types; 2, 3 and what is beyond 7 there are not. [AMD APM 2, 7.8] */
bool guest_msr_pat_valid(uint64_t value);
