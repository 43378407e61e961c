/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's I/O APIC in front of its local APICs. */
#include "tests/host/lapic_rig.h"
#include "vcpu/irqchip/vioapic.h"

enum { IOREGSEL = 0x00, IOWIN = 0x10, IOEOI = 0x40 };
enum { LEVEL = 1 << 15, LOW = 1 << 13, LOGICAL = 1 << 11, RIRR = 1 << 14, IO_NMI = 4 << 8 };

static struct vioapic io;

static uint32_t io_get(uint8_t reg)
{
    vioapic_write(&io, IOREGSEL, 4, reg);
    ASSERT_EQ(vioapic_read(&io, IOREGSEL, 4), reg);
    return (uint32_t)vioapic_read(&io, IOWIN, 4);
}

static void io_set(uint8_t reg, uint32_t value)
{
    vioapic_write(&io, IOREGSEL, 4, reg);
    vioapic_write(&io, IOWIN, 4, value);
}

static void route(uint8_t pin, uint8_t dest, uint32_t low)
{
    io_set((uint8_t)(0x11 + 2 * pin), (uint32_t)dest << 24);
    io_set((uint8_t)(0x10 + 2 * pin), low);
}

static uint32_t entry(uint8_t pin)
{
    return io_get((uint8_t)(0x10 + 2 * pin));
}

static void on_eoi(uint8_t vector)
{
    ASSERT(!lock_held(&io.lock));
    vioapic_eoi(&io, vector);
}

static void start_io(unsigned cpus)
{
    start(cpus);
    rig.on_eoi = on_eoi;
    vioapic_init(&io, &rig.all);
}

TEST(an_ioapic_starts_masked_and_has_24_pins)
{
    start_io(1);
    ASSERT_EQ(io_get(1), 0x00170020);
    for (uint8_t pin = 0; pin < 24; pin++) {
        ASSERT_EQ(entry(pin), MASKED);
        ASSERT_EQ(io_get((uint8_t)(0x11 + 2 * pin)), 0);
    }
    io_set(0, 0xffffffff);
    ASSERT_EQ(io_get(0), 0x0f000000);
    ASSERT_EQ(io_get(2), 0x0f000000);
    route(3, 0xff, 0xffffffff & ~(uint32_t)MASKED);
    ASSERT_EQ(entry(3), 0x0000afff);
    ASSERT_EQ(io_get(0x11 + 6), 0xff000000);
}

TEST(an_edge_is_one_message_and_a_masked_edge_is_none)
{
    start_io(2);
    route(4, 1, 0x44);
    vioapic_set_wire(&io, 4, true);
    ASSERT_EQ(rig.kicked, 2);
    vioapic_set_wire(&io, 4, true);
    ASSERT_EQ(take(1), 0x44);
    end(1);
    ASSERT_EQ(rig.eois, 0);
    ASSERT_EQ(take(1), 0);
    vioapic_set_wire(&io, 4, false);
    vioapic_set_wire(&io, 4, true);
    ASSERT_EQ(take(1), 0x44);
    end(1);
    route(4, 1, 0x44 | MASKED);
    vioapic_set_wire(&io, 4, false);
    vioapic_set_wire(&io, 4, true);
    route(4, 1, 0x44);
    ASSERT_EQ(take(1), 0);
}

TEST(a_level_is_sent_again_at_its_end_while_the_wire_is_up)
{
    start_io(1);
    route(9, 0, 0x59 | LEVEL | LOW);
    vioapic_set_wire(&io, 9, true);
    ASSERT_EQ(entry(9), 0x59 | LEVEL | LOW | RIRR);
    ASSERT_EQ(take(0), 0x59);
    vioapic_set_wire(&io, 9, false);
    vioapic_set_wire(&io, 9, true);
    ASSERT_EQ(vlapic_waiting(&rig.all.cpu[0]), 0); /* Not before the end. */
    end(0);
    ASSERT_EQ(entry(9) & RIRR, RIRR);
    ASSERT_EQ(take(0), 0x59);
    vioapic_set_wire(&io, 9, false);
    end(0);
    ASSERT_EQ(entry(9) & RIRR, 0);
    ASSERT_EQ(take(0), 0);
}

TEST(a_masked_level_is_sent_when_it_is_unmasked)
{
    start_io(1);
    route(9, 0, 0x59 | LEVEL | MASKED);
    vioapic_set_wire(&io, 9, true);
    ASSERT_EQ(take(0), 0);
    route(9, 0, 0x59 | LEVEL);
    ASSERT_EQ(take(0), 0x59);
    route(9, 0, 0x59 | LEVEL | MASKED); /* Masked in service: its end sends none. */
    end(0);
    ASSERT_EQ(take(0), 0);
    ASSERT_EQ(entry(9) & RIRR, 0);
}

TEST(the_eoi_register_and_a_change_to_edges_end_a_level)
{
    start_io(1);
    set(0, SVR, SVR_ON | 1 << 12 | 0xff); /* No broadcasts. */
    route(9, 0, 0x59 | LEVEL);
    vioapic_set_wire(&io, 9, true);
    take(0);
    end(0);
    ASSERT_EQ(entry(9) & RIRR, RIRR);
    ASSERT_EQ(take(0), 0);
    vioapic_write(&io, IOEOI, 4, 0x58);
    ASSERT_EQ(take(0), 0);
    vioapic_write(&io, IOEOI, 4, 0x59);
    ASSERT_EQ(take(0), 0x59);
    end(0);
    route(9, 0, 0x59 | MASKED);
    route(9, 0, 0x59 | LEVEL | MASKED);
    ASSERT_EQ(entry(9) & RIRR, 0);
    route(9, 0, 0x59 | LEVEL);
    ASSERT_EQ(take(0), 0x59);
}

