/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared interrupts of the GICv3: enable, pending, active, priorities, preemption, both ways to
 * end one, routes, levels of a device, and more of them pending than a CPU interface has list
 * registers. [IHI 0069, 4]
 */
#include "arm.h"

#define FIRST 40u /* SPIs 40 to 79: no device of ours has them. */
#define COUNT 40u
#define SPI   45u

static unsigned taken[128], order[128], order_size, cpu_taken, depth, depth_max;
static unsigned nest_irq;

static void irq_count(unsigned irq)
{
    cpu_taken = cpu_id();
    if (irq >= 128)
        return;
    if (order_size < 128)
        order[order_size++] = irq;
    ADD(taken[irq], 1);
}

static void clear(void)
{
    for (unsigned i = 0; i < 128; i++)
        taken[i] = 0;
    order_size = depth = depth_max = 0;
    irq_raw = NULL;
    irq_handler = irq_count;
}

static void settle(void)
{
    WAIT_FOR(false, 2);
}

/* Edge-triggered, enabled, on this CPU: what GICD_ISPENDR makes pending is delivered once. */
static void spi_prepare(unsigned irq)
{
    gic_edge(irq, true);
    gic_priority(irq, PRIORITY_USUAL);
    gic_route(irq, 0);
    irq_line_enable(irq);
}

static void check_pending(void)
{
    clear();
    spi_prepare(SPI);
    irq_disable();
    gic_bit_write(SPI, GICD_ISPENDR);
    check(gic_bit(SPI, GICD_ISPENDR), "an interrupt written to ISPENDR reads as pending");
    check_eq(SYSREG_READ(ICC_HPPIR1), SPI, "HPPIR names it while it is masked");
    gic_bit_write(SPI, GICD_ICPENDR);
    check(!gic_bit(SPI, GICD_ISPENDR), "ICPENDR takes it back");
    irq_enable();
    settle();
    check_eq(taken[SPI], 0, "so that it is not delivered");
    gic_bit_write(SPI, GICD_ISPENDR);
    check(WAIT_FOR(LOAD(taken[SPI]) == 1, LATE_MS), "written again it is delivered");
    settle();
    check_eq(taken[SPI], 1, "once");
    check(!gic_bit(SPI, GICD_ISPENDR) && !gic_bit(SPI, GICD_ISACTIVER),
          "and is neither pending nor active");
    for (unsigned i = 0; i < 1000; i++) {
        gic_bit_write(SPI, GICD_ISPENDR);
        WAIT_FOR(LOAD(taken[SPI]) == i + 2, LATE_MS);
    }
    check_eq(taken[SPI], 1001, "1000 times again");
}

static void check_enable(void)
{
    clear();
    irq_line_disable(SPI);
    check(!gic_bit(SPI, GICD_ISENABLER), "ICENABLER disables");
    gic_bit_write(SPI, GICD_ISPENDR);
    settle();
    check_eq(taken[SPI], 0, "a disabled interrupt is not delivered");
    check(gic_bit(SPI, GICD_ISPENDR), "but stays pending");
    irq_line_enable(SPI);
    check(WAIT_FOR(LOAD(taken[SPI]) == 1, LATE_MS), "until it is enabled");
    SYSREG_WRITE(ICC_IGRPEN1, 0);
    gic_bit_write(SPI, GICD_ISPENDR);
    settle();
    check_eq(taken[SPI], 1, "nothing is delivered with the group disabled at the CPU");
    SYSREG_WRITE(ICC_IGRPEN1, 1);
    check(WAIT_FOR(LOAD(taken[SPI]) == 2, LATE_MS), "it is when the group is enabled");
    mmio_write(GICD_BASE + GICD_CTLR, 0x10);
    gic_bit_write(SPI, GICD_ISPENDR);
    settle();
    check_eq(taken[SPI], 2, "nothing is delivered with the group disabled at the distributor");
    mmio_write(GICD_BASE + GICD_CTLR, 0x12);
    check(WAIT_FOR(LOAD(taken[SPI]) == 3, LATE_MS), "it is when the group is enabled");
}

