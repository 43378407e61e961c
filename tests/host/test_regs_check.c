/* SPDX-License-Identifier: Apache-2.0 */
/* What register files of arm64 and riscv64 may hold. That they are complete is proved by guests. */
#include "arch/aarch64/regs.h"
#include "arch/riscv64/regs.h"
#include "kernel/string.h"
#include "tests/host/test.h"

#define TIMER_IRQ      27u
#define LR_PENDING     BIT(62)
#define LR_ACTIVE      BIT(63)
#define LR_HW          BIT(61)
#define LR_PHYS(irq)   ((uint64_t)(irq) << 32)
#define LDP_W1_W2_X0   0x29400801u
#define LDR_W1_X0_POST 0xb8404401u
#define LDR_Q0_X0      0x3dc00000u

static const struct a64_gic_limits limits = {
    .version = 3, .slots = 4, .aprs = 1, .physical_irq = TIMER_IRQ};

TEST(a_pstate_is_of_EL0_or_EL1_or_of_a_processor_with_AArch32)
{
    for (uint64_t mode = 0; mode < 32; mode++) {
        bool guest = mode == 0 || mode == 4 || mode == 5;

        ASSERT_EQ(a64_regs_check_pstate(mode, false) == NULL, guest);
        ASSERT_EQ(a64_regs_check_pstate(mode, true) == NULL, guest || mode == 0x10);
    }
}

TEST(a_pstate_has_no_bits_that_no_guest_can_have)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        bool reserved = bit == 5 || (bit >= 14 && bit <= 19) || bit == 26 || bit == 27 || bit > 31;

        if (bit > 4)
            ASSERT_EQ(a64_regs_check_pstate(5 | BIT(bit), true) != NULL, reserved);
    }
    ASSERT(a64_regs_check_pstate(0x10 | BITS(31, 5), true) == NULL);
    ASSERT(a64_regs_check_pstate(0x10 | BIT(32), true) != NULL);
}

TEST(a_list_register_reaches_no_physical_interrupt_but_the_guests_timer)
{
    struct arch_gic_state gic = {.hcr = 1, .lr = {LR_PENDING | LR_HW | LR_PHYS(TIMER_IRQ) | 27}};

    ASSERT(a64_regs_check_gic(&gic, &limits) == NULL);
    for (unsigned irq = 0; irq < 1024; irq++) {
        gic.lr[0] = LR_PENDING | LR_HW | LR_PHYS(irq) | 27;
        ASSERT_EQ(a64_regs_check_gic(&gic, &limits) == NULL, irq == TIMER_IRQ);
    }
}

TEST(list_registers_hold_interrupts_that_there_are_each_once_and_as_many_as_fit)
{
    struct arch_gic_state gic = {.lr = {LR_PENDING | 33, LR_ACTIVE | 34}};

    ASSERT(a64_regs_check_gic(&gic, &limits) == NULL);
    gic.lr[3] = LR_ACTIVE | 33;
    ASSERT(a64_regs_check_gic(&gic, &limits) != NULL);
    gic.lr[3] = 33; /* It has ended. */
    ASSERT(a64_regs_check_gic(&gic, &limits) == NULL);
    gic.lr[3] = LR_ACTIVE | 1020;
    ASSERT(a64_regs_check_gic(&gic, &limits) != NULL);
    gic.lr[3] = 0;
    gic.lr[4] = LR_ACTIVE | 40;
    ASSERT(a64_regs_check_gic(&gic, &limits) != NULL);
    gic.lr[4] = 0;
    gic.ended = BIT(4);
    ASSERT(a64_regs_check_gic(&gic, &limits) != NULL);
    gic.ended = 0;
    gic.lr[0] |= BIT(46);
    ASSERT(a64_regs_check_gic(&gic, &limits) != NULL);
}

TEST(a_gic_has_as_many_active_priorities_as_this_one)
{
    struct arch_gic_state gic = {.ap0r = {1}, .ap1r = {1}};
    struct a64_gic_limits v2 = limits;

    ASSERT(a64_regs_check_gic(&gic, &limits) == NULL);
    v2.version = 2;
    ASSERT(a64_regs_check_gic(&gic, &v2) != NULL);
    gic.ap1r[0] = 0;
    ASSERT(a64_regs_check_gic(&gic, &v2) == NULL);
    gic.ap0r[1] = 1;
    ASSERT(a64_regs_check_gic(&gic, &limits) != NULL);
    gic = (struct arch_gic_state){.hcr = BIT(10)}; /* TC: traps that nobody answers. */
    ASSERT(a64_regs_check_gic(&gic, &limits) != NULL);
    gic = (struct arch_gic_state){.vmcr = BIT(32)};
    ASSERT(a64_regs_check_gic(&gic, &limits) != NULL);
}

TEST(an_instruction_under_way_is_one_that_is_emulated)
{
    struct arch_insn_regs insn = {.done = 7, .gpa = UINT64_MAX};

    ASSERT(a64_regs_check_insn(&insn, 5, 40) == NULL); /* There is none. */
    insn = (struct arch_insn_regs){.word = LDP_W1_W2_X0, .done = 1, .gpa = BITS(39, 0)};
    ASSERT(a64_regs_check_insn(&insn, 5, 40) == NULL);
    ASSERT(a64_regs_check_insn(&insn, 0x10, 40) != NULL);
    insn.done = 2;
    ASSERT(a64_regs_check_insn(&insn, 5, 40) != NULL);
    insn.done = 1;
    insn.gpa++;
    ASSERT(a64_regs_check_insn(&insn, 5, 40) != NULL);
    insn.gpa = 0;
    insn.word = LDR_W1_X0_POST;
    ASSERT(a64_regs_check_insn(&insn, 5, 40) != NULL); /* It has no second access. */
    insn.done = 0;
    ASSERT(a64_regs_check_insn(&insn, 5, 40) == NULL);
    insn.word = LDR_Q0_X0;
    ASSERT(a64_regs_check_insn(&insn, 5, 40) != NULL);
}

TEST(a_riscv64_file_has_nothing_that_no_guest_can_have)
{
    static const struct rv64_regs_plain good = {
        .supervisor = 1,
        .hvip = 0x444,
        .fcsr = 0xff,
        .access = {.op = 3, .csr = 0xfff, .reg = 31, .operand = ~0ull, .read = ~0ull},
    };
    struct rv64_regs_plain regs = good;

    ASSERT(rv64_regs_check(&regs) == NULL);
    regs.x0 = 1;
    ASSERT(rv64_regs_check(&regs) != NULL);
    regs = good;
    regs.supervisor = 2;
    ASSERT(rv64_regs_check(&regs) != NULL);
    regs = good;
    regs.hvip |= 0x200;
    ASSERT(rv64_regs_check(&regs) != NULL);
    regs = good;
    regs.fcsr = 0x100;
    ASSERT(rv64_regs_check(&regs) != NULL);
    regs = good;
    regs.access.op = 4;
    ASSERT(rv64_regs_check(&regs) != NULL);
    regs = good;
    regs.access.csr = 0x1000;
    ASSERT(rv64_regs_check(&regs) != NULL);
    regs = good;
    regs.access.reg = 32;
    ASSERT(rv64_regs_check(&regs) != NULL);
}

TEST(isa_strings_that_differ_are_told_apart)
{
    ASSERT(rv64_regs_hash("rv64imac") != rv64_regs_hash("rv64imafdc"));
    ASSERT(rv64_regs_hash("rv64imac") != rv64_regs_hash("rv64imca"));
    ASSERT_EQ(rv64_regs_hash("a"), 0xaf63dc4c8601ec8cull); /* As published. */
}
