/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tries to hurt: each CPU does, at random from a seed, what a machine has to bear. Faults of its
 * own are stepped over. What ends the VM (an access where nothing is, tables from nowhere) is to
 * end it with a report; it asks for its own reset from time to time. The time of the start is part
 * of the seed, so that each life is another. There are no devices with rings in memory yet, so none
 * are attacked. Command line: seed=N, ms=N of a life, exact=N to have a
 * life again, counted=1 under an emulator that counts.
 */
#include "guest.h"

#define ATTACKS_MAX 32u

static uint64_t life_end;
static unsigned cpus;
static struct hostile_attack attacks[ATTACKS_MAX];
static unsigned attack_count, weights;

/* --- Attacks that are portable --- */

static void life_check(void)
{
    if (clock_read() > life_end)
        machine_reset();
}

static void access(uint64_t at, unsigned width, bool store, uint64_t value)
{
    if (width == 1 && store)
        *(volatile uint8_t *)at = (uint8_t)value;
    else if (width == 1)
        (void)*(volatile uint8_t *)at;
    else if (width == 2 && store)
        *(volatile uint16_t *)at = (uint16_t)value;
    else if (width == 2)
        (void)*(volatile uint16_t *)at;
    else if (width == 4 && store)
        *(volatile uint32_t *)at = (uint32_t)value;
    else if (width == 4)
        (void)*(volatile uint32_t *)at;
    else if (store)
        *(volatile uint64_t *)at = value;
    else
        (void)*(volatile uint64_t *)at;
}

/* Widths, often not aligned, often at the start of the window, where registers are. */
static void attack_device(void)
{
    uint64_t base, size, at, random = hostile_random();

    hostile_window(random, &base, &size);
    at = base + hostile_random() % (random & 1 << 8 && size > 0x400 ? 0x400 : size);
    if (random & 3 << 9)
        at &= ~7ull;
    if (at + 8 > base + size)
        at = base + size - 8;
    access(at, 1u << (random >> 11 & 3), random >> 13 & 1, hostile_number());
}

/* The border of a window: seldom is half of the access beyond, which is the end. */
static void attack_border(void)
{
    uint64_t base, size;

    hostile_window(hostile_random(), &base, &size);
    access(base + size - (hostile_seldom() ? 1 : 8), 1u << hostile_below(4), hostile_below(2),
           hostile_random());
}

static void attack_hole(void)
{
    if (!hostile_seldom())
        return;
    access(hostile_below(2) ? HOLE_ADDRESS : hostile_random() & 0xffffffffff,
           1u << hostile_below(4), hostile_below(2), hostile_random());
}

static void attack_ipis(void)
{
    for (unsigned i = 0; i < 64; i++)
        ipi_send(hostile_below(cpus));
}

static void attack_exits(void)
{
    for (unsigned i = 0; i < 100; i++)
        hypercall();
}

static void attack_yields(void)
{
    for (unsigned i = 0; i < 20; i++)
        cpu_yield();
}

static void attack_timer(void)
{
    switch (hostile_below(4)) {
    case 0:
        timer_set(clock_read() + hostile_below(10000));
        break;
    case 1:
        timer_set(clock_read() - hostile_below(10000));
        break;
    default:
        timer_set(hostile_number());
    }
    irq_line_enable(TIMER_IRQ);
}

static void attack_wait(void)
{
    hostile_wake();
    cpu_wait();
}

static void attack_console(void)
{
    for (unsigned i = 0; i < 20; i++)
        uart_put((char)hostile_random());
}

static void attack_fp(void)
{
    fp_enable();
    fp_fill(hostile_random());
}

static void attack_mask(void)
{
    if (hostile_below(4))
        irq_enable();
    else
        irq_disable();
}

/* A CPU that is off, or was sent elsewhere, comes back. */
static void attack_start(void)
{
    hostile_restart(hostile_below(cpus));
}

static const struct hostile_attack portable[] = {
    {attack_device, 400}, {attack_border, 5}, {attack_hole, 1},   {attack_ipis, 20},
    {attack_exits, 10},   {attack_yields, 3}, {attack_timer, 50}, {attack_wait, 5},
    {attack_console, 2},  {attack_fp, 2},     {attack_mask, 50},  {attack_start, 5},
    {hostile_repair, 20}, {NULL, 0},
};

static void attacks_add(const struct hostile_attack *attack)
{
    for (; attack->run != NULL && attack_count < ATTACKS_MAX; attack++) {
        attacks[attack_count++] = *attack;
        weights += attack->weight;
    }
}

static void hostile_taken(unsigned irq)
{
    if (irq == TIMER_IRQ)
        timer_off();
    else if (irq != IPI_IRQ)
        irq_line_disable(irq);
    life_check();
}

/* For ever, on each CPU. */
[[gnu::noreturn]] static void hostile_main(void)
{
    hostile_attempt(hostile_repair);
    irq_enable();
    for (;;) {
        unsigned at = 0, weight = hostile_below(weights);

        while (weight >= attacks[at].weight)
            weight -= attacks[at++].weight;
        hostile_attempt(attacks[at].run);
        life_check();
    }
}

void guest_main(void)
{
    uint64_t seed = machine_argument("seed", 1) * 1000000007 ^ start_clock << 20 ^ clock_read();

    seed = machine_argument("exact", seed);
    print("hostile: seed %lu\n", seed);
    hostile_seed(seed);
    cpus = machine_cpu_count();
    life_end = clock_read() + clock_hz() / 1000 * machine_argument("ms", 100);
    attacks_add(portable);
    attacks_add(hostile_attacks());
    irq_handler = hostile_taken;
    for (unsigned cpu = 0; cpu < cpus; cpu++) /* The first may be started again, too. */
        cpu_call(cpu, hostile_main);
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        cpu_start(cpu);
    hostile_main();
}
