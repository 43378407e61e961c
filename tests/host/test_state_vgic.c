/* SPDX-License-Identifier: Apache-2.0 */
/* The GIC model, saved at some moment, and loaded into one that was just made. */
#include "tests/host/state_rig.h"
#include "tests/host/test_vgic.h"

#define TIMER    27u
#define PHYSICAL (TIMER + 1000u) /* As test_vgic_guest.c has it. */

static struct state_rig rig;

static void save(unsigned cpus)
{
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        guest_unbind(cpu);
    state_rig_save(&rig, 0);
    vgic_state(&guest.vgic, &rig.state, TIMER, PHYSICAL);
    ASSERT_OK(state_rig_end(&rig));
}

static enum err load(void)
{
    state_rig_load(&rig, 0);
    vgic_state(&guest.vgic, &rig.state, TIMER, PHYSICAL);
    return state_rig_end(&rig);
}

/*
 * A new one of so many list registers; the guest's side (lines, what it believes to be running)
 * stays as it was.
 */
static void move(unsigned cpus, unsigned slots)
{
    static struct guest before;

    before = guest;
    guest_start_raw(cpus, slots);
    memcpy(guest.line, before.line, sizeof(guest.line));
    memcpy(guest.physical, before.physical, sizeof(guest.physical));
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        memcpy(guest.cpu[cpu].running, before.cpu[cpu].running, sizeof(before.cpu[cpu].running));
        guest.cpu[cpu].depth = before.cpu[cpu].depth;
        guest.cpu[cpu].eoi_mode1 = before.cpu[cpu].eoi_mode1;
    }
    ASSERT_OK(load());
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        guest_enter(cpu);
}

static void take(unsigned cpu, uint32_t irq)
{
    ASSERT_EQ(guest_ack(cpu), irq);
    guest_settle(cpu);
}

static void end(unsigned cpu, uint32_t irq)
{
    guest_eoi(cpu, irq);
    guest_settle(cpu);
}

static void edge(unsigned cpu, uint32_t irq)
{
    vgic_accept(&guest.vgic, cpu, irq, true);
    guest_settle(cpu);
}

TEST(a_gic_keeps_its_registers)
{
    static const uint32_t registers[] = {GICD_CTLR,     0x84, 0x104, 0x204, GICD_IPRIORITYR + 40,
                                         GICD_ICFGR + 8};
    uint32_t values[ARRAY_SIZE(registers)];

    guest_start(2, 4);
    guest_set_priority(0, 41, 0x18);
    guest_set_edge(0, 33, false);
    guest_set_priority(1, 5, 0x48);
    guest_route(45, 1);
    for (unsigned i = 0; i < ARRAY_SIZE(registers); i++)
        values[i] = guest_dist_read(registers[i]);
    save(2);
    move(2, 4);
    for (unsigned i = 0; i < ARRAY_SIZE(registers); i++)
        ASSERT_EQ(guest_dist_read(registers[i]), values[i]);
    ASSERT_EQ(guest_sgi_read(1, GICD_IPRIORITYR + 4) >> 8 & 0xff, 0x48);
    ASSERT_EQ(vgic_spi_target(&guest.vgic, 45), 1);
    ASSERT_EQ(vgic_spi_target(&guest.vgic, 44), 0);
}

TEST(a_gic_keeps_what_is_pending_in_its_order)
{
    guest_start(1, 4);
    guest_set_priority(0, 40, 0x80);
    guest_set_priority(0, 41, 0x20);
    for (uint32_t irq = 32; irq < 48; irq++)
        vgic_accept(&guest.vgic, 0, irq, true);
    guest_enter(0);
    save(1);
    move(1, 2);
    ASSERT(vgic_has_pending(&guest.vgic, 0));
    take(0, 41);
    end(0, 41);
    take(0, 40);
    end(0, 40);
    for (uint32_t irq = 32; irq < 48; irq++) {
        if (irq == 40 || irq == 41)
            continue;
        take(0, irq);
        end(0, irq);
    }
    ASSERT_EQ(guest_ack(0), SPURIOUS);
}

