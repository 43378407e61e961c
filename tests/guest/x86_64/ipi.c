/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts between processors: every delivery and every way to name a destination; INIT and
 * start-up; storms. Command line: rounds=N. [SDM 3, 11.6, 9.4]
 */
#include "x86.h"

#define VECTOR_A 0x51u
#define VECTOR_B 0x91u

static volatile unsigned taken[CPUS_MAX][256], nmis[CPUS_MAX], starts[CPUS_MAX];
static volatile bool serving, storm_wrong;
static unsigned cpus, rounds;

static void note(unsigned irq)
{
    unsigned cpu = cpu_id();

    taken[cpu][irq]++;
}

static bool nmi_noted(struct frame *frame)
{
    if (frame->vector != VECTOR_NMI)
        return false;
    nmis[cpu_id()]++;
    return true;
}

static void serve(void)
{
    irq_enable();
    while (LOAD(serving))
        cpu_relax();
    irq_disable();
}

/* Asleep for most of the time. */
static void serve_halted(void)
{
    while (LOAD(serving))
        cpu_wait();
}

static void others_begin(void (*fn)(void))
{
    STORE(serving, true);
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        cpu_call(cpu, fn);
    irq_enable();
}

static void others_end(void)
{
    bool ok = true;

    STORE(serving, false);
    for (unsigned cpu = 1; cpu < cpus; cpu++) {
        ipi_send(cpu);
        ok &= cpu_join(cpu);
    }
    irq_disable();
    check(ok, "the other processors end");
}

static unsigned sum(unsigned vector)
{
    unsigned all = 0;

    for (unsigned cpu = 0; cpu < cpus; cpu++)
        all += taken[cpu][vector];
    return all;
}

static void clear(void)
{
    memset((void *)taken, 0, sizeof(taken));
}

/* A message, and how often it must come on each. */
static void check_message(uint32_t target, uint32_t what, uint32_t expected, const char *sentence)
{
    unsigned wrong = 0, all = 0;

    for (unsigned cpu = 0; cpu < cpus; cpu++)
        all += expected >> cpu & 1;
    clear();
    lapic_send(target, what | ICR_ASSERT | VECTOR_A);
    WAIT_FOR(sum(VECTOR_A) >= all, LATE_MS);
    WAIT_FOR(false, 2);
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        wrong += taken[cpu][VECTOR_A] != (expected >> cpu & 1);
    check_eq(wrong, 0, sentence);
}

/* The logical destination of one CPU, or several in one cluster. */
static uint32_t logical(uint32_t set)
{
    return lapic_x2 ? set : set & 0xff;
}

static void logical_setup(void)
{
    if (lapic_x2)
        return;
    lapic_write(LAPIC_DFR, ~0u); /* Flat. */
    lapic_write(LAPIC_LDR, 1u << (24 + cpu_id()));
}

static void check_destinations(void)
{
    uint32_t all = (1u << cpus) - 1;

    cpus_run(cpus, logical_setup);
    others_begin(serve);
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        check_message(apic_id_of(cpu), 0, 1u << cpu, "an id names one processor");
    check_message(0, ICR_SELF, 1, "a message to itself comes");
    check_message(0, ICR_ALL, all, "to all: each gets it");
    check_message(0, ICR_OTHERS, all & ~1u, "to all others: the sender does not");
    check_message(lapic_x2 ? ~0u : 0xff, 0, all, "the broadcast id names all");
    check_message(logical(all), ICR_LOGICAL, all, "a logical destination names all of a set");
    check_message(logical(2), ICR_LOGICAL, 2, "or one");
    check_message(logical(0x80), ICR_LOGICAL, cpus > 7 ? 0x80 : 0, "or none");
    if (lapic_x2) {
        clear();
        lapic_write(LAPIC_SELF_IPI, VECTOR_B);
        check(WAIT_FOR(taken[0][VECTOR_B] == 1, LATE_MS), "SELF IPI comes");
    }
    clear();
    for (unsigned i = 1; i <= 20; i++) {
        lapic_send(logical(all), ICR_LOGICAL | ICR_LOWEST | ICR_ASSERT | VECTOR_A);
        WAIT_FOR(sum(VECTOR_A) >= i, LATE_MS);
    }
    WAIT_FOR(false, 2);
    check_eq(sum(VECTOR_A), 20, "lowest priority: one of the set gets each");
    others_end();
}

static void check_halted(void)
{
    unsigned i;

    clear();
    others_begin(serve_halted);
    for (i = 1; i <= 100; i++) {
        lapic_send(apic_id_of(1), ICR_ASSERT | VECTOR_A);
        if (!WAIT_FOR(taken[1][VECTOR_A] == i, LATE_MS))
            break;
    }
    check_eq(taken[1][VECTOR_A], 100, "a processor that halts is woken by each");
    others_end();
}

