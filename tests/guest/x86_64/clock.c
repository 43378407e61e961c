/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TSC as clock, and the local APIC's timer: by deadlines, else by counts. It interrupts by
 * edges; to guests it is a level, so what is due is armed again.
 */
#include "x86.h"

#define LEAF_HYPERVISOR 0x40000000u
#define LEAF_TSC_KHZ    0x40000010u
#define CALIBRATE_HZ    50u /* For a fiftieth of a second. */

static uint64_t hz, deadlines[CPUS_MAX];

uint64_t lapic_hz;

uint32_t pm_timer(void)
{
    return in32(PM_TIMER_PORT);
}

/* Against the PM timer; of 24 bits at least. */
static void calibrate(void)
{
    uint32_t first = pm_timer(), passed;
    uint64_t start = rdtsc();

    lapic_write(LAPIC_TIMER_INITIAL, ~0u);
    do
        passed = (pm_timer() - first) & 0xffffff;
    while (passed < PM_TIMER_HZ / CALIBRATE_HZ);
    hz = (rdtsc() - start) * PM_TIMER_HZ / passed;
    lapic_hz = (uint64_t)(~0u - lapic_read(LAPIC_TIMER_CURRENT)) * PM_TIMER_HZ / passed;
    lapic_write(LAPIC_TIMER_INITIAL, 0);
}

void clock_setup(void)
{
    bool hypervisor = cpuid(1, 0).ecx >> 31;

    if (lapic_deadline && hypervisor && cpuid(LEAF_HYPERVISOR, 0).eax >= LEAF_TSC_KHZ)
        hz = cpuid(LEAF_TSC_KHZ, 0).eax * 1000ull;
    else
        calibrate();
    if (lapic_hz == 0)
        lapic_hz = hz;
}

uint64_t clock_read(void)
{
    return rdtsc();
}

uint64_t clock_hz(void)
{
    return hz;
}

void delay_us(uint64_t us)
{
    uint64_t end = rdtsc() + us * hz / 1000000;

    while (rdtsc() < end)
        cpu_relax();
}

static void timer_arm(uint64_t deadline)
{
    uint64_t now = rdtsc(), count = deadline > now ? deadline - now : 1;

    if (lapic_deadline) {
        wrmsr(MSR_TSC_DEADLINE, deadline);
        return;
    }
    count = count > hz ? count / hz * lapic_hz : count * lapic_hz / hz + 1;
    lapic_write(LAPIC_TIMER_INITIAL, deadline == 0 ? 0 : count > ~0u ? ~0u : (uint32_t)count);
}

void timer_set(uint64_t deadline)
{
    deadlines[cpu_id()] = deadline;
    timer_arm(deadline);
}

void timer_off(void)
{
    timer_set(0);
}

bool timer_due(void)
{
    uint64_t deadline = deadlines[cpu_id()];

    return deadline != 0 && rdtsc() >= deadline;
}

/* A count that was too short is none of the guest's business. */
bool timer_taken_here(void)
{
    return lapic_deadline || deadlines[cpu_id()] == 0 || timer_due();
}

void timer_again(void)
{
    if (deadlines[cpu_id()] != 0)
        timer_arm(deadlines[cpu_id()]);
}
