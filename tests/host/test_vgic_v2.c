// SPDX-License-Identifier: Apache-2.0
/*
 * The GIC model's other face, the GICv2: its distributor's registers, and SGIs that have senders.
 * The guest's processors are those of test_vgic.h.
 */
#include "arch/aarch64/gicv2_lr.h"
#include "tests/host/test_vgic.h"

#define SGI_OTHERS       (1u << 24)
#define SGI_SELF         (2u << 24)
#define IAR(irq, sender) ((irq) | (uint32_t)(sender) << 10)

static uint32_t dist(unsigned cpu, uint32_t offset, unsigned width)
{
    uint64_t v = ~(uint64_t)0;

    (void)vgic_v2_read(&guest.vgic, cpu, offset, width, &v);
    ASSERT_EQ(v >> 32, 0);
    return (uint32_t)v;
}

static void dist_set(unsigned cpu, uint32_t offset, unsigned width, uint32_t v)
{
    ASSERT(vgic_v2_write(&guest.vgic, cpu, offset, width, v));
}

/* Registers as after reset; all bound. */
static void start_raw(unsigned cpus, unsigned slots)
{
    guest_start_raw(cpus, slots);
    vgic_v2_init(&guest.vgic, cpus, VGIC_SPIS_MAX, &guest.owner);
    for (unsigned i = 0; i < cpus; i++)
        vgic_cpu_init(&guest.vgic, i, &guest.cpu[i].arch, 0x80000000u | i, slots);
    vgic_reset(&guest.vgic);
}

/* Everything enabled, priority 0xa0, SPIs edge, to vCPU 0. */
static void start(unsigned cpus, unsigned slots)
{
    start_raw(cpus, slots);
    dist_set(0, GICD_CTLR, 4, 1);
    for (uint32_t i = 32; i < VGIC_IRQS_MAX; i += 4) {
        dist_set(0, GICD_IPRIORITYR + i, 4, 0xa0a0a0a0);
        dist_set(0, GICD_ITARGETSR + i, 4, 0x01010101);
    }
    for (uint32_t i = 1; i <= VGIC_SPI_BANKS; i++) {
        dist_set(0, 0x100 + 4 * i, 4, UINT32_MAX);
        dist_set(0, GICD_ICFGR + 8 * i, 4, 0xaaaaaaaa);
        dist_set(0, GICD_ICFGR + 8 * i + 4, 4, 0xaaaaaaaa);
    }
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        dist_set(cpu, 0x100, 4, UINT32_MAX);
        for (uint32_t i = 0; i < 32; i += 4)
            dist_set(cpu, GICD_IPRIORITYR + i, 4, 0xa0a0a0a0);
    }
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        guest_enter(cpu);
    guest.kicks = 0;
}

static void send(unsigned cpu, uint32_t v)
{
    dist_set(cpu, GICD_SGIR, 4, v);
    guest_settle(cpu);
}

/* GICV_IAR: the interrupt, and the sender of an SGI. */
static uint32_t ack(unsigned cpu)
{
    const struct arch_vcpu *arch = &guest.cpu[cpu].arch;
    uint32_t irq = guest_ack(cpu);

    for (unsigned i = 0; i < guest.slots && irq < VGIC_SGIS; i++)
        if (arch->slots[i] & LR_ACTIVE && (uint32_t)arch->slots[i] == irq)
            return IAR(irq, field_get(LR_SENDER, arch->slots[i]));
    return irq;
}

static void end(unsigned cpu, uint32_t iar)
{
    guest_eoi(cpu, iar & 0x3ff);
    guest_settle(cpu);
}

static void take(unsigned cpu, uint32_t iar)
{
    ASSERT_EQ(ack(cpu), iar);
    end(cpu, iar);
}

/* --- Registers --- */

TEST(gicv2_says_what_it_is)
{
    start_raw(3, 4);
    ASSERT_EQ(dist(0, GICD_CTLR, 4), 0);
    ASSERT_EQ(dist(0, GICD_TYPER, 4), 8u | 2u << 5);
    ASSERT_EQ(dist(0, GICD_IIDR, 4), 0x43b);
    ASSERT_EQ(dist(0, 0xfe8, 4), 0x20);
    dist_set(0, GICD_CTLR, 4, UINT32_MAX);
    ASSERT_EQ(dist(1, GICD_CTLR, 4), 3);
    start_raw(1, 4);
    ASSERT_EQ(dist(0, GICD_TYPER, 4), 8u);
}

