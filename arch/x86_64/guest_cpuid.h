/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CPUID tells guests: what the host's processors have, without what a guest cannot use or
 * whose state we do not keep, plus what our machine adds (x2APIC, TSC deadline, its own topology,
 * the leaves of a hypervisor). Pure; the backend calls it for each CPUID. MSRs follow it:
 * guest_msr.h.
 *
 * What is shown, the backend must keep for each vCPU: XCR0 and the components that it named, PAT,
 * TSC_AUX (with RDTSCP, RDPID), the MSRs of SYSENTER, SYSCALL and SWAPGS.
 */
#pragma once

#include "kernel/types.h"

struct cpuid_regs {
    uint32_t eax, ebx, ecx, edx;
};

#define GUEST_CPUID_BASIC    0x0eu /* Leaves 0 to 0xd; sub-leaf 0. */
#define GUEST_CPUID_EXTENDED 0x22u /* Leaves 0x80000000 to 0x80000021. */
#define GUEST_CPUID_CACHES   8u
#define GUEST_CPUID_XSAVE    10u /* State components 0 to 9. */

/* The same for all vCPUs of all VMs; constant after guest_cpuid_init(). */
struct guest_cpuid {
    bool amd, intel;
    uint64_t xcr0;    /* Components that a guest may enable; 0: no XSAVE. */
    uint32_t tsc_khz; /* The LAPIC's timer counts at the same rate. */
    struct cpuid_regs basic[GUEST_CPUID_BASIC];
    struct cpuid_regs features[2]; /* Leaf 7 and its sub-leaf 1. */
    struct cpuid_regs caches[GUEST_CPUID_CACHES];
    struct cpuid_regs xsave[GUEST_CPUID_XSAVE];
    struct cpuid_regs extended[GUEST_CPUID_EXTENDED];
};

struct guest_cpuid_host {
    /* The CPUID instruction on the boot processor. */
    void (*read)(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *regs);
    uint64_t xcr0; /* Components that the backend keeps for each vCPU. */
    uint64_t tsc_hz;
    unsigned gpa_bits; /* Of a guest-physical address. */
};

void guest_cpuid_init(struct guest_cpuid *cpuid, const struct guest_cpuid_host *host);

/* What the answer depends on beside the leaf. */
struct guest_cpuid_vcpu {
    unsigned index, count; /* In its VM. */
    bool osxsave;          /* CR4.OSXSAVE, as the guest has it. */
    uint64_t xcr0;         /* As the guest has it. */
    bool apic_off;         /* Its local APIC is not enabled in IA32_APIC_BASE. */
};

void guest_cpuid(const struct guest_cpuid *cpuid, const struct guest_cpuid_vcpu *vcpu,
                 uint32_t leaf, uint32_t subleaf, struct cpuid_regs *regs);

/* Bits that a guest may set; others are reserved there, and setting them is a #GP(0). */
uint64_t guest_cpuid_cr4(const struct guest_cpuid *cpuid);
uint64_t guest_cpuid_efer(const struct guest_cpuid *cpuid);
/* Whether XSETBV may load the value into XCR0. [SDM 1, 13.3] */
bool guest_cpuid_xcr0_valid(const struct guest_cpuid *cpuid, uint64_t xcr0);

/* A number that is another when guests are told something else, the TSC's rate aside, which is
 * measured. */
uint64_t guest_cpuid_print(const struct guest_cpuid *cpuid);