static void check_mask(void)
{
    clear();
    SYSREG_WRITE(ICC_PMR, PRIORITY_USUAL);
    gic_bit_write(SPI, GICD_ISPENDR);
    settle();
    check_eq(taken[SPI], 0, "the priority mask keeps back what is not more urgent");
    SYSREG_WRITE(ICC_PMR, PRIORITY_USUAL + 8);
    check(WAIT_FOR(LOAD(taken[SPI]) == 1, LATE_MS), "and lets pass what is");
    SYSREG_WRITE(ICC_PMR, 0xff);
}

/* Made pending while masked, least urgent first; taken most urgent first, each once. */
static void check_many(void)
{
    unsigned lost = 0, wrong = 0;

    clear();
    irq_disable();
    for (unsigned i = 0; i < COUNT; i++) {
        spi_prepare(FIRST + i);
        gic_priority(FIRST + i, 0xe0 - i / 2 * 8);
    }
    for (unsigned i = 0; i < COUNT; i++)
        gic_bit_write(FIRST + i, GICD_ISPENDR);
    irq_enable();
    WAIT_FOR(LOAD(order_size) == COUNT, LATE_MS);
    settle();
    for (unsigned i = 0; i < COUNT; i++)
        lost += taken[FIRST + i] != 1;
    for (unsigned i = 0; i < COUNT; i++)
        wrong += (order[i] - FIRST) / 2 != (COUNT - 1 - i) / 2;
    check_eq(order_size, COUNT, "40 interrupts pending at once are delivered");
    check_eq(lost, 0, "each exactly once");
    check_eq(wrong, 0, "the most urgent first");
}

/* While the first is handled, a more urgent one and one that is not come. */
static void nest_taken(unsigned irq)
{
    depth++;
    if (depth > depth_max)
        depth_max = depth;
    irq_count(irq);
    if (irq == SPI) {
        gic_bit_write(SPI + 2, GICD_ISPENDR); /* Not more urgent: waits. */
        gic_bit_write(SPI + 1, GICD_ISPENDR); /* More urgent: at once. */
        irq_enable();
        WAIT_FOR(LOAD(taken[SPI + 1]) == 1, LATE_MS);
        settle();
        irq_disable();
        nest_irq = taken[SPI + 2];
    }
    depth--;
}

static void check_preemption(void)
{
    clear();
    irq_handler = nest_taken;
    for (unsigned i = 0; i < 3; i++)
        spi_prepare(SPI + i);
    gic_priority(SPI + 1, 0x40);
    gic_bit_write(SPI, GICD_ISPENDR);
    WAIT_FOR(LOAD(order_size) == 3, LATE_MS);
    check(order[1] == SPI + 1 && depth_max == 2, "a more urgent interrupt preempts a handler");
    check_eq(nest_irq, 0, "one of the same priority does not");
    check_eq(taken[SPI + 2], 1, "but comes when the handler has ended");
    gic_priority(SPI + 1, PRIORITY_USUAL);
}

static unsigned raw_irq, raw_count, raw_running;
static bool raw_active, raw_pending_again;

/* EOImode 1: priority drop and deactivation are two things. */
static void split_taken(void)
{
    raw_irq = (unsigned)SYSREG_READ(ICC_IAR1);
    if (raw_irq >= IRQ_NONE)
        return;
    raw_running = (unsigned)SYSREG_READ(ICC_RPR);
    SYSREG_WRITE(ICC_EOIR1, raw_irq);
    raw_active = gic_bit(raw_irq, GICD_ISACTIVER);
    raw_count++;
}

