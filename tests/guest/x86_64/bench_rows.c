/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the hypervisor; the rows of the benchmark that are x86_64's, and what interrupts. */
#include "x86.h"

#define UART_LSR 0x3fdu

uint64_t bench_spin(void);
uint64_t bench_wait(void);
void bench_self_ipi(void);
extern char bench_vector[];
extern uint32_t bench_ipi_took;
extern char *calls_start[], *calls_end[];

/* Of the processor's kind. [SDM 3, VMCALL: 0F 01 C1; APM 3, VMMCALL: 0F 01 D9] */
void hypercall_setup(void)
{
    if (cpuid(0, 0).ebx != 0x756e6547) /* "Genu" */
        return;
    for (char **call = calls_start; call < calls_end; call++)
        (*call)[2] = (char)0xc1;
}

static uint64_t timer_until(uint64_t deadline, uint64_t (*fn)(void))
{
    uint64_t at;

    irq_disable();
    gate_set(TIMER_IRQ, bench_vector, 0, 0);
    timer_set(deadline);
    at = fn();
    timer_off();
    lapic_end();
    gate_reset(TIMER_IRQ);
    irq_enable();
    return at - deadline;
}

uint64_t bench_spin_until(uint64_t deadline)
{
    return timer_until(deadline, bench_spin);
}

uint64_t bench_wait_until(uint64_t deadline)
{
    return timer_until(deadline, bench_wait);
}

uint64_t bench_ipi(void)
{
    irq_disable();
    gate_set(IPI_IRQ, bench_vector, 0, 0);
    bench_self_ipi();
    lapic_end();
    gate_reset(IPI_IRQ);
    irq_enable();
    return bench_ipi_took;
}

static uint64_t port_read(uint64_t port)
{
    uint64_t start = bench_start();

    in8((uint16_t)port);
    return bench_stop() - start;
}

static uint64_t msr_read(uint64_t reg)
{
    uint64_t start = bench_start();

    rdmsr((uint32_t)reg);
    return bench_stop() - start;
}

static uint64_t msr_write(uint64_t reg)
{
    uint64_t start = bench_start();

    wrmsr((uint32_t)reg, 0);
    return bench_stop() - start;
}

/* With another in service: the next is looked for among all of them. */
static uint64_t end_of_interrupt(uint64_t irq)
{
    uint64_t start, took;

    gate_set((unsigned)irq, bench_vector, 0, 0);
    irq_disable();
    bench_self_ipi();
    start = bench_start();
    lapic_end();
    took = bench_stop() - start;
    gate_reset((unsigned)irq);
    return took;
}

const struct bench_row *bench_rows(void)
{
    static const struct bench_row rows[] = {
        {"lapic-ppr", msr_read, MSR_X2APIC + LAPIC_PPR / 16},
        {"lapic-irr", msr_read, MSR_X2APIC + LAPIC_IRR / 16},
        {"lapic-tpr", msr_write, MSR_X2APIC + LAPIC_TPR / 16},
        {"lapic-eoi", end_of_interrupt, IPI_IRQ},
        {"ioapic-window", bench_read, IOAPIC_BASE + 0x10},
        {"port", port_read, UART_LSR},
        {NULL, NULL, 0},
    };

    return rows;
}
