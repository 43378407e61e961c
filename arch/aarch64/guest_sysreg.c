/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System registers that trap so that a guest sees only what is virtualized: the identification
 * registers (HCR_EL2.TID3), auxiliary control, and self-hosted debug, of which single step works,
 * and the rest reads as idle and ignores writes. What is not listed here or by the machine is
 * undefined for the guest. [Arm ARM D19.2, ID_AA64*]
 */
#include "arch/aarch64/gic.h"
#include "arch/aarch64/sysreg.h"
#include "arch/aarch64/vcpu.h"

#define NIBBLE(lsb) (BITS(3, 0) << (lsb))

/* Fields that a guest may see as they are. */
#define PFR0_KEEP                                                                                  \
    (NIBBLE(0) | NIBBLE(16) | NIBBLE(20) | NIBBLE(48) |                                            \
     NIBBLE(60)) /* EL0, FP, AdvSIMD, DIT, CSV3. */
#define PFR0_CSV2 NIBBLE(56)
#define PFR0_EL1  ((uint64_t)1 << 4)      /* EL1 is AArch64 only. */
#define PFR0_GIC  ((uint64_t)1 << 24)     /* CPU interface by system registers. */
#define PFR1_KEEP (NIBBLE(0) | NIBBLE(4)) /* BTI, SSBS. */
#define DFR0_VALUE                                                                                 \
    ((uint64_t)6 | (uint64_t)1 << 12 | (uint64_t)1 << 20) /* ARMv8 debug, 2 + 2 points. */
/* AES, SHA1, SHA2, CRC32, Atomic, RDM, SHA3, SM3, SM4, DP, FHM, TS, TLB, RNDR; not TME. */
#define ISAR0_KEEP (BITS(63, 28) | BITS(23, 4))
/* DPB, JSCVT, FCMA, LRCPC, FRINTTS, SB, SPECRES, BF16, DGH, I8MM; not pointer authentication. */
#define ISAR1_KEEP (NIBBLE(0) | BITS(23, 12) | BITS(55, 32))
#define ISAR2_KEEP NIBBLE(4) /* RPRES. */
#define MMFR0_KEEP                                                                                 \
    (NIBBLE(0) | NIBBLE(4) | NIBBLE(8) | NIBBLE(16) | NIBBLE(20) | NIBBLE(24) | NIBBLE(28) |       \
     NIBBLE(44)) /* PARange, ASIDBits, BigEnd, granules, ExS. */
#define MMFR1_KEEP                                                                                 \
    (NIBBLE(0) | NIBBLE(12) | NIBBLE(20) | NIBBLE(36) |                                            \
     NIBBLE(44)) /* HAFDBS, HPDS, PAN, ETS, AFP. */
#define MMFR2_KEEP                                                                                 \
    (NIBBLE(0) | NIBBLE(4) | NIBBLE(8) | NIBBLE(16) | NIBBLE(20) | NIBBLE(28) | NIBBLE(32) |       \
     NIBBLE(48) | NIBBLE(52) | NIBBLE(60))
#define DFR0_32_KEEP NIBBLE(0) /* AArch32's: no counters, no trace. */

#define ID(crm, op2) SYS_ISS(3, 0, 0, crm, op2)
#define OSLSR_EL1    SYS_ISS(2, 0, 1, 1, 4)
#define OSLSR_OSLM   BIT(3) /* The lock exists; it is open. */
#define ACTLR_ISS    SYS_ISS(3, 0, 1, 0, 1)
#define MDSCR_ISS    SYS_ISS(2, 0, 0, 2, 2)
#define ICC_SRE_ISS  SYS_ISS(3, 0, 12, 12, 5)

/* All of the group: CRm 1 to 7. Those without a case read as zero, as unallocated ones do. */
/* clang-format off */
#define ID_AARCH32(X)                                               \
    X(1, 0) X(1, 1) X(1, 3) X(1, 4) X(1, 5) X(1, 6) X(1, 7)         \
    X(2, 0) X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6) X(2, 7) \
    X(3, 0) X(3, 1) X(3, 2) X(3, 4) X(3, 6)
/* clang-format on */

