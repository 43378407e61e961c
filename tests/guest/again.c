/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest to be taken a snapshot of: it remembers what is typed, in memory and in a register, while
 * its other CPU sleeps from tick to tick. 'n' counts and prints; 'r' says that it is ready; 'x'
 * crashes; 'q' checks what it remembers, and ends.
 */
#include "guest.h"

#define TICK_MS 10u
#define PLACES  2000u

static unsigned ticks, early;
static uint64_t deadline;
static volatile bool end;
static uint64_t places[PLACES]; /* Of several pages: each knows how far we have counted. */

static void tick_taken(unsigned irq)
{
    uint64_t now = clock_read();

    if (irq != TIMER_IRQ || !timer_due())
        return;
    early += now < deadline;
    ticks++;
    deadline += clock_hz() / 1000 * TICK_MS;
    timer_set(deadline);
}

static void sleep_from_tick_to_tick(void)
{
    irq_line_enable(TIMER_IRQ);
    deadline = clock_read() + clock_hz() / 1000 * TICK_MS;
    timer_set(deadline);
    while (!end) {
        cpu_wait();
        irq_enable();
        irq_disable();
    }
    timer_off();
    irq_line_disable(TIMER_IRQ);
}

static bool ticks_go_on(void)
{
    unsigned before = LOAD(ticks);

    return WAIT_FOR(LOAD(ticks) > before + 1, LATE_MS);
}

static void count(unsigned number)
{
    for (unsigned i = 0; i < PLACES; i++)
        places[i] = (uint64_t)number << 32 | i;
    print("again: %u%s\n", number, ticks_go_on() ? "" : ", but no ticks");
}

static bool is_remembered(unsigned number)
{
    bool good = true;

    for (unsigned i = 0; i < PLACES; i++)
        good &= places[i] == (number ? (uint64_t)number << 32 | i : 0);
    return good;
}

void guest_main(void)
{
    unsigned number = 0;
    uint64_t last = clock_read(), now;
    bool back = false;

    irq_handler = tick_taken;
    check_eq(cpus_start(2), 2, "both CPUs run");
    cpu_call(1, sleep_from_tick_to_tick);
    fp_enable();
    fp_fill(42);
    print("again: remembers\n");
    for (int c = 0; c != 'q'; c = uart_get()) {
        now = clock_read();
        back |= now < last;
        last = now;
        if (c == 'n')
            count(++number);
        if (c == 'r')
            print("again: %s\n", hypervisor_ready() ? "is ready" : "has nobody to tell");
        if (c == 'x')
            mmio_read(HOLE_ADDRESS);
    }
    check(is_remembered(number), "memory is as it was");
    check_eq(fp_compare(42), 0, "the FP registers are as they were");
    check(ticks_go_on(), "the other CPU's timer goes on");
    end = true;
    check(cpu_join(1), "the other CPU ends");
    check_eq(early, 0, "no tick came early");
    check(!back, "the clock never went back");
}
