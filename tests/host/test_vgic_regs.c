// SPDX-License-Identifier: Apache-2.0
/* The GIC model's registers: what they read, keep and ignore. */
#include "tests/host/test_vgic.h"

static uint64_t dist(uint32_t offset, unsigned width)
{
    uint64_t v = ~(uint64_t)0;

    (void)vgic_dist_read(&guest.vgic, 0, offset, width, &v);
    return v;
}

static uint64_t redist(unsigned target, uint32_t offset, unsigned width)
{
    uint64_t v = ~(uint64_t)0;

    (void)vgic_redist_read(&guest.vgic, 0, target, offset, width, &v);
    return v;
}

TEST(gic_says_what_it_is)
{
    guest_start_raw(4, 4);
    ASSERT_EQ(dist(GICD_CTLR, 4), 0x50); /* DS, ARE. */
    ASSERT_EQ(dist(GICD_TYPER, 4), 8u | 1u << 16 | 9u << 19 | 1u << 25);
    ASSERT_EQ(dist(GIC_PIDR2, 4), 0x30);
    ASSERT_EQ(redist(0, GIC_PIDR2, 4), 0x30);
    ASSERT_EQ(redist(1, GICR_TYPER, 8), BIT(32) | BIT(8));
    ASSERT_EQ(redist(3, GICR_TYPER, 8), 3 * BIT(32) | 3 * BIT(8) | BIT(4));
    ASSERT_EQ(redist(3, GICR_TYPER, 4), 3 * BIT(8) | BIT(4));
    ASSERT_EQ(redist(3, GICR_TYPER + 4, 4), 3);
    vgic_cpu_init(&guest.vgic, 3, &guest.cpu[3].arch, BIT(32) | 16, 4);
    ASSERT_EQ(dist(GICD_TYPER, 4) >> 24, 7); /* RSS, No1N, A3V. */
}

TEST(gic_control_register_keeps_only_the_enables)
{
    guest_start_raw(1, 4);
    guest_dist_write(0, GICD_CTLR, UINT32_MAX);
    ASSERT_EQ(dist(GICD_CTLR, 4), 0x53);
    guest_dist_write(0, GICD_CTLR, 0);
    ASSERT_EQ(dist(GICD_CTLR, 4), 0x50);
}

TEST(gic_waker_wakes_at_once)
{
    guest_start_raw(2, 4);
    ASSERT_EQ(redist(1, GICR_WAKER, 4), 6);
    ASSERT(vgic_redist_write(&guest.vgic, 0, 1, GICR_WAKER, 4, 0));
    ASSERT_EQ(redist(1, GICR_WAKER, 4), 0);
    ASSERT_EQ(redist(0, GICR_WAKER, 4), 6);
}

TEST(gic_set_and_clear_registers_change_only_named_lines)
{
    guest_start_raw(1, 4);
    for (uint32_t set = 0x104; set <= 0x304; set += 0x100) {
        guest_dist_write(0, set, 0xf00f);
        guest_dist_write(0, set, 0x0ff0);
        ASSERT_EQ(dist(set, 4), 0xffff);
        guest_dist_write(0, set + 0x80, 0x00ff);
        ASSERT_EQ(dist(set, 4), 0xff00);
        ASSERT_EQ(dist(set + 0x80, 4), 0xff00);
        ASSERT_EQ(dist(set + 4, 4), 0);
        guest_sgi_write(0, set - 4, 0x30003);
        guest_sgi_write(0, set + 0x7c, 1);
        ASSERT_EQ(guest_sgi_read(0, set - 4), 0x30002);
    }
}

TEST(gic_private_lines_are_not_in_the_distributor)
{
    guest_start_raw(1, 4);
    for (uint32_t offset = 0x80; offset < 0x400; offset += 0x80) {
        guest_dist_write(0, offset, UINT32_MAX);
        ASSERT_EQ(dist(offset, 4), 0);
    }
    guest_dist_write(0, GICD_IPRIORITYR, UINT32_MAX);
    guest_dist_write(0, GICD_IPRIORITYR + 28, UINT32_MAX);
    guest_dist_write(0, GICD_ICFGR + 4, UINT32_MAX);
    guest_dist_write(0, GICD_ITARGETSR + 32, UINT32_MAX);
    ASSERT_EQ(dist(GICD_IPRIORITYR, 4), 0);
    ASSERT_EQ(dist(GICD_IPRIORITYR + 28, 4), 0);
    ASSERT_EQ(dist(GICD_ICFGR, 4), 0);
    ASSERT_EQ(dist(GICD_ICFGR + 4, 4), 0);
    ASSERT_EQ(dist(GICD_ITARGETSR + 32, 4), 0);
}