TEST(a_gic_keeps_what_is_active_whatever_list_registers_there_are_then)
{
    for (unsigned slots = 1; slots <= 4; slots++) {
        guest_start(1, 4);
        for (unsigned i = 0; i < 4; i++) {
            guest_set_priority(0, 40 + i, (uint8_t)(0x80 - 0x10 * i));
            edge(0, 40 + i);
            take(0, 40 + i);
        }
        edge(0, 40); /* Once more, while it is active. */
        save(1);
        move(1, slots);
        for (unsigned i = 4; i-- > 0;) {
            ASSERT(guest_get_bit(0, VGIC_ISACTIVER, 40 + i));
            end(0, 40 + i);
            ASSERT(!guest_get_bit(0, VGIC_ISACTIVER, 40 + i));
        }
        take(0, 40);
        end(0, 40);
        ASSERT_EQ(guest_ack(0), SPURIOUS);
    }
}

TEST(a_gic_keeps_the_timers_interrupt_as_the_hardwares)
{
    guest_start(1, 4);
    guest_hw(0, TIMER);
    guest_settle(0);
    take(0, TIMER);
    save(1);
    ASSERT(vgic_hw_in_flight(&guest.vgic, 0, TIMER));
    move(1, 4);
    ASSERT(vgic_hw_in_flight(&guest.vgic, 0, TIMER));
    end(0, TIMER);
    ASSERT(!vgic_hw_in_flight(&guest.vgic, 0, TIMER));
    ASSERT(!guest.physical[0][TIMER]);
    guest_hw(0, TIMER);
    guest_settle(0);
    save(1); /* Pending. */
    move(1, 2);
    take(0, TIMER);
    end(0, TIMER);
    ASSERT(!guest.physical[0][TIMER]);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
}

TEST(a_gic_keeps_levels_and_asks_them_again)
{
    guest_start(1, 4);
    guest_set_edge(0, 40, false);
    guest_set_line(0, 40, true);
    guest_settle(0);
    save(1);
    move(1, 4);
    take(0, 40);
    end(0, 40);
    take(0, 40); /* Still high. */
    guest.line[0][40] = false;
    end(0, 40);
    ASSERT_EQ(guest_ack(0), SPURIOUS);
}

TEST(a_gic_of_another_kind_is_refused)
{
    guest_start(2, 4);
    save(2);
    guest_start_raw(1, 4);
    ASSERT_ERR(E_INVALID, load());
    ASSERT(strcmp(rig.state.why, "another number of vCPUs") == 0);
    guest_start_raw(2, 4);
    vgic_v2_init(&guest.vgic, 2, VGIC_SPIS_MAX, &guest.owner);
    ASSERT_ERR(E_INVALID, load());
    ASSERT(strcmp(rig.state.why, "another version of the GIC") == 0);
}

/* What a guest does next: enough to touch all lists. */
static void use(void)
{
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        vgic_fill(&guest.vgic, cpu);
        for (unsigned i = 0; i < 8; i++)
            vgic_accept(&guest.vgic, cpu, 32 + 37 * i, true);
        vgic_fill(&guest.vgic, cpu);
        (void)vgic_has_pending(&guest.vgic, cpu);
        guest_dist_write(cpu, 0x384, UINT32_MAX); /* All of a bank are to end. */
        vgic_fill(&guest.vgic, cpu);
        vgic_sync(&guest.vgic, cpu);
    }
}

TEST(a_gic_takes_no_state_that_is_damaged)
{
    static uint8_t good[STATE_RIG_MAX];
    uint32_t chance = 1;

    guest_start(2, 2);
    for (uint32_t irq = 40; irq < 48; irq++)
        edge(0, irq);
    take(0, 40);
    save(2);
    memcpy(good, rig.bytes, rig.size);
    for (size_t limit = 0; limit < rig.size; limit += 1 + limit / 16) {
        guest_start_raw(2, 2);
        rig.limit = limit;
        ASSERT_ERR(E_INVALID, load());
        use();
    }
    rig.limit = rig.size;
    for (unsigned round = 0; round < 3000; round++) {
        size_t at = (chance = chance * 1664525 + 1013904223) % rig.size;

        guest_start_raw(2, 2);
        guest.owner.hw_end = NULL;
        rig.bytes[at] ^= (uint8_t)(1u << (chance >> 24) % 8);
        err_ignore(load());
        use();
        rig.bytes[at] = good[at];
    }
}
