/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches its clock while it is paused from outside: one CPU reads it all the time, another sleeps
 * from tick to tick of its timer. 'p' prints the longest time between two reads, 'q' ends it.
 */
#include "guest.h"

#define TICK_MS 10u

static unsigned ticks, early;
static uint64_t deadline, ticks_start, ticks_end;
static volatile bool end;

static void tick_taken(unsigned irq)
{
    uint64_t now = clock_read();

    if (irq != TIMER_IRQ || !timer_due())
        return;
    early += now < deadline;
    ticks++;
    deadline += clock_hz() / 1000 * TICK_MS;
    ticks_end = now;
    timer_set(deadline);
}

static void sleep_from_tick_to_tick(void)
{
    irq_line_enable(TIMER_IRQ);
    ticks_start = clock_read();
    deadline = ticks_start + clock_hz() / 1000 * TICK_MS;
    timer_set(deadline);
    while (!end) {
        cpu_wait();
        irq_enable();
        irq_disable();
    }
    timer_off();
    irq_line_disable(TIMER_IRQ);
}

static void watch(void)
{
    uint64_t last = clock_read(), longest = 0, now;
    bool back = false;

    for (int c = 0; c != 'q'; c = uart_get()) {
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

    irq_handler = tick_taken;
    cpu_call(1, sleep_from_tick_to_tick);
    print("pause: %u CPUs watch\n", cpus);
    watch();
    end = true;
    check(cpu_join(1), "the other CPU still gets its ticks");
    check_eq(early, 0, "no tick comes early");
    check_eq(ticks, (ticks_end - ticks_start) / (clock_hz() / 1000 * TICK_MS),
             "no tick is lost or comes twice");
}
