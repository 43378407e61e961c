/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Software-generated interrupts: to one, to a list, to all others, to oneself; none lost, none
 * made up. Command line: rounds=N (1000); fewer where there are more vCPUs than pCPUs, and each
 * round waits for others' turns.
 */
#include "arm.h"

static struct count {
    unsigned sgi[16];
    unsigned other;
    unsigned order[16], order_size;
} counts[CPUS_MAX];
static unsigned cpus, rounds, answers_to;
static unsigned mailbox[CPUS_MAX][CPUS_MAX], storm_lost, storm_extra;

static void sgi_send(unsigned sgi, uint64_t how)
{
    __asm__ volatile("dsb ish" ::: "memory");
    SYSREG_WRITE(ICC_SGI1R, (uint64_t)sgi << 24 | how);
}

static void sgi_taken(unsigned irq)
{
    struct count *c = &counts[cpu_id()];

    if (irq >= 16) {
        c->other++;
        return;
    }
    if (c->order_size < 16)
        c->order[c->order_size++] = irq;
    ADD(c->sgi[irq], 1);
}

static void counts_clear(void)
{
    for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
        counts[cpu] = (struct count){.other = 0};
}

static unsigned count_sum(unsigned sgi)
{
    unsigned sum = 0;

    for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
        sum += LOAD(counts[cpu].sgi[sgi]);
    return sum;
}

static void check_to_one(void)
{
    unsigned lost = 0;

    counts_clear();
    for (unsigned i = 0; i < rounds && lost == 0; i++) {
        unsigned cpu = i % cpus;
        unsigned before = LOAD(counts[cpu].sgi[1]);

        sgi_send(1, 1u << cpu);
        lost += !WAIT_FOR(LOAD(counts[cpu].sgi[1]) == before + 1, LATE_MS);
    }
    check_eq(lost, 0, "each SGI to one vCPU arrives, itself included");
    check_eq(count_sum(1), rounds, "and no other vCPU gets it");
}

static void check_to_list(void)
{
    unsigned list = ((1u << cpus) - 1) & ~1u, lost = 0;

    counts_clear();
    for (unsigned i = 1; i <= rounds && lost == 0; i++) {
        sgi_send(2, list);
        lost += !WAIT_FOR(count_sum(2) == i * (cpus - 1), LATE_MS);
    }
    check_eq(lost, 0, "an SGI to a list arrives at each vCPU of it");
    check_eq(LOAD(counts[0].sgi[2]), 0, "and not at the sender, which is not on it");
    counts_clear();
    sgi_send(3, 1u << 1 | 1u << 12);
    check(WAIT_FOR(LOAD(counts[1].sgi[3]) == 1, LATE_MS),
          "vCPUs that do not exist are passed over");
    sgi_send(3, (uint64_t)5 << 16 | 1);
    WAIT_FOR(false, 2);
    check_eq(count_sum(3), 1, "and so is a cluster that does not exist");
}

static void check_to_others(void)
{
    unsigned lost = 0;

    counts_clear();
    for (unsigned i = 1; i <= rounds && lost == 0; i++) {
        sgi_send(4, SGI_ALL_BUT_SELF);
        lost += !WAIT_FOR(count_sum(4) == i * (cpus - 1), LATE_MS);
    }
    check_eq(lost, 0, "an SGI to all others arrives at all others");
    check_eq(LOAD(counts[0].sgi[4]), 0, "and not at its sender");
}

static void check_merge(void)
{
    counts_clear();
    irq_disable();
    for (unsigned i = 0; i < 10; i++)
        sgi_send(5, 1);
    check(gic_bit(5, GICD_ISPENDR), "a masked SGI shows as pending");
    irq_enable();
    check(WAIT_FOR(LOAD(counts[0].sgi[5]) == 1, LATE_MS), "SGIs sent while one is pending are one");
    WAIT_FOR(false, 2);
    check_eq(counts[0].sgi[5], 1, "and stay one");
    check(!gic_bit(5, GICD_ISPENDR), "which is not pending any more");
}

