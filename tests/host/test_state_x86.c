/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a PC's chips: saved from one that is in the middle of its work, and loaded into a
 * fresh one at another time of the host, the guest finds the same and gets its interrupts when it
 * would have. A state that is cut short, or changed, is refused or does no harm.
 */
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "tests/host/state_rig.h"
#include "vcpu/bus.h"
#include "vcpu/chips/vcmos.h"
#include "vcpu/chips/vns16550.h"
#include "vcpu/chips/vpci_host.h"
#include "vcpu/chips/vpic.h"
#include "vcpu/chips/vpit.h"
#include "vcpu/chips/vpm.h"

#define SECOND 1000000000ull /* In ticks of the fake's clock. */
#define EPOCH  1767225600ull

/* One saved, and one loaded. */
struct wire {
    bool level;
    unsigned edges; /* Rising ones. */
};

static struct wire wires[2];
static struct vdev *wired[2];
static struct state_rig rig;

static void on_irq(struct vdev *dev, bool level)
{
    struct wire *wire = &wires[dev == wired[1]];

    ASSERT(level != wire->level);
    wire->level = level;
    wire->edges += level;
}

static void start(void)
{
    atomic_store(&fake_ticks, 0);
    fake_be_cpu(0);
    timer_init_cpu();
    pcpus[0].online = true;
    memset(wires, 0, sizeof(wires));
}

static void connect(struct vdev *a, struct vdev *b)
{
    wired[0] = a;
    wired[1] = b;
    a->set_irq = b->set_irq = on_irq;
}

/* What is due fires; no more often than a chip may make a host's timer do. */
static void run(uint64_t ticks)
{
    uint64_t end = arch_ticks() + ticks;

    for (unsigned fired = 0; pcpus[0].arch.timer_deadline <= end; fired++) {
        ASSERT(fired < 20000);
        if (pcpus[0].arch.timer_deadline > arch_ticks())
            fake_advance(pcpus[0].arch.timer_deadline - arch_ticks());
        timer_expire();
    }
    fake_advance(end - arch_ticks());
}

static void save(struct vdev *dev)
{
    state_rig_save(&rig, arch_ticks());
    dev->ops->state(dev, &rig.state);
    ASSERT_OK(state_rig_end(&rig));
}

static enum err load(struct vdev *dev)
{
    state_rig_load(&rig, arch_ticks());
    dev->ops->state(dev, &rig.state);
    return state_rig_end(&rig);
}

/* The interrupt controller has the wire as it was. */
static void load_wired(struct vdev *dev)
{
    wires[1].level = wires[0].level;
    ASSERT_OK(load(dev));
}

static uint8_t get(struct vdev *dev, uint64_t offset)
{
    return (uint8_t)dev->ops->read(dev, 0, offset, 1);
}

static void set(struct vdev *dev, uint64_t offset, unsigned value)
{
    dev->ops->write(dev, 0, offset, 1, value);
}

/* Reads and writes all of it, and lets time go on: sanitizers look. */
static void use(struct vdev *dev)
{
    for (unsigned i = 0; i < dev->size && i < 16; i++)
        dev->ops->read(dev, 0, i, 1);
    run(SECOND / 100);
    for (unsigned i = 0; i < dev->size && i < 16; i++)
        dev->ops->write(dev, 0, i, 1, test_random() & 0x7f);
    run(SECOND / 100);
}

/* What was saved last, for every length and with bytes of it changed, into this chip. */
static void batter(struct vdev *dev)
{
    size_t size = rig.size;

    dev->set_irq = NULL;
    for (rig.limit = 0; rig.limit < size; rig.limit++) {
        ASSERT(load(dev) != OK);
        use(dev);
        dev->ops->reset(dev);
    }
    for (unsigned round = 0; round < 2000; round++) {
        size_t at = test_random_below(size);
        uint8_t before = rig.bytes[at];

        rig.bytes[at] = (uint8_t)test_random();
        err_ignore(load(dev));
        use(dev);
        dev->ops->reset(dev);
        rig.bytes[at] = before;
    }
}

