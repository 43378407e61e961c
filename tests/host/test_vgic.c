// SPDX-License-Identifier: Apache-2.0
/* Delivery by the GIC model, one behaviour at a time. */
#include "tests/host/test_vgic.h"

static void accept_edge(uint32_t irq)
{
    vgic_accept(&guest.vgic, 0, irq, true);
    guest_settle(0);
}

static void end(unsigned cpu, uint32_t irq)
{
    guest_eoi(cpu, irq);
    guest_settle(cpu);
}

static void take(unsigned cpu, uint32_t irq)
{
    ASSERT_EQ(guest_ack(cpu), irq);
    guest_settle(cpu);
}

TEST(gic_delivers_the_most_urgent_first)
{
    guest_start(1, 4);
    guest_set_priority(0, 40, 0x80);
    guest_set_priority(0, 41, 0x20);
    guest_set_priority(0, 27, 0x40);
    for (unsigned i = 0; i < 2; i++)
        vgic_accept(&guest.vgic, 0, 40 + i, true);
    vgic_accept(&guest.vgic, 0, 27, true);
    guest.line[0][27] = true; /* Level: its latch is enough too. */
    guest_enter(0);
    take(0, 41);
    end(0, 41);
    take(0, 27);
    guest.line[0][27] = false;
    end(0, 27);
    take(0, 40);
    end(0, 40);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
}

TEST(gic_delivers_more_than_there_are_slots_once_each_and_in_order)
{
    for (unsigned slots = 1; slots <= 4; slots++) {
        guest_start(1, slots);
        for (uint32_t irq = 32; irq < VGIC_IRQS_MAX; irq++)
            guest_set_priority(0, irq, (uint8_t)(irq * 88));
        for (uint32_t irq = 32; irq < VGIC_IRQS_MAX; irq++)
            vgic_accept(&guest.vgic, 0, irq, true);
        guest_enter(0);
        for (uint32_t n = 32, last = 0; n < VGIC_IRQS_MAX; n++) {
            uint32_t irq = guest_ack(0), priority = (irq * 88) & 0xf8;

            ASSERT(irq != SPURIOUS);
            ASSERT(priority >= last);
            last = priority;
            guest_settle(0);
            end(0, irq);
        }
        ASSERT_EQ(guest_ack(0), SPURIOUS);
        ASSERT(!vgic_has_pending(&guest.vgic, 0));
    }
}

TEST(gic_replaces_a_less_urgent_one_when_slots_are_full)
{
    guest_start(1, 2);
    guest_set_priority(0, 42, 0x10);
    accept_edge(40);
    accept_edge(41);
    accept_edge(42);
    take(0, 42);
    end(0, 42);
    take(0, 40);
    end(0, 40);
    take(0, 41);
    end(0, 41);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
}

TEST(gic_delivers_an_edge_that_came_while_active_again)
{
    guest_start(1, 4);
    accept_edge(40);
    accept_edge(40); /* While pending: still one. */
    take(0, 40);
    accept_edge(40);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
    ASSERT(guest_get_bit(0, VGIC_ISPENDR, 40));
    ASSERT(guest_get_bit(0, VGIC_ISACTIVER, 40));
    guest_settle(0);
    end(0, 40);
    take(0, 40);
    end(0, 40);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
    ASSERT(!guest_get_bit(0, VGIC_ISACTIVER, 40));
}

TEST(gic_asks_a_level_again_when_its_interrupt_ends)
{
    guest_start(1, 4);
    guest_set_edge(0, 40, false);
    guest_set_line(0, 40, true);
    guest_settle(0);
    take(0, 40);
    end(0, 40); /* Still high. */
    take(0, 40);
    guest.line[0][40] = false; /* Nobody was told: asking tells. */
    end(0, 40);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
    ASSERT(!guest_get_bit(0, VGIC_ISPENDR, 40));
}

TEST(gic_withdraws_a_level_that_fell_before_delivery)
{
    guest_start(1, 4);
    guest_set_edge(0, 40, false);
    guest_set_line(0, 40, true);
    guest_settle(0);
    ASSERT(guest_get_bit(0, VGIC_ISPENDR, 40));
    guest_settle(0);
    guest_set_line(0, 40, false);
    guest_settle(0);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
    ASSERT(!vgic_has_pending(&guest.vgic, 0));
}

