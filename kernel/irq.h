/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host interrupts. Numbers are the host interrupt controller's own (INTIDs on Arm). Handlers run
 * with interrupts masked, on the pCPU that took the interrupt.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"

#define IRQS_MAX 1024u

enum irq_trigger { IRQ_LEVEL, IRQ_EDGE };

/*
 * What becomes of the interrupt after the handler: IRQ_DONE ends it; IRQ_KEEP leaves it active,
 * because it was handed to a guest, which ends it (hardware interrupts in a list register).
 */
enum irq_result { IRQ_DONE, IRQ_KEEP };

typedef enum irq_result (*irq_handler)(uint32_t irq, void *arg);

/* Registers the handler and enables the interrupt; a per-pCPU one on every pCPU that comes up. */
enum err irq_attach(uint32_t irq, enum irq_trigger trigger, irq_handler handler, void *arg);

/*
 * Acknowledges and handles the most urgent interrupt that is pending on this pCPU, if there is one.
 * Others stay pending: they end the next run of a guest, or the next arch_idle(), at once.
 * Interrupts masked.
 */
void irq_handle(void);

/* Enables on this pCPU what irq_attach() registered for per-pCPU interrupts. For secondaries. */
void irq_init_cpu(void);

/* Interrupts taken that nobody had attached, since the start. Each number is logged once. */
uint64_t irq_unclaimed_count(void);
