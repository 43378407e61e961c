/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts between harts by SBI: to one, to a mask with a base, to all, to oneself; none lost,
 * none made up. Command line: rounds=N (1000); fewer where there are more vCPUs than pCPUs, and
 * each round waits for others' turns.
 */
#include "riscv.h"

static unsigned taken[CPUS_MAX], other;
static unsigned cpus, rounds, mailbox[CPUS_MAX], storm_lost;

static void ipi_taken(unsigned irq)
{
    if (irq == IPI_IRQ)
        ADD(taken[cpu_id()], 1);
    else
        other++;
}

static void clear(void)
{
    for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
        taken[cpu] = 0;
}

static unsigned sum(void)
{
    unsigned count = 0;

    for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
        count += LOAD(taken[cpu]);
    return count;
}

static int64_t send(uint64_t mask, uint64_t base)
{
    __asm__ volatile("fence rw, rw" ::: "memory");
    return SBI3(SBI_IPI, 0, mask, base, 0).error;
}

static void check_to_one(void)
{
    unsigned lost = 0;

    clear();
    for (unsigned i = 0; i < rounds && lost == 0; i++) {
        unsigned cpu = i % cpus, before = LOAD(taken[cpu]);

        send(1ul << hart_of(cpu), 0);
        lost += !WAIT_FOR(LOAD(taken[cpu]) == before + 1, LATE_MS);
    }
    check_eq(lost, 0, "each IPI to one hart arrives, to oneself included");
    check_eq(sum(), rounds, "and no other hart gets it");
}

static void check_to_mask(void)
{
    uint64_t mask = ((1ul << cpus) - 1) & ~(1ul << hart_of(0));
    unsigned lost = 0;

    clear();
    for (unsigned i = 1; i <= rounds && lost == 0; i++) {
        send(mask, 0);
        lost += !WAIT_FOR(sum() == i * (cpus - 1), LATE_MS);
    }
    check_eq(lost, 0, "an IPI to a mask arrives at each hart of it");
    check_eq(taken[0], 0, "and not at the sender, which is not in it");
    clear();
    send(1, hart_of(1));
    check(WAIT_FOR(LOAD(taken[1]) == 1, LATE_MS), "the mask counts from its base");
    WAIT_FOR(false, 2);
    check_eq(sum(), 1, "and only from there");
}

static void check_to_all(void)
{
    unsigned lost = 0;

    clear();
    for (unsigned i = 1; i <= rounds && lost == 0; i++) {
        send(0, ~0ul);
        lost += !WAIT_FOR(sum() == i * cpus, LATE_MS);
    }
    check_eq(lost, 0, "a base of -1 means all harts, whatever the mask");
    check_eq(taken[0], rounds, "the sender too");
}

static void check_refused(void)
{
    clear();
    check_eq((uint64_t)send(1ul << cpus, 0), (uint64_t)SBI_ERR_INVALID_PARAM,
             "a hart that does not exist is refused");
    check_eq((uint64_t)send(1ul << cpus | 3, 0), (uint64_t)SBI_ERR_INVALID_PARAM,
             "so is one among others");
    check_eq((uint64_t)send(1, cpus), (uint64_t)SBI_ERR_INVALID_PARAM, "and by the base");
    check_eq((uint64_t)send(2, ~0ul - 1), (uint64_t)SBI_ERR_INVALID_PARAM,
             "and a base that wraps around");
    WAIT_FOR(false, 2);
    check_eq(sum(), 0, "a call that is refused sends none");
    check_eq((uint64_t)send(0, 0), SBI_SUCCESS, "to nobody is a success");
    WAIT_FOR(false, 2);
    check_eq(sum(), 0, "and sends none");
}

static void check_merge(void)
{
    clear();
    irq_disable();
    for (unsigned i = 0; i < 10; i++)
        send(1, hart_of(0));
    check(CSR_READ(sip) & SIE_SSIE, "a masked IPI shows as pending");
    check_eq(taken[0], 0, "and is not taken");
    irq_enable();
    check(WAIT_FOR(LOAD(taken[0]) == 1, LATE_MS), "IPIs sent while one is pending are one");
    WAIT_FOR(false, 2);
    check_eq(taken[0], 1, "and stay one");
    CSR_SET(sip, SIE_SSIE);
    check(WAIT_FOR(LOAD(taken[0]) == 2, LATE_MS), "a hart can make its own pending by sip");
    irq_disable();
    send(1, hart_of(0));
    CSR_CLR(sip, SIE_SSIE);
    irq_enable();
    WAIT_FOR(false, 2);
    check_eq(taken[0], 2, "and take it back");
    irq_line_disable(IPI_IRQ);
    send(1, hart_of(0));
    WAIT_FOR(false, 2);
    check_eq(taken[0], 2, "one that is disabled in sie is not taken");
    irq_line_enable(IPI_IRQ);
    check(WAIT_FOR(LOAD(taken[0]) == 3, LATE_MS), "until it is enabled");
}

static void check_legacy(void)
{
    uint64_t mask = 1ul << hart_of(1);

    clear();
    check_eq(sbi_legacy(4, (uint64_t)&mask), 0, "the legacy call takes its mask from memory");
    check(WAIT_FOR(LOAD(taken[1]) == 1, LATE_MS), "and sends");
    irq_disable();
    mask = 1ul << hart_of(0);
    sbi_legacy(4, (uint64_t)&mask);
    check(sbi_legacy(3, 0) != 0, "the legacy call to clear tells that one was pending");
    check_eq(sbi_legacy(3, 0), 0, "and then that none is");
    irq_enable();
    WAIT_FOR(false, 2);
    check_eq(sum(), 1, "one that was cleared is not taken");
}

static void serve(void)
{
    irq_enable();
}

/* Each wakes the next, which waits for that alone. */
static void ring(void)
{
    unsigned self = cpu_id(), next = (self + 1) % cpus;

    irq_disable();
    for (unsigned i = 1; i <= rounds; i++) {
        if (self == 0) {
            STORE(mailbox[next], i);
            ipi_send(next);
        }
        while (LOAD(mailbox[self]) != i) {
            cpu_wait();
            irq_enable(); /* Taken here, and counted. */
            irq_disable();
        }
        if (self != 0) {
            STORE(mailbox[next], i);
            ipi_send(next);
        }
    }
    irq_enable();
}

/* All to all at once: what arrives is at least one, and never more than were sent. */
static void storm(void)
{
    for (unsigned i = 0; i < rounds; i++)
        send(0, ~0ul);
    if (!WAIT_FOR(LOAD(taken[cpu_id()]) > 0, LATE_MS))
        ADD(storm_lost, 1);
}

void guest_main(void)
{
    irq_handler = ipi_taken;
    rounds = (unsigned)machine_argument("rounds", 1000);
    cpus = cpus_start(machine_cpu_count());
    check(cpus > 1, "there are several vCPUs");
    check(cpus_run(cpus, serve), "all vCPUs take interrupts");
    check_to_one();
    check_to_mask();
    check_to_all();
    check_refused();
    check_merge();
    check_legacy();
    clear();
    check(cpus_run(cpus, ring), "a ring of vCPUs that wait for each other goes round");
    clear();
    check(cpus_run(cpus, storm), "a storm of all to all ends");
    check_eq(storm_lost, 0, "and reaches everybody");
    WAIT_FOR(false, 20);
    check(sum() <= rounds * cpus * cpus, "none is made up");
    check_eq(other, 0, "no other interrupt comes");
}