/* --- 16550 --- */

TEST(a_16550_comes_back_with_what_was_typed_and_its_interrupt)
{
    enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };
    static struct vns16550 a, b;

    start();
    vns16550_init(&a, 0x3f8, 4);
    vns16550_init(&b, 0x3f8, 4);
    a.vdev.size = b.vdev.size = 8;
    connect(&a.vdev, &b.vdev);
    set(&a.vdev, IIR, 0x81); /* FIFO, trigger 8. */
    set(&a.vdev, IER, 3);
    set(&a.vdev, LCR, 0x83);
    set(&a.vdev, DATA, 0x0d);
    set(&a.vdev, LCR, 0x03);
    set(&a.vdev, SCR, 0x5a);
    set(&a.vdev, MCR, 0x0b);
    for (unsigned i = 0; i < 40; i++)
        vns16550_receive(&a, (uint8_t)('a' + i % 26));
    ASSERT_EQ(get(&a.vdev, DATA), 'a');
    vns16550_receive(&b, '!'); /* It was typed at another guest. */
    save(&a.vdev);
    load_wired(&b.vdev);
    ASSERT(wires[1].level);
    for (unsigned reg = IER; reg <= SCR; reg++)
        ASSERT_EQ(get(&b.vdev, reg), get(&a.vdev, reg));
    for (unsigned i = 1; i < 40; i++)
        ASSERT_EQ(get(&b.vdev, DATA), 'a' + i % 26);
    ASSERT_EQ(get(&b.vdev, LSR) & 1, 0);
    set(&b.vdev, LCR, 0x83);
    ASSERT_EQ(get(&b.vdev, DATA), 0x0d);
}

TEST(a_16550_is_not_harmed_by_any_state)
{
    static struct vns16550 a, b;

    start();
    vns16550_init(&a, 0x3f8, 4);
    vns16550_init(&b, 0x3f8, 4);
    a.vdev.size = b.vdev.size = 8;
    for (unsigned i = 0; i < 20; i++)
        vns16550_receive(&a, 'x');
    save(&a.vdev);
    for (unsigned i = 0; i < 20000; i++) /* Full: what waits is overwritten. */
        vns16550_receive(&b, 'y');
    batter(&b.vdev);
}

/* --- 8254 --- */

static uint16_t pit_count(struct vpit *pit, unsigned counter)
{
    uint8_t low;

    set(&pit->vdev, 3, counter << 6);
    low = get(&pit->vdev, counter);
    return (uint16_t)(get(&pit->vdev, counter) << 8 | low);
}

static void pit_program(struct vpit *pit, unsigned counter, unsigned mode, unsigned count)
{
    set(&pit->vdev, 3, counter << 6 | 0x30 | mode << 1);
    set(&pit->vdev, counter, count & 0xff);
    set(&pit->vdev, counter, count >> 8);
}

/* a counts 100 times a second, and is in the middle of a measurement. */
static void pit_busy(struct vpit *a)
{
    run(3 * SECOND);
    pit_program(a, 0, 2, 11932);
    a->speaker.ops->write(&a->speaker, 0, 0, 1, 1);
    pit_program(a, 2, 0, 60000);
    run(SECOND / 100 + SECOND / 400);
    set(&a->vdev, 3, 1 << 6 | 0x30); /* A latch that is half read. */
    set(&a->vdev, 1, 0x34);
}

