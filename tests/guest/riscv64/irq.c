/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PLIC: priorities, thresholds, enables, claim and complete, levels, a context for each hart.
 * Two devices have wires: the UART, whose transmitter is always empty, and the clock, whose alarm
 * is past. [RISC-V PLIC Specification 1.0.0]
 */
#include "riscv.h"

#define UART_IER (UART_BASE + 1)

static unsigned taken[CPUS_MAX][IRQ_SOURCE + 96], rounds;

static void irq_count(unsigned irq)
{
    if (irq == UART_IRQ)
        mmio_write8(UART_IER, 0);
    else if (irq == RTC_IRQ)
        mmio_write(RTC_BASE + 0x1c, 1); /* Clear the interrupt. */
    if (irq < IRQ_SOURCE + 96)
        ADD(taken[cpu_id()][irq], 1);
}

static void uart_wire(bool level)
{
    mmio_write8(UART_IER, level ? 2 : 0);
}

static void rtc_wire(bool level)
{
    mmio_write(RTC_BASE + 0x1c, 1);
    if (level) {
        mmio_write(RTC_BASE + 0x0c, 0);
        mmio_write(RTC_BASE + 0x08, 1); /* The alarm is long past. */
    }
}

static bool is_pending(unsigned source)
{
    return mmio_read(PLIC_PENDING + source / 32 * 4) >> source % 32 & 1;
}

static bool line(void)
{
    return (CSR_READ(sip) & SIE_SEIE) != 0;
}

static void enable(unsigned cpu, uint32_t sources)
{
    mmio_write(PLIC_ENABLE(hart_of(cpu)), sources);
}

static unsigned claim(unsigned cpu)
{
    return mmio_read(PLIC_CLAIM(hart_of(cpu)));
}

static void complete(unsigned cpu, unsigned source)
{
    mmio_write(PLIC_CLAIM(hart_of(cpu)), source);
}

#define BIT_UART (1u << UART_SOURCE)
#define BIT_RTC  (1u << RTC_SOURCE)

static void settle(void)
{
    WAIT_FOR(false, 2);
}

/* Both wires low, nothing pending or claimed, both sources on for CPU 0, masked. */
static void prepare(void)
{
    irq_disable();
    uart_wire(false);
    rtc_wire(false);
    for (unsigned cpu = 0; cpu < machine_cpu_count(); cpu++) {
        enable(cpu, BIT_UART | BIT_RTC);
        mmio_write(PLIC_THRESHOLD(hart_of(cpu)), 0);
        while (claim(cpu) != 0)
            ;
        complete(cpu, UART_SOURCE);
        complete(cpu, RTC_SOURCE);
        enable(cpu, cpu == 0 ? BIT_UART | BIT_RTC : 0);
    }
    mmio_write(PLIC_PRIORITY(UART_SOURCE), 1);
    mmio_write(PLIC_PRIORITY(RTC_SOURCE), 1);
}

static void check_registers(void)
{
    uint64_t at = PLIC_ENABLE(hart_of(0));

    mmio_write(PLIC_PRIORITY(5), ~0u);
    check_eq(mmio_read(PLIC_PRIORITY(5)), 7, "priorities go up to 7");
    mmio_write(PLIC_PRIORITY(5), 0);
    check_eq(mmio_read(PLIC_PRIORITY(5)), 0, "and down to 0");
    mmio_write(PLIC_PRIORITY(0), 7);
    check_eq(mmio_read(PLIC_PRIORITY(0)), 0, "source 0 has none");
    mmio_write(at + 4, 0xa5a5f00d);
    check_eq(mmio_read(at + 4), 0xa5a5f00d, "enables keep what was written");
    mmio_write(at + 4, 0);
    mmio_write(at, ~0u);
    check_eq(mmio_read(at), ~1u, "but for source 0");
    mmio_write(PLIC_THRESHOLD(hart_of(0)), 5);
    check_eq(mmio_read(PLIC_THRESHOLD(hart_of(0))), 5, "so does the threshold");
    mmio_write(PLIC_PENDING, ~0u);
    prepare();
    check_eq(mmio_read(PLIC_PENDING), 0, "pending bits cannot be written");
}