TEST(gic_uses_up_a_levels_latch_at_the_acknowledge)
{
    guest_start(1, 4);
    guest_set_edge(0, 40, false);
    guest_set_bit(0, VGIC_ISPENDR, 40);
    ASSERT(guest_get_bit(0, VGIC_ISPENDR, 40));
    guest_settle(0);
    take(0, 40);
    ASSERT(!guest_get_bit(0, VGIC_ISPENDR, 40));
    guest_set_bit(0, VGIC_ISPENDR, 40); /* Again, while active. */
    guest_settle(0);
    end(0, 40);
    take(0, 40);
    end(0, 40);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
}

TEST(gic_takes_a_rise_as_an_edge_where_the_line_is_configured_so)
{
    guest_start(1, 4);
    guest_set_line(0, 40, true);
    guest_set_line(0, 40, true);
    guest_settle(0);
    take(0, 40);
    end(0, 40);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
    guest_set_line(0, 40, false);
    guest_set_line(0, 40, true);
    guest_settle(0);
    take(0, 40);
}

TEST(gic_sends_sgis_to_one_to_a_list_and_to_all_but_self)
{
    guest_start(4, 4);
    vgic_send_sgi(&guest.vgic, 0, field_put(SGIR_INTID, 3) | BIT(2), true);
    guest_settle(0);
    ASSERT_EQ(guest.kicks, 1);
    take(2, 3);
    vgic_send_sgi(&guest.vgic, 0, field_put(SGIR_INTID, 4) | 0xb, true);
    guest_settle(0);
    take(0, 4);
    take(1, 4);
    take(3, 4);
    vgic_send_sgi(&guest.vgic, 1, field_put(SGIR_INTID, 5) | SGIR_IRM | 0xffff, true);
    guest_settle(1);
    ASSERT_EQ(guest_ack(0), SPURIOUS); /* Same priority: waits. */
    end(0, 4);
    take(0, 5);
    end(1, 4);
    ASSERT_EQ(guest_ack(1), SPURIOUS);
    end(2, 3);
    take(2, 5);
    end(3, 4);
    take(3, 5);
}

TEST(gic_ignores_sgis_to_nobody_and_group_0_sgis_of_group_1)
{
    guest_start(2, 4);
    vgic_send_sgi(&guest.vgic, 0, 0xfffc, true);
    vgic_send_sgi(&guest.vgic, 0, field_put(SGIR_AFF1, 1) | 3, true);
    vgic_send_sgi(&guest.vgic, 0, field_put(SGIR_RS, 1) | 3, true);
    vgic_send_sgi(&guest.vgic, 0, field_put(SGIR_AFF3, 1) | 3, true);
    vgic_send_sgi(&guest.vgic, 0, 3, false);
    ASSERT(!vgic_has_pending(&guest.vgic, 0) && !vgic_has_pending(&guest.vgic, 1));
    guest_sgi_write(0, 0x80, ~1u); /* SGI 0 to group 0: both may send it. */
    vgic_send_sgi(&guest.vgic, 0, 1, false);
    guest_settle(0);
    ASSERT_EQ(guest.cpu[0].arch.slots[0] & LR_GROUP1, 0);
    take(0, 0);
    vgic_send_sgi(&guest.vgic, 0, 1, true);
    ASSERT(guest_get_bit(0, VGIC_ISPENDR, 0));
}

TEST(gic_puts_an_sgi_to_self_into_a_slot_at_once)
{
    guest_start(1, 1);
    for (unsigned i = 0; i < 100; i++) {
        vgic_send_sgi(&guest.vgic, 0, field_put(SGIR_INTID, i % 16) | 1, true);
        ASSERT(!atomic_load(&guest.vgic.cpus[0].dirty));
        ASSERT_EQ(guest_ack(0), i % 16);
        guest_eoi(0, i % 16);
    }
    ASSERT(!vgic_has_pending(&guest.vgic, 0));
}

TEST(gic_keeps_an_sgi_to_self_sent_while_it_is_active)
{
    guest_start(1, 4);
    vgic_send_sgi(&guest.vgic, 0, 1, true);
    guest_settle(0);
    take(0, 0);
    vgic_send_sgi(&guest.vgic, 0, 1, true);
    guest_settle(0);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
    end(0, 0);
    take(0, 0);
}