TEST(a_level_that_nobody_takes_is_sent_when_somebody_does)
{
    start_io(2);
    route(9, 5, 0x59 | LEVEL); /* No such local APIC. */
    vioapic_set_wire(&io, 9, true);
    ASSERT_EQ(entry(9) & RIRR, 0);
    route(9, 1, 0x59 | LEVEL);
    ASSERT_EQ(take(1), 0x59);
}

TEST(pins_reach_logical_destinations_and_other_modes)
{
    start_io(4);
    route(1, 0x0a, 0x61 | LOGICAL);
    vioapic_set_wire(&io, 1, true);
    ASSERT_EQ(rig.kicked, 0xa);
    route(2, 0x0a, 0x62 | LOGICAL | 1 << 8);
    vioapic_set_wire(&io, 2, true);
    ASSERT_EQ(vlapic_waiting(&rig.all.cpu[3]), 0x62); /* 0x62 % 4 = 2: the next one. */
    ASSERT_EQ(vlapic_waiting(&rig.all.cpu[1]), 0x61);
    route(3, 2, IO_NMI | LEVEL); /* An edge all the same. */
    vioapic_set_wire(&io, 3, true);
    ASSERT_EQ(rig.nmis, 4);
    ASSERT_EQ(entry(3) & RIRR, 0);
    forget();
    route(3, 2, IO_NMI | LEVEL);
    ASSERT_EQ(rig.nmis, 0);
    route(5, 0, 7 << 8 | 0x65); /* ExtINT: there is no 8259. */
    vioapic_set_wire(&io, 5, true);
    ASSERT_EQ(rig.kicked, 0);
}

TEST(ioapic_registers_that_there_are_not_do_nothing)
{
    start_io(1);
    for (unsigned reg = 3; reg < 256; reg++)
        if (reg < 0x10 || reg >= 0x40) {
            io_set((uint8_t)reg, 0xffffffff);
            ASSERT_EQ(io_get((uint8_t)reg), 0);
        }
    for (uint64_t offset = 0; offset < VIOAPIC_SIZE; offset += 4) {
        if (offset == IOREGSEL || offset == IOWIN)
            continue;
        vioapic_write(&io, offset, 4, 0xffffffff);
        ASSERT_EQ(vioapic_read(&io, offset, 4), 0);
    }
    vioapic_write(&io, IOREGSEL, 1, 0x10);
    vioapic_write(&io, IOWIN, 1, 0x12);
    vioapic_write(&io, IOWIN, 8, 0x12);
    ASSERT_EQ(vioapic_read(&io, IOWIN, 2), 0);
    ASSERT_EQ(vioapic_read(&io, IOWIN, 4), MASKED);
    vioapic_set_wire(&io, 24, true);
    vioapic_set_wire(&io, UINT32_MAX, true);
    ASSERT_EQ(io.state.wire, 0);
}

TEST(a_wire_that_is_up_over_a_reset_is_still_up)
{
    start_io(1);
    vioapic_set_wire(&io, 9, true);
    vioapic_reset(&io);
    ASSERT_EQ(entry(9), MASKED);
    route(9, 0, 0x59 | LEVEL);
    ASSERT_EQ(take(0), 0x59);
}

/* --- Whatever is done --- */

#define CPUS 4u

static uint32_t vector_of(uint8_t pin)
{
    return 0x30u + 8u * pin;
}

/* A wire goes up or down, an entry changes, a vCPU takes or ends. */
static void random_step(void)
{
    uint8_t pin = (uint8_t)test_random_below(VIOAPIC_PINS);
    unsigned cpu = (unsigned)test_random_below(CPUS);

    switch (test_random_below(5)) {
    case 0:
        vioapic_set_wire(&io, pin, test_random_below(2));
        break;
    case 1: /* Masks change freely; the rest as an OS changes it, while nothing is in flight. */
        io_set((uint8_t)(0x10 + 2 * pin),
               (entry(pin) & ~(uint32_t)MASKED) | (test_random_below(2) ? MASKED : 0));
        break;
    case 2:
        if (!(entry(pin) & RIRR))
            route(pin, (uint8_t)test_random_below(CPUS), vector_of(pin) | LEVEL);
        break;
    case 3:
        take(cpu);
        break;
    case 4:
        end(cpu);
        break;
    }
}

TEST(no_level_is_stuck_or_lost_whatever_is_done)
{
    start_io(CPUS);
    for (uint8_t pin = 0; pin < VIOAPIC_PINS; pin++)
        route(pin, 0, vector_of(pin) | LEVEL | MASKED);
    for (unsigned n = 0; n < 200000; n++) {
        random_step();
        for (uint8_t pin = 0; pin < VIOAPIC_PINS; pin++) {
            uint64_t e = io.state.entries[pin];
            unsigned v = vector_of(pin), held = 0;

            for (unsigned cpu = 0; cpu < CPUS; cpu++)
                held += (rig.all.cpu[cpu].state.irr[v / 64] >> v % 64 & 1) +
                        (rig.all.cpu[cpu].state.isr[v / 64] >> v % 64 & 1);
            ASSERT_EQ(held, (e & RIRR) != 0); /* Not stuck, */
            if ((io.state.wire >> pin & 1) && !(e & MASKED))
                ASSERT(e & RIRR); /* and not lost. */
        }
    }
}
