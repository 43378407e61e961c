/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System registers: the identification hides what a guest does not get, what it hides is
 * undefined, and what is there works. [DDI0487, D19]
 */
#include "arm.h"

/* Undefined at EL1: taken as an exception of unknown reason. */
#define UNDEFINED(statement)                                                                       \
    ({                                                                                             \
        fault_expect();                                                                            \
        statement;                                                                                 \
        struct fault fault_ = fault_taken();                                                       \
        fault_.count == 1 && ESR_EC(fault_.cause) == EC_UNKNOWN;                                   \
    })
#define WORKS(statement)                                                                           \
    ({                                                                                             \
        fault_expect();                                                                            \
        statement;                                                                                 \
        fault_taken().count == 0;                                                                  \
    })

static unsigned fired;

static unsigned nibble(uint64_t value, unsigned lsb)
{
    return (unsigned)(value >> lsb) & 0xf;
}

static void check_features(void)
{
    uint64_t pfr0 = SYSREG_READ(id_aa64pfr0_el1), pfr1 = SYSREG_READ(id_aa64pfr1_el1);
    uint64_t dfr0 = SYSREG_READ(id_aa64dfr0_el1), mmfr1 = SYSREG_READ(id_aa64mmfr1_el1);

    check(nibble(pfr0, 0) >= 1 && nibble(pfr0, 4) >= 1, "ID: EL0 and EL1 are there");
    check_eq(nibble(pfr0, 8), 0, "ID: no EL2");
    check_eq(nibble(pfr0, 12), 0, "ID: no EL3");
    check_eq(nibble(pfr0, 16), 0, "ID: floating point");
    check_eq(nibble(pfr0, 24), 1, "ID: the GIC by system registers");
    check_eq(nibble(pfr0, 28), 0, "ID: no RAS");
    check_eq(nibble(pfr0, 32), 0, "ID: no SVE");
    check_eq(nibble(pfr0, 40) | nibble(pfr0, 44), 0, "ID: no MPAM, no activity monitors");
    check_eq(nibble(pfr1, 8) | nibble(pfr1, 24), 0, "ID: no memory tagging, no SME");
    check_eq(nibble(dfr0, 4) | nibble(dfr0, 32), 0, "ID: no trace, no profiling");
    check(nibble(dfr0, 8) == 0 || nibble(dfr0, 8) == 15, "ID: no performance monitors");
    check_eq(nibble(mmfr1, 8), 0, "ID: no virtualization host extensions");
    check_eq(SYSREG_READ(s3_0_c0_c4_4), 0, "ID: ZFR0 of SVE is zero");
    check_eq(SYSREG_READ(s3_0_c0_c7_7), 0, "ID: an unallocated register is zero");
    check_eq(SYSREG_READ(mpidr_el1) & 0xff00ffffff, 0, "ID: this is vCPU 0");
    check(SYSREG_READ(midr_el1) != 0, "ID: the processor has a name");
    check(SYSREG_READ(ctr_el0) >> 31 == 1, "ID: the cache type");
    check_eq(SYSREG_READ(CurrentEL), 4, "this is EL1");
}

static void check_hidden(void)
{
    check(UNDEFINED(SYSREG_READ(s3_0_c1_c2_0)), "undefined: ZCR_EL1 of SVE");
    check(UNDEFINED(SYSREG_READ(s3_0_c1_c0_6)), "undefined: GCR_EL1 of memory tagging");
    check(UNDEFINED(SYSREG_READ(s3_0_c5_c3_0)), "undefined: ERRIDR_EL1 of RAS");
    check(UNDEFINED(SYSREG_READ(pmcr_el0)), "undefined: PMCR_EL0");
    check(UNDEFINED(SYSREG_WRITE(pmcr_el0, 1)), "undefined: PMCR_EL0 for writing");
    check(UNDEFINED(SYSREG_READ(pmccntr_el0)), "undefined: PMCCNTR_EL0");
    check(UNDEFINED(SYSREG_READ(s3_0_c9_c9_0)), "undefined: PMSCR_EL1 of profiling");
    check(UNDEFINED(SYSREG_READ(s3_7_c15_c15_7)), "undefined: what an implementation may define");
    check(UNDEFINED(SYSREG_READ(hcr_el2)), "undefined: HCR_EL2");
    check(UNDEFINED(SYSREG_READ(s3_4_c12_c11_1)), "undefined: ICH_VTR_EL2");
    check(UNDEFINED(SYSREG_READ(scr_el3)), "undefined: SCR_EL3");
    check(UNDEFINED(__asm__ volatile(".inst 0x00000000")),
          "undefined: an instruction that is none");
}

