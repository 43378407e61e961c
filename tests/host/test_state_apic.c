/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of the APICs: what is pending, in service, on its way and waited for is the same after
 * it was loaded into fresh ones; what cannot be is refused.
 */
#include "tests/host/lapic_rig.h"
#include "tests/host/state_rig.h"
#include "vcpu/irqchip/vioapic.h"

#define PIN 5u

static struct state_rig states;
static struct vioapic ioapic;

static void on_eoi(uint8_t vector)
{
    vioapic_eoi(&ioapic, vector);
}

static void save(void)
{
    state_rig_save(&states, 0);
    for (unsigned i = 0; i < rig.all.count; i++)
        vlapic_state(&rig.all.cpu[i], &states.state);
    vioapic_state(&ioapic, &states.state);
    ASSERT_OK(state_rig_end(&states));
}

/* Into APICs after a reset; their owner is not called. */
static enum err load(void)
{
    unsigned count = rig.all.count;
    uint64_t now = rig.now, deadline[VLAPICS_MAX];

    start(count);
    rig.now = now;
    rig.on_eoi = on_eoi;
    vioapic_init(&ioapic, &rig.all);
    state_rig_load(&states, 0);
    for (unsigned i = 0; i < count; i++)
        deadline[i] = vlapic_state(&rig.all.cpu[i], &states.state);
    vioapic_state(&ioapic, &states.state);
    for (unsigned i = 0; i < count; i++) {
        ASSERT_EQ(rig.deadline[i], TICKS_NEVER);
        rig.deadline[i] = deadline[i];
    }
    ASSERT_EQ(rig.kicked, 0);
    return state_rig_end(&states);
}

static void redirect(uint32_t low)
{
    vioapic_write(&ioapic, 0, 1, 0x10 + 2 * PIN);
    vioapic_write(&ioapic, 0x10, 4, low);
}

static uint32_t redirection(void)
{
    vioapic_write(&ioapic, 0, 1, 0x10 + 2 * PIN);
    return (uint32_t)vioapic_read(&ioapic, 0x10, 4);
}

static void begin(unsigned count)
{
    start(count);
    rig.on_eoi = on_eoi;
    vioapic_init(&ioapic, &rig.all);
}

TEST(a_level_that_is_in_service_fires_again_after_it_was_loaded)
{
    begin(2);
    redirect(0x8051); /* Level, to the first. */
    vioapic_set_wire(&ioapic, PIN, true);
    ASSERT_EQ(take(0), 0x51);
    ASSERT(vlapic_post(&rig.all.cpu[0], 0x61, false));
    ASSERT(vlapic_post(&rig.all.cpu[0], 0x31, false));
    set(0, TPR, 0x20);
    set(1, TPR, 0x40);
    save();
    ASSERT_OK(load());
    ASSERT_EQ(get(0, ISR + 0x20), 1u << 17);
    ASSERT_EQ(get(0, IRR + 0x10), 1u << 17);
    ASSERT_EQ(get(0, IRR + 0x30), 1u << 1);
    ASSERT_EQ(get(0, TMR + 0x20), 1u << 17);
    ASSERT_EQ(get(0, PPR), 0x50);
    ASSERT_EQ(get(1, PPR), 0x40);
    ASSERT_EQ(redirection() & 0x4000, 0x4000); /* Remote IRR. */
    ASSERT_EQ(take(0), 0x61);
    end(0);
    end(0);
    ASSERT_EQ(rig.eois, 1);
    ASSERT_EQ(take(0), 0x51); /* The wire is still up. */
    vioapic_set_wire(&ioapic, PIN, false);
    end(0);
    ASSERT_EQ(take(0), 0x31);
    ASSERT_EQ(redirection() & 0x4000, 0);
}

TEST(a_local_apics_registers_come_back)
{
    static const uint32_t regs[] = {VERSION, LDR,       DFR,       SVR,       ESR,
                                    ICR,     LVT_TIMER, LVT_LINT0, LVT_ERROR, TIMER_DIVIDE};
    uint32_t before[ARRAY_SIZE(regs)];

    begin(3);
    set(1, SVR, SVR_ON | 0x3f);
    set(1, LDR, 0x40000000);
    set(1, DFR, 0x0fffffff);
    set(1, LVT_LINT0, 0x8700);
    set(1, LVT_ERROR, 0xfe);
    set(1, TIMER_DIVIDE, 0xb);
    set(1, ICR_HIGH, 0x02000000);
    set(1, ICR, 0x05); /* An illegal vector: an error. */
    set(1, ESR, 0);
    set(1, ICR, 0x03); /* And one that is not shown yet. */
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++)
        before[i] = get(1, regs[i]);
    save();
    ASSERT_OK(load());
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++)
        ASSERT_EQ(get(1, regs[i]), before[i]);
    ASSERT_EQ(take(1), 0xfe);
    set(1, ESR, 0);
    ASSERT_EQ(get(1, ESR), 0x20);
    ASSERT_EQ(msr_get(0, VLAPIC_MSR_BASE) & BSP, BSP);
    ASSERT_EQ(msr_get(1, VLAPIC_MSR_BASE) & BSP, 0);
}

