/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's local APIC: registers, modes, priorities, errors. */
#include "tests/host/lapic_rig.h"

TEST(a_local_apic_starts_as_after_power_up)
{
    start(2);
    vlapic_reset(&rig.all.cpu[0]);
    vlapic_reset(&rig.all.cpu[1]);
    ASSERT_EQ(msr_get(0, VLAPIC_MSR_BASE), VLAPIC_BASE | EN | BSP);
    ASSERT_EQ(msr_get(1, VLAPIC_MSR_BASE), VLAPIC_BASE | EN);
    ASSERT_EQ(get(1, ID), 1 << 24);
    ASSERT_EQ(get(0, VERSION), 0x01050014);
    ASSERT_EQ(get(0, SVR), 0xff);
    ASSERT_EQ(get(0, DFR), 0xffffffff);
    ASSERT_EQ(get(0, LDR) | get(0, TPR) | get(0, PPR) | get(0, ICR) | get(0, ESR), 0);
    for (unsigned i = 0; i < 6; i++)
        ASSERT_EQ(get(0, LVT_TIMER + 0x10 * i), MASKED);
}

TEST(a_vector_goes_from_irr_to_isr_to_its_end)
{
    start(1);
    ASSERT(vlapic_post(&rig.all.cpu[0], 0x41, false));
    ASSERT_EQ(rig.kicked, 1);
    ASSERT_EQ(get(0, IRR + 0x20), 2);
    ASSERT_EQ(highest(0), 0x41);
    ASSERT_EQ(take(0), 0x41);
    ASSERT_EQ(get(0, IRR + 0x20), 0);
    ASSERT_EQ(get(0, ISR + 0x20), 2);
    ASSERT_EQ(get(0, PPR), 0x40);
    end(0);
    ASSERT_EQ(get(0, ISR + 0x20), 0);
    ASSERT_EQ(get(0, PPR), 0);
    end(0); /* Nothing is in service: nothing happens. */
    ASSERT_EQ(rig.eois, 0);
}

TEST(a_vector_that_is_pending_already_kicks_nobody)
{
    start(1);
    vlapic_post(&rig.all.cpu[0], 0x41, false);
    forget();
    ASSERT(vlapic_post(&rig.all.cpu[0], 0x41, false));
    ASSERT_EQ(rig.kicked, 0);
    take(0);
    vlapic_post(&rig.all.cpu[0], 0x41, false); /* While in service: once more. */
    ASSERT_EQ(rig.kicked, 1);
    ASSERT_EQ(highest(0), 0);
    end(0);
    ASSERT_EQ(take(0), 0x41);
    end(0);
    ASSERT_EQ(take(0), 0);
}

TEST(classes_nest_and_equal_ones_wait)
{
    start(1);
    vlapic_post(&rig.all.cpu[0], 0x51, false);
    ASSERT_EQ(take(0), 0x51);
    vlapic_post(&rig.all.cpu[0], 0x5f, false);
    ASSERT_EQ(take(0), 0);
    ASSERT_EQ(vlapic_waiting(&rig.all.cpu[0]), 0x5f);
    vlapic_post(&rig.all.cpu[0], 0xe0, false);
    ASSERT_EQ(take(0), 0xe0);
    end(0);
    ASSERT_EQ(take(0), 0);
    end(0);
    ASSERT_EQ(take(0), 0x5f);
}

TEST(the_task_priority_holds_its_class_and_below)
{
    start(1);
    set(0, TPR, 0x45);
    ASSERT_EQ(get(0, PPR), 0x45);
    vlapic_post(&rig.all.cpu[0], 0x4f, false);
    ASSERT_EQ(highest(0), 0);
    vlapic_post(&rig.all.cpu[0], 0x50, false);
    ASSERT_EQ(take(0), 0x50);
    ASSERT_EQ(get(0, PPR), 0x50);
    set(0, TPR, 0x5a);
    ASSERT_EQ(get(0, PPR), 0x5a);
    end(0);
    vlapic_write_cr8(&rig.all.cpu[0], 3);
    ASSERT_EQ(get(0, TPR), 0x30);
    ASSERT_EQ(take(0), 0x4f);
}