TEST(gicv2_banks_private_registers_by_the_cpu_that_asks)
{
    start_raw(2, 4);
    dist_set(0, 0x080, 4, 0x30003);
    dist_set(1, 0x100, 4, 0x10000);
    dist_set(1, 0x200, 4, 0x20000);
    dist_set(0, GICD_IPRIORITYR + 27, 1, 0x48);
    dist_set(1, GICD_IPRIORITYR + 24, 4, 0x10ff2030);
    dist_set(0, GICD_ICFGR + 4, 4, 8);
    ASSERT_EQ(dist(0, 0x080, 4), 0x30003);
    ASSERT_EQ(dist(1, 0x080, 4), 0);
    ASSERT_EQ(dist(0, 0x100, 4), 0xffff);
    ASSERT_EQ(dist(1, 0x180, 4), 0x1ffff);
    ASSERT_EQ(dist(0, 0x200, 4), 0);
    ASSERT_EQ(dist(1, 0x280, 4), 0x20000);
    ASSERT_EQ(dist(0, GICD_IPRIORITYR + 24, 4), 0x48000000);
    ASSERT_EQ(dist(1, GICD_IPRIORITYR + 26, 1), 0xf8);
    ASSERT_EQ(dist(0, GICD_ICFGR, 4), 0xaaaaaaaa);
    ASSERT_EQ(dist(0, GICD_ICFGR + 4, 4), 8);
    ASSERT_EQ(dist(1, GICD_ICFGR + 4, 4), 0);
}

TEST(gicv2_shares_the_registers_of_spis)
{
    start_raw(2, 4);
    for (uint32_t offset = 0x84; offset < 0x380; offset += 0x80) {
        dist_set(1, offset, 4, 0x5);
        ASSERT_EQ(dist(0, offset, 4), offset % 0x100 == 0x84 && offset > 0x100 ? 0 : 5);
    }
    dist_set(1, GICD_IPRIORITYR + 40, 1, 0x80);
    ASSERT_EQ(dist(0, GICD_IPRIORITYR + 40, 4), 0x80);
    dist_set(1, GICD_ICFGR + 8, 4, UINT32_MAX);
    ASSERT_EQ(dist(0, GICD_ICFGR + 8, 4), 0xaaaaaaaa);
}

TEST(gicv2_keeps_sgis_enabled_and_pending_by_their_own_registers_only)
{
    start(2, 4);
    dist_set(0, 0x180, 4, 0x1ffff);
    ASSERT_EQ(dist(0, 0x100, 4), 0xfffeffff);
    dist_set(0, 0x200, 4, 0xffff);
    guest_settle(0);
    ASSERT_EQ(dist(0, 0x200, 4), 0);
    ASSERT_EQ(ack(0), SPURIOUS);
    send(1, 1u << 16 | 3);
    dist_set(0, 0x280, 4, 0xffff);
    guest_settle(0);
    ASSERT_EQ(dist(0, 0x280, 4), 8);
    guest_settle(0);
    take(0, IAR(3, 1));
}

TEST(gicv2_targets_are_bytes_and_private_ones_say_who_asks)
{
    start_raw(3, 4);
    for (unsigned cpu = 0; cpu < 3; cpu++) {
        ASSERT_EQ(dist(cpu, GICD_ITARGETSR + 28, 4), 0x01010101u << cpu);
        ASSERT_EQ(dist(cpu, GICD_ITARGETSR + 5, 1), 1u << cpu);
    }
    dist_set(1, GICD_ITARGETSR, 4, UINT32_MAX);
    ASSERT_EQ(dist(0, GICD_ITARGETSR, 4), 0x01010101);
    ASSERT_EQ(dist(0, GICD_ITARGETSR + 32, 4), 0);
    dist_set(1, GICD_ITARGETSR + 32, 4, 0xff040201);
    dist_set(1, GICD_ITARGETSR + 33, 1, 0xf8);
    ASSERT_EQ(dist(0, GICD_ITARGETSR + 32, 4), 0x07040001); /* Three vCPUs. */
    start_raw(1, 4);
    dist_set(0, GICD_ITARGETSR + 32, 4, UINT32_MAX);
    ASSERT_EQ(dist(0, GICD_ITARGETSR + 32, 4), 0);
    ASSERT_EQ(dist(0, GICD_ITARGETSR, 4), 0);
    ASSERT_EQ(vgic_spi_target(&guest.vgic, 32), 0);
}

