/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and interrupts of the riscv64 machine: QEMU's "virt". */
#pragma once

#define TEST_BASE         0x00100000ul
#define RTC_BASE          0x00101000ul
#define PLIC_BASE         0x0c000000ul
#define APLIC_BASE        0x0d000000ul /* The supervisor's domain. */
#define UART_BASE         0x10000000ul
#define IMSIC_BASE        0x28000000ul /* The supervisor's interrupt files, a page for each hart. */

/*
 * A hart's own interrupts have the numbers of sie's bits. From IRQ_SOURCE on: sources of the PLIC
 * or APLIC, and identities of the IMSIC, which are the same here.
 */
#define IPI_IRQ           1u
#define TIMER_IRQ         5u
#define IRQ_SOURCE        16u
#define UART_SOURCE       10u
#define RTC_SOURCE        11u
#define UART_IRQ          (IRQ_SOURCE + UART_SOURCE)
#define RTC_IRQ           (IRQ_SOURCE + RTC_SOURCE)

#define HOLE_ADDRESS      0x18000000ul /* Nothing is there. */
#define DEVICE_ADDRESS    UART_BASE    /* Not memory. */

/* What the benchmark reads: the line status, which changes nothing. */
#define BENCH_DEVICE      (UART_BASE + 5)
#define BENCH_DEVICE_TYPE uint8_t

#define WAIT_TAKES        0 /* See cpu_wait(). */
#define UNDEFINED_BYTE    0 /* Memory full of it holds no instructions. */
