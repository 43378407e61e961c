/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IRQ queue of a vCPU: what is posted, all interleavings of posters with the vCPU that looks,
 * threads, and a guest's interrupt controller behind it.
 *
 * For the interleavings virq.c and vcpu.c are included a second time, under other names, with each
 * atomic operation preceded by explorer_step().
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "kernel/ipi.h"
#include "tests/host/explorer.h"
#include "tests/host/vm_rig.h"
#include "vcpu/machine_ops.h"

/* --- One after the other --- */

static unsigned looks[VIRQ_MAX], edges[VIRQ_MAX];

static void count(void *arg, uint32_t irq, bool edge)
{
    ASSERT_EQ(arg, looks);
    looks[irq]++;
    edges[irq] += edge;
}

static void counts_clear(void)
{
    memset(looks, 0, sizeof(looks));
    memset(edges, 0, sizeof(edges));
}

TEST(each_interrupt_that_was_posted_is_looked_at_once)
{
    static struct virq_queue queue;

    for (uint32_t irq = 0; irq < VIRQ_MAX; irq++) {
        counts_clear();
        virq_post(&queue, irq, irq % 2);
        virq_post(&queue, irq, false);
        virq_drain(&queue, count, looks);
        for (uint32_t i = 0; i < VIRQ_MAX; i++) {
            ASSERT_EQ(looks[i], i == irq);
            ASSERT_EQ(edges[i], i == irq && irq % 2);
        }
    }
    virq_drain(&queue, count, looks);
    ASSERT_EQ(looks[VIRQ_MAX - 1], 1);
}

TEST(a_cleared_queue_holds_nothing)
{
    static struct virq_queue queue;

    counts_clear();
    for (uint32_t irq = 0; irq < VIRQ_MAX; irq++)
        virq_post(&queue, irq, true);
    virq_clear(&queue);
    virq_drain(&queue, count, looks);
    for (uint32_t irq = 0; irq < VIRQ_MAX; irq++)
        ASSERT_EQ(looks[irq], 0);
}

TEST(an_interrupt_that_cannot_be_is_our_own_mistake)
{
    static struct virq_queue queue;

    ASSERT_DIES(virq_post(&queue, VIRQ_MAX, false));
}

/* --- All interleavings --- */

static void model_wake(struct sched_entity *entity);
static void model_kick(unsigned cpu);

#define virq_post   model_post
#define virq_drain  model_drain
#define virq_clear  model_clear
#define MODEL(name) model_##name
#include "tests/host/vcpu_model.inc"
#define sched_wake model_wake
#define ipi_kick   model_kick
#undef atomic_fetch_or_explicit
#define atomic_fetch_or_explicit(p, v, order)                                                      \
    (explorer_step(), __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST))
#undef atomic_fetch_and_explicit
#define atomic_fetch_and_explicit(p, v, order)                                                     \
    (explorer_step(), __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST))
#undef atomic_exchange_explicit
#define atomic_exchange_explicit(p, v, order)                                                      \
    (explorer_step(), __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST))
void virq_post(struct virq_queue *queue, uint32_t irq, bool edge);
void virq_drain(struct virq_queue *queue, void (*look)(void *arg, uint32_t irq, bool edge),
                void *arg);
void virq_clear(struct virq_queue *queue);
#include "vcpu/vcpu.c"
#include "vcpu/virq.c"
#undef virq_clear
#undef virq_post
#undef virq_drain
#undef vcpu_interrupt

#define LOOKER 0u /* Actor and pCPU 0: the vCPU. */

/* What each poster posts. */
static struct {
    uint32_t irq;
    unsigned posts;
} cast[EXPLORER_ACTORS_MAX];

static unsigned actor_count;
static struct vcpu scene_vcpu;
static bool asleep, woken, in_guest, kicked, blocks;
static unsigned posted[VIRQ_MAX], seen[VIRQ_MAX], kicks;
static bool wire[VIRQ_MAX], wire_seen[VIRQ_MAX];

static void model_wake(struct sched_entity *)
{
    woken = true;
}

static void model_kick(unsigned cpu)
{
    ASSERT_EQ(cpu, LOOKER);
    kicked = true;
    kicks++;
}

/* Each post of an even interrupt is an edge, of an odd one a change of its wire. */
static void poster(void)
{
    uint32_t irq = cast[explorer_self()].irq;
    unsigned posts = cast[explorer_self()].posts;

    for (unsigned i = 0; i < posts; i++) {
        posted[irq]++;
        wire[irq] = !wire[irq];
        model_interrupt(&scene_vcpu, irq, irq % 2 == 0);
    }
    explorer_finish();
}

