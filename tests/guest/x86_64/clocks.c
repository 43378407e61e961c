/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks and what interrupts by them: the local APIC's timer in each mode, PIT, RTC, PM timer; none
 * is early. [SDM 3, 11.5.4; 8254; MC146818; ACPI 6.5, 4.8.3.3]
 */
#include "x86.h"

#define PIT_HZ     1193182u
#define PIT_0      0x40u
#define PIT_2      0x42u
#define PIT_MODE   0x43u
#define PIT_GATE   0x61u
#define RTC_INDEX  0x70u
#define RTC_DATA   0x71u
#define PIT_VECTOR 0x81u
#define RTC_VECTOR 0x89u
#define PERIODS    20u

static volatile unsigned taken[256];
static volatile uint64_t last[256];

static void note(unsigned irq)
{
    last[irq] = rdtsc();
    taken[irq]++;
    if (irq == RTC_VECTOR) {
        out8(RTC_INDEX, 0x0c);
        in8(RTC_DATA);
    }
}

/* Nanoseconds that ticks of the TSC take. */
static uint64_t ns(uint64_t ticks)
{
    return ticks * 1000 / (clock_hz() / 1000000);
}

/* So much earlier is wrong; clocks are compared that were measured. */
static uint64_t early(uint64_t time)
{
    return time - time / 50;
}

static void check_one_shot(unsigned divide, unsigned shift)
{
    uint64_t start, wanted = lapic_hz / 100 >> shift;
    unsigned before = taken[TIMER_IRQ];

    lapic_write(LAPIC_LVT_TIMER, TIMER_IRQ);
    lapic_write(LAPIC_TIMER_DIVIDE, divide);
    start = rdtsc();
    lapic_write(LAPIC_TIMER_INITIAL, (uint32_t)wanted);
    check(lapic_read(LAPIC_TIMER_CURRENT) <= wanted, "one shot: it counts down");
    check(WAIT_FOR(taken[TIMER_IRQ] == before + 1, LATE_MS), "it interrupts");
    check(ns(last[TIMER_IRQ] - start) >= early(10000000), "not early");
    WAIT_FOR(false, 25);
    check_eq(taken[TIMER_IRQ], before + 1, "once");
    check_eq(lapic_read(LAPIC_TIMER_CURRENT), 0, "and stays at 0");
}

static void check_periodic(void)
{
    uint64_t start;
    unsigned before = taken[TIMER_IRQ];

    lapic_write(LAPIC_TIMER_DIVIDE, 0xb);
    lapic_write(LAPIC_LVT_TIMER, LVT_PERIODIC | TIMER_IRQ);
    start = rdtsc();
    lapic_write(LAPIC_TIMER_INITIAL, (uint32_t)(lapic_hz / 200));
    check(WAIT_FOR(taken[TIMER_IRQ] >= before + PERIODS, LATE_MS), "periodic: it goes on");
    check(ns(rdtsc() - start) >= early(PERIODS * 5000000ull), "at its rate");
    lapic_write(LAPIC_TIMER_INITIAL, 0);
    WAIT_FOR(false, 10);
    before = taken[TIMER_IRQ];
    WAIT_FOR(false, 25);
    check_eq(taken[TIMER_IRQ], before, "a count of 0 stops it");
}

static void check_deadline(void)
{
    uint64_t deadline;
    unsigned before = taken[TIMER_IRQ];

    if (!lapic_deadline)
        return;
    lapic_write(LAPIC_LVT_TIMER, LVT_DEADLINE | TIMER_IRQ);
    lapic_write(LAPIC_TIMER_INITIAL, 1000);
    WAIT_FOR(false, 5);
    check_eq(taken[TIMER_IRQ], before, "deadline: counts do nothing");
    deadline = rdtsc() + clock_hz() / 100;
    wrmsr(MSR_TSC_DEADLINE, deadline);
    check_eq(rdmsr(MSR_TSC_DEADLINE), deadline, "it can be read while it is armed");
    check(WAIT_FOR(taken[TIMER_IRQ] == before + 1, LATE_MS), "it interrupts");
    check(last[TIMER_IRQ] >= deadline, "not early");
    check_eq(rdmsr(MSR_TSC_DEADLINE), 0, "and is 0 then");
    wrmsr(MSR_TSC_DEADLINE, rdtsc() + clock_hz() / 100);
    lapic_write(LAPIC_LVT_TIMER, TIMER_IRQ);
    WAIT_FOR(false, 20);
    check_eq(taken[TIMER_IRQ], before + 1, "another mode disarms it");
    check_eq(rdmsr(MSR_TSC_DEADLINE), 0, "and it reads as 0");
}