/* All slots active and nested deeper: ends of what is in no slot are counted or trapped. */
static void nest_and_end(unsigned slots, bool mode1)
{
    guest_start(1, slots);
    guest.cpu[0].eoi_mode1 = mode1;
    for (unsigned i = 0; i < 20; i++) {
        guest_set_priority(0, 40 + i, (uint8_t)(0xf0 - 8 * i));
        accept_edge(40 + i);
        take(0, 40 + i);
    }
    for (unsigned i = 0; i < 20; i++)
        ASSERT(guest_get_bit(0, VGIC_ISACTIVER, 40 + i));
    guest_settle(0);
    for (unsigned i = 20; i-- > 0;) {
        end(0, 40 + i);
        if (mode1)
            continue;
        ASSERT(!guest_get_bit(0, VGIC_ISACTIVER, 40 + i));
        guest_settle(0);
    }
    for (unsigned i = 0; i < 20 && mode1; i++) { /* In another order. */
        uint32_t irq = 40 + i * 7 % 20;

        ASSERT(guest_get_bit(0, VGIC_ISACTIVER, irq));
        guest_settle(0);
        guest_dir(0, irq);
        guest_settle(0);
        ASSERT(!guest_get_bit(0, VGIC_ISACTIVER, irq));
        guest_settle(0);
    }
    for (unsigned i = 0; i < 20; i++)
        accept_edge(40 + i);
    take(0, 59);
}

TEST(gic_ends_active_interrupts_that_had_to_leave_their_slots)
{
    for (unsigned slots = 1; slots <= 4; slots++)
        nest_and_end(slots, false);
}

TEST(gic_ends_them_by_trapped_deactivation_too)
{
    for (unsigned slots = 1; slots <= 4; slots++)
        nest_and_end(slots, true);
}

TEST(gic_makes_progress_when_all_slots_are_active_and_the_rest_is_less_urgent)
{
    guest_start(1, 2);
    guest_set_priority(0, 41, 0x20);
    accept_edge(40);
    take(0, 40);
    accept_edge(41);
    take(0, 41);
    guest_set_priority(0, 42, 0xf0);
    accept_edge(42); /* guest_enter() proves that maintenance does not come at once again. */
    accept_edge(40); /* And pending while evicted. */
    ASSERT_EQ(guest_ack(0), SPURIOUS);
    end(0, 41);
    end(0, 40);
    take(0, 40);
    end(0, 40);
    take(0, 42);
    end(0, 42);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
}

TEST(gic_takes_what_is_disabled_out_of_a_slot_and_puts_it_back)
{
    guest_start(1, 4);
    accept_edge(40);
    guest_set_bit(0, VGIC_ICENABLER, 40);
    ASSERT(!vgic_has_pending(&guest.vgic, 0));
    guest_settle(0);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
    ASSERT(guest_get_bit(0, VGIC_ISPENDR, 40));
    guest_set_bit(0, VGIC_ISENABLER, 40);
    ASSERT(vgic_has_pending(&guest.vgic, 0));
    guest_settle(0);
    take(0, 40);
}

TEST(gic_clears_what_is_pending_in_a_slot)
{
    guest_start(2, 4);
    accept_edge(40);
    guest_set_bit(0, VGIC_ICPENDR, 40);
    guest_settle(0);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
    accept_edge(40);
    guest_set_bit(1, VGIC_ICPENDR, 40); /* By another, which sees it gone at once. */
    ASSERT(!guest_get_bit(1, VGIC_ISPENDR, 40));
    guest_settle(1);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
    accept_edge(40);
    take(0, 40);
    accept_edge(40);
    guest_set_bit(1, VGIC_ICPENDR, 40); /* Pending and active: stays active. */
    guest_settle(1);
    ASSERT(guest_get_bit(0, VGIC_ISACTIVER, 40));
    guest_settle(0);
    end(0, 40);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
}

TEST(gic_deactivates_what_is_in_anothers_slot)
{
    guest_start(2, 4);
    accept_edge(40);
    take(0, 40);
    accept_edge(40);
    guest_set_bit(1, VGIC_ICACTIVER, 40);
    guest_settle(1);
    guest.cpu[0].depth = 0;
    take(0, 40);
}

TEST(gic_holds_back_what_the_guest_made_active)
{
    guest_start(2, 1);
    guest_set_bit(1, VGIC_ISACTIVER, 40);
    guest_settle(1);
    accept_edge(40);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
    ASSERT(guest_get_bit(0, VGIC_ISACTIVER, 40));
    guest_set_bit(0, VGIC_ICACTIVER, 40);
    guest_settle(0);
    take(0, 40);
}

TEST(gic_moves_a_pending_spi_with_its_route)
{
    guest_start(2, 4);
    accept_edge(40);
    ASSERT_EQ(vgic_spi_target(&guest.vgic, 40), 0);
    guest_route(40, 1);
    ASSERT_EQ(vgic_spi_target(&guest.vgic, 40), 1);
    guest_settle(0);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
    take(1, 40);
    guest_route(40, 0); /* Active stays where it is; what comes now follows the route. */
    guest_settle(0);
    accept_edge(40);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
    end(1, 40);
    ASSERT_EQ(guest_ack(1), SPURIOUS);
    take(0, 40);
}

