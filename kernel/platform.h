/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the machine has, as far as we need it before any driver runs. drivers/platform_acpi.c or
 * drivers/platform_fdt.c fills it in; arch/ and drivers/ read it. Addresses are host-physical;
 * 0 means: not there.
 */
#pragma once

#include "kernel/types.h"

enum platform_irqchip {
    IRQCHIP_NONE,
    IRQCHIP_GICV2,
    IRQCHIP_GICV3,
    IRQCHIP_PLIC,
    IRQCHIP_AIA,
    IRQCHIP_APIC
};
enum platform_uart { UART_NONE, UART_PL011, UART_16550 };
enum platform_rtc { RTC_NONE, RTC_CMOS, RTC_PL031, RTC_GOLDFISH };
enum platform_conduit { CONDUIT_NONE, CONDUIT_SMC, CONDUIT_HVC, CONDUIT_SBI };

struct platform_cpu {
    uint64_t hw_id; /* MPIDR affinity, hart id, APIC id. */
    uint64_t gicr;  /* GICv3: this CPU's redistributor where the table names it (GICC), else 0. */
    uint32_t plic_context; /* PLIC: of this hart at supervisor level. */
    uint32_t aplic_hart;   /* APLIC: hart index in the domain of supervisor level. */
    /* IMSIC: interrupt file of supervisor level; those of guests follow, a page each. */
    uint64_t imsic;
};

struct platform_region {
    uint64_t base, size;
};

struct platform_ioapic {
    uint64_t base;
    uint32_t gsi; /* Of its first pin. */
};

/* x86: an interrupt of the ISA bus. */
struct platform_isa_irq {
    uint32_t gsi;
    bool level, low; /* Else an edge, active high. */
};

#define PLATFORM_REGIONS_MAX 8u
#define PLATFORM_PORTS_END   0x10000u /* x86: registers below are I/O ports. */
#define PLATFORM_ISA_MAX     2048u

struct platform {
    const char *source; /* "ACPI" or "device tree". */
    unsigned cpu_count;
    struct platform_cpu cpus[CPUS_MAX];

    enum platform_irqchip irqchip;
    uint64_t gicd, gicc, gich, gicv;                   /* gicc, gich, gicv: GICv2. */
    struct platform_region gicr[PLATFORM_REGIONS_MAX]; /* GICv3 redistributor regions. */
    unsigned gicr_count;
    uint32_t gic_maintenance_irq;

    uint64_t plic, plic_size; /* PLIC; plic_sources: the highest source. */
    uint32_t plic_sources;
    /* AIA: the APLIC domain of supervisor level, in MSI mode; 0: MSIs only. */
    uint64_t aplic, aplic_size;
    uint32_t aplic_sources;
    uint32_t imsic_ids;    /* Highest identity of an interrupt file. */
    uint32_t imsic_guests; /* Guest interrupt files that each hart's window has room for. */

    uint32_t timer_irq_hyp;  /* EL2 physical timer, INTID. */
    uint32_t timer_irq_virt; /* Virtual timer, INTID. */
    uint32_t timer_irq_phys; /* EL1 physical timer, INTID. */

    uint64_t timer_hz; /* RISC-V: of the time CSR. */

    /*
     * RISC-V: what all harts have, as in "rv64imafdch_zicsr_sstc": lower case, extensions of
     * more letters after '_'.
     */
    char isa[PLATFORM_ISA_MAX];
    uint32_t va_bits; /* RISC-V: of the largest translation mode of all harts: 39, 48 or 57. */
    /* Bytes of a cache block for Zicbom, Zicboz, Zicbop; 0: unknown. */
    uint32_t cbom_size, cboz_size, cbop_size;

    /* x86. Registers below PLATFORM_PORTS_END are ports. */
    struct platform_ioapic ioapics[PLATFORM_REGIONS_MAX];
    unsigned ioapic_count;
    struct platform_isa_irq isa_irqs[16];
    uint8_t nmi_lints; /* Bit n: local interrupt pin n carries NMIs. */
    uint64_t pm_timer, hpet;
    uint64_t pm1_control[2], smi_command, reset_reg;
    uint8_t sleep5[2]; /* What powers off, for pm1_control[]; if sleep5_known. */
    bool sleep5_known;
    uint8_t acpi_enable, reset_value; /* For smi_command, reset_reg. */

    enum platform_uart uart;
    uint64_t uart_base;
    uint32_t uart_irq;       /* 0: poll. */
    uint32_t uart_reg_shift; /* 16550: registers are 1 << shift apart. */

    enum platform_rtc rtc;
    uint64_t rtc_base;   /* RTC_CMOS: it is where it is on every PC. */
    uint8_t rtc_century; /* RTC_CMOS: the register of the century; 0: there is none. */

    enum platform_conduit psci; /* How the firmware is called: PSCI, or SBI. */
    uint64_t wall_epoch;        /* Unix time at arch_ticks() == 0; 0: unknown. */
};

extern struct platform platform; /* Filled in once by boot; read-only afterwards. */
