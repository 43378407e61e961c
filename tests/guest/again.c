/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest to be taken a snapshot of: it remembers what is typed, in memory and in a register, while
 * its other CPU sleeps from tick to tick. 'n' counts and prints; 'i' waits in the handler of an IPI
 * for a key, while one more is pending, and says how many came; 'r' says that it is ready; 'x'
 * crashes; 'q' checks what it remembers, and ends.
 */
#include "guest.h"

#define PLACES 2000u

static unsigned messages;
static bool hold, wanted;       /* The next IPI's handler waits; the other CPU shall send one. */
static uint64_t places[PLACES]; /* Of several pages: each knows how far we have counted. */

static void message_taken(void)
{
    messages++;
    if (!hold)
        return;
    hold = false;
    STORE(wanted, true);
    print("again: %s\n", WAIT_FOR(!LOAD(wanted), LATE_MS) ? "in a handler" : "no answer");
    while (uart_get() < 0)
        cpu_relax();
}

static void irq_taken(unsigned irq)
{
    ticks_take(irq);
    if (irq == TIMER_IRQ && LOAD(wanted)) {
        ipi_send(0);
        STORE(wanted, false);
    }
    if (irq == IPI_IRQ)
        message_taken();
}

static unsigned take_messages(void)
{
    unsigned before = messages;

    hold = true;
    ipi_send(0);
    irq_enable();
    (void)WAIT_FOR(LOAD(messages) - before > 1, LATE_MS);
    (void)WAIT_FOR(LOAD(messages) - before > 2, 1); /* Which there are not. */
    irq_disable();
    return messages - before;
}

static bool ticks_go_on(void)
{
    unsigned before = LOAD(ticker.count);

    return WAIT_FOR(LOAD(ticker.count) > before + 1, LATE_MS);
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

    irq_handler = irq_taken;
    irq_line_enable(IPI_IRQ);
    check_eq(cpus_start(2), 2, "both CPUs run");
    cpu_call(1, ticks_sleep);
    fp_enable();
    fp_fill(42);
    print("again: remembers\n");
    for (int c = 0; c != 'q'; c = uart_get()) {
        now = clock_read();
        back |= now < last;
        last = now;
        if (c == 'n')
            count(++number);
        if (c == 'i')
            print("again: %u messages\n", take_messages());
        if (c == 'r')
            print("again: %s\n", hypervisor_ready() ? "is ready" : "has nobody to tell");
        if (c == 'x')
            mmio_read(HOLE_ADDRESS);
    }
    check(is_remembered(number), "memory is as it was");
    check_eq(fp_compare(42), 0, "the FP registers are as they were");
    check(ticks_go_on(), "the other CPU's timer goes on");
    ticker.end = true;
    check(cpu_join(1), "the other CPU ends");
    check_eq(ticker.early, 0, "no tick came early");
    check(!back, "the clock never went back");
}