TEST(gicv2_delivers_an_spi_to_its_lowest_target_and_keeps_it_without)
{
    start(3, 4);
    dist_set(0, GICD_ITARGETSR + 40, 1, 6);
    ASSERT_EQ(vgic_spi_target(&guest.vgic, 40), 1);
    vgic_accept(&guest.vgic, 0, 40, true);
    guest_settle(0);
    take(1, 40);
    dist_set(0, GICD_ITARGETSR + 40, 1, 0);
    vgic_accept(&guest.vgic, 0, 40, true);
    for (unsigned cpu = 0; cpu < 3; cpu++) {
        guest_settle(cpu);
        ASSERT_EQ(ack(cpu), SPURIOUS);
    }
    dist_set(0, GICD_ITARGETSR + 40, 1, 4);
    guest_settle(0);
    take(2, 40);
}

TEST(gicv2_delivers_in_group_0_unless_told_otherwise)
{
    start(1, 4);
    vgic_accept(&guest.vgic, 0, 32, true);
    guest_settle(0);
    ASSERT_EQ(guest.cpu[0].arch.slots[0] & LR_GROUP1, 0);
    dist_set(0, 0x84, 4, 1);
    guest_settle(0);
    ASSERT_EQ(ack(0), SPURIOUS); /* Group 1 is off. */
    dist_set(0, GICD_CTLR, 4, 2);
    guest_settle(0);
    ASSERT(guest.cpu[0].arch.slots[0] & LR_GROUP1);
    take(0, 32);
}

TEST(gicv2_ignores_wrong_widths_and_places)
{
    uint64_t v;

    start_raw(2, 4);
    ASSERT(!vgic_v2_write(&guest.vgic, 0, GICD_CTLR, 1, 3));
    ASSERT(!vgic_v2_write(&guest.vgic, 0, 0x100, 1, 3));
    ASSERT(!vgic_v2_write(&guest.vgic, 0, 0x102, 4, 3));
    ASSERT(!vgic_v2_write(&guest.vgic, 0, GICD_IPRIORITYR, 2, 3));
    ASSERT(!vgic_v2_write(&guest.vgic, 0, GICD_IPRIORITYR, 8, 3));
    ASSERT(!vgic_v2_write(&guest.vgic, 0, GICD_SGIR, 1, 3));
    ASSERT(!vgic_v2_read(&guest.vgic, 0, GICD_IROUTER + 256, 8, &v));
    ASSERT(!vgic_v2_read(&guest.vgic, 0, 0x1000, 4, &v));
    ASSERT(!vgic_v2_read(&guest.vgic, 0, 0xfffffffc, 4, &v));
    ASSERT_EQ(dist(0, GICD_SETSPI_NSR, 4), 0);
    ASSERT_EQ(dist(0, GICD_ITARGETSR + VGIC_IRQS_MAX, 4), 0);
    send(0, 3u << 24 | 0xff << 16); /* A filter that there is not. */
    send(0, 0xfcu << 16);           /* Nobody. */
    ASSERT(!vgic_has_pending(&guest.vgic, 0) && !vgic_has_pending(&guest.vgic, 1));
}

/* --- SGIs --- */

TEST(gicv2_sends_sgis_to_a_list_to_the_others_and_to_itself)
{
    start(4, 4);
    send(1, 0xdu << 16 | 0x8000 | 3); /* NSATT is nothing here. */
    ASSERT_EQ(guest.kicks, 3);
    ASSERT_EQ(ack(1), SPURIOUS);
    take(0, IAR(3, 1));
    take(2, IAR(3, 1));
    take(3, IAR(3, 1));
    send(2, SGI_OTHERS | 0xff0000 | 4);
    ASSERT_EQ(ack(2), SPURIOUS);
    take(0, IAR(4, 2));
    take(1, IAR(4, 2));
    take(3, IAR(4, 2));
    guest.kicks = 0;
    send(3, SGI_SELF | 0xff0000 | 5);
    ASSERT_EQ(guest.kicks, 0);
    take(3, IAR(5, 3));
}

