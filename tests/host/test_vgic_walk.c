// SPDX-License-Identifier: Apache-2.0
/*
 * Long random walks of the GIC model beside a reference that knows no list registers: for each
 * interrupt a few flags, and "what may be delivered, most urgent first" found by looking at all.
 *
 * In the exact walk a kick is taken at once: each acknowledge must be one of the most urgent that
 * the reference has, and registers must read the same. In the racing walk kicks wait, vCPUs come
 * and go: nothing may be lost or doubled.
 */
#include "tests/host/test_vgic.h"

struct ref_irq {
    bool enabled, group1, edge, latch, line, active, hw;
    uint8_t priority;
    uint8_t route, owner; /* Of SPIs: vCPU it goes to, vCPU where it is active. */
};

static struct ref_irq ref[GUEST_CPUS][VGIC_IRQS_MAX];
static unsigned ref_ctlr;
static uint32_t ref_stack[GUEST_CPUS][64];

/* SGIs and PPIs of each vCPU, SPIs of two banks. */
static const uint32_t walk_irqs[] = {0, 1, 2, 3, 24, 25, 26, 27, 60, 61, 62, 63, 64, 65, 66, 67};

static struct ref_irq *ref_of(unsigned cpu, uint32_t irq)
{
    return &ref[irq < VGIC_PRIVATE ? cpu : 0][irq];
}

static bool ref_pending(const struct ref_irq *r)
{
    return r->latch || (!r->edge && r->line);
}

static bool ref_deliverable(const struct ref_irq *r)
{
    return ref_pending(r) && r->enabled && !r->active && (ref_ctlr & (r->group1 ? 2 : 1));
}

/* Priority of the most urgent one that the vCPU could take; 256: none. */
static unsigned ref_best(unsigned cpu)
{
    unsigned best = 256;

    for (unsigned i = 0; i < ARRAY_SIZE(walk_irqs); i++) {
        const struct ref_irq *r = ref_of(cpu, walk_irqs[i]);

        if (ref_deliverable(r) && r->priority < best &&
            (walk_irqs[i] < VGIC_PRIVATE || r->route == cpu))
            best = r->priority;
    }
    return best;
}

static void walk_start(unsigned cpus, unsigned slots)
{
    guest_start(cpus, slots);
    memset(ref, 0, sizeof(ref));
    ref_ctlr = 3;
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        for (uint32_t irq = 0; irq < VGIC_IRQS_MAX; irq++)
            ref[cpu][irq] = (struct ref_irq){.enabled = true,
                                             .group1 = true,
                                             .edge = irq < 16 || irq >= VGIC_PRIVATE,
                                             .priority = 0xa0};
}

static void walk_ack(unsigned cpu)
{
    unsigned depth = guest.cpu[cpu].depth;
    unsigned running = depth ? guest.cpu[cpu].running[depth - 1] : 256;
    unsigned best = ref_best(cpu);
    uint32_t irq = depth < 40 ? guest_ack(cpu) : SPURIOUS;
    struct ref_irq *r;

    if (depth >= 40)
        return;
    if (irq == SPURIOUS) {
        ASSERT(best >= running);
        return;
    }
    r = ref_of(cpu, irq);
    ASSERT(ref_deliverable(r));
    ASSERT(irq < VGIC_PRIVATE || r->route == cpu);
    ASSERT_EQ(r->priority, best);
    r->latch = false;
    r->active = true;
    r->owner = (uint8_t)cpu;
    ref_stack[cpu][depth] = irq;
}

static void walk_eoi(unsigned cpu)
{
    uint32_t irq;

    if (guest.cpu[cpu].depth == 0)
        return;
    irq = ref_stack[cpu][guest.cpu[cpu].depth - 1];
    guest_eoi(cpu, irq);
    if (guest.cpu[cpu].eoi_mode1) {
        guest_settle(cpu);
        guest_dir(cpu, irq);
    }
    ref_of(cpu, irq)->active = false;
    ref_of(cpu, irq)->hw = false;
}

/* The guest configures one interrupt; its priority only while it is not active, as software has to.
 */
static void walk_configure(unsigned cpu, uint32_t irq, unsigned what)
{
    struct ref_irq *r = ref_of(cpu, irq);

    switch (what) {
    case 0:
        r->enabled = !r->enabled;
        guest_set_bit(cpu, r->enabled ? VGIC_ISENABLER : VGIC_ICENABLER, irq);
        break;
    case 1:
        if (r->active)
            break;
        r->priority = (uint8_t)(test_random_below(6) * 8);
        guest_set_priority(cpu, irq, r->priority | (uint8_t)test_random_below(8));
        break;
    case 2:
        if (irq < VGIC_PRIVATE)
            break;
        r->route = (uint8_t)test_random_below(guest.cpus);
        guest_route(irq, r->route);
        break;
    case 3:
        ref_ctlr = (unsigned)test_random_below(4) | (unsigned)test_random_below(4);
        guest_dist_write(cpu, GICD_CTLR, ref_ctlr);
        break;
    default:
        r->group1 = !r->group1;
        if (irq < VGIC_PRIVATE)
            guest_sgi_write(cpu, 0x80, guest_sgi_read(cpu, 0x80) ^ 1u << irq);
        else
            guest_dist_write(cpu, 0x80 + irq / 32 * 4,
                             guest_dist_read(0x80 + irq / 32 * 4) ^ 1u << irq % 32);
        break;
    }
}