TEST(the_end_of_a_level_interrupt_is_broadcast_unless_suppressed)
{
    start(1);
    vlapic_post(&rig.all.cpu[0], 0x61, true);
    ASSERT_EQ(get(0, TMR + 0x30), 2);
    take(0);
    end(0);
    ASSERT_EQ(rig.eois, 1);
    ASSERT_EQ(rig.eoi, 0x61);
    set(0, SVR, SVR_ON | 1 << 12 | 0xff);
    vlapic_post(&rig.all.cpu[0], 0x61, true);
    take(0);
    end(0);
    ASSERT_EQ(rig.eois, 1);
    vlapic_post(&rig.all.cpu[0], 0x61, false); /* An edge makes it an edge again. */
    ASSERT_EQ(get(0, TMR + 0x30), 0);
}

TEST(a_disabled_apic_takes_nothing_but_keeps_what_it_has)
{
    start(1);
    set(0, LVT_LINT0, 0x700);
    vlapic_post(&rig.all.cpu[0], 0x61, false);
    forget();
    set(0, SVR, 0xff);
    ASSERT_EQ(get(0, LVT_LINT0), 0x700 | MASKED);
    set(0, LVT_LINT0, 0x700); /* Cannot be unmasked now. */
    ASSERT_EQ(get(0, LVT_LINT0), 0x700 | MASKED);
    ASSERT(!vlapic_post(&rig.all.cpu[0], 0x71, false));
    ASSERT_EQ(rig.kicked, 0);
    ASSERT_EQ(take(0), 0x61);
    end(0);
    ASSERT_EQ(take(0), 0);
}

/* --- Modes --- */

TEST(the_mode_changes_by_the_legal_transitions_only)
{
    /* From, to: disabled, invalid, xAPIC, x2APIC. */
    static const bool legal[4][4] = {
        {true, false, true, false}, {0}, {true, false, true, true}, {true, false, false, true}};
    static const uint32_t paths[4][2] = {{0, 0}, {0, 0}, {EN, EN}, {EN, EN | EXTD}};

    for (unsigned from = 0; from < 4; from++)
        for (unsigned to = 0; to < 4 && from != 1; to++) {
            uint64_t value = VLAPIC_BASE | to << 10;

            start(1);
            ASSERT(msr_set(0, VLAPIC_MSR_BASE, VLAPIC_BASE | paths[from][0]));
            ASSERT(msr_set(0, VLAPIC_MSR_BASE, VLAPIC_BASE | paths[from][1]));
            ASSERT_EQ(msr_set(0, VLAPIC_MSR_BASE, value), legal[from][to]);
            ASSERT_EQ(msr_get(0, VLAPIC_MSR_BASE),
                      legal[from][to] ? value : VLAPIC_BASE | from << 10);
        }
}

TEST(reserved_bits_and_a_move_of_the_page_are_refused)
{
    start(1);
    ASSERT(!msr_set(0, VLAPIC_MSR_BASE, VLAPIC_BASE | EN | 1));
    ASSERT(!msr_set(0, VLAPIC_MSR_BASE, VLAPIC_BASE | EN | 1 << 9));
    ASSERT(!msr_set(0, VLAPIC_MSR_BASE, (VLAPIC_BASE + 0x1000) | EN));
    ASSERT(!msr_set(0, VLAPIC_MSR_BASE, VLAPIC_BASE | EN | BIT(40)));
    ASSERT(!msr_there(0, 0x1a) && !msr_set(0, 0x1a, 0) && !msr_there(0, 0x900));
}

TEST(each_mode_has_its_own_door)
{
    start(1);
    ASSERT(!msr_there(0, X2(ID)) && !msr_set(0, X2(TPR), 0));
    go_x2apic(0);
    ASSERT_EQ(get(0, ID), 0xffffffff);
    ASSERT_EQ(vlapic_read(&rig.all.cpu[0], 0, ID, 8), ~0ull);
    set(0, TPR, 0x50);
    ASSERT_EQ(msr_get(0, X2(TPR)), 0);
    ASSERT(msr_set(0, VLAPIC_MSR_BASE, VLAPIC_BASE));
    ASSERT_EQ(get(0, ID), 0xffffffff);
    ASSERT(!msr_there(0, X2(ID)));
}