static void check_eoimode(void)
{
    clear();
    spi_prepare(SPI);
    SYSREG_WRITE(ICC_CTLR, ICC_CTLR_EOIMODE);
    irq_raw = split_taken;
    gic_bit_write(SPI, GICD_ISPENDR);
    check(WAIT_FOR(LOAD(raw_count) == 1, LATE_MS), "EOImode 1: an interrupt is taken");
    check_eq(raw_running, PRIORITY_USUAL, "the running priority is its priority");
    check_eq(SYSREG_READ(ICC_RPR), 0xff, "after EOIR no priority is running");
    check(raw_active, "it stays active after EOIR");
    gic_bit_write(SPI, GICD_ISPENDR);
    settle();
    check_eq(raw_count, 1, "pending again, it does not come while active");
    SYSREG_WRITE(ICC_DIR, SPI);
    check(WAIT_FOR(LOAD(raw_count) == 2, LATE_MS), "but after DIR");
    SYSREG_WRITE(ICC_DIR, SPI);
    check(!gic_bit(SPI, GICD_ISACTIVER), "DIR ends it");
    raw_pending_again = gic_bit(SPI, GICD_ISPENDR);
    check(!raw_pending_again, "with nothing left pending");
    SYSREG_WRITE(ICC_CTLR, 0);
    irq_raw = NULL;
}

/* All at once active, as with EOImode 1 and threads: more than there are list registers. */
static void check_many_active(void)
{
    unsigned active = 0;

    clear();
    SYSREG_WRITE(ICC_CTLR, ICC_CTLR_EOIMODE);
    raw_count = 0;
    irq_raw = split_taken;
    for (unsigned i = 0; i < 24; i++) {
        spi_prepare(FIRST + i);
        gic_bit_write(FIRST + i, GICD_ISPENDR);
    }
    check(WAIT_FOR(LOAD(raw_count) == 24, LATE_MS), "24 interrupts are active at once");
    for (unsigned i = 0; i < 24; i++)
        active += gic_bit(FIRST + i, GICD_ISACTIVER);
    check_eq(active, 24, "and read as active");
    for (unsigned i = 0; i < 24; i++)
        SYSREG_WRITE(ICC_DIR, FIRST + i * 7 % 24);
    for (unsigned i = active = 0; i < 24; i++)
        active += gic_bit(FIRST + i, GICD_ISACTIVER);
    check_eq(active, 0, "in any order DIR ends them");
    for (unsigned i = 0; i < 24; i++)
        gic_bit_write(FIRST + i, GICD_ISPENDR);
    check(WAIT_FOR(LOAD(raw_count) == 48, LATE_MS), "they can come again");
    for (unsigned i = 0; i < 24; i++)
        SYSREG_WRITE(ICC_DIR, FIRST + i);
    SYSREG_WRITE(ICC_CTLR, 0);
    irq_raw = NULL;
}

static void check_active_bit(void)
{
    clear();
    spi_prepare(SPI);
    gic_bit_write(SPI, GICD_ISACTIVER);
    check(gic_bit(SPI, GICD_ISACTIVER), "ISACTIVER makes active");
    gic_bit_write(SPI, GICD_ISPENDR);
    settle();
    check_eq(taken[SPI], 0, "an active interrupt is not delivered");
    gic_bit_write(SPI, GICD_ICACTIVER);
    check(WAIT_FOR(LOAD(taken[SPI]) == 1, LATE_MS), "ICACTIVER lets it come");
}