static void walk_pend(unsigned cpu, uint32_t irq, unsigned what)
{
    struct ref_irq *r = ref_of(cpu, irq);

    switch (what) {
    case 0:
        vgic_accept(&guest.vgic, cpu, irq, true);
        r->latch = true;
        break;
    case 1:
        guest_set_bit(cpu, VGIC_ISPENDR, irq);
        r->latch = true;
        break;
    case 2:
        if (r->hw) /* The line of the hardware: not to be cleared. */
            break;
        guest_set_bit(cpu, VGIC_ICPENDR, irq);
        r->latch = false;
        break;
    case 3:
        if (irq < 16 || irq == 27)
            break;
        r->latch |= r->edge && !r->line;
        r->line = true;
        guest_set_line(cpu, irq, true);
        break;
    case 4:
        if (irq < 16)
            break;
        r->line = false;
        guest_set_line(cpu, irq, false);
        break;
    case 5:
        if (irq >= 16)
            break;
        vgic_send_sgi(&guest.vgic, cpu, field_put(SGIR_INTID, irq) | BIT(cpu), true);
        r->latch = true;
        break;
    case 6:
        if (irq >= 16)
            break;
        vgic_send_sgi(&guest.vgic, cpu, field_put(SGIR_INTID, irq) | SGIR_IRM, true);
        for (unsigned i = 0; i < guest.cpus; i++)
            ref[i][irq].latch |= i != cpu;
        break;
    default: /* The timer; it fires only while its physical interrupt is inactive. */
        if (ref_of(cpu, 27)->hw || ref_of(cpu, 27)->active)
            break;
        guest_hw(cpu, 27);
        ref_of(cpu, 27)->hw = true;
        ref_of(cpu, 27)->latch = true;
        break;
    }
}

static void walk_check(unsigned cpu)
{
    for (unsigned i = 0; i < ARRAY_SIZE(walk_irqs); i++) {
        const struct ref_irq *r = ref_of(cpu, walk_irqs[i]);

        ASSERT_EQ(guest_get_bit(cpu, VGIC_ISPENDR, walk_irqs[i]), ref_pending(r));
        ASSERT_EQ(guest_get_bit(cpu, VGIC_ISENABLER, walk_irqs[i]), r->enabled);
        if (walk_irqs[i] < VGIC_PRIVATE || r->owner == cpu)
            ASSERT_EQ(guest_get_bit(cpu, VGIC_ISACTIVER, walk_irqs[i]), r->active);
    }
    ASSERT_EQ(vgic_has_pending(&guest.vgic, cpu), ref_best(cpu) != 256);
    ASSERT_EQ(vgic_hw_in_flight(&guest.vgic, cpu, 27), ref_of(cpu, 27)->hw);
    ASSERT_EQ(guest.physical[cpu][27], ref_of(cpu, 27)->hw);
}

/* Other vCPUs' slots are known as of their last sync: there the walk looks after they have synced.
 */
static void walk_sync_all(void)
{
    for (unsigned cpu = 0; cpu < guest.cpus; cpu++) {
        vgic_sync(&guest.vgic, cpu);
        guest_enter(cpu);
    }
}

static void walk_exact(unsigned cpus, unsigned slots, bool mode1, unsigned steps)
{
    walk_start(cpus, slots);
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        guest.cpu[cpu].eoi_mode1 = mode1;
    for (unsigned irq = 60; irq < 64; irq++) { /* And levels. */
        guest_set_edge(0, irq, false);
        ref[0][irq].edge = false;
    }
    for (unsigned step = 0; step < steps; step++) {
        unsigned cpu = (unsigned)test_random_below(cpus), what = (unsigned)test_random_below(16);
        uint32_t irq = walk_irqs[test_random_below(ARRAY_SIZE(walk_irqs))];

        if (what < 5)
            walk_ack(cpu);
        else if (what < 9)
            walk_eoi(cpu);
        else if (what < 11)
            walk_configure(cpu, irq, (unsigned)test_random_below(5));
        else
            walk_pend(cpu, irq, (unsigned)test_random_below(8));
        guest_settle(cpu);
        if (step % 16 == 0) {
            walk_sync_all();
            walk_check(cpu);
            guest_settle(cpu);
        }
    }
}

TEST(gic_agrees_with_a_reference_on_one_processor)
{
    for (unsigned slots = 1; slots <= 4; slots++)
        walk_exact(1, slots, false, 30000);
}

