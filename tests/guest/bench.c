/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Costs as a guest sees them, in instructions where bench.py runs it: there one takes a nanosecond.
 * Each figure is the median of many, less the cost of the measuring itself. Prints "bench <name>
 * <value> <min> <max>".
 */
#include "guest.h"

#define SAMPLES 401u

static uint32_t samples[SAMPLES];
static uint64_t overhead;

/* The clock without barriers: on the emulator that counts, every instruction waits for the last. */
static void sample(unsigned i, uint64_t value)
{
    samples[i] = (uint32_t)value;
}

static void sort(void)
{
    for (unsigned i = 1; i < SAMPLES; i++) {
        uint32_t value = samples[i];
        unsigned at = i;

        for (; at > 0 && samples[at - 1] > value; at--)
            samples[at] = samples[at - 1];
        samples[at] = value;
    }
}

static void show(const char *name, uint64_t less)
{
    sort();
    print("bench %s %lu %lu %lu\n", name, samples[SAMPLES / 2] - less, samples[0] - less,
          samples[SAMPLES - 1] - less);
}

/* What is between the two looks at the clock when nothing is. */
static void measure_overhead(void)
{
    for (unsigned i = 0; i < SAMPLES; i++) {
        uint64_t start = bench_start();

        sample(i, bench_stop() - start);
    }
    sort();
    overhead = samples[SAMPLES / 2];
    print("# the clock itself: %lu\n", overhead);
}

static void measure_hypercall(void)
{
    for (unsigned i = 0; i < SAMPLES; i++)
        sample(i, bench_hypercall());
    show("hypercall", overhead);
}

static void measure_device(void)
{
    for (unsigned i = 0; i < SAMPLES; i++) {
        uint64_t start = bench_start();

        (void)*(volatile BENCH_DEVICE_TYPE *)BENCH_DEVICE;
        sample(i, bench_stop() - start);
    }
    show("device", overhead);
}

static void bench_taken(unsigned irq)
{
    if (irq == TIMER_IRQ)
        timer_off();
}

/* Spinning one instruction at a time until the handler has run. */
static void measure_timer(void)
{
    for (unsigned i = 0; i < SAMPLES; i++) {
        uint64_t deadline = clock_read() + clock_hz() / 50000 + i * 3;

        sample(i, bench_spin_until(deadline));
    }
    show("timer", 0);
}

static void measure_wait(const char *name)
{
    for (unsigned i = 0; i < SAMPLES; i++) {
        uint64_t deadline = clock_read() + clock_hz() / 20000 + i * 3;

        sample(i, bench_wait_until(deadline));
    }
    show(name, 0);
}

static void measure_ipi(void)
{
    for (unsigned i = 0; i < SAMPLES; i++)
        sample(i, bench_ipi());
    show("ipi", 0);
}

static volatile bool yielding;

static void yielder(void)
{
    irq_disable();
    while (yielding)
        cpu_yield();
}

/* Two vCPUs on one pCPU give it to each other: there and back is two switches. */
static void measure_yield(void)
{
    yielding = true;
    cpu_call(1, yielder);
    for (unsigned i = 0; i < 100; i++)
        cpu_yield();
    for (unsigned i = 0; i < SAMPLES; i++) {
        uint64_t start = bench_start();

        cpu_yield();
        sample(i, (bench_stop() - start - overhead) / 2);
    }
    yielding = false;
    show("yield", 0);
}

static void measure_controller(void)
{
    for (const struct bench_row *row = bench_rows(); row->name != NULL; row++) {
        for (unsigned i = 0; i < SAMPLES; i++)
            sample(i, row->measure(row->argument));
        show(row->name, overhead);
    }
}

void guest_main(void)
{
    irq_handler = bench_taken;
    print("bench start %lu\n", start_clock);
    irq_line_enable(TIMER_IRQ);
    measure_overhead();
    measure_hypercall();
    measure_device();
    measure_controller();
    irq_enable();
    measure_timer();
    measure_ipi();
    measure_wait("wait");
    irq_disable();
    if (machine_cpu_count() > 1 && cpus_start(2) == 2)
        measure_yield();
    check(true, "the costs were measured");
}