TEST(going_to_x2apic_keeps_all_but_the_ids_and_a_disabled_apic_forgets)
{
    start(18);
    set(17, TPR, 0x30);
    set(17, ICR_HIGH, 0x05000000);
    vlapic_post(&rig.all.cpu[17], 0x90, false);
    go_x2apic(17);
    ASSERT_EQ(msr_get(17, X2(ID)), 17);
    ASSERT_EQ(msr_get(17, X2(LDR)), 0x00010002);
    ASSERT_EQ(msr_get(17, X2(TPR)), 0x30);
    ASSERT_EQ(msr_get(17, X2(ICR)), 0);
    ASSERT_EQ(highest(17), 0x90);
    ASSERT(msr_set(17, VLAPIC_MSR_BASE, VLAPIC_BASE));
    ASSERT_EQ(highest(17), 0);
    ASSERT(!vlapic_post(&rig.all.cpu[17], 0x90, false));
    ASSERT(msr_set(17, VLAPIC_MSR_BASE, VLAPIC_BASE | EN));
    ASSERT_EQ(get(17, SVR), 0xff);
    ASSERT_EQ(get(17, TPR), 0);
    ASSERT_EQ(get(17, ID), 17 << 24);
}

TEST(an_init_keeps_mode_and_id)
{
    start(2);
    go_x2apic(1);
    msr_set(1, X2(TPR), 0x20);
    msr_set(1, X2(LVT_TIMER), 0x40);
    msr_set(1, X2(TIMER_INITIAL), 100);
    ASSERT(rig.deadline[1] != TICKS_NEVER);
    vlapic_post(&rig.all.cpu[1], 0x90, false);
    vlapic_init_reset(&rig.all.cpu[1]);
    ASSERT_EQ(msr_get(1, VLAPIC_MSR_BASE), VLAPIC_BASE | EN | EXTD);
    ASSERT_EQ(msr_get(1, X2(ID)), 1);
    ASSERT_EQ(msr_get(1, X2(LDR)), 2);
    ASSERT_EQ(msr_get(1, X2(TPR)), 0);
    ASSERT_EQ(msr_get(1, X2(SVR)), 0xff);
    ASSERT_EQ(vlapic_waiting(&rig.all.cpu[1]), 0);
    ASSERT_EQ(rig.deadline[1], TICKS_NEVER);
}

/* --- What registers refuse --- */

TEST(reserved_bits_fault_in_x2apic_mode_and_are_dropped_in_xapic_mode)
{
    static const struct {
        uint32_t offset, good, bad;
    } cases[] = {
        {TPR, 0xff, 0x100},
        {SVR, 0x13ff, 0x400},
        {LVT_TIMER, 0x710ff, 0x100},
        {LVT_THERMAL, 0x117ff, 0x800},
        {LVT_LINT0, 0x1f7ff, 0x20000},
        {LVT_ERROR, 0x110ff, 0x200},
        {TIMER_DIVIDE, 0xb, 0x4},
        {ESR, 0, 1},
        {EOI, 0, 1},
        {ICR, 0xcc0ff, 0x2000},
        {ICR, 0x40, 0x10000},
        {ICR, 0x40, 0x100000},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        start(2);
        set(0, cases[i].offset, cases[i].good | cases[i].bad);
        ASSERT_EQ(get(0, cases[i].offset) & cases[i].bad, 0);
        go_x2apic(0);
        ASSERT(!msr_set(0, X2(cases[i].offset), cases[i].good | cases[i].bad));
        ASSERT(msr_set(0, X2(cases[i].offset), cases[i].good));
        if (cases[i].offset != ICR)
            ASSERT(!msr_set(0, X2(cases[i].offset), BIT(32) | cases[i].good));
    }
}

TEST(registers_that_there_are_not_fault_or_are_noted_as_errors)
{
    start(1);
    set(0, LVT_ERROR, 0x77);
    for (uint32_t offset = 0; offset < VLAPIC_SIZE; offset += 16) {
        unsigned n = offset / 16;
        bool there = n == 2 || n == 3 || n == 8 || (n >= 0xa && n <= 0xb) ||
                     (n >= 0xd && n <= 0x28) || (n >= 0x30 && n <= 0x39) || n == 0x3e;

        set(0, ESR, 0);
        (void)get(0, offset);
        set(0, ESR, 0);
        ASSERT_EQ(get(0, ESR), there ? 0 : 0x80);
        ASSERT_EQ(take(0), there ? 0 : 0x77);
        end(0);
    }
    go_x2apic(0);
    for (uint32_t msr = 0x800; msr < 0x900; msr++) {
        unsigned n = msr - 0x800;
        bool read = n == 2 || n == 3 || n == 8 || n == 0xa || n == 0xd || (n >= 0xf && n <= 0x28) ||
                    n == 0x30 || (n >= 0x32 && n <= 0x39) || n == 0x3e;
        bool write = n == 8 || n == 0xb || n == 0xf || n == 0x28 || n == 0x30 ||
                     (n >= 0x32 && n <= 0x38) || n == 0x3e || n == 0x3f;

        ASSERT_EQ(msr_there(0, msr), read);
        ASSERT_EQ(msr_set(0, msr, 0), write);
    }
}

