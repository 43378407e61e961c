/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The complete register file of a vCPU, and what may be in one. Pure, tested on the host.
 *
 * What is not here: time (the TSC's offset and its deadline), the local APIC and the MSRs of the
 * hypervisor's interface are the machine's; MSRs that hold nothing (DEBUGCTL, MISC_ENABLE and their
 * like, guest_msr.c) read the same always. [SDM 3, 2.1 and 27.3; AMD APM 2, appendix B]
 */
#pragma once

#include "arch/x86_64/insn.h"
#include "arch/x86_64/segment.h"
#include "kernel/bits.h"

/* The registers of reg.def, by index. */
enum arch_reg {
#define X(name, text, field) REG_##name,
#define OURS(name, text)     REG_##name,
#include "arch/x86_64/reg.def"
#undef X
#undef OURS
    ARCH_REGS,
};

#define ARCH_DEBUG_ADDRS    4u
#define ARCH_REGS_MAX       32u   /* Places for those that are yet to come. */
#define ARCH_FPU_SIZE       2816u /* XSAVE, standard format, up to the components that we know. */

/* x86_regs.blocked: as VMX has it. SVM tells STI and MOV SS not apart. */
#define REGS_BLOCKED_STI    BIT(0)
#define REGS_BLOCKED_MOV_SS BIT(1)
#define REGS_BLOCKED_NMI    BIT(3) /* The guest has taken an NMI and has not returned. */
#define REGS_BLOCKED_SHADOW (REGS_BLOCKED_STI | REGS_BLOCKED_MOV_SS)

/* Without padding; what is reserved, or has no meaning in the guest's mode, is zero. */
struct x86_regs {
    uint32_t arch;      /* ARCH_TAG */
    uint32_t blocked;   /* Which events the guest does not take now. */
    uint64_t processor; /* guest_cpuid_print(): what CPUID tells the guest. */
    uint64_t gpr[16], rip;
    uint64_t reg[ARCH_REGS_MAX];
    struct arch_segment segment[ARCH_SEGMENTS];
    uint64_t event;         /* To be injected at the next entry, in the format of EVENTINJ. */
    uint64_t debug_pending; /* VMX: debug exceptions that wait, in its format. */
    uint64_t pdpte[4];      /* VMX: in PAE paging what CR3's page held when it was loaded. */
    uint8_t cpl;
    bool halted; /* VMX, where HLT does not exit. */
    uint8_t reserved[6];
    struct insn_progress insn;
    uint64_t reserved_more[7];
    alignas(64) uint8_t fpu[ARCH_FPU_SIZE];
};

_Static_assert(offsetof(struct x86_regs, fpu) == 768 && sizeof(struct x86_regs) == 768 + 2816,
               "the layout is that of snapshots");
_Static_assert(ARCH_REGS <= ARCH_REGS_MAX, "there is a place for each");

struct guest_cpuid;

/* What this machine can give guests. */
struct regs_limits {
    const struct guest_cpuid *cpuid;
    uint64_t processor;
    uint64_t components; /* Of XSAVE, that are kept; 0: FXSAVE. */
    uint32_t mxcsr;      /* Bits that the processor has. */
    unsigned gpa_bits;
};

/* Components of the FPU's state that a guest can have set. */
uint64_t regs_fpu_components(const struct regs_limits *limits);

/*
 * Why no guest can be in this state, whatever the vendor: NULL, it may be. What is checked is what
 * would trap ourselves, what we rely on, and what the guest could not set; svm_check() and
 * vmx_check() find the rest.
 */
const char *regs_check(const struct x86_regs *regs, const struct regs_limits *limits);

/* By the state itself. */
enum insn_mode regs_mode(const struct x86_regs *regs);
bool regs_in_pae(const struct x86_regs *regs);