static void check_there(void)
{
    check(WORKS(SYSREG_READ(actlr_el1)), "works: ACTLR_EL1");
    check(WORKS(SYSREG_READ(mdscr_el1)), "works: MDSCR_EL1");
    check(WORKS(SYSREG_WRITE(mdscr_el1, 0)), "works: MDSCR_EL1 for writing");
    check(WORKS(SYSREG_READ(oslsr_el1)), "works: OSLSR_EL1");
    check(WORKS(SYSREG_WRITE(oslar_el1, 0)), "works: OSLAR_EL1");
    check(WORKS(SYSREG_WRITE(osdlr_el1, 0)), "works: OSDLR_EL1");
    check(WORKS(SYSREG_WRITE(dbgbcr0_el1, 0)), "works: a breakpoint register");
    check(WORKS(SYSREG_WRITE(dbgwcr0_el1, 0)), "works: a watchpoint register");
    check(WORKS(SYSREG_READ(id_pfr0_el1)), "works: an ID register of AArch32");
    check(WORKS(SYSREG_READ(aidr_el1)), "works: AIDR_EL1");
    check(WORKS(SYSREG_READ(clidr_el1)), "works: CLIDR_EL1");
    check_eq(SYSREG_READ(ICC_SRE) & 1, 1, "ICC_SRE_EL1 says system registers");
    SYSREG_WRITE(tpidr_el1, 0x1234);
    SYSREG_WRITE(contextidr_el1, 0x5678);
    hypercall();
    check(SYSREG_READ(tpidr_el1) == 0x1234 && SYSREG_READ(contextidr_el1) == 0x5678,
          "registers of EL1 keep their values over an exit");
    check(WORKS(__asm__ volatile("dc cisw, xzr; dsb sy" ::
                                     : "memory")),
          "works: caches by set and way");
    check(WORKS(__asm__ volatile("ic iallu; tlbi vmalle1is; dsb sy; isb" ::
                                     : "memory")),
          "works: maintenance of caches and TLBs");
}

static void phys_taken(unsigned irq)
{
    fired += irq == TIMER_PHYS_IRQ;
    SYSREG_WRITE(cntp_ctl_el0, 0);
}

static void check_physical_timer(void)
{
    uint64_t count = SYSREG_READ(cntpct_el0), deadline;

    check(WAIT_FOR(SYSREG_READ(cntpct_el0) > count, 1000), "the physical counter counts");
    irq_handler = phys_taken;
    irq_line_enable(TIMER_PHYS_IRQ);
    irq_enable();
    deadline = SYSREG_READ(cntpct_el0) + clock_hz() / 1000;
    SYSREG_WRITE(cntp_cval_el0, deadline);
    SYSREG_WRITE(cntp_ctl_el0, 1);
    check_eq(SYSREG_READ(cntp_cval_el0), deadline, "CNTP_CVAL_EL0 keeps its value");
    check(WAIT_FOR(LOAD(fired) == 1, LATE_MS), "the physical timer fires");
    check(SYSREG_READ(cntpct_el0) >= deadline, "not before its deadline");
    SYSREG_WRITE(cntp_tval_el0, clock_hz() / 1000);
    SYSREG_WRITE(cntp_ctl_el0, 3);
    check(WAIT_FOR(SYSREG_READ(cntp_ctl_el0) == 7, LATE_MS),
          "masked, it only tells that it is due");
    check_eq(fired, 1, "and does not fire");
    SYSREG_WRITE(cntp_ctl_el0, 1);
    check(WAIT_FOR(LOAD(fired) == 2, LATE_MS), "unmasked, it fires");
    SYSREG_WRITE(cntp_ctl_el0, 0);
    irq_disable();
}

void guest_main(void)
{
    check_features();
    check_hidden();
    check_there();
    check_physical_timer();
}
