/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's PLIC: by the sequences of Linux's driver, then at random beside a slow model. */
#include "kernel/bits.h"
#include "kernel/string.h"
#include "tests/host/test.h"
#include "vcpu/irqchip/vplic.h"

#define HARTS           4u
#define ENABLE(hart)    (0x2000u + 0x80u * (2 * (hart) + 1))
#define THRESHOLD(hart) (0x200000u + 0x1000u * (2 * (hart) + 1))
#define CLAIM(hart)     (THRESHOLD(hart) + 4u)

static struct vplic plic;
static uint32_t kicked;

static void on_kick(struct vplic_owner *owner, unsigned hart)
{
    (void)owner;
    ASSERT(!lock_held(&plic.lock));
    kicked |= 1u << hart;
}

static struct vplic_owner owner = {.kick = on_kick};

static uint32_t get(uint64_t offset)
{
    return (uint32_t)vplic_read(&plic, offset, 4);
}

static void set(uint64_t offset, uint32_t value)
{
    vplic_write(&plic, offset, 4, value);
}

static void start(void)
{
    vplic_init(&plic, HARTS, &owner);
    kicked = 0;
}

static void give(uint32_t source, uint32_t priority, unsigned hart)
{
    uint64_t reg = ENABLE(hart) + source / 32 * 4;

    set(4 * source, priority);
    set(reg, get(reg) | 1u << source % 32);
}

TEST(a_level_interrupt_goes_from_wire_to_completion)
{
    start();
    give(10, 1, 2);
    kicked = 0;
    vplic_set_wire(&plic, 10, true);
    ASSERT_EQ(kicked, 1 << 2);
    ASSERT(vplic_line(&plic, 2) && !vplic_line(&plic, 0));
    ASSERT_EQ(get(0x1000), 1 << 10);
    ASSERT_EQ(get(CLAIM(2)), 10);
    ASSERT(!vplic_line(&plic, 2));
    ASSERT_EQ(get(0x1000), 0);
    ASSERT_EQ(get(CLAIM(2)), 0);
    vplic_set_wire(&plic, 10, true); /* Not before the completion. */
    ASSERT(!vplic_line(&plic, 2));
    set(CLAIM(2), 10); /* The wire is up still: it fires again. */
    ASSERT(vplic_line(&plic, 2));
    ASSERT_EQ(get(CLAIM(2)), 10);
    vplic_set_wire(&plic, 10, false);
    set(CLAIM(2), 10);
    ASSERT(!vplic_line(&plic, 2));
}

TEST(each_hart_is_kicked_whose_line_changes)
{
    start();
    give(10, 1, 1);
    vplic_set_wire(&plic, 10, true);
    kicked = 0;
    ASSERT_EQ(get(CLAIM(1)), 10);
    ASSERT_EQ(kicked, 1 << 1);
    kicked = 0;
    ASSERT_EQ(get(CLAIM(1)), 0);
    ASSERT_EQ(kicked, 0);
    give(10, 1, 3);
    set(CLAIM(1), 10);
    ASSERT_EQ(kicked, 1 << 1 | 1 << 3);
}

TEST(higher_priorities_are_claimed_first_then_lower_numbers)
{
    start();
    give(70, 3, 0);
    give(5, 3, 0);
    give(90, 7, 0);
    give(1, 1, 0);
    give(2, 0, 0); /* Never. */
    for (unsigned i = 1; i <= 90; i++)
        vplic_set_wire(&plic, i, true);
    ASSERT_EQ(get(CLAIM(0)), 90);
    ASSERT_EQ(get(CLAIM(0)), 5);
    ASSERT_EQ(get(CLAIM(0)), 70);
    ASSERT_EQ(get(CLAIM(0)), 1);
    ASSERT_EQ(get(CLAIM(0)), 0);
}

TEST(the_threshold_masks_the_line_and_not_the_claim)
{
    start();
    give(10, 3, 0);
    set(THRESHOLD(0), 3);
    ASSERT_EQ(get(THRESHOLD(0)), 3);
    vplic_set_wire(&plic, 10, true);
    ASSERT(!vplic_line(&plic, 0));
    set(THRESHOLD(0), 2);
    ASSERT(vplic_line(&plic, 0));
    set(THRESHOLD(0), 7);
    ASSERT(!vplic_line(&plic, 0));
    ASSERT_EQ(get(CLAIM(0)), 10);
}

