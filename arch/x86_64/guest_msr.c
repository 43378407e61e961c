/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of guest_msr.h. [Intel SDM 4, chapter 2; AMD64 APM 2, appendix A, and the processor
 * programming references of AMD]
 */
#include "arch/x86_64/guest_msr.h"

#include "kernel/bits.h"

#define ANY   0u
#define AMD   1u
#define INTEL 2u

struct guest_msr {
    uint32_t msr;
    uint8_t vendor;
    uint64_t value;  /* As it reads. */
    uint64_t ignore; /* Bits that a write may set or clear; others must be written as they read. */
};

#define ALL UINT64_MAX

/* Sorted by number within its vendor's group. */
static const struct guest_msr msrs[] = {
    {0x0000008b, ANY, 0, ALL},  /* Microcode revision; Intel's is asked for by writing 0. */
    {0x00000179, ANY, 0, 0},    /* MCG_CAP: no bank reports errors. */
    {0x0000017a, ANY, 0, ALL},  /* MCG_STATUS */
    {0x000001d9, ANY, 0, 0x3f}, /* DEBUGCTL: no last branch is recorded, no branch is a step. */
    {0x000001db, ANY, 0, 0},    /* Last branch and last interrupt, from and to. */
    {0x000001dc, ANY, 0, 0},
    {0x000001dd, ANY, 0, 0},
    {0x000001de, ANY, 0, 0},

    {0x00000017, INTEL, 0, 0},          /* PLATFORM_ID */
    {0x0000002a, INTEL, 0, ALL},        /* EBL_CR_POWERON */
    {0x00000034, INTEL, 0, 0},          /* SMI_COUNT */
    {0x0000003a, INTEL, BIT(0), 0},     /* FEATURE_CONTROL: locked, without VMX. */
    {0x000000ce, INTEL, 0, 0},          /* PLATFORM_INFO */
    {0x00000140, INTEL, 0, 0},          /* MISC_FEATURES_ENABLES: CPUID does not fault. */
    {0x000001a0, INTEL, 0x1801, 0x401}, /* MISC_ENABLE: fast strings; no BTS, no PEBS. */

    {0xc0010010, AMD, 0, ALL},       /* SYSCFG */
    {0xc0010015, AMD, BIT(24), ALL}, /* HWCR: the TSC counts at the rate of P-state 0. */
    {0xc001001a, AMD, 0, ALL},       /* TOP_MEM */
    {0xc001001d, AMD, 0, ALL},       /* TOP_MEM2 */
    {0xc001001f, AMD, 0, ALL},       /* NB_CFG */
    {0xc0010055, AMD, 0, ALL},       /* Interrupt pending message. */
    {0xc0010058, AMD, 0, ALL},       /* MMIO configuration base: ACPI tells it. */
    {0xc0011020, AMD, 0, ALL},       /* LS_CFG, */
    {0xc0011021, AMD, 0, ALL},       /* IC_CFG, */
    {0xc0011022, AMD, 0, ALL},       /* DC_CFG, */
    {0xc0011023, AMD, 0, ALL},       /* BU_CFG, */
    {0xc0011029, AMD, 0, ALL},       /* DE_CFG, */
    {0xc001102a, AMD, 0, ALL},       /* BU_CFG2: chicken bits. */
};

static const struct guest_msr *find(const struct guest_cpuid *cpuid, uint32_t msr)
{
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++) {
        if (msrs[i].msr != msr)
            continue;
        if (msrs[i].vendor == ANY || (msrs[i].vendor == AMD ? cpuid->amd : cpuid->intel))
            return &msrs[i];
    }
    return NULL;
}

bool guest_msr_read(const struct guest_cpuid *cpuid, uint32_t msr, uint64_t *value)
{
    const struct guest_msr *m = find(cpuid, msr);

    if (m)
        *value = m->value;
    return m != NULL;
}

bool guest_msr_write(const struct guest_cpuid *cpuid, uint32_t msr, uint64_t value)
{
    const struct guest_msr *m = find(cpuid, msr);

    return m && ((value ^ m->value) & ~m->ignore) == 0;
}

bool guest_msr_pat_valid(uint64_t value)
{
    for (unsigned i = 0; i < 64; i += 8) {
        uint64_t type = value >> i & 0xff;

        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}
