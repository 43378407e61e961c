/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC, by its window or its MSRs (command line: x2=0 or 1), and the I/O APIC, whose pins
 * go to CPU 0. [SDM 3, chapter 11; 82093AA]
 */
#include "x86.h"

#define IOAPIC_SELECT      IOAPIC_BASE
#define IOAPIC_DATA        (IOAPIC_BASE + 0x10)
#define IOAPIC_REDIRECT(n) (0x10u + 2 * (n))

bool lapic_x2, lapic_deadline;

uint32_t lapic_read(unsigned reg)
{
    return lapic_x2 ? (uint32_t)rdmsr(MSR_X2APIC + reg / 16) : mmio_read(LAPIC_BASE + reg);
}

void lapic_write(unsigned reg, uint32_t value)
{
    if (lapic_x2)
        wrmsr(MSR_X2APIC + reg / 16, value);
    else
        mmio_write(LAPIC_BASE + reg, value);
}

void lapic_end(void)
{
    lapic_write(LAPIC_EOI, 0);
}

void lapic_send(uint32_t target, uint32_t what)
{
    if (lapic_x2) {
        __asm__ volatile("mfence" ::: "memory");
        wrmsr(MSR_X2APIC + LAPIC_ICR / 16, (uint64_t)target << 32 | what);
        return;
    }
    while (lapic_read(LAPIC_ICR) & ICR_PENDING)
        cpu_relax();
    lapic_write(LAPIC_ICR + 0x10, target << 24);
    lapic_write(LAPIC_ICR, what);
}

bool lapic_bit(unsigned reg, unsigned vector)
{
    return lapic_read(reg + vector / 32 * 0x10) >> vector % 32 & 1;
}

void lapic_enter(bool x2)
{
    uint64_t now = rdmsr(MSR_APIC_BASE), base = now & ~(APIC_BASE_X2 | APIC_BASE_ON);

    lapic_x2 = x2;
    if (((now & APIC_BASE_X2) != 0) == x2 && (now & APIC_BASE_ON))
        return;
    if (now & APIC_BASE_X2)
        wrmsr(MSR_APIC_BASE, base);
    wrmsr(MSR_APIC_BASE, base | APIC_BASE_ON);
    if (x2)
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_ON | APIC_BASE_X2);
}

void lapic_setup(void)
{
    bool x2 = cpuid(1, 0).ecx >> 21 & 1;

    lapic_deadline = cpuid(1, 0).ecx >> 24 & 1;
    lapic_enter(x2 && machine_argument("x2", 1));
    lapic_write(LAPIC_TPR, 0);
    lapic_write(LAPIC_SVR, 0x100 | SPURIOUS_IRQ);
    lapic_write(LAPIC_LVT_LINT0, LVT_MASKED);
    lapic_write(LAPIC_LVT_LINT1, LVT_MASKED);
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | TIMER_IRQ | (lapic_deadline ? LVT_DEADLINE : 0));
    lapic_write(LAPIC_TIMER_DIVIDE, 0xb);
}

uint32_t ioapic_read(unsigned reg)
{
    mmio_write(IOAPIC_SELECT, reg);
    return mmio_read(IOAPIC_DATA);
}

void ioapic_write(unsigned reg, uint32_t value)
{
    mmio_write(IOAPIC_SELECT, reg);
    mmio_write(IOAPIC_DATA, value);
}

uint32_t redirect_read(unsigned pin)
{
    return ioapic_read(IOAPIC_REDIRECT(pin));
}

void redirect_write(unsigned pin, uint32_t low, uint32_t target)
{
    ioapic_write(IOAPIC_REDIRECT(pin), REDIRECT_MASKED);
    ioapic_write(IOAPIC_REDIRECT(pin) + 1, target << 24);
    ioapic_write(IOAPIC_REDIRECT(pin), low);
}

/* An 8259 that is there is not to interrupt; where it is not, nobody minds. */
void ioapic_setup(void)
{
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
    for (unsigned pin = 0; pin < IRQ_PINS; pin++)
        redirect_write(pin, REDIRECT_MASKED | (IRQ_PIN + pin), apic_id_of(0));
}

static void timer_mask(bool on)
{
    uint32_t lvt = lapic_read(LAPIC_LVT_TIMER);

    lapic_write(LAPIC_LVT_TIMER, on ? lvt | LVT_MASKED : lvt & ~LVT_MASKED);
    if (!on)
        timer_again(); /* What was due while it was masked is lost. */
}

void irq_line_enable(unsigned irq)
{
    if (irq == TIMER_IRQ)
        timer_mask(false);
    else if (irq >= IRQ_PIN && irq < IRQ_PIN + IRQ_PINS)
        redirect_write(irq - IRQ_PIN, irq, apic_id_of(0));
}

void irq_line_disable(unsigned irq)
{
    if (irq == TIMER_IRQ)
        timer_mask(true);
    else if (irq >= IRQ_PIN && irq < IRQ_PIN + IRQ_PINS)
        redirect_write(irq - IRQ_PIN, REDIRECT_MASKED | irq, apic_id_of(0));
}

void ipi_send(unsigned cpu)
{
    lapic_send(apic_id_of(cpu), ICR_ASSERT | IPI_IRQ);
}
