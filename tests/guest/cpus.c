/* SPDX-License-Identifier: Apache-2.0 */
/* Work for the other CPUs of a guest: one function at a time for each. */
#include "guest.h"

static void (*jobs[CPUS_MAX])(void);
static unsigned running = 1;

void cpu_serve(void)
{
    unsigned cpu = cpu_id();

    ADD(running, 1);
    for (;;) {
        void (*fn)(void) = LOAD(jobs[cpu]);

        if (fn != NULL) {
            fn();
            STORE(jobs[cpu], NULL);
        }
        cpu_relax();
    }
}

unsigned cpus_start(unsigned count)
{
    for (unsigned cpu = LOAD(running); cpu < count && cpu < CPUS_MAX; cpu++)
        if (!cpu_start(cpu) || !WAIT_FOR(LOAD(running) == cpu + 1, LATE_MS))
            break;
    return LOAD(running);
}

void cpu_call(unsigned cpu, void (*fn)(void))
{
    STORE(jobs[cpu], fn);
}

bool cpu_join(unsigned cpu)
{
    return WAIT_FOR(LOAD(jobs[cpu]) == NULL, 3 * LATE_MS);
}

bool cpus_run(unsigned count, void (*fn)(void))
{
    bool ok = true;

    for (unsigned cpu = 1; cpu < count; cpu++)
        cpu_call(cpu, fn);
    fn();
    for (unsigned cpu = 1; cpu < count; cpu++)
        ok &= cpu_join(cpu);
    return ok;
}
