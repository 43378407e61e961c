/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timer: never early, never lost, on each CPU; masked, off, in the past, and as what ends a
 * wait.
 */
#include "guest.h"

static struct cpu_count {
    unsigned fired, early, lost, wrong, stale;
    uint64_t deadline, late_max;
} counts[CPUS_MAX];
/* Times that a timer was turned off when it was due: its interrupt may come all the same. */
static unsigned turned_off;
static unsigned rounds; /* Command line: rounds=N. */

static void timer_taken(unsigned irq)
{
    struct cpu_count *c = &counts[cpu_id()];
    uint64_t now = clock_read();

    if (!timer_due()) { /* It was, and was turned off before the interrupt was taken. */
        c->stale++;
        return;
    }
    timer_off();
    c->wrong += irq != TIMER_IRQ;
    c->early += now < c->deadline;
    if (now - c->deadline > c->late_max)
        c->late_max = now - c->deadline;
    STORE(c->fired, c->fired + 1);
}

static void timer_arm(uint64_t delay)
{
    struct cpu_count *c = &counts[cpu_id()];

    c->deadline = clock_read() + delay;
    timer_set(c->deadline);
}

/* Microseconds as ticks. */
static uint64_t us(uint64_t count)
{
    return clock_hz() * count / 1000000;
}

static void many_deadlines(void)
{
    struct cpu_count *c = &counts[cpu_id()];

    irq_line_enable(TIMER_IRQ);
    irq_enable();
    for (unsigned i = 0; i < rounds; i++) {
        unsigned fired = c->fired;

        timer_arm(us(20 + i * 7 % 180));
        if (!WAIT_FOR(LOAD(c->fired) != fired, LATE_MS))
            c->lost++;
    }
    irq_disable();
    irq_line_disable(TIMER_IRQ);
}

static void many_waits(void)
{
    struct cpu_count *c = &counts[cpu_id()];

    irq_line_enable(TIMER_IRQ);
    for (unsigned i = 0; i < rounds / 4; i++) {
        unsigned fired = c->fired;

        timer_arm(us(20 + i * 13 % 400));
        while (c->fired == fired) { /* Masked, so that no wake-up falls between look and wait. */
            cpu_wait();
            irq_enable();
            irq_disable();
        }
    }
    irq_line_disable(TIMER_IRQ);
}

static void check_counts(unsigned cpus, unsigned expected, const char *how)
{
    struct cpu_count sum = {.fired = 0};

    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        struct cpu_count *c = &counts[cpu];

        sum.fired += c->fired;
        sum.early += c->early;
        sum.lost += c->lost;
        sum.wrong += c->wrong;
        sum.stale += c->stale;
        *c = (struct cpu_count){.late_max = c->late_max};
    }
    print("# %u vCPUs, %s\n", cpus, how);
    check_eq(sum.fired, cpus * expected, "each deadline fires once, on each vCPU");
    check_eq(sum.lost, 0, "no deadline is lost");
    check_eq(sum.early, 0, "no deadline fires early");
    check_eq(sum.wrong, 0, "each comes as the timer's interrupt");
    check(sum.stale <= turned_off, "none comes that is not due");
    turned_off = 0;
}

static void check_masked(void)
{
    struct cpu_count *c = &counts[0];

    timer_arm(us(50));
    check(WAIT_FOR(timer_due(), LATE_MS),
          "the timer tells that it is due while interrupts are masked");
    irq_line_enable(TIMER_IRQ);
    check_eq(c->fired, 0, "a masked timer interrupt is not taken");
    irq_enable();
    check(WAIT_FOR(LOAD(c->fired) == 1, LATE_MS), "it is taken when interrupts are unmasked");
    irq_disable();
    *c = (struct cpu_count){0};

    irq_line_disable(TIMER_IRQ);
    irq_enable();
    timer_arm(us(50));
    WAIT_FOR(timer_due(), LATE_MS);
    check_eq(c->fired, 0, "with its line disabled the timer interrupts nobody");
    irq_line_enable(TIMER_IRQ);
    check(WAIT_FOR(LOAD(c->fired) == 1, LATE_MS), "it is taken when its line is enabled");
    *c = (struct cpu_count){0};
}

static void check_off(struct cpu_count *c)
{
    do { /* Until we were faster than the deadline. */
        timer_arm(us(20000));
        timer_off();
        c->fired = 0;
    } while (clock_read() >= c->deadline);
    WAIT_FOR(false, 25);
    check_eq(c->fired, 0, "a timer turned off before its deadline does not fire");
}

static void check_edges(void)
{
    struct cpu_count *c = &counts[0];

    c->deadline = clock_read() - us(1000);
    timer_set(c->deadline);
    check(WAIT_FOR(LOAD(c->fired) == 1, LATE_MS), "a deadline in the past fires at once");
    c->deadline = 1;
    timer_set(c->deadline);
    check(WAIT_FOR(LOAD(c->fired) == 2, LATE_MS), "so does one near the start of time");
    timer_set(~0ull >> 1);
    WAIT_FOR(false, 3);
    check_eq(c->fired, 2, "a deadline far in the future does not fire");
    check_off(c);
    c->fired = 0;
    timer_arm(us(1000000));
    timer_arm(us(50));
    check(WAIT_FOR(LOAD(c->fired) == 1, 900), "an earlier deadline replaces a later one");
    WAIT_FOR(false, 1100);
    check_eq(c->fired, 1, "and fires once");
    *c = (struct cpu_count){0};
}

/* A wait that an interrupt ends though it is masked. */
static void check_masked_wait(void)
{
    uint64_t start;

    if (WAIT_TAKES)
        return;
    irq_disable();
    start = clock_read(); /* Before: the deadline counts from when it is armed. */
    timer_arm(us(3000));
    while (!timer_due())
        cpu_wait();
    check(clock_read() - start >= us(3000), "a wait with interrupts masked ends at the deadline");
    check_eq(counts[0].fired, 0, "without the interrupt being taken");
    timer_off();
    turned_off++;
}

static void check_clock(void)
{
    uint64_t last = clock_read(), back = 0;

    for (unsigned i = 0; i < 20000; i++) {
        uint64_t now = clock_read();

        back += now < last;
        last = now;
    }
    check_eq(back, 0, "the clock never goes back");
    check(clock_hz() >= 1000000, "the clock has a frequency");
}

void guest_main(void)
{
    unsigned cpus;

    irq_handler = timer_taken;
    rounds = (unsigned)machine_argument("rounds", 1000);
    check_clock();
    check_masked();
    check_edges();
    check_masked_wait();
    cpus = cpus_start(machine_cpu_count());
    many_deadlines();
    check_counts(1, rounds, "spinning");
    many_waits();
    check_counts(1, rounds / 4, "waiting");
    check(cpus_run(cpus, many_deadlines), "all vCPUs end their deadlines");
    check_counts(cpus, rounds, "spinning");
    check(cpus_run(cpus, many_waits), "all vCPUs end their waits");
    check_counts(cpus, rounds / 4, "waiting");
    print("# latest on vCPU 0: %lu ticks\n", counts[0].late_max);
}