TEST(local_apic_timers_go_on_by_the_guests_clock)
{
    begin(3);
    go_x2apic(2);
    set(0, LVT_TIMER, 0x20000 | 0xd0); /* Periodic, */
    set(0, TIMER_DIVIDE, 0xb);
    set(0, TIMER_INITIAL, 5000);
    set(1, LVT_TIMER, 0xd1); /* once, */
    set(1, TIMER_DIVIDE, 0x0);
    set(1, TIMER_INITIAL, 1000);
    ASSERT(msr_set(2, X2(LVT_TIMER), 0x40000 | 0xd2)); /* and by a deadline. */
    ASSERT(msr_set(2, VLAPIC_MSR_DEADLINE, 9000));
    rig.now += 300;
    save();
    ASSERT_OK(load());
    ASSERT_EQ(rig.deadline[0], 6000);
    ASSERT_EQ(rig.deadline[1], 3000);
    ASSERT_EQ(rig.deadline[2], 9000);
    ASSERT_EQ(get(0, TIMER_COUNT), 4700);
    ASSERT_EQ(get(1, TIMER_COUNT), 850);
    ASSERT_EQ(msr_get(2, VLAPIC_MSR_DEADLINE), 9000);
    ASSERT_EQ(msr_get(2, X2(LDR)), 4);
    rig.now = 6000;
    fire(0);
    ASSERT_EQ(highest(0), 0xd0);
    ASSERT_EQ(rig.deadline[0], TICKS_NEVER); /* The next tick would be merged. */
    save();
    ASSERT_OK(load());
    ASSERT_EQ(rig.deadline[0], TICKS_NEVER);
    ASSERT_EQ(take(0), 0xd0);
    ASSERT_EQ(rig.deadline[0], 11000);
}

/* One change to what was saved. */
#define REFUSES(at, value)                                                                         \
    before = states.bytes[at];                                                                     \
    states.bytes[at] = (uint8_t)(value);                                                           \
    ASSERT_ERR(E_INVALID, load());                                                                 \
    ASSERT_EQ(highest(0), 0);                                                                      \
    states.bytes[at] = before

TEST(states_of_apics_that_cannot_be_are_refused)
{
    const size_t base = STATE_NAME_MAX + sizeof(uint32_t), irr = base + 4, isr = irr + 32;
    size_t entry;
    uint8_t before;

    begin(1);
    save();
    entry = states.size - (8 * VIOAPIC_PINS + 4 + 4 + 1);
    ASSERT_OK(load());
    REFUSES(base + 1, 0x0c | 0x02); /* A reserved bit, */
    REFUSES(base + 1, 0x08);        /* not the boot processor, */
    REFUSES(base + 1, 0x05);        /* x2APIC, but off. */
    REFUSES(irr, 0x80);
    REFUSES(isr + 1, 0x80);
    REFUSES(entry + 1, 0x40); /* Remote IRR of an edge. */
    REFUSES(entry + 2, 0x02);
    REFUSES(states.size - 6, 1); /* The wire of a pin that there is not. */
    for (states.limit = 0; states.limit < states.size; states.limit++)
        ASSERT(load() != OK);
}

TEST(apics_are_not_harmed_by_any_state)
{
    begin(2);
    redirect(0x8051);
    vioapic_set_wire(&ioapic, PIN, true);
    set(0, LVT_TIMER, 0x20000 | 0xd0);
    set(0, TIMER_INITIAL, 5000);
    save();
    for (unsigned round = 0; round < 20000; round++) {
        size_t at = test_random_below(states.size);
        uint8_t before = states.bytes[at];

        states.bytes[at] = (uint8_t)test_random();
        err_ignore(load());
        for (unsigned i = 0; i < 4; i++) {
            rig.now += test_random_below(10000);
            fire(0);
            take(0);
            end(0);
            get(0, TIMER_COUNT);
            vioapic_set_wire(&ioapic, (uint32_t)test_random_below(VIOAPIC_PINS), i % 2);
        }
        states.bytes[at] = before;
    }
}
