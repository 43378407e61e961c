/* SPDX-License-Identifier: Apache-2.0 */
/* Stolen time: what a guest finds in its memory, at which places, and what the scheduler counts. */
#include "tests/host/vm_rig.h"
#include "vcpu/vsteal.h"

#define PLACE 0x40001000ull

static const struct vsteal_layout *const layouts[] = {&vsteal_arm, &vsteal_sbi, &vsteal_kvm};
static struct guestmap map;

static void start(void)
{
    fake_ram(16 * MIB);
    ASSERT_OK(guestmap_init(&map, arch_stage2_format(), 1));
    ASSERT_OK(guestmap_add(&map, gpa(RIG_RAM_BASE), MIB, REGION_RAM, hpa(0)));
}

static uint64_t get(uint64_t place, unsigned offset, unsigned bytes)
{
    uint64_t value = 0;

    ASSERT_OK(guest_read(&map, gpa(place + offset), &value, bytes));
    return value;
}

static uint64_t steal(const struct vsteal_layout *layout)
{
    return get(PLACE, layout->steal, 8);
}

TEST(stolen_time_is_told_from_when_the_guest_wants_to_know_in_every_layout)
{
    start();
    for (unsigned i = 0; i < ARRAY_SIZE(layouts); i++) {
        struct vsteal s = {};

        ASSERT_OK(guest_fill(&map, gpa(PLACE), 0xa5, 2 * VSTEAL_SIZE));
        ASSERT(vsteal_start(&s, &map, gpa(PLACE), 1000));
        for (unsigned at = 0; at < VSTEAL_SIZE; at += 8)
            ASSERT_EQ(get(PLACE, at, 8), 0);
        vsteal_tell(&s, &map, layouts[i], 1000);
        ASSERT_EQ(steal(layouts[i]), 0);
        vsteal_tell(&s, &map, layouts[i], 1700);
        ASSERT_EQ(steal(layouts[i]), 700);
        vsteal_tell(&s, &map, layouts[i], 1600); /* It never goes back. */
        ASSERT_EQ(steal(layouts[i]), 700);
        vsteal_tell(&s, &map, layouts[i], 1701);
        ASSERT_EQ(steal(layouts[i]), 701);
        if (layouts[i]->sequence != VSTEAL_NONE)
            ASSERT_EQ(get(PLACE, layouts[i]->sequence, 4), 4); /* Even; two for each time. */
        ASSERT_EQ(get(PLACE, VSTEAL_SIZE, 8), 0xa5a5a5a5a5a5a5a5);
    }
    guestmap_destroy(&map);
}

TEST(a_second_start_goes_on_counting_at_the_new_place)
{
    struct vsteal s = {};

    start();
    ASSERT(vsteal_start(&s, &map, gpa(PLACE), 1000));
    vsteal_tell(&s, &map, &vsteal_kvm, 1500);
    s.on = false;
    ASSERT(vsteal_start(&s, &map, gpa(PLACE + 0x40), 1800));
    vsteal_tell(&s, &map, &vsteal_kvm, 1800);
    ASSERT_EQ(steal(&vsteal_kvm), 500);
    ASSERT_EQ(get(PLACE + 0x40, 0, 8), 800);
    guestmap_destroy(&map);
}

TEST(places_that_are_misaligned_or_no_memory_are_refused)
{
    static const uint64_t places[] = {
        PLACE + 1,          PLACE + 8,      PLACE + 32,  0, RIG_RAM_BASE - VSTEAL_SIZE,
        RIG_RAM_BASE + MIB, ~0ull & ~63ull, (1ull << 63)};
    struct vsteal s = {};

    start();
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        ASSERT(!vsteal_start(&s, &map, gpa(places[i]), 1));
        ASSERT(!s.on && !s.begun);
    }
    ASSERT(vsteal_start(&s, &map, gpa(RIG_RAM_BASE + MIB - VSTEAL_SIZE), 1)); /* The last one. */
    guestmap_destroy(&map);
}

/* --- Of a vCPU --- */

static uint64_t told(struct vm *vm)
{
    uint64_t value;

    ASSERT_OK(guest_read(&vm->map, gpa(PLACE + 8), &value, 8));
    return value;
}

static void turn_for(uint64_t ns)
{
    rig_turn(0);
    rig_advance(ns);
}

/* Two that never rest, on one pCPU: half of the time is each one's, the other half is stolen. */
TEST(what_a_vcpu_waits_for_its_pcpu_is_stolen_and_what_it_sleeps_is_not)
{
    struct vm *vm = rig_running(1), *other = rig_vm("other", 1, 0);
    struct vcpu *vcpu = &vm->vcpus[0];
    uint64_t before;

    ASSERT_OK(vm_start(other));
    ASSERT_OK(rig_bind(vcpu));
    ASSERT(!vcpu_steal_start(vcpu, gpa(0), REGION_RAM));
    ASSERT(!vcpu_steal_start(vcpu, gpa(PLACE), REGION_ROM)); /* Another kind of region. */
    ASSERT(vcpu_steal_start(vcpu, gpa(PLACE), REGION_RAM));
    ASSERT_OK(vcpu_unbind(vcpu));
    for (unsigned i = 0; i < 400; i++)
        turn_for(RIG_MS);
    before = told(vm);
    ASSERT(before > 180 * RIG_MS && before < 220 * RIG_MS);
    RIG_SCRIPT(vcpu, {.kind = EXIT_WFI});
    for (unsigned i = 0; i < 400; i++) /* It sleeps. */
        turn_for(RIG_MS);
    vcpu_interrupt(vcpu, RIG_UART_IRQ, true);
    for (unsigned i = 0; i < 30; i++)
        turn_for(RIG_MS);
    ASSERT(told(vm) - before < 40 * RIG_MS); /* It waited for a slice or two. */
    rig_end();
}

TEST(a_stop_ends_the_telling)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    fake_be_cpu(0);
    vcpu->steal = (struct vsteal){.on = true, .begun = true, .place = PLACE};
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    rig_turns(3);
    ASSERT_EQ(vm->state, VM_STOPPED);
    ASSERT(!vcpu->steal.on && !vcpu->steal.begun);
    rig_end();
}
