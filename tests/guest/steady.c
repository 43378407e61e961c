/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A neighbour that must not notice: a timer that fires every millisecond, and how late it was at
 * worst; meanwhile sums over memory, and FP registers, which stay as they are. Command line:
 * ms=N how long, late=N the most that is borne, in microseconds, seed=N of what it computes.
 */
#include "guest.h"

#define WORDS 2048u

static uint64_t words[WORDS];
static volatile uint64_t next, late_max, late_at, late_sum, fired;
static uint64_t period;

static void steady_taken(unsigned irq)
{
    uint64_t now = clock_read(), late = now - next;

    if (irq != TIMER_IRQ || now < next)
        return;
    if (late > late_max) {
        late_max = late;
        late_at = now;
    }
    late_sum += late;
    fired++;
    next += (late / period + 1) * period; /* Those that were slept over are one late tick. */
    timer_set(next);
}

/* FNV-1a by words. */
static uint64_t sum_of(void)
{
    uint64_t sum = 0xcbf29ce484222325;

    for (unsigned i = 0; i < WORDS; i++)
        sum = (sum ^ ((volatile uint64_t *)words)[i]) * 0x100000001b3;
    return sum;
}

static uint64_t us(uint64_t ticks)
{
    return ticks * 1000000 / clock_hz();
}

void guest_main(void)
{
    uint64_t seed = machine_argument("seed", 1), rounds = 0, wrong = 0, spoilt = 0, sum, end, count;

    for (unsigned i = 0; i < WORDS; i++)
        words[i] = random_next() * seed;
    sum = sum_of();
    fp_enable();
    fp_fill(seed);
    irq_handler = steady_taken;
    period = clock_hz() / 1000;
    end = clock_read() + period * machine_argument("ms", 1000);
    next = clock_read() + period;
    timer_set(next);
    irq_line_enable(TIMER_IRQ);
    while (clock_read() < end) {
        count = fired;
        irq_enable();
        wrong += sum_of() != sum;
        spoilt += fp_compare(seed) != 0;
        rounds++;
        irq_disable();
        while (fired == count) {
            cpu_wait();
            irq_enable();
            irq_disable();
        }
    }
    timer_off();
    print("steady: %lu rounds, %lu ticks, latest %lu us (at %lu ms), on average %lu us\n", rounds,
          fired, us(late_max), us(late_at) / 1000, us(late_sum / fired));
    check_eq(wrong, 0, "the sum over memory stays what it is");
    check_eq(spoilt, 0, "so do FP registers");
    check(us(late_max) <= machine_argument("late", 100000), "no tick is too late");
}
