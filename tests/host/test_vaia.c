/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's AIA: interrupt files and the APLIC that sends to them. */
#include "kernel/bits.h"
#include "kernel/string.h"
#include "tests/host/test.h"
#include "vcpu/irqchip/vaplic.h"
#include "vcpu/irqchip/vimsic.h"

enum { EIDELIVERY = 0x70, EITHRESHOLD = 0x72, EIP0 = 0x80, EIE0 = 0xc0 };

static struct vimsic file;

static uint64_t get(uint32_t select)
{
    uint64_t value = 1;

    ASSERT(vimsic_read(&file, select, false, &value));
    return value;
}

static void set(uint32_t select, uint64_t value)
{
    ASSERT(vimsic_write(&file, select, false, value));
}

static void start(void)
{
    vimsic_reset(&file);
    set(EIDELIVERY, 1);
    for (unsigned i = 0; i < 8; i += 2)
        set(EIE0 + i, ~0ull);
}

TEST(an_msi_is_delivered_and_claimed)
{
    start();
    ASSERT(vimsic_msi(&file, 70));
    ASSERT(vimsic_line(&file));
    ASSERT_EQ(get(EIP0 + 2), BIT(6));
    ASSERT_EQ(vimsic_top_read(&file), 70 << 16 | 70);
    ASSERT_EQ(vimsic_top_claim(&file), 70 << 16 | 70);
    ASSERT(!vimsic_line(&file));
    ASSERT_EQ(vimsic_top_read(&file), 0);
    ASSERT_EQ(vimsic_top_claim(&file), 0);
    ASSERT_EQ(get(EIP0 + 2), 0);
}

TEST(lower_identities_are_more_urgent)
{
    start();
    vimsic_msi(&file, 255);
    vimsic_msi(&file, 3);
    vimsic_msi(&file, 64);
    ASSERT_EQ(vimsic_top_claim(&file) >> 16, 3);
    ASSERT_EQ(vimsic_top_read(&file) >> 16, 64);
    set(EITHRESHOLD, 64);
    ASSERT_EQ(vimsic_top_read(&file), 0);
    ASSERT(!vimsic_line(&file));
    set(EITHRESHOLD, 65);
    ASSERT(vimsic_line(&file));
}

TEST(an_msi_that_comes_between_read_and_write_of_eip_is_not_lost)
{
    uint64_t value;

    start();
    vimsic_msi(&file, 9);
    ASSERT(vimsic_read(&file, EIP0, true, &value));
    ASSERT_EQ(value, BIT(9));
    vimsic_msi(&file, 7);
    ASSERT(vimsic_write(&file, EIP0, true, BIT(5))); /* 9 is cleared, 5 set. */
    ASSERT_EQ(get(EIP0), BIT(7) | BIT(5));
    set(EIP0, BIT(3));
    ASSERT_EQ(get(EIP0), BIT(3));
}

TEST(nothing_is_delivered_while_masked)
{
    start();
    set(EIDELIVERY, 0);
    ASSERT(vimsic_msi(&file, 9));
    ASSERT(!vimsic_msi(&file, 9)); /* No need to look twice. */
    ASSERT(!vimsic_line(&file));
    set(EIDELIVERY, 1);
    ASSERT(vimsic_line(&file));
    set(EIE0, 0);
    ASSERT(!vimsic_line(&file));
}

TEST(an_interrupt_file_has_no_other_registers_and_identities)
{
    uint64_t value;

    start();
    ASSERT(!vimsic_msi(&file, 0) && !vimsic_msi(&file, 256) && !vimsic_msi(&file, ~0ull));
    ASSERT(!vimsic_page_write(&file, 4, 4, 1) && !vimsic_page_write(&file, 0, 8, 1));
    ASSERT(vimsic_page_write(&file, 0, 4, 1));
    for (uint32_t select = 0; select < 0x200; select++) {
        bool is = select >= 0x70 && select <= 0xff && (select < 0x80 || select % 2 == 0);

        ASSERT_EQ(vimsic_read(&file, select, false, &value), is);
        ASSERT_EQ(vimsic_write(&file, select, false, ~0ull), is);
    }
    ASSERT_EQ(get(EIP0) | get(EIE0), ~1ull);
    ASSERT_EQ(get(EIP0 + 8) | get(EIE0 + 8) | get(0x71) | get(0x7f), 0);
    ASSERT_EQ(get(EITHRESHOLD), 255);
    ASSERT_EQ(get(EIDELIVERY), 1);
}

/* --- APLIC --- */

enum { SETIP = 0x1c00, SETIPNUM = 0x1cdc, IN_CLRIP = 0x1d00, CLRIPNUM = 0x1ddc };
enum { SETIE = 0x1e00, SETIENUM = 0x1edc, CLRIE = 0x1f00, CLRIENUM = 0x1fdc, GENMSI = 0x3000 };
enum { INACTIVE, DETACHED, EDGE1 = 4, EDGE0, LEVEL1, LEVEL0 };

static struct vaplic aplic;
static unsigned msi_count;
static uint32_t msi_hart, msi_identity;

static void on_msi(struct vaplic_owner *owner, uint32_t hart, uint32_t identity)
{
    (void)owner;
    msi_count++;
    msi_hart = hart;
    msi_identity = identity;
}

static struct vaplic_owner owner = {.msi = on_msi};

static uint32_t reg(uint64_t offset)
{
    return (uint32_t)vaplic_read(&aplic, offset, 4);
}

