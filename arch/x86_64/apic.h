/* SPDX-License-Identifier: Apache-2.0 */
/* The local APIC of each pCPU, and the I/O APICs. */
#pragma once

#include "kernel/err.h"
#include "kernel/irq.h"

struct pcpu;
struct platform;

/* This processor's id, from CPUID: before anything is set up. */
uint32_t apic_own_id(void);
const char *apic_describe(void); /* "x2APIC" */

/* After arch_irqchip_init(). Any context. */
void apic_send(const struct pcpu *cpu, uint8_t vector);
/* Has the processor wait, then start at page (below 1 MiB), which takes 10 ms. */
void apic_start(const struct pcpu *cpu, uint32_t page);

/* The local APIC's timer. apic_timer_start() with 0 stops it. */
enum apic_timer_mode { APIC_TIMER_ONCE, APIC_TIMER_DEADLINE };
void apic_timer_mode(enum apic_timer_mode mode);
void apic_timer_start(uint32_t count);
uint32_t apic_timer_left(void);

/* ioapic.c: gsi's interrupt comes here, as vector. */
enum err ioapic_init(const struct platform *platform);
enum err ioapic_enable(uint32_t gsi, enum irq_trigger trigger, uint8_t vector);
