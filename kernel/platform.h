/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the machine has, as far as we need it before any driver runs. drivers/platform_acpi.c or
 * drivers/platform_fdt.c fills it in; arch/ and drivers/ read it. Addresses are host-physical;
 * 0 means: not there.
 */
#pragma once

#include "kernel/types.h"

enum platform_irqchip { IRQCHIP_NONE, IRQCHIP_GICV2, IRQCHIP_GICV3 };
enum platform_uart { UART_NONE, UART_PL011, UART_16550 };
enum platform_conduit { CONDUIT_NONE, CONDUIT_SMC, CONDUIT_HVC };

struct platform_cpu {
    uint64_t hw_id; /* MPIDR affinity, hart id, APIC id. */
    uint64_t gicr;  /* GICv3: this CPU's redistributor where the table names it (GICC), else 0. */
};

struct platform_region {
    uint64_t base, size;
};

#define PLATFORM_REGIONS_MAX 8u

struct platform {
    const char *source; /* "ACPI" or "device tree". */
    unsigned cpu_count;
    struct platform_cpu cpus[CPUS_MAX];

    enum platform_irqchip irqchip;
    uint64_t gicd, gicc, gich, gicv;                   /* gicc, gich, gicv: GICv2. */
    struct platform_region gicr[PLATFORM_REGIONS_MAX]; /* GICv3 redistributor regions. */
    unsigned gicr_count;
    uint32_t gic_maintenance_irq;

    uint32_t timer_irq_hyp;  /* EL2 physical timer, INTID. */
    uint32_t timer_irq_virt; /* Virtual timer, INTID. */
    uint32_t timer_irq_phys; /* EL1 physical timer, INTID. */

    enum platform_uart uart;
    uint64_t uart_base;
    uint32_t uart_irq;       /* 0: poll. */
    uint32_t uart_reg_shift; /* 16550: registers are 1 << shift apart. */

    enum platform_conduit psci; /* How the firmware is called. */
    uint64_t wall_epoch;        /* Unix time at arch_ticks() == 0; 0: unknown. */
};

extern struct platform platform; /* Filled in once by boot; read-only afterwards. */