static void reg_set(uint64_t offset, uint32_t value)
{
    vaplic_write(&aplic, offset, 4, value);
}

static void source_start(uint32_t source, uint32_t mode)
{
    reg_set(4 * source, mode);
    reg_set(0x3000 + 4 * source, 3 << 18 | (100 + source));
    reg_set(SETIENUM, source);
}

static void aplic_start(void)
{
    vaplic_init(&aplic, &owner);
    vaplic_reset(&aplic);
    msi_count = 0;
    reg_set(0, 0x104);
}

static void expect_msis(unsigned count, uint32_t identity)
{
    ASSERT_EQ(msi_count, count);
    if (count)
        ASSERT_EQ(msi_identity, identity);
    msi_count = 0;
}

TEST(a_level_wire_sends_one_msi_until_software_asks_again)
{
    aplic_start();
    ASSERT_EQ(reg(0), 0x80000104);
    source_start(10, LEVEL1);
    vaplic_set_wire(&aplic, 10, true);
    expect_msis(1, 110);
    ASSERT_EQ(msi_hart, 3);
    ASSERT_EQ(reg(SETIP), 0);
    ASSERT_EQ(reg(IN_CLRIP), 1 << 10);
    vaplic_set_wire(&aplic, 10, true);
    expect_msis(0, 0);
    reg_set(SETIPNUM, 10); /* As Linux does at the end of the handler. */
    expect_msis(1, 110);
    vaplic_set_wire(&aplic, 10, false);
    reg_set(SETIPNUM, 10);
    expect_msis(0, 0);
}

TEST(edges_are_told_by_their_direction)
{
    aplic_start();
    source_start(5, EDGE1);
    source_start(6, EDGE0);
    vaplic_set_wire(&aplic, 5, true);
    expect_msis(1, 105);
    vaplic_set_wire(&aplic, 5, false);
    vaplic_set_wire(&aplic, 6, true);
    expect_msis(0, 0);
    vaplic_set_wire(&aplic, 6, false);
    expect_msis(1, 106);
    ASSERT_EQ(reg(IN_CLRIP), 1 << 6);
}

TEST(what_is_masked_waits_pending)
{
    aplic_start();
    reg_set(0, 0);
    source_start(96, LEVEL0);
    ASSERT_EQ(reg(SETIP + 12), 1); /* Low is asserted. */
    expect_msis(0, 0);
    reg_set(CLRIENUM, 96);
    reg_set(0, 0x100);
    expect_msis(0, 0);
    reg_set(SETIE + 12, 1);
    expect_msis(1, 196);
    reg_set(CLRIE + 12, 1);
    reg_set(SETIPNUM, 96);
    ASSERT_EQ(reg(SETIP + 12), 1);
    vaplic_set_wire(&aplic, 96, true);
    ASSERT_EQ(reg(SETIP + 12), 0);
}

TEST(a_detached_source_is_a_port_for_msis)
{
    aplic_start();
    source_start(20, DETACHED);
    vaplic_set_wire(&aplic, 20, true);
    expect_msis(0, 0);
    reg_set(0x2000, 20);
    expect_msis(1, 120);
    reg_set(CLRIENUM, 20);
    reg_set(SETIP, 1 << 20);
    ASSERT_EQ(reg(SETIP), 1 << 20);
    reg_set(CLRIPNUM, 20);
    ASSERT_EQ(reg(SETIP), 0);
}

TEST(inactive_sources_have_no_state)
{
    aplic_start();
    source_start(7, EDGE1);
    reg_set(4 * 7, 0x400 | LEVEL1); /* There is no child to delegate to. */
    ASSERT_EQ(reg(4 * 7) | reg(0x3000 + 4 * 7) | reg(SETIE), 0);
    reg_set(SETIENUM, 7);
    reg_set(SETIPNUM, 7);
    reg_set(0x3000 + 4 * 7, ~0u);
    ASSERT_EQ(reg(0x3000 + 4 * 7) | reg(SETIE) | reg(SETIP), 0);
    reg_set(4 * 7, 2);
    ASSERT_EQ(reg(4 * 7), 0);
    expect_msis(0, 0);
}

TEST(an_extempore_msi_is_sent_whatever_is_masked)
{
    aplic_start();
    reg_set(0, 0);
    reg_set(GENMSI, 2 << 18 | 0x1000 | 77);
    expect_msis(1, 77);
    ASSERT_EQ(msi_hart, 2);
    ASSERT_EQ(reg(GENMSI), 2 << 18 | 77);
}

TEST(the_aplic_stays_in_its_bounds_and_leaves_nothing_unsent)
{
    aplic_start();
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t offset = test_random_below(2) ? test_random_below(VAPLIC_SIZE) & ~3ull
                                               : 0x1c00 + (test_random_below(0x400) & ~3ull);

        if (test_random_below(3) == 0)
            vaplic_set_wire(&aplic, (uint32_t)test_random_below(100), test_random_below(2));
        else if (test_random_below(2))
            (void)reg(offset);
        else
            reg_set(offset, test_random_below(2) ? (uint32_t)test_random_below(100)
                                                 : (uint32_t)test_random());
        for (unsigned w = 0; w < 4; w++) {
            ASSERT(!aplic.state.on || !(reg(SETIP + 4 * w) & reg(SETIE + 4 * w)));
            ASSERT_EQ((reg(SETIP + 4 * w) | reg(SETIE + 4 * w)) & ~aplic.state.active[w], 0);
        }
    }
    ASSERT_EQ(vaplic_read(&aplic, 0, 8), 0);
}
