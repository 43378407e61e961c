/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Never ends: counts with interrupts masked on all CPUs. For tests that stop it, or that it must
 * not disturb.
 */
#include "guest.h"

static volatile uint64_t count;

static void spin(void)
{
    irq_disable();
    for (;;)
        count++;
}

void guest_main(void)
{
    unsigned cpus = cpus_start(machine_cpu_count());

    for (unsigned cpu = 1; cpu < cpus; cpu++)
        cpu_call(cpu, spin);
    print("spin: %u vCPUs with interrupts masked\n", cpus);
    spin();
}
