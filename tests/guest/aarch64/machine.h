/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and interrupts of the arm64 machine: QEMU's "virt". */
#pragma once

#define GICD_BASE      0x08000000ul
#define GICC_BASE      0x08010000ul /* Of a GICv2. */
#define GICR_BASE      0x080a0000ul
#define UART_BASE      0x09000000ul
#define RTC_BASE       0x09010000ul

#define IPI_IRQ        0u  /* An SGI. */
#define TIMER_IRQ      27u /* PPI 11: the virtual timer. */
#define TIMER_PHYS_IRQ 30u /* PPI 14: the non-secure physical timer. */
#define UART_IRQ       33u
#define RTC_IRQ        34u

#define HOLE_ADDRESS   0x30000000ul /* Nothing is there. */
#define DEVICE_ADDRESS UART_BASE    /* Not memory. */

/*
 * What the benchmark reads: a device register, and those of the controller that look at many
 * lines.
 */
#define BENCH_DEVICE   (UART_BASE + 0x18)
#define BENCH_CONTROLLER                                                                           \
    {"gicd-isenabler", GICD_BASE + 0x104}, {"gicd-ispendr", GICD_BASE + 0x204},                    \
        {"gicd-isactiver", GICD_BASE + 0x304}, {"gicd-ipriorityr", GICD_BASE + 0x420},             \
        {"gicd-icfgr", GICD_BASE + 0xc08}, {"gicr-isenabler", GICR_BASE + 0x10100},                \
        {"gicr-ispendr", GICR_BASE + 0x10200}, {"gicr-isactiver", GICR_BASE + 0x10300},            \
    {                                                                                              \
        "gicr-ipriorityr", GICR_BASE + 0x10400                                                     \
    }