static uint64_t id_pfr0(void)
{
    uint64_t value = sysreg_read("id_aa64pfr0_el1");
    /* CSV2 2 would promise SCXTNUM_ELx, which trap. */
    uint64_t csv2 = MIN(field_get(PFR0_CSV2, value), 1u);

    return (value & PFR0_KEEP) | field_put(PFR0_CSV2, csv2) | PFR0_EL1 |
           (gic_version == 3 ? PFR0_GIC : 0);
}

static uint64_t id_mmfr0(void)
{
    uint64_t value = sysreg_read("id_aa64mmfr0_el1") & MMFR0_KEEP;
    static const uint8_t bits[] = {32, 36, 40, 42, 44, 48};
    uint64_t range = 0;

    /* A guest's physical addresses are as large as stage 2 makes them. */
    while (range + 1 < ARRAY_SIZE(bits) && bits[range + 1] <= virt_caps.gpa_bits)
        range++;
    return (value & ~NIBBLE(0)) | MIN(value & NIBBLE(0), range);
}

static uint64_t id_read(uint32_t addr)
{
    switch (addr) {
    case ID(4, 0):
        return id_pfr0();
    case ID(4, 1):
        return sysreg_read("id_aa64pfr1_el1") & PFR1_KEEP;
    case ID(5, 0):
        return DFR0_VALUE;
    case ID(6, 0):
        return sysreg_read("id_aa64isar0_el1") & ISAR0_KEEP;
    case ID(6, 1):
        return sysreg_read("id_aa64isar1_el1") & ISAR1_KEEP;
    case ID(6, 2):
        return sysreg_read("s3_0_c0_c6_2") & ISAR2_KEEP;
    case ID(7, 0):
        return id_mmfr0();
    case ID(7, 1):
        return sysreg_read("id_aa64mmfr1_el1") & MMFR1_KEEP;
    case ID(7, 2):
        return sysreg_read("s3_0_c0_c7_2") & MMFR2_KEEP;
    case ID(1, 2):
        return sysreg_read("id_dfr0_el1") & DFR0_32_KEEP;
#define X(crm, op2)                                                                                \
    case ID(crm, op2):                                                                             \
        return sysreg_read("s3_0_c0_c" #crm "_" #op2);
        ID_AARCH32(X)
#undef X
    }
    return 0;
}

void vcpu_identification(uint64_t id[IDREG_COUNT])
{
#define X(name, value) id[IDREG_##name] = (value);
#include "arch/aarch64/idreg.def"
#undef X
}

static bool sysreg_is_id(uint32_t addr)
{
    uint32_t crm = (uint32_t)field_get(BITS(4, 1), addr);

    return (addr & ~(SYS_ISS(0, 0, 0, 0xf, 7))) == SYS_ISS(3, 0, 0, 0, 0) && crm >= 1 && crm <= 7;
}

/* op0 is 2: debug registers; op1 1 is trace, which is not there. */
static bool sysreg_is_debug(uint32_t addr)
{
    return (addr & SYS_ISS(3, 0, 0, 0, 0)) == SYS_ISS(2, 0, 0, 0, 0) &&
           (addr & SYS_ISS(0, 7, 0, 0, 0)) != SYS_ISS(0, 1, 0, 0, 0);
}

/* Single step works in guests; breakpoints and watchpoints (MDE) do not. */
static void sysreg_mdscr(struct vcpu_exit *exit)
{
    if (exit->kind == EXIT_SYSREG_READ)
        exit->sysreg.value = sysreg_read("mdscr_el1");
    else
        sysreg_write("mdscr_el1", exit->sysreg.value & MDSCR_GUEST);
}

bool arch_vcpu_sysreg([[maybe_unused]] struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    uint32_t addr = exit->sysreg.addr;
    bool read = exit->kind == EXIT_SYSREG_READ;

    if (sysreg_is_id(addr)) {
        exit->sysreg.value = read ? id_read(addr) : 0;
        return read; /* Writing one is undefined. */
    }
    if (addr == MDSCR_ISS) {
        sysreg_mdscr(exit);
        return true;
    }
    if (addr ==
        ICC_SRE_ISS) { /* Fixed: system registers, no legacy mode. Not there with a GICv2. */
        exit->sysreg.value = ICC_SRE_ALL;
        return gic_version == 3;
    }
    if (!sysreg_is_debug(addr) && addr != ACTLR_ISS)
        return false;
    if (read)
        exit->sysreg.value = addr == OSLSR_EL1 ? OSLSR_OSLM : 0;
    return true;
}