static void check_claim(void)
{
    prepare();
    check_eq(claim(0), 0, "a claim of nothing is 0");
    check(!line(), "and the line is low");
    uart_wire(true);
    check(is_pending(UART_SOURCE), "a wire that rises makes its source pending");
    check(line(), "and the hart's line");
    check_eq(claim(0), UART_SOURCE, "a claim names it");
    check(!is_pending(UART_SOURCE), "then it is not pending");
    check(!line(), "and the line is low");
    check_eq(claim(0), 0, "a second claim is 0, though the wire is still high");
    complete(0, UART_SOURCE);
    check(is_pending(UART_SOURCE) && line(), "its end makes it pending again");
    check_eq(claim(0), UART_SOURCE, "and it can be claimed again");
    uart_wire(false);
    complete(0, UART_SOURCE);
    check(!is_pending(UART_SOURCE) && !line(), "with the wire low its end is the end");
    uart_wire(true);
    uart_wire(false);
    check_eq(claim(0), UART_SOURCE, "a request that was passed on stays when the wire falls");
    complete(0, UART_SOURCE);
    check_eq(claim(0), 0, "once");
}

static void check_complete(void)
{
    prepare();
    uart_wire(true);
    claim(0);
    complete(0, RTC_SOURCE);
    complete(0, 0);
    complete(0, 96);
    complete(0, ~0u);
    check(!is_pending(UART_SOURCE), "ends of other sources do not end this one");
    enable(0, BIT_RTC);
    complete(0, UART_SOURCE);
    enable(0, BIT_UART | BIT_RTC);
    check(!is_pending(UART_SOURCE), "nor does an end where the source is disabled");
    complete(0, UART_SOURCE);
    check(is_pending(UART_SOURCE), "its own end does");
    complete(0, UART_SOURCE);
    check_eq(claim(0), UART_SOURCE, "an end of what is not claimed does nothing");
}

static void check_enable(void)
{
    prepare();
    enable(0, 0);
    uart_wire(true);
    check(is_pending(UART_SOURCE) && !line(),
          "a source that is disabled is pending without a line");
    check_eq(claim(0), 0, "and cannot be claimed");
    enable(0, BIT_UART);
    check(line(), "until it is enabled");
    mmio_write(PLIC_PRIORITY(UART_SOURCE), 0);
    check(!line(), "priority 0 never interrupts");
    check_eq(claim(0), 0, "and cannot be claimed");
    mmio_write(PLIC_PRIORITY(UART_SOURCE), 3);
    check(line(), "a priority above the threshold does");
    mmio_write(PLIC_THRESHOLD(hart_of(0)), 3);
    check(!line(), "one that is the threshold does not");
    mmio_write(PLIC_PRIORITY(UART_SOURCE), 4);
    check(line(), "one above it does");
    mmio_write(PLIC_THRESHOLD(hart_of(0)), 7);
    check(!line(), "threshold 7 masks all");
    check_eq(claim(0), UART_SOURCE, "the threshold does not keep it from being claimed");
}

static void check_priority(void)
{
    prepare();
    uart_wire(true);
    rtc_wire(true);
    check_eq(claim(0), UART_SOURCE, "of equal priorities the lower source is first");
    check_eq(claim(0), RTC_SOURCE, "then the other");
    check_eq(claim(0), 0, "then none");
    prepare();
    mmio_write(PLIC_PRIORITY(UART_SOURCE), 2);
    mmio_write(PLIC_PRIORITY(RTC_SOURCE), 6);
    uart_wire(true);
    rtc_wire(true);
    check_eq(claim(0), RTC_SOURCE, "the higher priority is first");
    check_eq(claim(0), UART_SOURCE, "whatever the number");
    check_eq(claim(0), 0, "each once");
}

