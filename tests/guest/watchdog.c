/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds its watchdog, turns it off for a while, and then hangs with interrupts masked. */
#include "guest.h"

#define TOO_LONG_MS 3600001u

static void wait_ms(unsigned ms)
{
    uint64_t end = clock_read() + clock_hz() / 1000 * ms;

    while (clock_read() < end)
        cpu_relax();
}

void guest_main(void)
{
    bool fed = true;

    check(!watchdog_feed(TOO_LONG_MS), "a watchdog of more than an hour is refused");
    for (unsigned i = 0; i < 6; i++) {
        fed &= watchdog_feed(1000);
        wait_ms(250);
    }
    check(fed, "a watchdog is fed for longer than it bears to be left alone");
    check(watchdog_feed(0), "it is turned off");
    wait_ms(1500);
    check(watchdog_feed(500), "and on again");
    print("watchdog: hangs now\n");
    irq_disable();
    for (;;)
        cpu_relax();
}
