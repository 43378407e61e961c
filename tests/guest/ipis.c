/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Very many IPIs between vCPUs that share a pCPU: each is counted before the next is sent, so that
 * none may be lost, and none may come twice. The one that waits for it waits blocked, ready, or
 * spinning until its turn is over, so that the IPI finds its target in each of these states.
 * Command line: count=N (1000).
 */
#include "guest.h"

enum { BLOCKED, READY, SPINNING, WAYS };

#define SPIN_EVERY 1000u /* Spinning costs the rest of a slice: seldom. */

static unsigned taken[CPUS_MAX], wrong;
static unsigned cpus, count;

static void ipi_taken(unsigned irq)
{
    if (irq == IPI_IRQ)
        STORE(taken[cpu_id()], taken[cpu_id()] + 1);
    else
        ADD(wrong, 1);
}

static unsigned way_of(unsigned round)
{
    return round % SPIN_EVERY == 0 ? SPINNING : round % 2 ? READY : BLOCKED;
}

/* Until this CPU has taken so many. Interrupts are masked outside of it. */
static void await(unsigned so_many, unsigned way)
{
    unsigned *mine = &taken[cpu_id()];

    while (LOAD(*mine) != so_many) {
        if (way == BLOCKED)
            cpu_wait();
        irq_enable();
        if (way == READY)
            cpu_yield();
        if (way == SPINNING)
            cpu_relax();
        irq_disable();
    }
}

/* A token goes round all CPUs, as an IPI. Each has its own count of rounds. */
static void pass_on(void)
{
    unsigned self = cpu_id(), next = (self + 1) % cpus;

    irq_line_enable(IPI_IRQ);
    for (unsigned i = 1; i <= count / cpus; i++) {
        if (self != 0)
            await(i, way_of(i));
        ipi_send(next);
        if (self == 0)
            await(i, way_of(i));
    }
}

void guest_main(void)
{
    unsigned sum = 0, ok = 1;

    irq_handler = ipi_taken;
    count = (unsigned)machine_argument("count", 1000);
    cpus = cpus_start(machine_cpu_count());
    check_eq(cpus, machine_cpu_count(), "all vCPUs run");
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        cpu_call(cpu, pass_on);
    pass_on();
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        ok &= cpu_join(cpu);
    check(ok, "each vCPU gets the IPIs that it waits for");
    WAIT_FOR(false, 2);
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        sum += LOAD(taken[cpu]);
    print("# %u vCPUs, %u IPIs\n", cpus, sum);
    check_eq(sum, count / cpus * cpus, "as many IPIs are taken as were sent");
    check_eq(wrong, 0, "each comes as an IPI");
}
