/* SPDX-License-Identifier: Apache-2.0 */
/* Run a function on another pCPU. */
#pragma once

#include "kernel/types.h"

struct work {
    struct work *next;
    void (*fn)(struct work *work);
    _Atomic bool queued;
};

/*
 * Have work->fn run on the pCPU, outside of any guest, with interrupts masked and no locks held.
 * Any context. Work that is queued already is not queued twice (false). The object must live until
 * fn is entered; from then on it may be queued again.
 */
bool ipi_work(unsigned cpu, struct work *work);

/* Make the pCPU leave its guest or its idle state and look at its flags. Any context. */
void ipi_kick(unsigned cpu);

/* Runs what is queued for this pCPU. The scheduler's loop calls it. */
void ipi_run_work(void);

/* The IPI has arrived: called by arch_irq_take(), on the pCPU that took it. */
void ipi_taken(void);
