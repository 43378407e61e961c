/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between the local APICs of a guest: who gets what. */
#include <pthread.h>
#include <sched.h>

#include "tests/host/lapic_rig.h"

#define CPUS 20u

enum { FIXED = 0, LOWEST = 1 << 8, SMI = 2 << 8, NMI = 4 << 8, INIT = 5 << 8, SIPI = 6 << 8 };
enum { LOGICAL = 1 << 11, ASSERT_LEVEL = 1 << 14, LEVEL = 1 << 15 };
enum { SELF = 1 << 18, ALL = 2 << 18, OTHERS = 3 << 18 };

/* Bit per vCPU that has the vector pending; it is taken back. */
static uint32_t got(uint8_t vector)
{
    uint32_t mask = 0;

    for (unsigned i = 0; i < rig.all.count; i++)
        if (atomic_fetch_and(&rig.all.cpu[i].state.irr[vector / 64], ~BIT(vector % 64)) >>
                vector % 64 &
            1)
            mask |= 1u << i;
    return mask;
}

/* By an xAPIC's two registers, or an x2APIC's one. */
static void send(unsigned cpu, uint32_t dest, uint32_t command)
{
    forget();
    if (msr_get(cpu, VLAPIC_MSR_BASE) & EXTD) {
        ASSERT(msr_set(cpu, X2(ICR), (uint64_t)dest << 32 | command));
        return;
    }
    set(cpu, ICR_HIGH, dest << 24);
    set(cpu, ICR, command);
    ASSERT_EQ(get(cpu, ICR), command);
}

static void start_x2(unsigned count)
{
    start(count);
    for (unsigned i = 0; i < count; i++)
        go_x2apic(i);
}

TEST(a_physical_message_reaches_the_one_with_that_id)
{
    for (unsigned x2 = 0; x2 < 2; x2++) {
        x2 ? start_x2(CPUS) : start(CPUS);
        for (unsigned i = 0; i < CPUS; i++) {
            send(3, i, FIXED | 0x80);
            ASSERT_EQ(rig.kicked, i == 3 ? 0 : 1u << i);
            ASSERT_EQ(got(0x80), 1u << i);
        }
        send(3, CPUS, FIXED | 0x80);
        send(3, 0xfe, FIXED | 0x80);
        ASSERT_EQ(got(0x80), 0);
        send(3, x2 ? UINT32_MAX : 0xff, FIXED | 0x80);
        ASSERT_EQ(got(0x80), BITS(CPUS - 1, 0));
    }
}

TEST(an_x2apic_broadcast_has_32_ones)
{
    start_x2(CPUS);
    send(3, 0xff, FIXED | 0x80);
    send(3, 0xff, FIXED | LOGICAL | 0x80); /* Cluster 0, members 0 to 7. */
    ASSERT_EQ(got(0x80), 0xff);
    send(3, UINT32_MAX, FIXED | LOGICAL | 0x80);
    ASSERT_EQ(got(0x80), BITS(CPUS - 1, 0));
}

TEST(shorthands_mean_self_all_and_others)
{
    start(CPUS);
    send(3, 9, FIXED | SELF | 0x80);
    ASSERT_EQ(got(0x80), 1 << 3);
    ASSERT_EQ(rig.kicked, 0);
    send(3, 9, FIXED | ALL | 0x80);
    ASSERT_EQ(rig.kicked, BITS(CPUS - 1, 0) & ~BIT(3));
    ASSERT_EQ(got(0x80), BITS(CPUS - 1, 0));
    send(3, 9, FIXED | OTHERS | 0x80);
    ASSERT_EQ(got(0x80), BITS(CPUS - 1, 0) & ~BIT(3));
}

TEST(the_self_ipi_register_is_a_fixed_interrupt_to_oneself)
{
    start_x2(2);
    ASSERT(msr_set(1, X2(SELF_IPI), 0x99));
    ASSERT_EQ(got(0x99), 1 << 1);
    ASSERT_EQ(rig.kicked, 0);
    ASSERT(!msr_set(1, X2(SELF_IPI), 0x199));
    ASSERT(msr_set(1, X2(SELF_IPI), 0x9));
    msr_set(1, X2(ESR), 0);
    ASSERT_EQ(msr_get(1, X2(ESR)), 0x20);
}

TEST(flat_logical_ids_are_masks)
{
    start(8);
    for (uint32_t mask = 0; mask < 256; mask++) {
        send(0, mask, FIXED | LOGICAL | 0x80);
        ASSERT_EQ(got(0x80), mask);
    }
    set(5, LDR, 0x81000000);
    send(0, 0x80, FIXED | LOGICAL | 0x80);
    ASSERT_EQ(got(0x80), 1 << 5 | 1 << 7);
}

