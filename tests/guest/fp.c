/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FP (and SIMD) registers: zero at the start, kept over every kind of exit, and each vCPU's own.
 * Run in two VMs on one pCPU it shows that nothing leaks between them (command line: seed=N
 * rounds=N).
 */
#include "guest.h"

static uint64_t seed_base, rounds;
static uint64_t wrong[CPUS_MAX], leaked[CPUS_MAX];

static void timer_taken(unsigned irq)
{
    (void)irq;
    timer_off();
}

/* One exit, or stretch of time, of each kind. */
static void disturb(unsigned kind)
{
    switch (kind % 6) {
    case 0:
        hypercall();
        return;
    case 1:
        (void)*(volatile BENCH_DEVICE_TYPE *)BENCH_DEVICE;
        return;
    case 2:
        irq_disable(); /* The deadline may pass before the wait. */
        timer_set(clock_read() + clock_hz() / 20000);
        cpu_wait();
        irq_enable();
        return;
    case 3:
        ipi_send(cpu_id());
        return;
    case 4:
        cpu_yield();
        return;
    default: /* Long enough to be preempted now and then. */
        for (unsigned i = 0; i < 20000; i++)
            __asm__ volatile("");
    }
}

static void churn(void)
{
    unsigned cpu = cpu_id();

    fp_enable();
    leaked[cpu] = fp_or();
    irq_line_enable(TIMER_IRQ);
    irq_enable();
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t seed = seed_base + cpu * 0x1010101010101 + i * 0x30000001;

        fp_fill(seed);
        disturb((unsigned)i);
        wrong[cpu] += fp_compare(seed);
    }
    irq_disable();
}

void guest_main(void)
{
    uint64_t sum = 0, leaks = 0;
    unsigned cpus;

    irq_handler = timer_taken;
    seed_base = machine_argument("seed", 1) * 0x123456789abcdef;
    rounds = machine_argument("rounds", 3000);
    fp_check();
    cpus = cpus_start(machine_cpu_count());
    check(cpus_run(cpus, churn), "all vCPUs use FP at once");
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        sum += wrong[cpu];
        leaks |= leaked[cpu];
    }
    check_eq(leaks, 0, "FP registers are zero when a vCPU starts");
    check_eq(sum, 0, "FP registers, modes and flags are kept over exits and switches");
}