TEST(gic_keeps_an_spi_pending_that_is_routed_to_nobody)
{
    guest_start(2, 4);
    guest_route(40, 77);
    accept_edge(40);
    ASSERT(!vgic_has_pending(&guest.vgic, 0) && !vgic_has_pending(&guest.vgic, 1));
    ASSERT_EQ(vgic_spi_target(&guest.vgic, 40), 0);
    guest_route(40, 1);
    ASSERT(vgic_has_pending(&guest.vgic, 1));
    guest_settle(0);
    take(1, 40);
}

TEST(gic_has_pending_only_what_is_enabled_in_an_enabled_group)
{
    guest_start(2, 4);
    guest_unbind(0);
    vgic_accept(&guest.vgic, 0, 40, true);
    ASSERT(vgic_has_pending(&guest.vgic, 0));
    ASSERT(!vgic_has_pending(&guest.vgic, 1));
    guest_dist_write(1, GICD_CTLR, 1);
    ASSERT(!vgic_has_pending(&guest.vgic, 0));
    guest_dist_write(1, 0x84, 0); /* Group 0. */
    ASSERT(vgic_has_pending(&guest.vgic, 0));
    guest_set_bit(1, VGIC_ICENABLER, 40);
    ASSERT(!vgic_has_pending(&guest.vgic, 0));
    guest_set_bit(1, VGIC_ISENABLER, 40);
    guest_enter(0);
    ASSERT(vgic_has_pending(&guest.vgic, 0));
    guest_enter(0);
    ASSERT_EQ(guest_ack(0), 40);
    ASSERT(!vgic_has_pending(&guest.vgic, 0)); /* Bound: looks into the slots. */
}

TEST(gic_gives_a_hardware_interrupt_a_slot_without_the_lock)
{
    guest_start(1, 4);
    lock_take(&guest.vgic.lock); /* Taking it again would die. */
    for (unsigned i = 0; i < 10; i++) {
        guest_hw(0, 27);
        ASSERT_EQ(guest_ack(0), 27);
        guest_eoi(0, 27);
        ASSERT(!guest.physical[0][27]);
    }
    lock_drop(&guest.vgic.lock);
    guest_hw(0, 27);
    ASSERT(vgic_hw_in_flight(&guest.vgic, 0, 27)); /* Now it is in the books. */
    guest_enter(0);
    for (unsigned i = 0; i < 10; i++) {
        ASSERT(vgic_hw_in_flight(&guest.vgic, 0, 27));
        guest_enter(0);
        take(0, 27);
        ASSERT(vgic_hw_in_flight(&guest.vgic, 0, 27));
        guest_enter(0);
        end(0, 27);
        lock_take(&guest.vgic.lock);
        guest_hw(0, 27);
        lock_drop(&guest.vgic.lock);
    }
    guest_unbind(0);
    ASSERT(vgic_hw_in_flight(&guest.vgic, 0, 27));
    guest_enter(0);
    take(0, 27);
    end(0, 27);
    ASSERT(!vgic_hw_in_flight(&guest.vgic, 0, 27));
    ASSERT_EQ(guest.hw_ends, 0);
}

TEST(gic_keeps_a_disabled_hardware_interrupt_in_flight)
{
    guest_start(1, 4);
    guest_set_bit(0, VGIC_ICENABLER, 27);
    guest_hw(0, 27);
    guest_settle(0);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
    ASSERT(vgic_hw_in_flight(&guest.vgic, 0, 27));
    guest_set_bit(0, VGIC_ICPENDR, 27); /* Its line is high. */
    ASSERT(guest_get_bit(0, VGIC_ISPENDR, 27));
    guest_set_bit(0, VGIC_ISENABLER, 27);
    guest_settle(0);
    take(0, 27);
    end(0, 27);
    ASSERT(!vgic_hw_in_flight(&guest.vgic, 0, 27));
}