/* --- PIT --- */

static void pit_set(unsigned mode, unsigned count)
{
    out8(PIT_MODE, (uint8_t)(0x30 | mode << 1));
    out8(PIT_0, (uint8_t)count);
    out8(PIT_0, (uint8_t)(count >> 8));
}

static void check_pit(void)
{
    unsigned pin = isa_pin(0);
    uint64_t start, first;

    pit_set(2, PIT_HZ / 200);
    redirect_write(pin, PIT_VECTOR, apic_id_of(0));
    start = rdtsc();
    check(WAIT_FOR(taken[PIT_VECTOR] >= PERIODS, LATE_MS), "the PIT interrupts periodically");
    check(ns(rdtsc() - start) >= early((PERIODS - 1) * 5000000ull), "at its rate");
    redirect_write(pin, REDIRECT_MASKED | PIT_VECTOR, apic_id_of(0));
    out8(PIT_GATE, (uint8_t)((in8(PIT_GATE) & ~3u) | 1)); /* Counter 2, as it is calibrated by. */
    out8(PIT_MODE, 0xb0);
    out8(PIT_2, (uint8_t)(PIT_HZ / 20));
    out8(PIT_2, (uint8_t)(PIT_HZ / 20 >> 8));
    first = rdtsc();
    check(WAIT_FOR(in8(PIT_GATE) & 0x20, LATE_MS), "its counter 2 ends");
    check(ns(rdtsc() - first) >= early(50000000), "not early");
}

/* --- RTC --- */

static void check_rtc(void)
{
    unsigned pin = isa_pin(8);
    uint8_t status;
    uint32_t before;
    uint64_t start;

    redirect_write(pin, RTC_VECTOR, apic_id_of(0));
    out8(RTC_INDEX, 0x0a);
    status = in8(RTC_DATA);
    out8(RTC_INDEX, 0x0a);
    out8(RTC_DATA, 0x28); /* 256 Hz. */
    out8(RTC_INDEX, 0x0b);
    out8(RTC_DATA, 0x42);
    out8(RTC_INDEX, 0x0c);
    in8(RTC_DATA);
    start = rdtsc();
    check(WAIT_FOR(taken[RTC_VECTOR] >= PERIODS, LATE_MS), "the RTC interrupts periodically");
    check(ns(rdtsc() - start) >= early((PERIODS - 2) * 3906250ull), "at its rate");
    out8(RTC_INDEX, 0x0b);
    out8(RTC_DATA, 0x02);
    out8(RTC_INDEX, 0x0a);
    out8(RTC_DATA, status);
    redirect_write(pin, REDIRECT_MASKED | RTC_VECTOR, apic_id_of(0));
    before = rtc_read();
    print("# RTC: %u\n", before);
    check(WAIT_FOR(rtc_read() != before, 3000), "its time goes on");
    before = rtc_read();
    start = rdtsc();
    WAIT_FOR(rtc_read() != before, 3000);
    check(ns(rdtsc() - start) >= 900000000, "by seconds");
}

static void check_pm_timer(void)
{
    uint32_t before = pm_timer(), back = 0, passed;
    uint64_t start = rdtsc(), took;

    for (unsigned i = 0; i < 2000; i++) {
        uint32_t now = pm_timer();

        back += ((now - before) & 0xffffff) > 0x800000;
        before = now;
    }
    check_eq(back, 0, "the PM timer never goes back");
    before = pm_timer();
    start = rdtsc();
    WAIT_FOR(false, 100);
    passed = (pm_timer() - before) & 0xffffff;
    took = ns(rdtsc() - start) * PM_TIMER_HZ / 1000000000;
    check(passed > took / 100 * 98 && passed < took / 100 * 102, "it agrees with the TSC");
}

void guest_main(void)
{
    irq_handler = note;
    irq_enable();
    timer_off();
    check_one_shot(0xb, 0);
    check_one_shot(0x3, 4);
    check_periodic();
    check_deadline();
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | TIMER_IRQ);
    check_pit();
    check_rtc();
    check_pm_timer();
    irq_disable();
}