static void scene_look(void *, uint32_t irq, bool edge)
{
    if (edge)
        seen[irq] = posted[irq];
    wire_seen[irq] = wire[irq];
}

/* The vCPU's pCPU: requests are looked at before the guest is entered, as run.c does, or before it
 * sleeps, as vcpu.c does. */
static void looker(void)
{
    for (;;) {
        explorer_step();
        if (atomic_load(&scene_vcpu.requests) == 0) {
            in_guest = !blocks;
            asleep = blocks;
            explorer_step();
            in_guest = asleep = kicked = woken = false;
            continue;
        }
        atomic_fetch_and_explicit(&scene_vcpu.requests, (uint32_t)~VCPU_REQ_IRQ, 0);
        model_drain(&scene_vcpu.virq, scene_look, NULL);
    }
}

static bool able(unsigned actor)
{
    return actor != LOOKER || !((in_guest && !kicked) || (asleep && !woken));
}

static void scene_start(void)
{
    memset(&scene_vcpu, 0, sizeof(scene_vcpu));
    memset(posted, 0, sizeof(posted));
    memset(seen, 0, sizeof(seen));
    memset(wire, 0, sizeof(wire));
    memset(wire_seen, 0, sizeof(wire_seen));
    in_guest = asleep = kicked = woken = false;
    kicks = 0;
}

static void scene_run(bool random)
{
    scene_start();
    explorer_run(random);
}

static void scene_check(void)
{
    fake_be_cpu(0);
    for (unsigned i = 1; i < actor_count; i++) {
        uint32_t irq = cast[i].irq;

        if (irq % 2 == 0)
            ASSERT_EQ(seen[irq], posted[irq]); /* The last edge was seen after it came. */
        ASSERT_EQ(wire_seen[irq], wire[irq]);
    }
    ASSERT_EQ(scene_vcpu.requests, 0);
}

static void scene_cast(uint32_t irq1, unsigned posts1, uint32_t irq2, unsigned posts2)
{
    static void (*const fns[])(void) = {looker, poster, poster};

    cast[1].irq = irq1;
    cast[1].posts = posts1;
    cast[2].irq = irq2;
    cast[2].posts = posts2;
    actor_count = posts2 ? 3 : 2;
    explorer_cast(actor_count, fns, able);
}

/* After scene_cast(): in each possible order. Says how many there are. */
static unsigned scene_all(void)
{
    unsigned scenes = 0;

    do {
        scene_run(false);
        scene_check();
        scenes++;
    } while (explorer_next());
    return scenes;
}

TEST(no_interleaving_of_a_poster_with_a_vcpu_loses_an_edge_or_keeps_a_stale_level)
{
    for (unsigned i = 0; i < 4; i++) {
        blocks = i / 2; /* Sleeping in the scheduler, or in the guest. */
        scene_cast(32 + i % 2, 3, 0, 0);
        ASSERT(scene_all() > 1000);
    }
}

TEST(no_interleaving_of_two_posters_with_a_vcpu_loses_an_edge_or_keeps_a_stale_level)
{
    static const uint32_t irqs[][2] = {{32, 33}, {32, 32}, {33, 33}, {34, 70}};

    for (unsigned i = 0; i < ARRAY_SIZE(irqs); i++) {
        blocks = i % 2;
        scene_cast(irqs[i][0], 1, irqs[i][1], 1);
        ASSERT(scene_all() > 1000);
    }
}

TEST(random_interleavings_of_two_posters_with_a_vcpu_lose_nothing)
{
    for (unsigned i = 0; i < 20000; i++) {
        blocks = i % 2;
        scene_cast(32 + i % 3, 2, 33, 2);
        scene_run(true);
        scene_check();
    }
}

TEST(a_post_to_a_vcpu_that_was_told_already_sends_no_second_kick)
{
    unsigned most = 0;

    blocks = false;
    scene_cast(32, 2, 0, 0);
    do {
        scene_run(false);
        scene_check();
        ASSERT(kicks >= 1 && kicks <= 2);
        most = MAX(most, kicks);
    } while (explorer_next());
    ASSERT_EQ(most, 2); /* Where the vCPU had looked in between. */
    scene_start();
    explorer_start();
    while (!explorer_finished(1)) /* It never looks. */
        explorer_turn(1);
    ASSERT_EQ(kicks, 1);
}