TEST(gic_tells_of_hardware_interrupts_that_hardware_did_not_end)
{
    guest_start(1, 1);
    guest_hw(0, 27);
    guest_settle(0);
    take(0, 27);
    guest_set_bit(0, VGIC_ICACTIVER, 27); /* Through the redistributor. */
    guest_settle(0);
    ASSERT_EQ(guest.hw_ends, 1);
    guest.cpu[0].depth = 0;
    guest_hw(0, 27);
    guest_settle(0);
    take(0, 27);
    guest_set_priority(0, 40, 0);
    accept_edge(40); /* It has to leave its slot. */
    ASSERT(vgic_hw_in_flight(&guest.vgic, 0, 27));
    guest_settle(0);
    take(0, 40);
    accept_edge(41); /* It cannot come back. */
    end(0, 40);
    end(0, 27);
    ASSERT_EQ(guest.hw_ends, 2);
    ASSERT(!vgic_hw_in_flight(&guest.vgic, 0, 27));
    guest_settle(0);
    take(0, 41);
    end(0, 41);
    guest_hw(0, 27);
    guest_settle(0);
    take(0, 27);
    guest_set_bit(0, VGIC_ISPENDR, 27); /* Pending by software, behind the active one. */
    guest_settle(0);
    end(0, 27);
    ASSERT_EQ(guest.hw_ends, 3);
    take(0, 27);
    end(0, 27);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
}

TEST(gic_does_not_take_a_software_interrupts_slot_for_a_hardware_one)
{
    guest_start(1, 4);
    guest_set_edge(0, 27, true);
    guest_set_bit(0, VGIC_ISPENDR, 27);
    guest_settle(0);
    ASSERT_EQ(guest_ack(0), 27);
    guest_eoi(0, 27);
    guest_hw(0, 27);
    guest_settle(0);
    ASSERT(vgic_hw_in_flight(&guest.vgic, 0, 27));
    guest_settle(0);
    take(0, 27);
    end(0, 27);
    ASSERT(!guest.physical[0][27]);
}

TEST(gic_brings_active_interrupts_back_when_there_is_room)
{
    guest_start(1, 2);
    for (unsigned i = 0; i < 3; i++) {
        guest_set_priority(0, 40 + i, (uint8_t)(0x80 - 8 * i));
        accept_edge(40 + i);
        take(0, 40 + i);
    }
    ASSERT_EQ(guest.cpu[0].arch.control & HCR_LRENPIE, HCR_LRENPIE);
    guest_eoi(0, 42);
    accept_edge(43); /* Any reason to look. */
    guest_set_bit(0, VGIC_ICPENDR, 43);
    guest_settle(0);
    ASSERT_EQ(guest.cpu[0].arch.control & (HCR_LRENPIE | HCR_TDIR), 0);
    end(0, 41);
    end(0, 40);
    ASSERT_EQ(guest_dist_read(0x304), 0);
}

TEST(gic_leaves_slots_filled_when_it_is_only_asked)
{
    guest_start(1, 2);
    for (unsigned i = 0; i < 3; i++)
        vgic_accept(&guest.vgic, 0, 40 + i, true);
    guest_enter(0);
    for (unsigned i = 0; i < 3; i++) {
        ASSERT(guest_get_bit(0, VGIC_ISPENDR, 40 + i));
        ASSERT(vgic_has_pending(&guest.vgic, 0));
        ASSERT(!vgic_hw_in_flight(&guest.vgic, 0, 27));
        ASSERT_EQ(guest_ack(0), 40 + i); /* Nothing has filled between. */
        if (guest_maintenance(0))
            guest_settle(0);
        ASSERT(guest_get_bit(0, VGIC_ISACTIVER, 40 + i));
        guest_eoi(0, 40 + i);
    }
    ASSERT_EQ(guest_dist_read(0x304), 0);
}

TEST(gic_kicks_only_others_and_only_for_what_may_be_delivered)
{
    guest_start(2, 4);
    accept_edge(40);
    ASSERT_EQ(guest.kicks, 0);
    guest_route(41, 1);
    guest.kicks = 0;
    vgic_accept(&guest.vgic, 0, 41, true);
    ASSERT_EQ(guest.kicks, 1);
    guest_set_bit(0, VGIC_ICENABLER, 42);
    guest_route(42, 1);
    guest.kicks = 0;
    vgic_accept(&guest.vgic, 0, 42, true);
    ASSERT_EQ(guest.kicks, 0);
}

TEST(gic_forgets_everything_at_reset)
{
    guest_start(1, 2);
    accept_edge(40);
    take(0, 40);
    guest_hw(0, 27);
    accept_edge(41);
    guest_unbind(0);
    vgic_reset(&guest.vgic);
    ASSERT(!vgic_hw_in_flight(&guest.vgic, 0, 27));
    guest_enter(0);
    for (unsigned i = 0; i < 2; i++)
        ASSERT_EQ(guest.cpu[0].arch.slots[i], 0);
    ASSERT_EQ(guest_dist_read(0x304), 0);
}