static void check_route(void)
{
    unsigned cpus = cpus_start(machine_cpu_count());

    if (cpus < 2) {
        print("# one vCPU: no routes\n");
        return;
    }
    clear();
    spi_prepare(SPI);
    cpu_call(1, irq_enable);
    cpu_join(1);
    gic_route(SPI, 1);
    gic_bit_write(SPI, GICD_ISPENDR);
    check(WAIT_FOR(LOAD(taken[SPI]) == 1, LATE_MS) && cpu_taken == 1, "IROUTER sends to vCPU 1");
    gic_route(SPI, 0);
    gic_bit_write(SPI, GICD_ISPENDR);
    check(WAIT_FOR(LOAD(taken[SPI]) == 2, LATE_MS) && cpu_taken == 0, "and back to vCPU 0");
    irq_line_disable(SPI);
    gic_bit_write(SPI, GICD_ISPENDR);
    gic_route(SPI, 1);
    irq_line_enable(SPI);
    check(WAIT_FOR(LOAD(taken[SPI]) == 3, LATE_MS) && cpu_taken == 1,
          "a pending one moves with its route");
    gic_route(SPI, 0);
}

/* The UART's transmit interrupt: high from the first character until it is cleared there. */
static void level_taken(unsigned irq)
{
    irq_count(irq);
    if (irq != UART_IRQ || taken[irq] < 5)
        return;
    mmio_write(UART_BASE + 0x38, 0);
    mmio_write(UART_BASE + 0x44, 0x7ff);
}

static void check_uart_level(void)
{
    clear();
    irq_handler = level_taken;
    gic_edge(UART_IRQ, false);
    mmio_write(UART_BASE + 0x44, 0x7ff);
    irq_line_enable(UART_IRQ);
    print("# a character\n");
    check_eq(taken[UART_IRQ], 0, "a UART with its interrupts masked is silent");
    mmio_write(UART_BASE + 0x38, 1u << 5);
    print("# and another\n");
    check(WAIT_FOR(LOAD(taken[UART_IRQ]) == 5, LATE_MS),
          "a level fires again after its end while it is high");
    settle();
    check_eq(taken[UART_IRQ], 5, "and is over when the device drops it");
    check(!gic_bit(UART_IRQ, GICD_ISPENDR), "then it is not pending");
    irq_line_disable(UART_IRQ);
}

static void rtc_taken(unsigned irq)
{
    irq_count(irq);
    mmio_write(RTC_BASE + 0x10, 0);
    mmio_write(RTC_BASE + 0x1c, 1);
}

static void check_rtc(void)
{
    uint32_t now = rtc_read();

    clear();
    irq_handler = rtc_taken;
    gic_edge(RTC_IRQ, false);
    mmio_write(RTC_BASE + 0x1c, 1);
    irq_line_enable(RTC_IRQ);
    mmio_write(RTC_BASE + 0x04, now + 2);
    mmio_write(RTC_BASE + 0x10, 1);
    check(WAIT_FOR(LOAD(taken[RTC_IRQ]) == 1, LATE_MS), "the clock interrupts at its match");
    check(rtc_read() >= now + 2, "not before it");
    settle();
    check_eq(taken[RTC_IRQ], 1, "once");
    irq_line_disable(RTC_IRQ);
}

static void check_registers(void)
{
    check_eq(mmio_read(GICD_BASE + GICD_PIDR2) >> 4 & 0xf, 3, "the distributor says GICv3");
    check_eq(mmio_read(GICR_BASE + GICD_PIDR2) >> 4 & 0xf, 3, "so does the redistributor");
    check(mmio_read(GICD_BASE + GICD_TYPER) & 0x1f, "there are SPIs");
    check(mmio_read(gicr_base(machine_cpu_count() - 1) + 8) & 1u << 4,
          "the last redistributor says last");
    check_eq(SYSREG_READ(ICC_IAR1) & 0xffffff, 1023, "with nothing pending IAR reads 1023");
    SYSREG_WRITE(ICC_EOIR1, 1023);
    check_eq(SYSREG_READ(ICC_RPR), 0xff, "ending nothing does no harm");
}

void guest_main(void)
{
    check_registers();
    irq_enable();
    check_pending();
    check_enable();
    check_mask();
    check_many();
    check_preemption();
    check_eoimode();
    check_many_active();
    check_active_bit();
    check_route();
    check_uart_level();
    check_rtc();
}
