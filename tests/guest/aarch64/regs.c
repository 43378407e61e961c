/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives every register that it has a value of its own and waits for a character, by loads with and
 * without a syndrome. Whoever pauses it meanwhile may take its registers and put them back: it
 * finds them as they were. [DDI0487, D19; IHI 0069, 12]
 */
#include "arm.h"

#define SEED       0x5eed000000000100ul
#define ROUNDS     4u
#define UART_FLAGS (UART_BASE + 0x18)
#define SGI_ACTIVE 5u
#define SGI_BEHIND 6u

void regs_hold(uint64_t seed, uint64_t device, uint64_t *result, bool pair);

/* Name, value; what hardware keeps of it is read back. The last turns the timer on, masked. */
#define REGISTERS(X)                                                                               \
    X(sctlr_el1, (before[0] ^ 0xc200))                                                             \
    X(cpacr_el1, 0x300000)                                                                         \
    X(ttbr0_el1, 0x0012000045670000)                                                               \
    X(ttbr1_el1, 0x0034000076540000)                                                               \
    X(tcr_el1, 0x0000003512905510)                                                                 \
    X(esr_el1, 0x56001234)                                                                         \
    X(afsr0_el1, 0x11)                                                                             \
    X(afsr1_el1, 0x12)                                                                             \
    X(far_el1, 0xfedcba9876543210)                                                                 \
    X(mair_el1, 0x0004080c44bbffee)                                                                \
    X(amair_el1, 0x13)                                                                             \
    X(vbar_el1, 0x41234800)                                                                        \
    X(contextidr_el1, 0x0badcafe)                                                                  \
    X(tpidr_el0, 0x1111222233334444)                                                               \
    X(tpidrro_el0, 0x5555666677778888)                                                             \
    X(tpidr_el1, 0x9999aaaabbbbcccc)                                                               \
    X(sp_el0, 0xddddeeeeffff0000)                                                                  \
    X(elr_el1, 0x0123456789abcdec)                                                                 \
    X(spsr_el1, 0x600003c4)                                                                        \
    X(cntkctl_el1, 0x303)                                                                          \
    X(par_el1, 0x0f00abcdef000a00)                                                                 \
    X(csselr_el1, 2)                                                                               \
    X(mdscr_el1, 0x1000)                                                                           \
    X(cntv_cval_el0, 0x0777666655554444)                                                           \
    X(cntv_ctl_el0, 3)

enum register_index {
#define X(name, value) REG_##name,
    REGISTERS(X)
#undef X
        REG_COUNT
};

static uint64_t before[REG_COUNT], kept[REG_COUNT], after[REG_COUNT];
static uint64_t general[32];
static bool has_gicv3;

static void registers_read(uint64_t *values)
{
#define X(name, value) values[REG_##name] = SYSREG_READ(name);
    REGISTERS(X)
#undef X
}

static void registers_fill(void)
{
#define X(name, value) SYSREG_WRITE(name, value);
    REGISTERS(X)
#undef X
}

static void registers_restore(void)
{
#define X(name, value) SYSREG_WRITE(name, before[REG_##name]);
    REGISTERS(X)
#undef X
}

static void registers_check(void)
{
    unsigned set = 0;

#define X(name, value)                                                                             \
    set += kept[REG_##name] != 0;                                                                  \
    check_eq(after[REG_##name], kept[REG_##name], "kept: " #name);
    REGISTERS(X)
#undef X
    check(set + 3 >= REG_COUNT, "nearly all registers keep what is written");
}

static void general_check(void)
{
    unsigned differ = 0;

    for (unsigned i = 2; i <= 30; i++)
        differ += general[i] != SEED + i;
    check_eq(differ, 0, "kept: the general registers");
    check_eq(general[31], 0, "kept: the stack pointer");
}

static void sgi_self(unsigned irq, unsigned priority)
{
    gic_priority(irq, priority);
    if (has_gicv3)
        SYSREG_WRITE(ICC_SGI1R, (uint64_t)irq << 24 | 1);
    else
        mmio_write(GICD_BASE + 0xf00, 2u << 24 | irq);
}

/* One interrupt active, a less urgent one behind it; and settings that are not usual. */
static unsigned interrupts_fill(void)
{
    unsigned iar;

    sgi_self(SGI_ACTIVE, 0x20);
    iar = gic_take();
    sgi_self(SGI_BEHIND, 0x80);
    if (has_gicv3) {
        SYSREG_WRITE(ICC_PMR, 0xc0);
        SYSREG_WRITE(ICC_BPR1, 4);
    }
    return iar;
}

static void interrupts_check(unsigned iar)
{
    check_eq(iar & 0x3ff, SGI_ACTIVE, "an interrupt was taken");
    if (has_gicv3) {
        check_eq(SYSREG_READ(ICC_PMR), 0xc0, "kept: the priority mask");
        check_eq(SYSREG_READ(ICC_BPR1), 4, "kept: the binary point");
        check_eq(SYSREG_READ(ICC_IGRPEN1), 1, "kept: the group's enable");
        check_eq(SYSREG_READ(ICC_RPR), 0x20, "kept: the running priority");
        SYSREG_WRITE(ICC_BPR1, 0);
        SYSREG_WRITE(ICC_PMR, 0xff);
    }
    check((gic_take() & 0x3ff) >= IRQ_NONE, "what is active keeps away what is less urgent");
    gic_end(iar);
    iar = gic_take();
    check_eq(iar & 0x3ff, SGI_BEHIND, "when it has ended, that comes");
    gic_end(iar);
    check((gic_take() & 0x3ff) >= IRQ_NONE, "and nothing else");
}

void guest_main(void)
{
    has_gicv3 = !fdt_is_compatible("arm,cortex-a15-gic");
    SYSREG_WRITE(sctlr_el1, SYSREG_READ(sctlr_el1) & ~1ul); /* So that tables may be anything. */
    fp_enable();
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned iar = interrupts_fill();
        uint64_t differ;

        print("regs: round %u\n", round);
        registers_read(before);
        registers_fill();
        registers_read(kept);
        fp_fill(SEED + round);
        regs_hold(SEED, UART_FLAGS, general, round % 2);
        differ = fp_compare(SEED + round);
        registers_read(after);
        registers_restore();
        uart_get();
        registers_check();
        general_check();
        check_eq(differ, 0, "kept: the FP and SIMD registers");
        interrupts_check(iar);
    }
}