/* All 16, with priorities against their numbers. */
static void check_order(void)
{
    unsigned wrong = 0;

    counts_clear();
    irq_disable();
    for (unsigned sgi = 0; sgi < 16; sgi++)
        gic_priority(sgi, 0xf0 - sgi * 8);
    for (unsigned sgi = 0; sgi < 16; sgi++)
        sgi_send(sgi, 1);
    irq_enable();
    check(WAIT_FOR(LOAD(counts[0].order_size) == 16, LATE_MS),
          "16 SGIs pending at once all arrive");
    for (unsigned i = 0; i < 16; i++)
        wrong += counts[0].order[i] != 15 - i;
    check_eq(wrong, 0, "the most urgent first");
    for (unsigned sgi = 0; sgi < 16; sgi++)
        gic_priority(sgi, PRIORITY_USUAL);
}

static void answer(unsigned irq)
{
    ADD(counts[cpu_id()].sgi[irq], 1);
    if (LOAD(counts[cpu_id()].sgi[irq]) <= rounds)
        sgi_send(irq, 1u << (cpu_id() == 0 ? answers_to : 0));
}

static void check_ping_pong(void)
{
    counts_clear();
    answers_to = cpus - 1;
    irq_handler = answer;
    sgi_send(6, 1u << answers_to);
    check(WAIT_FOR(LOAD(counts[0].sgi[6]) == rounds, LATE_MS),
          "vCPUs can answer each other from handlers");
    WAIT_FOR(LOAD(counts[answers_to].sgi[6]) == rounds + 1, LATE_MS);
    irq_handler = sgi_taken;
}

/* SGI n comes from vCPU n: takes what it finds in the mailbox. */
static void storm_taken(unsigned irq)
{
    unsigned *box = &mailbox[cpu_id()][irq];

    if (__atomic_exchange_n(box, 0, __ATOMIC_SEQ_CST) == 0)
        ADD(storm_extra, 1);
}

static void storm(void)
{
    unsigned self = cpu_id();

    irq_enable();
    for (unsigned i = 1; i <= rounds && LOAD(storm_lost) == 0; i++) {
        unsigned to = (self + 1 + i % (cpus - 1)) % cpus;

        STORE(mailbox[to][self], i);
        sgi_send(self, 1u << to);
        if (!WAIT_FOR(LOAD(mailbox[to][self]) == 0, LATE_MS))
            ADD(storm_lost, 1);
    }
}

static void check_storm(void)
{
    irq_handler = storm_taken;
    check(cpus_run(cpus, storm), "all vCPUs send to all others at once");
    check_eq(storm_lost, 0, "none of these SGIs is lost");
    check_eq(storm_extra, 0, "none is delivered twice");
    irq_handler = sgi_taken;
}

/* Waits until SGI 8 comes. Masked, so that no SGI falls between look and wait. */
static void sleeper(void)
{
    irq_disable();
    while (LOAD(counts[cpu_id()].sgi[8]) == 0) {
        cpu_wait();
        irq_enable();
        irq_disable();
    }
    irq_enable();
}

static void check_wake(void)
{
    unsigned lost = 0;

    counts_clear();
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        cpu_call(cpu, sleeper);
    for (unsigned i = 1; i <= rounds && lost == 0; i++) {
        sgi_send(7, SGI_ALL_BUT_SELF);
        lost += !WAIT_FOR(count_sum(7) == i * (cpus - 1), LATE_MS);
    }
    check_eq(lost, 0, "SGIs wake vCPUs that wait");
    sgi_send(8, SGI_ALL_BUT_SELF);
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        lost += !cpu_join(cpu);
    check_eq(lost, 0, "the last of them too");
}

void guest_main(void)
{
    irq_handler = sgi_taken;
    rounds = (unsigned)machine_argument("rounds", 1000);
    cpus = cpus_start(machine_cpu_count());
    check(cpus >= 2, "there are several vCPUs");
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        cpu_call(cpu, irq_enable);
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        cpu_join(cpu);
    irq_enable();
    check_to_one();
    check_to_list();
    check_to_others();
    check_merge();
    check_order();
    check_ping_pong();
    check_wake();
    check_storm();
}
