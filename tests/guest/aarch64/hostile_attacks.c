/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an arm64 guest can do wrong: system registers by random encodings, calls of firmware,
 * instructions on devices that carry no syndrome, tables from nowhere. [DDI0487, DEN0022]
 */
#include "arm.h"

void cpu_setup(void);

#define INSN_RET 0xd65f03c0u
#define INSN_HVC 0xd4000002u
#define INSN_SMC 0xd4000003u
#define INSN_SVC 0xd4000001u
#define INSN_BRK 0xd4200000u
#define INSN_WFE 0xd503205fu
#define SYSTEM   0xd5000000u /* MSR, MRS, SYS, hints: op0 to op2 and Rt below. */
#define ANY_REG  0x1fffffu
#define REG(op0, op1, crn, crm, op2)                                                               \
    ((op0) << 19 | (op1) << 16 | (crn) << 12 | (crm) << 8 | (op2) << 5)

#define BPR0 REG(3, 0, 12, 8, 3)  /* ICC_BPR0_EL1 */
#define BPR1 REG(3, 0, 12, 12, 3) /* ICC_BPR1_EL1 */

static uint32_t codes[CPUS_MAX][16] __attribute__((aligned(64)));

/* Instructions of which nobody knows: X0 to X7 are theirs. */
static void execute(uint32_t insn, uint64_t a, uint64_t b)
{
    uint32_t *code = codes[cpu_id() % CPUS_MAX];

    code[0] = insn;
    for (unsigned i = 1; i < 4; i++)
        code[i] = INSN_RET; /* An exception steps over what it came from, SVC's over the next. */
    __asm__ volatile("dc cvau, %0; dsb ish; ic ivau, %0; dsb ish; isb" ::"r"(code) : "memory");
    ((void (*)(uint64_t, uint64_t))code)(a, b);
}

/* What traps, and what a hypervisor keeps for each guest. */
static const uint32_t known[] = {
    REG(3, 0, 12, 11, 5), /* ICC_SGI1R_EL1 */
    REG(3, 0, 12, 11, 6), /* ICC_ASGI1R_EL1 */
    REG(3, 0, 12, 11, 7), /* ICC_SGI0R_EL1 */
    REG(3, 0, 12, 11, 1), /* ICC_DIR_EL1 */
    REG(3, 0, 12, 12, 0), /* ICC_IAR1_EL1 */
    REG(3, 0, 12, 12, 1), /* ICC_EOIR1_EL1 */
    BPR1,
    REG(3, 0, 12, 12, 4), /* ICC_CTLR_EL1 */
    REG(3, 0, 12, 12, 5), /* ICC_SRE_EL1 */
    REG(3, 0, 12, 12, 6), /* ICC_IGRPEN0_EL1 */
    REG(3, 0, 12, 12, 7), /* ICC_IGRPEN1_EL1 */
    REG(3, 0, 12, 8, 0),  /* ICC_IAR0_EL1 */
    REG(3, 0, 12, 8, 1),  /* ICC_EOIR0_EL1 */
    REG(3, 0, 4, 6, 0),   /* ICC_PMR_EL1 */
    REG(3, 3, 14, 2, 0),  /* CNTP_TVAL_EL0 */
    REG(3, 3, 14, 2, 1),  /* CNTP_CTL_EL0 */
    REG(3, 3, 14, 2, 2),  /* CNTP_CVAL_EL0 */
    REG(3, 3, 14, 3, 0),  /* CNTV_TVAL_EL0 */
    REG(3, 3, 14, 3, 1),  /* CNTV_CTL_EL0 */
    REG(3, 3, 14, 3, 2),  /* CNTV_CVAL_EL0 */
    REG(3, 0, 14, 1, 0),  /* CNTKCTL_EL1 */
    REG(3, 0, 1, 0, 1),   /* ACTLR_EL1 */
    REG(3, 0, 1, 0, 2),   /* CPACR_EL1 */
    REG(3, 0, 5, 1, 0),   /* AFSR0_EL1 */
    REG(3, 0, 10, 2, 0),  /* MAIR_EL1 */
    REG(3, 0, 13, 0, 1),  /* CONTEXTIDR_EL1 */
    REG(3, 3, 9, 12, 0),  /* PMCR_EL0 */
    REG(2, 0, 0, 2, 2),   /* MDSCR_EL1 */
    REG(2, 0, 1, 0, 4),   /* OSLAR_EL1 */
    REG(2, 0, 0, 0, 5),   /* DBGBCR0_EL1 */
    REG(2, 0, 0, 0, 7),   /* DBGWCR0_EL1 */
};

/*
 * A number for a register. QEMU keeps three bits of a binary point, without a look at the others,
 * and ends itself when they are 0.
 */
static uint64_t value_for(uint32_t reg)
{
    uint64_t value = hostile_number();

    return (reg & ANY_REG & ~0x1fu) == BPR0 || (reg & ANY_REG & ~0x1fu) == BPR1 ? value & 7 : value;
}

static void attack_known(void)
{
    uint32_t reg = known[hostile_below(sizeof(known) / sizeof(known[0]))];

    execute(SYSTEM | reg | hostile_below(2) << 21, value_for(reg), 0);
}