static void check_nmis(void)
{
    others_begin(serve);
    exception_hook = nmi_noted;
    for (unsigned i = 1; i <= 20; i++) {
        lapic_send(apic_id_of(1), ICR_NMI | ICR_ASSERT);
        if (!WAIT_FOR(nmis[1] == i, LATE_MS))
            break;
    }
    check_eq(nmis[1], 20, "each NMI to another comes");
    check_eq(nmis[0], 0, "and to no other");
    others_end();
    exception_hook = NULL;
}

/* --- INIT and start-up --- */

static uint64_t found_tpr;
static volatile uint64_t left_behind;

static void started(void)
{
    starts[cpu_id()]++;
    found_tpr = lapic_read(LAPIC_TPR);
}

static void spin_masked(void)
{
    irq_disable();
    CR_WRITE(8, 9);
    for (;;)
        left_behind++;
}

static void check_init(void)
{
    uint64_t before = 0;
    unsigned last = cpus - 1;

    secondary_hook = started;
    cpu_call(last, spin_masked);
    check(WAIT_FOR(left_behind > 0, LATE_MS), "a processor spins with interrupts masked");
    cpu_init_ipi(last);
    for (unsigned i = 0; i < 50 && before != left_behind; i++) {
        before = left_behind;
        delay_us(20000);
    }
    check_eq(left_behind, before, "INIT stops it");
    cpu_call(last, NULL);
    ipi_send(last);
    delay_us(10000);
    check_eq(starts[last], 0, "nothing but a start-up wakes it");
    cpu_expect(last);
    cpu_startup_ipi(last, LOW_BASE / PAGE);
    check(WAIT_FOR(starts[last] == 1, LATE_MS), "a start-up starts it anew");
    check_eq(found_tpr, 0, "INIT has reset its local APIC");
    cpu_startup_ipi(last, LOW_BASE / PAGE);
    delay_us(20000);
    check_eq(starts[last], 1, "a second start-up is ignored");
    for (unsigned i = 2; i <= 20; i++) {
        cpu_expect(last);
        cpu_init_ipi(last);
        delay_us(200);
        cpu_startup_ipi(last, LOW_BASE / PAGE);
        if (!WAIT_FOR(starts[last] == i, LATE_MS))
            break;
    }
    check_eq(starts[last], 20, "it can be started again and again");
    secondary_hook = NULL;
}

/* --- Storms --- */

static volatile unsigned acked[CPUS_MAX][CPUS_MAX]; /* By whom it was taken, by whom sent. */

static void storm_taken(unsigned irq)
{
    unsigned from = irq - VECTOR_A;

    if (irq >= VECTOR_A && from < CPUS_MAX)
        acked[cpu_id()][from]++;
}

/* Everybody sends to everybody, and waits for each: none may be lost, none doubled. */
static void storm(void)
{
    unsigned self = cpu_id();

    irq_enable();
    for (unsigned i = 1; i <= rounds; i++) {
        unsigned to = (self + i) % cpus, before = acked[to][self];

        lapic_send(apic_id_of(to), ICR_ASSERT | (VECTOR_A + self));
        if (!WAIT_FOR(acked[to][self] == before + 1, LATE_MS)) {
            STORE(storm_wrong, true);
            break;
        }
    }
    ADD(nmis[self], 1);
    WAIT_FOR(nmis[0] && nmis[1] && (cpus < 3 || nmis[2]) && (cpus < 4 || nmis[3]), LATE_MS);
    irq_disable();
}

static void check_storm(void)
{
    unsigned all = 0;

    for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
        nmis[cpu] = 0;
    memset((void *)acked, 0, sizeof(acked));
    irq_handler = storm_taken;
    check(cpus_run(cpus, storm), "all processors end the storm");
    for (unsigned to = 0; to < cpus; to++)
        for (unsigned from = 0; from < cpus; from++)
            all += acked[to][from];
    check(!storm_wrong, "no message is lost");
    check_eq(all, cpus * rounds, "none comes twice");
    irq_handler = note;
}

static void enter_xapic(void)
{
    lapic_enter(false);
    lapic_write(LAPIC_SVR, 0x100 | SPURIOUS_IRQ);
}

void guest_main(void)
{
    bool both = lapic_x2;

    irq_handler = note;
    rounds = (unsigned)machine_argument("rounds", 300);
    cpus = cpus_start(machine_cpu_count());
    check_eq(cpus, machine_cpu_count(), "all processors start");
    check_destinations();
    check_halted();
    check_nmis();
    check_storm();
    check_init();
    if (!both || !machine_argument("both", 1))
        return;
    cpus_run(cpus, enter_xapic);
    print("# xAPIC\n");
    check_destinations();
    check_storm();
}