TEST(cluster_logical_ids_are_a_cluster_and_a_mask)
{
    start(8);
    for (unsigned i = 0; i < 8; i++) {
        set(i, DFR, 0);
        ASSERT_EQ(get(i, DFR), 0x0fffffff);
        set(i, LDR, (i / 4) << 28 | 1u << (24 + i % 4));
    }
    send(0, 0x15, FIXED | LOGICAL | 0x80);
    ASSERT_EQ(got(0x80), 0x50);
    send(0, 0x0f, FIXED | LOGICAL | 0x80);
    ASSERT_EQ(got(0x80), 0x0f);
    send(0, 0x2f, FIXED | LOGICAL | 0x80);
    ASSERT_EQ(got(0x80), 0);
    send(0, 0xff, FIXED | LOGICAL | 0x80);
    ASSERT_EQ(got(0x80), 0xff);
    set(2, DFR, 0x50000000); /* A model that there is not. */
    send(0, 0x0f, FIXED | LOGICAL | 0x80);
    ASSERT_EQ(got(0x80), 0x0b);
}

TEST(x2apic_logical_ids_are_derived_from_the_id)
{
    start_x2(CPUS);
    for (unsigned i = 0; i < CPUS; i++)
        ASSERT_EQ(msr_get(i, X2(LDR)), (i / 16) << 16 | 1u << i % 16);
    send(0, 0x00010005, FIXED | LOGICAL | 0x80);
    ASSERT_EQ(got(0x80), BIT(16) | BIT(18));
    send(0, 0x00008001, FIXED | LOGICAL | 0x80);
    ASSERT_EQ(got(0x80), BIT(15) | BIT(0));
    send(0, 0x00020001, FIXED | LOGICAL | 0x80);
    ASSERT_EQ(got(0x80), 0);
}

TEST(the_lowest_priority_wins_and_the_vector_decides_among_equals)
{
    start(8);
    for (unsigned i = 0; i < 8; i++)
        set(i, TPR, i == 6 ? 0x10 : 0x20);
    send(0, 0xff, LOWEST | LOGICAL | 0x80);
    ASSERT_EQ(got(0x80), 1 << 6);
    send(0, 0x0f, LOWEST | LOGICAL | 0x82);
    ASSERT_EQ(got(0x82), 1 << 2);
    send(0, 0x0b, LOWEST | LOGICAL | 0x82);
    ASSERT_EQ(got(0x82), 1 << 3);
    set(6, SVR, 0xff); /* Disabled: not chosen. */
    send(0, 0x40, LOWEST | LOGICAL | 0x80);
    ASSERT_EQ(got(0x80), 0);
    send(0, 0xff, LOWEST | LOGICAL | 0x86);
    ASSERT_EQ(got(0x86), 1 << 7);
}

TEST(init_startup_and_nmi_go_by_their_own_way)
{
    start(4);
    set(2, SVR, 0xff); /* Disabled by software: all the same. */
    send(0, 2, INIT | ASSERT_LEVEL);
    ASSERT_EQ(rig.inits, 1 << 2);
    send(0, 2, INIT | ASSERT_LEVEL | LEVEL);
    ASSERT_EQ(rig.inits, 1 << 2);
    send(0, 2, INIT | LEVEL); /* De-assert. */
    ASSERT_EQ(rig.inits, 0);
    send(0, 2, SIPI | 0x9a);
    ASSERT_EQ(rig.startups, 1 << 2);
    ASSERT_EQ(rig.page, 0x9a);
    send(0, 0, INIT | ASSERT_LEVEL | OTHERS);
    ASSERT_EQ(rig.inits, 0xe);
    send(0, 0, SIPI | 3 | OTHERS);
    ASSERT_EQ(rig.startups, 0xe);
    ASSERT_EQ(rig.page, 3);
    send(0, 0xff, NMI | ASSERT_LEVEL);
    ASSERT_EQ(rig.nmis, 0xf);
    send(0, 0, NMI | ASSERT_LEVEL | SELF);
    ASSERT_EQ(rig.nmis, 1);
    send(0, 0, INIT | ASSERT_LEVEL | SELF);
    send(0, 0, SIPI | SELF);
    ASSERT_EQ(rig.inits | rig.startups, 0);
    send(0, 0, INIT | ASSERT_LEVEL | ALL);
    ASSERT_EQ(rig.inits, 0xe);
    send(0, 1, SMI | ASSERT_LEVEL);
    send(0, 1, 3 << 8 | 0x80);
    send(0, 1, 7 << 8 | 0x80);
    ASSERT_EQ(rig.inits | rig.startups | rig.nmis | rig.kicked | got(0x80), 0);
    msr_set(1, VLAPIC_MSR_BASE, VLAPIC_BASE); /* Disabled altogether. */
    send(0, 1, NMI | ASSERT_LEVEL);
    send(0, 1, INIT | ASSERT_LEVEL);
    ASSERT_EQ(rig.nmis | rig.inits, 0);
}

