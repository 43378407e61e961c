/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and interrupts of the arm64 machine: QEMU's "virt". */
#pragma once

#define GICD_BASE         0x08000000ul
#define GICC_BASE         0x08010000ul /* Of a GICv2. */
#define GICR_BASE         0x080a0000ul
#define UART_BASE         0x09000000ul
#define RTC_BASE          0x09010000ul

#define IPI_IRQ           0u  /* An SGI. */
#define TIMER_IRQ         27u /* PPI 11: the virtual timer. */
#define TIMER_PHYS_IRQ    30u /* PPI 14: the non-secure physical timer. */
#define UART_IRQ          33u
#define RTC_IRQ           34u

#define HOLE_ADDRESS      0x30000000ul /* Nothing is there. */
#define DEVICE_ADDRESS    UART_BASE    /* Not memory. */

/* What the benchmark reads: the flags, which changes nothing. */
#define BENCH_DEVICE      (UART_BASE + 0x18)
#define BENCH_DEVICE_TYPE uint32_t

#define WAIT_TAKES        0 /* See cpu_wait(). */
#define UNDEFINED_BYTE    0 /* Memory full of it holds no instructions. */
