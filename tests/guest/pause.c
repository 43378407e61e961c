/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches its clock while it is paused from outside: one CPU reads it all the time, another sleeps
 * from tick to tick of its timer. 'p' prints the longest time between two reads, 'q' ends it. With
 * idle=1 on its command line the first one sleeps as well, until something is typed.
 */
#include "guest.h"

static volatile int typed = -1;

static void irq_taken(unsigned irq)
{
    if (irq == UART_IRQ)
        typed = uart_get();
    ticks_take(irq);
}

/* What was typed, less than 0 for nothing. */
static int next_key(bool idle)
{
    int c;

    if (!idle)
        return uart_get();
    cpu_wait();
    irq_enable();
    irq_disable();
    c = typed;
    typed = -1;
    return c;
}

static void watch(bool idle)
{
    uint64_t last = clock_read(), longest = 0, now;
    bool back = false;

    for (int c = 0; c != 'q'; c = next_key(idle)) {
        if (c == 'p')
            print("pause: at most %u ms between two reads\n",
                  (unsigned)(longest * 1000 / clock_hz()));
        now = clock_read();
        back |= now < last;
        if (now > last && now - last > longest)
            longest = now - last;
        last = now;
    }
    check(!back, "the clock never goes back");
}

void guest_main(void)
{
    unsigned cpus = cpus_start(2);
    bool idle = machine_argument("idle", 0);

    irq_handler = irq_taken;
    if (idle)
        uart_irq_enable();
    cpu_call(1, ticks_sleep);
    print("pause: %u CPUs watch\n", cpus);
    watch(idle);
    ticker.end = true;
    check(cpu_join(1), "the other CPU still gets its ticks");
    check_eq(ticker.early, 0, "no tick comes early");
    check_eq(ticker.count, (ticker.last - ticker.start) / (clock_hz() / 1000 * TICK_MS),
             "no tick is lost or comes twice");
}