static void check_delivery(void)
{
    unsigned lost = 0;

    prepare();
    irq_handler = irq_count;
    irq_enable();
    for (unsigned i = 1; i <= rounds && lost == 0; i++) {
        uart_wire(true);
        lost += !WAIT_FOR(LOAD(taken[0][UART_IRQ]) == i, LATE_MS);
        rtc_wire(true);
        lost += !WAIT_FOR(LOAD(taken[0][RTC_IRQ]) == i, LATE_MS);
    }
    settle();
    check_eq(lost, 0, "each level is taken");
    check_eq(taken[0][UART_IRQ] + taken[0][RTC_IRQ], 2 * rounds, "once");
    CSR_CLR(sie, SIE_SEIE);
    uart_wire(true);
    settle();
    check_eq(taken[0][UART_IRQ], rounds, "none is taken while sie masks it");
    CSR_SET(sie, SIE_SEIE);
    check(WAIT_FOR(LOAD(taken[0][UART_IRQ]) == rounds + 1, LATE_MS), "then it is");
}

static void wait_for_ever(void)
{
    irq_enable();
}

/* Interrupts the hart that waits. */
static void check_harts(void)
{
    unsigned before = taken[0][UART_IRQ];

    prepare();
    check(cpus_run(2, wait_for_ever), "the other hart takes interrupts");
    prepare();
    enable(0, 0);
    enable(1, BIT_UART);
    irq_enable();
    uart_wire(true);
    check(WAIT_FOR(LOAD(taken[1][UART_IRQ]) == 1, LATE_MS),
          "a source goes to the hart where it is enabled");
    settle();
    check_eq(taken[0][UART_IRQ], before, "and to no other");
    mmio_write(PLIC_THRESHOLD(hart_of(1)), 7);
    enable(0, BIT_UART);
    uart_wire(true);
    check(WAIT_FOR(LOAD(taken[0][UART_IRQ]) == before + 1, LATE_MS),
          "each hart has its own threshold");
    check_eq(taken[1][UART_IRQ], 1, "and the other did not take it");
    irq_disable();
    uart_wire(true);
    check_eq(claim(1), UART_SOURCE, "a hart can claim by another's context");
    check(!line() && claim(0) == 0, "what one has claimed the other cannot");
    uart_wire(false);
    complete(0, UART_SOURCE);
    uart_wire(true);
    check(is_pending(UART_SOURCE), "and end it by its own, where it is enabled");
    check_eq(claim(0), UART_SOURCE, "for the next claim");
    prepare();
}

static unsigned shared(void)
{
    return LOAD(taken[0][UART_IRQ]) + LOAD(taken[1][UART_IRQ]);
}

/* Both harts race for each request: one has it. */
static void check_shared(void)
{
    unsigned lost = 0, before;

    prepare();
    before = shared();
    enable(1, BIT_UART);
    irq_enable();
    for (unsigned i = 1; i <= rounds && lost == 0; i++) {
        uart_wire(true);
        lost += !WAIT_FOR(shared() == before + i, LATE_MS);
    }
    settle();
    check_eq(lost, 0, "where two harts have it enabled, one takes it");
    check_eq(shared() - before, rounds, "once");
    prepare();
}

/* What is not there reads as zero and keeps nothing. */
static void check_absent(void)
{
    mmio_write(PLIC_PRIORITY(200), 7);
    check_eq(mmio_read(PLIC_PRIORITY(200)), 0, "sources that there are not have no priority");
    mmio_write(PLIC_ENABLE(hart_of(0)) + 0x40, ~0u);
    check_eq(mmio_read(PLIC_ENABLE(hart_of(0)) + 0x40), 0, "and no enable");
    check_eq(mmio_read(PLIC_BASE + 0x200000 + 0x1000 * 2 * 31), 0,
             "harts that there are not have no context");
}

void guest_main(void)
{
    rounds = (unsigned)machine_argument("rounds", 300);
    mmio_write(RTC_BASE + 0x10, 1); /* The alarm's wire, while it is past. */
    check(!has_aia, "the machine has a PLIC");
    check_registers();
    check_claim();
    check_complete();
    check_enable();
    check_priority();
    check_delivery();
    check_absent();
    if (cpus_start(machine_cpu_count()) > 1) {
        check_harts();
        check_shared();
    }
}