TEST(an_ipi_is_an_edge_whatever_its_trigger_mode)
{
    start(2);
    send(0, 1, FIXED | LEVEL | ASSERT_LEVEL | 0x80);
    ASSERT_EQ(get(1, TMR + 0x40), 0);
    ASSERT_EQ(take(1), 0x80);
    end(1);
    ASSERT_EQ(rig.eois, 0);
}

TEST(messages_of_devices_have_ids_of_eight_bits)
{
    struct vlapic_message m = {.dest = 0xff, .vector = 0x33};

    start(CPUS);
    go_x2apic(4);
    ASSERT(vlapics_send(&rig.all, &m));
    ASSERT_EQ(got(0x33), BITS(CPUS - 1, 0));
    m.logical = true;
    ASSERT(vlapics_send(&rig.all, &m));
    ASSERT_EQ(got(0x33), BITS(CPUS - 1, 0)); /* Flat ones, and 4 of cluster 0. */
    m = (struct vlapic_message){.dest = 4, .vector = 0x33, .level = true};
    ASSERT(vlapics_send(&rig.all, &m));
    ASSERT_EQ(rig.all.cpu[4].state.tmr[0], BIT(0x33));
    m.dest = CPUS;
    ASSERT(!vlapics_send(&rig.all, &m));
    m = (struct vlapic_message){.dest = 1, .vector = 0x33, .mode = VLAPIC_STARTUP};
    ASSERT(!vlapics_send(&rig.all, &m));
    m.mode = VLAPIC_NMI;
    ASSERT(vlapics_send(&rig.all, &m));
    ASSERT_EQ(rig.nmis, 2);
    for (unsigned mode = 8; mode < 256; mode++) {
        m.mode = (uint8_t)mode;
        ASSERT(!vlapics_send(&rig.all, &m));
    }
}

/* --- Posts from other pCPUs --- */

#define POSTERS 3u
#define POSTS   200000u

static _Atomic uint32_t posted[POSTERS], kicks;

static void thread_kick([[maybe_unused]] struct vlapic_owner *owner,
                        [[maybe_unused]] unsigned index)
{
    atomic_fetch_add(&kicks, 1);
}

/* Vectors of one class and of others, edges and levels. */
static uint8_t vector_of(unsigned who)
{
    return (uint8_t)(0x30 + 0x08 * who);
}

static void *thread_post(void *arg)
{
    unsigned who = (unsigned)(uintptr_t)arg;

    for (uint32_t i = 1; i <= POSTS; i++) {
        atomic_store_explicit(&posted[who], i, memory_order_relaxed);
        vlapic_post(&rig.all.cpu[0], vector_of(who), i % 2);
    }
    return NULL;
}

TEST(posts_by_threads_are_seen_with_what_was_written_before_and_none_is_lost)
{
    pthread_t threads[POSTERS];
    uint32_t seen[POSTERS] = {0}, looked = 0;
    bool all = false;

    start(1);
    rig.owner.kick = thread_kick;
    atomic_store(&kicks, 0);
    for (uintptr_t i = 0; i < POSTERS; i++) {
        atomic_store(&posted[i], 0);
        ASSERT_EQ(pthread_create(&threads[i], NULL, thread_post, (void *)i), 0);
    }
    /* The vCPU looks only when it was kicked: the last post of each must be found so. */
    while (!all) {
        unsigned vector;

        for (unsigned yields = 0; looked == atomic_load(&kicks); yields++) {
            ASSERT(yields < 20000000); /* A kick was lost. */
            sched_yield();
        }
        looked = atomic_load(&kicks);
        while ((vector = take(0)) != 0) {
            unsigned who = (vector - 0x30) / 8;

            seen[who] = atomic_load_explicit(&posted[who], memory_order_relaxed);
            end(0);
        }
        all = seen[0] == POSTS && seen[1] == POSTS && seen[2] == POSTS;
    }
    for (unsigned i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    ASSERT_EQ(take(0), 0);
}