static void pit_goes_on(uint64_t moment)
{
    static struct vpit a, b;
    uint16_t counts[2];
    unsigned edges;

    start();
    vpit_init(&a, 0x40, 0x61, 2, 0);
    connect(&a.vdev, &b.vdev);
    pit_busy(&a);
    ASSERT_EQ(wires[0].edges, 2);
    counts[0] = pit_count(&a, 0);
    counts[1] = pit_count(&a, 2);
    save(&a.vdev);
    vpit_stop(&a);
    atomic_store(&fake_ticks, moment);
    timer_init_cpu();
    vpit_init(&b, 0x40, 0x61, 2, 0);
    connect(&a.vdev, &b.vdev);
    wires[1] = wires[0];
    ASSERT_OK(load(&b.vdev));
    ASSERT_EQ(pit_count(&b, 0), counts[0]);
    ASSERT_EQ(pit_count(&b, 2), counts[1]);
    ASSERT_EQ(b.speaker.ops->read(&b.speaker, 0, 0, 1) & 0x21, 1);
    edges = wires[1].edges;
    run(SECOND / 400 * 2);
    ASSERT_EQ(wires[1].edges, edges);
    run(SECOND / 400 + 1000); /* A cycle has 838 ns. */
    ASSERT_EQ(wires[1].edges, edges + 1);
    run(SECOND / 10 + 100000);
    ASSERT_EQ(wires[1].edges, edges + 11);
    ASSERT_EQ(b.speaker.ops->read(&b.speaker, 0, 0, 1) & 0x20, 0x20);
    set(&b.vdev, 1, 0x12); /* The second half of a count. */
    ASSERT(pit_count(&b, 1) >= 0x1232);
    vpit_stop(&b);
}

TEST(an_8254_goes_on_from_where_it_was_sooner_or_later)
{
    pit_goes_on(4 * SECOND);
    pit_goes_on(1000000 * SECOND);
    pit_goes_on(5); /* After the host has started anew. */
}

TEST(an_8254_is_not_harmed_by_any_state)
{
    static struct vpit a, b;

    start();
    vpit_init(&a, 0x40, 0x61, 2, 0);
    vpit_init(&b, 0x40, 0x61, 2, 0);
    pit_busy(&a);
    set(&a.vdev, 0, 0x56); /* Half of a count. */
    set(&a.vdev, 3, 0xc2); /* And both latches of counter 0. */
    save(&a.vdev);
    vpit_stop(&a);
    batter(&b.vdev);
    vpit_stop(&b);
}

/* --- PM --- */

static uint32_t pm_timer(struct vpm *pm)
{
    return (uint32_t)pm->vdev.ops->read(&pm->vdev, 0, VPM_TIMER, 4);
}

TEST(a_pm_timer_goes_on_and_interrupts_when_it_would_have)
{
    static struct vpm a, b;
    uint32_t cycles;

    start();
    vpm_init(&a, 0x600, 9, 0);
    connect(&a.vdev, &b.vdev);
    run(590 * SECOND);
    a.vdev.ops->write(&a.vdev, 0, 2, 2, 1); /* Its highest bit changes each 599.9 s. */
    cycles = pm_timer(&a);
    save(&a.vdev);
    vpm_stop(&a);
    atomic_store(&fake_ticks, 7);
    timer_init_cpu();
    vpm_init(&b, 0x600, 9, 0);
    connect(&a.vdev, &b.vdev);
    ASSERT_OK(load(&b.vdev));
    ASSERT_EQ(pm_timer(&b), cycles);
    ASSERT_EQ(b.vdev.ops->read(&b.vdev, 0, 0, 4), 1u << 16);
    run(9 * SECOND);
    ASSERT(!wires[1].level);
    run(SECOND);
    ASSERT(wires[1].level);
    ASSERT_EQ(pm_timer(&b) - cycles, 35795450);
    save(&b.vdev);
    batter(&b.vdev);
    vpm_stop(&b);
}

/* --- RTC --- */

static uint8_t cmos_get(struct vcmos *cmos, unsigned reg)
{
    set(&cmos->vdev, 0, reg);
    return get(&cmos->vdev, 1);
}

static void cmos_set(struct vcmos *cmos, unsigned reg, unsigned value)
{
    set(&cmos->vdev, 0, reg);
    set(&cmos->vdev, 1, value);
}

