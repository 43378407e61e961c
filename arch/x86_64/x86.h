/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of the processor, and the instructions that reach them. Bits are those that we use.
 * [Intel SDM 3, chapter 2 and 4, appendix of MSRs; AMD APM 2]
 */
#pragma once

#include "arch/x86_64/control.h"
#include "kernel/types.h"

#define RFLAGS_IF           BIT(9)

#define MSR_APIC_BASE       0x1bu
#define MSR_PAT             0x277u
#define MSR_TSC_DEADLINE    0x6e0u
#define MSR_X2APIC          0x800u
#define MSR_EFER            0xc0000080u
#define MSR_GS_BASE         0xc0000101u
#define MSR_MCG_CAP         0x179u
#define MSR_MCG_STATUS      0x17au
#define MSR_MC0_CTL         0x400u /* Of each bank four: control, status, address, misc. */
#define MSR_MC0_STATUS      0x401u
#define MSR_MC0_ADDR        0x402u

#define APIC_BASE_BSP       BIT(8)
#define APIC_BASE_X2APIC    BIT(10)
#define APIC_BASE_ENABLE    BIT(11)
#define APIC_BASE_ADDR      BITS(51, 12)

#define MCG_CAP_COUNT       BITS(7, 0)
#define MC_STATUS_VALID     BIT(63)
#define MC_STATUS_ADDRV     BIT(58)

/* CPUID, by leaf and register. */
#define CPUID1_ECX_VMX      BIT(5)
#define CPUID1_ECX_PCID     BIT(17)
#define CPUID1_ECX_X2APIC   BIT(21)
#define CPUID1_ECX_DEADLINE BIT(24)
#define CPUID1_ECX_XSAVE    BIT(26)
#define CPUID1_ECX_GUEST    BIT(31) /* A hypervisor below us says that it is one. */
#define CPUID1_EDX_MCE      BIT(7)
#define CPUID1_EDX_MCA      BIT(14)
#define CPUID7_EBX_SMEP     BIT(7)
#define CPUID7_EBX_SMAP     BIT(20)
#define CPUID7_ECX_UMIP     BIT(2)
#define CPUIDX1_ECX_SVM     BIT(2)
#define CPUIDX1_EDX_NX      BIT(20)
#define CPUIDX1_EDX_1GIB    BIT(26)

/* PAT as we set it: 0 write-back, 1 write-combining, 2 uncached-minus, 3 uncached; twice. */
#define PAT_VALUE           0x0007010600070106ull

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r;

    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(subleaf));
    return r;
}

/* Zeroes when the processor does not have the leaf. */
static inline struct cpuid cpuid_or_none(uint32_t leaf, uint32_t subleaf)
{
    if (cpuid(leaf & 0xffff0000u, 0).eax < leaf)
        return (struct cpuid){0};
    return cpuid(leaf, subleaf);
}

static inline uint64_t msr_read(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void msr_write(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

/* False: there is no such register; *value is 0 then. trap.S, trap.c */
bool msr_probe(uint32_t msr, uint64_t *value);

#define X86_CONTROL_REGISTER(name)                                                                 \
    static inline uint64_t name##_read(void)                                                       \
    {                                                                                              \
        uint64_t v;                                                                                \
                                                                                                   \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(v) : : "memory");                            \
        return v;                                                                                  \
    }                                                                                              \
    static inline void name##_write(uint64_t v)                                                    \
    {                                                                                              \
        __asm__ volatile("mov %0, %%" #name : : "r"(v) : "memory");                                \
    }

X86_CONTROL_REGISTER(cr0)
X86_CONTROL_REGISTER(cr2)
X86_CONTROL_REGISTER(cr3)
X86_CONTROL_REGISTER(cr4)
#undef X86_CONTROL_REGISTER