TEST(gicv2_delivers_an_sgi_once_for_each_sender)
{
    start(4, 4);
    for (unsigned cpu = 4; cpu-- > 0;)
        send(cpu, 1u << 16 | 7);
    ASSERT_EQ(dist(0, GICD_V2_SPENDSGIR + 4, 4), 0x0f000000);
    guest_settle(0);
    for (unsigned cpu = 0; cpu < 4; cpu++) {
        ASSERT_EQ(ack(0), IAR(7, cpu));
        ASSERT_EQ(ack(0), SPURIOUS);
        end(0, 7);
    }
    ASSERT_EQ(ack(0), SPURIOUS);
    ASSERT(!guest_maintenance(0));
}

TEST(gicv2_delivers_an_sgi_again_that_came_while_it_was_active)
{
    start(2, 4);
    send(1, 1u << 16 | 7);
    ASSERT_EQ(ack(0), IAR(7, 1));
    send(1, 1u << 16 | 7);
    send(0, SGI_SELF | 7);
    ASSERT_EQ(dist(0, 0x300, 4), BIT(7));
    ASSERT_EQ(dist(0, 0x200, 4), BIT(7));
    ASSERT_EQ(dist(0, GICD_V2_CPENDSGIR + 7, 1), 3);
    guest_settle(0);
    ASSERT_EQ(ack(0), SPURIOUS);
    end(0, 7);
    take(0, IAR(7, 0));
    take(0, IAR(7, 1));
    ASSERT_EQ(ack(0), SPURIOUS);
}

TEST(gicv2_takes_two_sgis_of_one_sender_for_one)
{
    start(2, 4);
    send(1, 1u << 16 | 7);
    send(1, 1u << 16 | 7);
    take(0, IAR(7, 1));
    ASSERT_EQ(ack(0), SPURIOUS);
    ASSERT(!vgic_has_pending(&guest.vgic, 0));
}

TEST(gicv2_sets_and_clears_senders)
{
    start(2, 4);
    dist_set(0, GICD_V2_SPENDSGIR + 4, 4, 0xff000201);
    guest_settle(0);
    ASSERT_EQ(dist(0, GICD_V2_SPENDSGIR + 4, 4), 0x03000201);
    ASSERT_EQ(dist(0, GICD_V2_CPENDSGIR + 7, 1), 3);
    ASSERT_EQ(dist(1, GICD_V2_CPENDSGIR + 7, 1), 0);
    ASSERT_EQ(dist(0, 0x200, 4), 0xb0);
    dist_set(0, GICD_V2_CPENDSGIR + 7, 1, 0xfd);
    dist_set(0, GICD_V2_CPENDSGIR + 4, 4, 0x00000002);
    dist_set(0, GICD_V2_CPENDSGIR + 5, 1, 2);
    guest_settle(0);
    ASSERT_EQ(dist(0, GICD_V2_SPENDSGIR + 4, 4), 0x02000001);
    guest_settle(0);
    take(0, IAR(4, 0));
    take(0, IAR(7, 1));
    ASSERT_EQ(ack(0), SPURIOUS);
}

TEST(gicv2_remembers_the_sender_of_an_sgi_that_had_to_leave_its_slot)
{
    start(4, 1);
    send(3, 1u << 16 | 7);
    ASSERT_EQ(ack(0), IAR(7, 3));
    send(2, 1u << 16 | 7);
    dist_set(0, GICD_IPRIORITYR + 32, 1, 0x20);
    vgic_accept(&guest.vgic, 0, 32, true);
    guest_settle(0);
    ASSERT_EQ(ack(0), 32);
    end(0, 32);
    guest_unbind(0);
    guest_enter(0);
    ASSERT_EQ(field_get(LR_SENDER, guest.cpu[0].arch.slots[0]), 3); /* It came back. */
    ASSERT_EQ(guest.cpu[0].arch.slots[0] & LR_STATE, LR_ACTIVE);
    end(0, 7);
    take(0, IAR(7, 2));
    ASSERT_EQ(ack(0), SPURIOUS);
}

TEST(gicv2_keeps_senders_over_an_unbind_and_forgets_them_at_reset)
{
    start(2, 4);
    send(0, 2u << 16 | 2);
    send(1, 2u << 16 | 2);
    guest_unbind(1);
    send(0, 2u << 16 | 9);
    ASSERT(vgic_has_pending(&guest.vgic, 1));
    guest_enter(1);
    take(1, IAR(2, 0));
    take(1, IAR(2, 1));
    take(1, IAR(9, 0));
    send(1, SGI_SELF | 2);
    guest_unbind(0);
    guest_unbind(1);
    vgic_reset(&guest.vgic);
    ASSERT_EQ(dist(1, GICD_V2_SPENDSGIR, 4), 0);
    ASSERT(!vgic_has_pending(&guest.vgic, 1));
}