/* Without which the next exception finds no vectors: a write of SCTLR, TTBR, TCR or VBAR. */
static bool ends_vectors(uint32_t insn)
{
    uint32_t reg = insn & ANY_REG & ~0xffu; /* Whatever op2 is. */

    return !(insn & 1u << 21) &&
           (reg == REG(3, 0, 1, 0, 0) || reg == REG(3, 0, 2, 0, 0) || reg == REG(3, 0, 12, 0, 0));
}

/* Any encoding: registers, cache and TLB maintenance, hints, PSTATE. */
static void attack_system(void)
{
    uint32_t insn = SYSTEM | ((uint32_t)hostile_random() & 0x3fffe0);

    if (!hostile_counted || !ends_vectors(insn))
        execute(insn, value_for(insn), 0);
}

/* A hundred SGIs, to lists of whom there is and is not. */
static void attack_sgis(void)
{
    for (unsigned i = 0; i < 100; i++)
        execute(SYSTEM | REG(3, 0, 12, 11, 5), hostile_random() & 0xff000f0001000f, 0);
}

static uint64_t call_number(void)
{
    static const uint32_t bases[] = {0x84000000, 0xc4000000, 0x80000000, 0x8600ff00, 0xc6000000};
    uint64_t number = bases[hostile_below(5)] + hostile_below(0x20);

    if (number == PSCI_SYSTEM_OFF || number == PSCI_SYSTEM_RESET || number == PSCI_CPU_OFF ||
        number == CAISSON_WATCHDOG || (number & ~0x40000000ull) == 0x84000012) /* SYSTEM_RESET2 */
        return hostile_below(50) ? PSCI_VERSION : number;
    return hostile_below(10) ? number : hostile_number();
}

static void attack_call(void)
{
    uint64_t number = call_number(), a = hostile_number(), b = hostile_number();

    if ((number & ~0x40000000ull) == (PSCI_CPU_SUSPEND & ~0x40000000ull))
        hostile_wake();
    if (hostile_below(2))
        a = hostile_below(4);
    if (hostile_below(2))
        b = (uint64_t)secondary_entry;
    if (hostile_below(2))
        hvc(number, a, b, hostile_below(4));
    else
        smc(number, a, b, hostile_number());
}

static void attack_fault(void)
{
    static const uint32_t insns[] = {INSN_HVC, INSN_SMC, INSN_SVC, INSN_BRK, INSN_WFE, 0};

    execute(insns[hostile_below(6)] | hostile_below(0x10000) << 5, hostile_number(), 0);
}

/* Loads and stores of all forms, at a device: X1. Pairs, write-back, exclusives, SIMD. */
static void attack_insn(void)
{
    static const uint32_t forms[] = {0x38000000, 0x39000000, 0x28000000, 0x29000000, 0x08000000};
    uint64_t random = hostile_random();
    uint32_t insn = forms[hostile_below(hostile_seldom() ? 5 : 2)];

    insn |= (uint32_t)random & (insn == 0x39000000 ? 0xc0c3fc00 : 0xc0dffc00);
    insn |= hostile_seldom() ? 1u << 26 : 0; /* SIMD. */
    insn &= ~0x6000u;                        /* The second of a pair: X0 to X7. */
    execute(insn | 1u << 5 | (2 + hostile_below(6)), hostile_random(),
            (hostile_address() & ~0xfffull) + 0x800);
}

/* Aimed at what this guest calls memory, which is nowhere. */
static void attack_tables(void)
{
    if (!hostile_seldom())
        return;
    SYSREG_WRITE(ttbr0_el1, hostile_below(2) ? HOLE_ADDRESS : hostile_address() & ~0xfffull);
    __asm__ volatile("tlbi vmalle1; dsb ish; isb" ::: "memory");
}

static const struct hostile_attack attacks[] = {
    {attack_known, 200}, {attack_system, 200}, {attack_sgis, 5},   {attack_call, 200},
    {attack_fault, 50},  {attack_insn, 5},     {attack_tables, 1}, {NULL, 0},
};

const struct hostile_attack *hostile_attacks(void)
{
    return attacks;
}

void hostile_attempt(void (*run)(void))
{
    fault_expect();
    run();
}

void hostile_window(uint64_t number, uint64_t *base, uint64_t *size)
{
    static uint64_t windows[4][2] = {
        {GICD_BASE, 0x10000}, {GICC_BASE, 0}, {UART_BASE, 0x1000}, {RTC_BASE, 0x1000}};

    if (windows[1][1] == 0 && fdt_is_compatible("arm,cortex-a15-gic")) {
        windows[1][1] = 0x2000;
    } else if (windows[1][1] == 0) {
        windows[1][0] = GICR_BASE;
        windows[1][1] = (uint64_t)GICR_STRIDE * machine_cpu_count();
    }
    *base = windows[number % 4][0];
    *size = windows[number % 4][1];
}

void hostile_restart(unsigned cpu)
{
    cpu_start(cpu);
}

/* And what was acknowledged and never ended. */
void hostile_repair(void)
{
    gic_setup_first();
    cpu_setup();
    mmio_write(gic_bank(0, GICD_ICACTIVER), ~0u);
    for (unsigned i = 0; i < 32 && SYSREG_READ(ICC_RPR) != 0xff; i++)
        SYSREG_WRITE(ICC_EOIR1, TIMER_IRQ);
}