TEST(odd_accesses_to_the_page_do_nothing)
{
    start(1);
    for (unsigned offset = 0; offset < 64; offset++)
        for (unsigned width = 1; width <= 8; width *= 2) {
            if (width == 4 && offset % 16 == 0)
                continue;
            vlapic_write(&rig.all.cpu[0], 0, TPR + offset, width, 0x1234567890abcdef);
            ASSERT_EQ(vlapic_read(&rig.all.cpu[0], 0, TPR + offset, width), 0);
        }
    ASSERT_EQ(get(0, TPR) | get(0, LDR), 1 << 24);
    set(0, ESR, 0);
    ASSERT_EQ(get(0, ESR), 0);
}

TEST(errors_are_shown_by_the_next_write_and_interrupt_once)
{
    start(2);
    set(0, LVT_ERROR, 0xfe);
    set(0, ICR, 0x0f | 1 << 18); /* A vector below 16, to oneself. */
    ASSERT_EQ(get(0, ESR), 0);
    ASSERT_EQ(take(0), 0xfe);
    end(0);
    set(0, ICR, 0x0f | 1 << 18);
    ASSERT_EQ(take(0), 0);
    set(0, ESR, 0xff);
    ASSERT_EQ(get(0, ESR), 0x20);
    set(0, ESR, 0);
    ASSERT_EQ(get(0, ESR), 0);
    forget();
    ASSERT(!vlapic_post(&rig.all.cpu[0], 3, true)); /* Received. */
    ASSERT_EQ(rig.kicked, 1);
    ASSERT_EQ(take(0), 0xfe);
    end(0);
    set(0, ESR, 0);
    ASSERT_EQ(get(0, ESR), 0x40);
    set(0, LVT_ERROR, 5); /* The error's own vector is illegal: no more than noted. */
    set(0, 0x10, 0);
    set(0, ESR, 0);
    ASSERT_EQ(get(0, ESR), 0xc0);
    ASSERT_EQ(vlapic_waiting(&rig.all.cpu[0]), 0);
}

/* --- Whatever is done --- */

static void random_step(unsigned cpu)
{
    uint32_t offset = (uint32_t)test_random_below(0x41) * 16;
    uint8_t vector = (uint8_t)test_random();

    rig.now += test_random_below(300);
    switch (test_random_below(8)) {
    case 0:
        set(cpu, offset, (uint32_t)test_random());
        break;
    case 1:
        msr_set(cpu, X2(offset), test_random() >> test_random_below(64));
        break;
    case 2:
        msr_set(cpu, VLAPIC_MSR_BASE, VLAPIC_BASE | test_random_below(4) << 10);
        break;
    case 3:
        vlapic_post(&rig.all.cpu[cpu], vector, test_random_below(2));
        break;
    case 4:
        take(cpu);
        break;
    case 5:
        end(cpu);
        msr_set(cpu, X2(EOI), 0);
        break;
    case 6:
        msr_set(cpu, VLAPIC_MSR_DEADLINE, rig.now + test_random_below(500));
        fire(cpu);
        break;
    case 7:
        set(cpu, SVR, SVR_ON | vector);
        msr_set(cpu, X2(SVR), SVR_ON | vector);
        (void)get(cpu, offset);
        (void)msr_there(cpu, X2(offset));
        break;
    }
}

TEST(priorities_hold_whatever_is_done)
{
    start(3);
    for (unsigned n = 0; n < 200000; n++) {
        unsigned cpu = (unsigned)test_random_below(3), top = 0;
        const struct vlapic_state *s = &rig.all.cpu[cpu].state;

        random_step(cpu);
        ASSERT_EQ((s->irr[0] | s->isr[0]) & 0xffff, 0);
        for (unsigned v = 16; v < 256; v++)
            if (s->isr[v / 64] >> v % 64 & 1)
                top = v;
        for (unsigned w = 0; w < VLAPIC_WORDS; w++)
            ASSERT_EQ(s->isr_words >> w & 1, s->isr[w] != 0);
        ASSERT_EQ(s->ppr >> 4, MAX(s->tpr >> 4, top >> 4));
        if (highest(cpu))
            ASSERT(highest(cpu) >> 4 > s->ppr >> 4 && highest(cpu) >> 4 > top >> 4);
        ASSERT(rig.deadline[cpu] == TICKS_NEVER || rig.deadline[cpu] == s->expiry);
    }
}