TEST(gic_priorities_are_bytes_of_five_bits)
{
    guest_start_raw(2, 4);
    guest_dist_write(0, GICD_IPRIORITYR + 32, 0xffa05508);
    ASSERT_EQ(dist(GICD_IPRIORITYR + 32, 4), 0xf8a05008);
    ASSERT(vgic_dist_write(&guest.vgic, 0, GICD_IPRIORITYR + 33, 1, 0x1234));
    ASSERT_EQ(dist(GICD_IPRIORITYR + 32, 4), 0xf8a03008);
    ASSERT_EQ(dist(GICD_IPRIORITYR + 33, 1), 0x30);
    ASSERT(!vgic_dist_write(&guest.vgic, 0, GICD_IPRIORITYR + 32, 2, 0));
    ASSERT(!vgic_dist_write(&guest.vgic, 0, GICD_IPRIORITYR + 33, 4, 0));
    ASSERT_EQ(dist(GICD_IPRIORITYR + VGIC_IRQS_MAX, 4), 0);
    guest_sgi_write(1, GICD_IPRIORITYR + 28, 0x88888888);
    ASSERT_EQ(redist(1, GICR_FRAME + GICD_IPRIORITYR + 31, 1), 0x88);
    ASSERT_EQ(redist(0, GICR_FRAME + GICD_IPRIORITYR + 31, 1), 0);
    ASSERT_EQ(redist(1, GICR_FRAME + GICD_IPRIORITYR + 32, 4), 0);
}

TEST(gic_configuration_keeps_the_edge_bits_and_sgis_are_edges)
{
    guest_start_raw(1, 4);
    guest_dist_write(0, GICD_ICFGR + 8, 0xffff0009);
    ASSERT_EQ(dist(GICD_ICFGR + 8, 4), 0xaaaa0008);
    ASSERT_EQ(dist(GICD_ICFGR + 12, 4), 0);
    guest_dist_write(0, GICD_ICFGR + 12, 0x80000002);
    ASSERT_EQ(dist(GICD_ICFGR + 12, 4), 0x80000002);
    ASSERT_EQ(dist(GICD_ICFGR + 8, 4), 0xaaaa0008);
    guest_sgi_write(0, GICD_ICFGR, 0);
    ASSERT_EQ(guest_sgi_read(0, GICD_ICFGR), 0xaaaaaaaa);
    guest_sgi_write(0, GICD_ICFGR + 4, 0x80000000);
    ASSERT_EQ(guest_sgi_read(0, GICD_ICFGR + 4), 0x80000000);
}

TEST(gic_routers_work_in_whole_and_in_halves)
{
    uint32_t at = GICD_IROUTER + 8 * 40;

    guest_start_raw(4, 4);
    ASSERT(vgic_dist_write(&guest.vgic, 0, at, 8, BIT(31) | BIT(32) | 2)); /* No A3V, no 1-of-N. */
    ASSERT_EQ(dist(at, 8), 2);
    ASSERT_EQ(vgic_spi_target(&guest.vgic, 40), 2);
    guest_dist_write(0, at, 3);
    guest_dist_write(0, at + 4, 0xff);
    ASSERT_EQ(dist(at, 8), 3);
    ASSERT_EQ(vgic_spi_target(&guest.vgic, 40), 3);
    guest.vgic.typer |= (uint32_t)GICD_TYPER_A3V;
    guest_dist_write(0, at + 4, 0x1ff);
    ASSERT_EQ(dist(at, 8), 0xff00000003);
    ASSERT_EQ(dist(at + 4, 4), 0xff);
    ASSERT_EQ(dist(at, 4), 3);
    ASSERT(!vgic_dist_write(&guest.vgic, 0, at, 2, 0));
    ASSERT_EQ(dist(GICD_IROUTER + 8, 8), 0);
    ASSERT(vgic_dist_write(&guest.vgic, 0, GICD_IROUTER + 8 * 1019, 8, 1));
    ASSERT_EQ(dist(GICD_IROUTER + 8 * 1019, 8), 0);
}