TEST(gic_agrees_with_a_reference_on_several_processors)
{
    for (unsigned slots = 1; slots <= 4; slots++)
        walk_exact(2 + slots % 3, slots, false, 30000);
}

TEST(gic_agrees_with_a_reference_when_ends_come_in_two_steps)
{
    for (unsigned slots = 1; slots <= 4; slots++)
        walk_exact(slots, slots, true, 30000);
}

/* --- Races --- */

static unsigned raised[GUEST_CPUS][VGIC_IRQS_MAX]; /* Edges since the last acknowledge. */
static unsigned credit[GUEST_CPUS][VGIC_IRQS_MAX]; /* Edges without an acknowledge of their own. */

static void race_ack(unsigned cpu)
{
    unsigned depth = guest.cpu[cpu].depth;
    uint32_t irq = depth < 40 ? guest_ack(cpu) : SPURIOUS;

    if (irq == SPURIOUS)
        return;
    /* Two edges may come as one or as two, but one never as two. */
    ASSERT(credit[irq < VGIC_PRIVATE ? cpu : 0][irq]-- > 0);
    raised[irq < VGIC_PRIVATE ? cpu : 0][irq] = 0;
    ASSERT(!ref_of(cpu, irq)->active); /* Nor on two vCPUs at once. */
    ref_of(cpu, irq)->active = true;
    ref_stack[cpu][depth] = irq;
}

static void race_raise(unsigned cpu)
{
    uint32_t irq = walk_irqs[test_random_below(ARRAY_SIZE(walk_irqs))];
    unsigned other = (unsigned)test_random_below(guest.cpus);

    if (irq < 16) {
        vgic_send_sgi(&guest.vgic, cpu, field_put(SGIR_INTID, irq) | BIT(other), true);
        raised[other][irq]++;
        credit[other][irq]++;
        return;
    }
    if (irq == 27)
        return;
    vgic_accept(&guest.vgic, cpu, irq, true);
    raised[irq < VGIC_PRIVATE ? cpu : 0][irq]++;
    credit[irq < VGIC_PRIVATE ? cpu : 0][irq]++;
}

/* One step of the vCPU, as its pCPU would do it: kicks are taken when it pleases. */
static void race_step(unsigned cpu)
{
    switch (test_random_below(10)) {
    case 0:
    case 1:
    case 2:
        race_ack(cpu);
        break;
    case 3:
    case 4:
    case 5:
        walk_eoi(cpu);
        break;
    case 6:
    case 7:
        race_raise(cpu);
        guest_enter(cpu); /* It had exited for that. */
        return;
    case 8:
        guest_route((uint32_t)(60 + test_random_below(8)), (unsigned)test_random_below(guest.cpus));
        break;
    default:
        guest_unbind(cpu);
        return;
    }
    if (guest_maintenance(cpu)) {
        vgic_sync(&guest.vgic, cpu);
        guest_enter(cpu);
    }
}

/* Everybody runs until nothing is left: all that was raised must have come. */
static void race_drain(void)
{
    for (unsigned round = 0; round < 400; round++) {
        unsigned cpu = round % guest.cpus;

        guest_settle(cpu);
        race_ack(cpu);
        guest_settle(cpu);
        walk_eoi(cpu);
        guest_settle(cpu);
    }
    for (unsigned cpu = 0; cpu < guest.cpus; cpu++)
        for (uint32_t irq = 0; irq < VGIC_IRQS_MAX; irq++)
            ASSERT_EQ(raised[cpu][irq], 0);
    memset(credit, 0, sizeof(credit));
}

static void race(unsigned cpus, unsigned slots, unsigned steps)
{
    walk_start(cpus, slots);
    memset(raised, 0, sizeof(raised));
    memset(credit, 0, sizeof(credit));
    for (unsigned i = 0; i < ARRAY_SIZE(walk_irqs); i++)
        for (unsigned cpu = 0; cpu < cpus; cpu++)
            guest_set_priority(cpu, walk_irqs[i], (uint8_t)(i % 5 * 16));
    for (uint32_t irq = 24; irq < 27; irq++)
        for (unsigned cpu = 0; cpu < cpus; cpu++)
            guest_set_edge(cpu, irq, true);
    for (unsigned step = 0; step < steps; step++) {
        unsigned cpu = (unsigned)test_random_below(cpus);

        if (!guest.cpu[cpu].bound || (guest.cpu[cpu].kicked && test_random_below(3) == 0))
            guest_enter(cpu);
        race_step(cpu);
        if (step % 1000 == 999)
            race_drain();
    }
}

TEST(gic_loses_and_doubles_nothing_when_kicks_are_late)
{
    for (unsigned slots = 1; slots <= 4; slots++)
        for (unsigned cpus = 1; cpus <= 4; cpus++)
            race(cpus, slots, 20000);
}
