/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest hostile does by: random numbers, for each CPU from a state of its own. */
#include "guest.h"

static uint64_t states[CPUS_MAX];

bool hostile_counted;

void hostile_seed(uint64_t seed)
{
    hostile_counted = machine_argument("counted", 0);
    for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
        states[cpu] = seed + cpu * 0x632be59bd9b4e019ull;
}

/* splitmix64: a state that is spoilt does no harm. */
uint64_t hostile_random(void)
{
    uint64_t z = states[cpu_id() % CPUS_MAX] += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

unsigned hostile_below(unsigned count)
{
    return (unsigned)(hostile_random() >> 32) % count;
}

bool hostile_seldom(void)
{
    return hostile_below(300) == 0;
}

uint64_t hostile_address(void)
{
    uint64_t base, size;

    hostile_window(hostile_random(), &base, &size);
    return base + hostile_random() % size;
}

uint64_t hostile_number(void)
{
    uint64_t random = hostile_random();

    switch (random % 10) {
    case 0:
        return 0;
    case 1:
        return ~0ull;
    case 2:
        return random >> 8 & 0xff;
    case 3:
        return 1ull << (random >> 8 & 63);
    case 4:
        return (1ull << (random >> 8 & 63)) - 1;
    case 5:
        return random >> 32;
    case 6:
        return hostile_address();
    case 7:
        return (uint64_t)states + (random >> 8 & 0xffff) - 0x8000;
    case 8:
        return HOLE_ADDRESS;
    default:
        return random;
    }
}

void hostile_wake(void)
{
    hostile_repair();
    timer_set(clock_read() + clock_hz() / 50000);
    irq_line_enable(TIMER_IRQ);
    irq_enable();
}