TEST(an_rtc_goes_on_with_the_time_of_day_as_its_guest_has_set_it)
{
    enum { SEC, SEC_ALARM, MIN, MIN_ALARM, HOUR, HOUR_ALARM, B = 11, C };
    static struct vcmos a, b;

    start();
    vcmos_init(&a, 0x70, 8, EPOCH, 0);
    connect(&a.vdev, &b.vdev);
    run(10 * SECOND);
    cmos_set(&a, HOUR, 0x05); /* It is midnight. */
    cmos_set(&a, SEC_ALARM, 0x00);
    cmos_set(&a, MIN_ALARM, 0x02);
    cmos_set(&a, HOUR_ALARM, 0x05);
    cmos_set(&a, B, 0x22);
    cmos_set(&a, 0x40, 0xab);
    save(&a.vdev);
    vcmos_stop(&a);
    atomic_store(&fake_ticks, 3); /* The host started anew, a minute later. */
    timer_init_cpu();
    vcmos_init(&b, 0x70, 8, EPOCH + 70, 0);
    connect(&a.vdev, &b.vdev);
    ASSERT_OK(load(&b.vdev));
    ASSERT_EQ(get(&b.vdev, 1), 0xab); /* The index is as it was. */
    ASSERT_EQ(cmos_get(&b, HOUR), 0x05);
    ASSERT_EQ(cmos_get(&b, MIN), 0x01);
    ASSERT_EQ(cmos_get(&b, SEC), 0x10);
    ASSERT_EQ(cmos_get(&b, B), 0x22);
    run(49 * SECOND);
    ASSERT(!wires[1].level);
    run(SECOND);
    ASSERT(wires[1].level);
    ASSERT_EQ(cmos_get(&b, C) & 0xa0, 0xa0);
    vcmos_stop(&b);
}

TEST(an_rtc_is_not_harmed_by_any_state)
{
    static struct vcmos a, b;

    start();
    vcmos_init(&a, 0x70, 8, EPOCH, 0);
    vcmos_init(&b, 0x70, 8, EPOCH, 0);
    cmos_set(&a, 11, 0xf2); /* Stopped, all interrupts. */
    cmos_set(&a, 4, 0x77);
    save(&a.vdev);
    vcmos_stop(&a);
    batter(&b.vdev);
    vcmos_stop(&b);
}

/* --- Small ones. --- */

TEST(an_8259_comes_back_in_the_middle_of_its_words)
{
    static struct vpic a, b;

    start();
    vpic_init(&a, 0x20);
    vpic_init(&b, 0x20);
    set(&a.vdev, 1, 0x77);
    save(&a.vdev);
    ASSERT_OK(load(&b.vdev));
    ASSERT_EQ(get(&b.vdev, 1), 0x77);
    set(&a.vdev, 0, 0x11);
    set(&a.vdev, 1, 0x20);
    save(&a.vdev);
    ASSERT_OK(load(&b.vdev));
    set(&b.vdev, 1, 0x04); /* ICW3 and ICW4, */
    set(&b.vdev, 1, 0x01);
    set(&b.vdev, 1, 0xfe); /* and the mask. */
    ASSERT_EQ(get(&b.vdev, 1), 0xfe);
    batter(&b.vdev);
}

TEST(a_pci_host_comes_back_with_its_address)
{
    static struct vpci_host a, b;

    start();
    vpci_host_init(&a, 0xcf8, 0xe0000000, 1);
    vpci_host_init(&b, 0xcf8, 0xe0000000, 1);
    a.ports.ops->write(&a.ports, 0, 0, 4, 0x80000008);
    set(&a.ports, 1, 0x02);
    save(&a.ports);
    ASSERT_OK(load(&b.ports));
    ASSERT_EQ(b.ports.ops->read(&b.ports, 0, 0, 4), 0x80000008);
    ASSERT_EQ(b.ports.ops->read(&b.ports, 0, 4, 4), 0x06000000);
    ASSERT_EQ(get(&b.ports, 1), 0x02);
    batter(&b.ports);
}