TEST(one_of_several_harts_gets_the_interrupt)
{
    start();
    give(10, 1, 0);
    give(10, 1, 3);
    vplic_set_wire(&plic, 10, true);
    ASSERT(vplic_line(&plic, 0) && vplic_line(&plic, 3));
    kicked = 0;
    ASSERT_EQ(get(CLAIM(3)), 10);
    ASSERT_EQ(kicked, 1 << 0 | 1 << 3); /* Both lines fell. */
    ASSERT(!vplic_line(&plic, 0) && !vplic_line(&plic, 3));
    ASSERT_EQ(get(CLAIM(0)), 0);
    set(CLAIM(1), 10); /* Not enabled there: ignored. */
    ASSERT(!vplic_line(&plic, 0));
    set(CLAIM(0), 10);
    ASSERT(vplic_line(&plic, 0) && vplic_line(&plic, 3));
}

TEST(edges_are_kept_while_their_interrupt_is_claimed)
{
    start();
    give(20, 1, 0);
    vplic_edge(&plic, 20);
    vplic_edge(&plic, 20);
    ASSERT_EQ(get(CLAIM(0)), 20);
    vplic_edge(&plic, 20);
    ASSERT(!vplic_line(&plic, 0));
    set(CLAIM(0), 20);
    ASSERT_EQ(get(CLAIM(0)), 20);
    set(CLAIM(0), 20);
    ASSERT_EQ(get(CLAIM(0)), 0);
}

TEST(plic_registers_that_there_are_not_read_as_zero)
{
    static const uint64_t offsets[] = {0x0,      4 * 96,   0xffc,    0x100c,
                                       0x1ffc,   0x2000,   0x208c,   0x2080 + 0x100 * HARTS,
                                       0x200000, 0x200004, 0x201008, 0x201000 + 0x2000 * HARTS,
                                       0x5ffffc};

    start();
    for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++) {
        set(offsets[i], 0xffffffff);
        ASSERT_EQ(get(offsets[i]), 0);
    }
    set(ENABLE(0), 0xffffffff);
    set(ENABLE(0) + 8, 0xffffffff);
    ASSERT_EQ(get(ENABLE(0)), 0xfffffffe);
    ASSERT_EQ(get(ENABLE(0) + 8), 0xffffffff);
    set(4, 0xffffffff);
    ASSERT_EQ(get(4), 7);
    vplic_write(&plic, 4, 8, 3);
    vplic_write(&plic, 5, 1, 3);
    ASSERT_EQ(get(4), 7);
    ASSERT_EQ(vplic_read(&plic, 4, 2), 0);
    vplic_set_wire(&plic, 0, true);
    vplic_set_wire(&plic, 96, true);
    vplic_edge(&plic, 4000);
}

TEST(a_wire_that_is_up_over_a_reset_interrupts_again)
{
    start();
    give(10, 1, 0);
    vplic_set_wire(&plic, 10, true);
    ASSERT_EQ(get(CLAIM(0)), 10);
    vplic_reset(&plic);
    ASSERT(!vplic_line(&plic, 0));
    ASSERT_EQ(get(ENABLE(0)), 0);
    ASSERT_EQ(get(0x1000), 1 << 10);
    give(10, 1, 0);
    ASSERT_EQ(get(CLAIM(0)), 10);
}

/* What the line of a hart must be, found the slow way through the registers. */
static bool slow_line(unsigned hart)
{
    for (uint32_t i = 1; i <= VPLIC_SOURCES; i++) {
        bool pending = get(0x1000 + i / 32 * 4) >> i % 32 & 1;
        bool enabled = get(ENABLE(hart) + i / 32 * 4) >> i % 32 & 1;

        if (pending && enabled && get(4 * i) > get(THRESHOLD(hart)))
            return true;
    }
    return false;
}

static void random_step(void)
{
    unsigned hart = (unsigned)test_random_below(HARTS);
    uint32_t source = (uint32_t)test_random_below(VPLIC_SOURCES + 3);

    switch (test_random_below(7)) {
    case 0:
        vplic_set_wire(&plic, source, test_random_below(2));
        break;
    case 1:
        vplic_edge(&plic, source);
        break;
    case 2:
        set(4 * source, (uint32_t)test_random_below(9));
        break;
    case 3:
        set(ENABLE(hart) + 4 * test_random_below(4), (uint32_t)test_random());
        break;
    case 4:
        set(THRESHOLD(hart), (uint32_t)test_random_below(8));
        break;
    case 5:
        (void)get(CLAIM(hart));
        break;
    case 6:
        set(CLAIM(hart), source);
        break;
    }
}

TEST(the_lines_agree_with_the_registers_whatever_is_done)
{
    start();
    for (unsigned i = 0; i < 20000; i++) {
        random_step();
        for (unsigned hart = 0; hart < HARTS; hart++)
            ASSERT_EQ(vplic_line(&plic, hart), slow_line(hart));
    }
}