TEST(gic_messages_set_and_clear_spis)
{
    guest_start(1, 4);
    guest_dist_write(0, GICD_SETSPI_NSR, 40);
    guest_settle(0);
    ASSERT_EQ(guest_ack(0), 40);
    guest_eoi(0, 40);
    guest_settle(0);
    guest_dist_write(0, GICD_SETSPI_NSR, 40);
    guest_dist_write(0, GICD_CLRSPI_NSR, 40);
    guest_settle(0);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
    guest_set_edge(0, 41, false);
    ASSERT(vgic_dist_write(&guest.vgic, 0, GICD_SETSPI_NSR, 2, 41));
    guest_settle(0);
    for (unsigned i = 0; i < 3; i++) {
        ASSERT_EQ(guest_ack(0), 41);
        guest_settle(0);
        if (i == 2)
            guest_dist_write(0, GICD_CLRSPI_NSR, 41);
        guest_settle(0);
        guest_eoi(0, 41);
        guest_settle(0);
    }
    ASSERT_EQ(guest_ack(0), SPURIOUS);
    guest_dist_write(0, GICD_SETSPI_NSR, 5);
    guest_dist_write(0, GICD_SETSPI_NSR, 1023);
    ASSERT(!vgic_has_pending(&guest.vgic, 0));
}

TEST(gic_ignores_wrong_widths_and_places)
{
    guest_start_raw(2, 4);
    ASSERT(!vgic_dist_write(&guest.vgic, 0, GICD_CTLR, 1, 3));
    ASSERT(!vgic_dist_write(&guest.vgic, 0, GICD_CTLR, 8, 3));
    ASSERT(!vgic_dist_write(&guest.vgic, 0, 0x104, 2, 3));
    ASSERT(!vgic_dist_write(&guest.vgic, 0, 0x106, 4, 3));
    ASSERT(!vgic_dist_write(&guest.vgic, 0, 0x104, 3, 3));
    ASSERT(!vgic_dist_write(&guest.vgic, 0, 0x104, 0, 3));
    ASSERT(!vgic_dist_write(&guest.vgic, 0, 0x10000, 4, 3));
    ASSERT_EQ(dist(0xfffffffc, 4), 0);
    ASSERT_EQ(redist(2, GICR_TYPER, 8), 0);
    ASSERT_EQ(redist(0, 0x20000, 4), 0);
    ASSERT_EQ(redist(0, GICR_FRAME + 0x104, 4), 0);
    vgic_accept(&guest.vgic, 0, 5000, true);
    vgic_deactivate(&guest.vgic, 0, UINT32_MAX);
}

TEST(gic_survives_any_access)
{
    static const uint8_t widths[] = {0, 1, 2, 3, 4, 8, 16};

    guest_start(4, 2);
    for (unsigned i = 0; i < 200000; i++) {
        unsigned cpu = (unsigned)test_random_below(4), target = (unsigned)test_random_below(6);
        uint32_t offset = (uint32_t)(test_random() & (i % 4 ? 0xfff : 0x3ffff));
        unsigned width = i % 8 ? 4 : widths[test_random_below(7)];
        uint64_t v = test_random(), got;

        offset &= i % 16 ? ~3u : ~0u;
        offset += i % 3 == 0 ? GICR_FRAME : 0;
        (void)vgic_dist_write(&guest.vgic, cpu, offset, width, v);
        (void)vgic_dist_read(&guest.vgic, cpu, offset, width, &got);
        (void)vgic_redist_write(&guest.vgic, cpu, target, offset, width, v);
        (void)vgic_redist_read(&guest.vgic, cpu, target, offset, width, &got);
        vgic_send_sgi(&guest.vgic, cpu, test_random() & (i % 2 ? ~(uint64_t)0 : 0xf00ffff), i & 1);
        vgic_deactivate(&guest.vgic, cpu, (uint32_t)test_random_below(400));
        guest_settle(cpu);
        (void)guest_ack(cpu);
        guest.cpu[cpu].depth = 0;
    }
}