/* Random sends, acknowledges and ends; a bit for each sender is all there is to know. */
TEST(gicv2_loses_and_doubles_no_sgi)
{
    uint8_t due[GUEST_CPUS][VGIC_SGIS] = {0};
    uint32_t stack[GUEST_CPUS][VGIC_SGIS];

    start(4, 2);
    for (unsigned i = 0; i < 100000; i++) {
        unsigned cpu = (unsigned)test_random_below(4), *depth = &guest.cpu[cpu].depth;
        uint32_t irq = (uint32_t)test_random_below(4), to = (uint32_t)test_random_below(16), iar;
        bool drain = i > 90000;

        switch (test_random_below(drain ? 2 : 5)) {
        case 0:
            iar = ack(cpu);
            if (iar == SPURIOUS)
                break;
            ASSERT(due[cpu][iar & 0xf] >> (iar >> 10) & 1);
            due[cpu][iar & 0xf] &= (uint8_t)~BIT(iar >> 10);
            stack[cpu][*depth - 1] = iar;
            guest_settle(cpu);
            break;
        case 1:
            if (*depth > 0)
                end(cpu, stack[cpu][*depth - 1]);
            break;
        case 2:
            for (unsigned k = 0; k < 4; k++)
                due[k][irq] |= (uint8_t)((to >> k & 1) << cpu);
            send(cpu, to << 16 | irq);
            break;
        case 3:
            dist_set(0, GICD_IPRIORITYR + irq, 1, (uint32_t)test_random_below(8) << 5);
            dist_set(cpu, GICD_V2_CPENDSGIR + irq, 1, to);
            due[cpu][irq] &= (uint8_t)~to;
            guest_settle(cpu);
            guest_settle(0);
            break;
        case 4:
            if (test_random_below(4) == 0)
                guest_unbind(cpu);
            guest_settle(cpu);
            break;
        }
    }
    for (unsigned cpu = 0; cpu < 4; cpu++)
        for (uint32_t irq = 0; irq < VGIC_SGIS; irq++)
            ASSERT_EQ(due[cpu][irq], 0);
}

TEST(gicv2_survives_any_access)
{
    static const uint8_t widths[] = {0, 1, 2, 3, 4, 8, 16};

    start(4, 2);
    for (unsigned i = 0; i < 200000; i++) {
        unsigned cpu = (unsigned)test_random_below(4);
        uint32_t offset = (uint32_t)(test_random() & (i % 16 ? 0xfff : 0x3ffff));
        unsigned width = i % 8 ? 4 : widths[test_random_below(7)];
        uint64_t got;

        offset &= i % 4 ? ~3u : ~0u;
        if (i % 5 == 0)
            offset = GICD_SGIR + (uint32_t)test_random_below(12) * 4;
        (void)vgic_v2_write(&guest.vgic, cpu, offset, width, test_random());
        guest_settle(cpu);
        (void)vgic_v2_read(&guest.vgic, cpu, offset, width, &got);
        guest_settle(cpu);
        (void)guest_ack(cpu);
        guest.cpu[cpu].depth = 0;
    }
}

/* --- The hardware's list registers --- */

TEST(gicv2_list_registers_go_through_the_layout_of_v3_unchanged)
{
    for (unsigned i = 0; i < 10000; i++) {
        uint32_t lr = (uint32_t)test_random(), none = 7u << 20;

        if (!(lr & LR2_HW))
            none |= 0x3fu << 13;
        ASSERT_EQ(gicv2_lr_from_v3(gicv2_lr_to_v3(lr)), lr & ~none);
    }
    ASSERT_EQ(gicv2_lr_from_v3(LR_PENDING | LR_EOI | field_put(LR_SENDER, 5) | 7 |
                               field_put(LR_PRIORITY, 0xa0)),
              1u << 28 | 1u << 19 | 5u << 10 | 7 | 0x14u << 23);
    ASSERT_EQ(gicv2_lr_to_v3(2u << 28 | 1u << 31 | 1u << 30 | 27u << 10 | 27),
              LR_ACTIVE | LR_HW | LR_GROUP1 | field_put(LR_PINTID, 27) | 27);
}