#undef sched_wake
#undef ipi_kick

/* --- Threads --- */

#define POSTERS 4u
#define POSTS   250000u

static struct virq_queue shared;
static _Atomic uint32_t thread_posted[POSTERS], thread_seen[POSTERS];
static _Atomic unsigned posters_done, drains;
static _Atomic uint32_t thread_wire[POSTERS], thread_wire_seen[POSTERS];

static void *thread_post(void *arg)
{
    uint32_t who = (uint32_t)(uintptr_t)arg;

    for (uint32_t i = 1; i <= POSTS; i++) {
        thread_posted[who] = i;
        virq_post(&shared, 30 + who, true);
        thread_wire[who] = i;
        virq_post(&shared, 100 + who, false);
        if (i % 1024 == 0) { /* However busy the machine is, it is drained in between. */
            unsigned before = drains;

            while (drains == before)
                sched_yield(); /* Of the C library. */
        }
    }
    posters_done++;
    return NULL;
}

static void thread_look(void *, uint32_t irq, bool edge)
{
    if (irq >= 100)
        thread_wire_seen[irq - 100] = thread_wire[irq - 100];
    else if (edge)
        thread_seen[irq - 30] = thread_posted[irq - 30];
}

TEST(a_million_posts_by_threads_lose_no_edge_and_leave_no_stale_level)
{
    pthread_t threads[POSTERS];
    unsigned under_way = 0;

    virq_clear(&shared);
    posters_done = 0;
    for (uintptr_t i = 0; i < POSTERS; i++)
        ASSERT_EQ(pthread_create(&threads[i], NULL, thread_post, (void *)i), 0);
    while (posters_done < POSTERS) {
        virq_drain(&shared, thread_look, NULL);
        drains++;
        under_way += thread_posted[0] > 0 && thread_posted[0] < POSTS;
    }
    for (unsigned i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    virq_drain(&shared, thread_look, NULL);
    for (unsigned i = 0; i < POSTERS; i++) {
        ASSERT_EQ(thread_seen[i], POSTS);
        ASSERT_EQ(thread_wire_seen[i], POSTS);
    }
    ASSERT(under_way > 100);
}

/* --- With a guest's interrupt controller behind it --- */

static void make_edge(struct vm *vm, uint32_t irq)
{
    uint64_t reg = RIG_GICD + 0xc00 + irq / 16 * 4; /* GICD_ICFGR */

    rig_write(vm, 0, reg, 4, rig_read(vm, 0, reg, 4) | 2u << (irq % 16 * 2));
}

TEST(edges_from_any_pcpu_reach_the_guest_in_every_state_of_its_vcpu)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    const struct vcpu_exit wfi = {.kind = EXIT_WFI};
    unsigned waits = 0;

    for (uint32_t irq = 40; irq < 60; irq++) {
        rig_irq_enable(vm, 0, irq);
        make_edge(vm, irq);
    }
    rig_irq_take(vcpu);
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t irq = 40 + (uint32_t)test_random_below(20);
        unsigned before = rig_irq_taken(vcpu, irq);

        if (test_random_below(2)) {
            rig_script(vcpu, &wfi, 1);
            rig_turns(1);
            waits += vcpu->sched.state == SCHED_BLOCKED;
        }
        fake_be_cpu((unsigned)test_random_below(4));
        vcpu_interrupt(vcpu, irq, true);
        rig_turns(3);
        ASSERT_EQ(rig_irq_taken(vcpu, irq), before + 1);
    }
    ASSERT(waits > 5000);
    rig_end();
}

TEST(a_level_is_seen_by_the_guest_while_it_lasts_and_no_longer)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    struct vdev dev = {.owner = vm, .irq = 50};
    struct bus_hint hint = {};

    dev.set_irq = bus_find(&vm->bus, RIG_UART, 4, &hint)->set_irq;
    rig_irq_enable(vm, 0, 50);
    for (unsigned i = 0; i < 5000; i++) {
        bool level = false;

        for (unsigned changes = (unsigned)test_random_below(4); changes-- > 0;) {
            level = test_random_below(2);
            fake_be_cpu((unsigned)test_random_below(4));
            dev.set_irq(&dev, level);
            if (test_random_below(2))
                rig_turns(1);
        }
        fake_be_cpu(3);
        dev.set_irq(&dev, level);
        rig_turns(3);
        ASSERT_EQ(rig_irq_seen(vcpu, 50), level);
    }
    rig_end();
}
