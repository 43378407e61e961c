/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and interrupts of the x86_64 machine. An interrupt's number is its vector. */
#pragma once

#define LOW_BASE          0x8000 /* Below 1 MiB, for code that starts in real mode. */
#define LOW_SIZE          0x2000

#define PM_TIMER_PORT     0x608 /* Of QEMU's machine and of ours. */
#define PM_TIMER_HZ       3579545u

#define IOAPIC_BASE       0xfec00000ul
#define LAPIC_BASE        0xfee00000ul
#define ECAM_BASE         0xe0000000ul /* Of our machine. */

#define IPI_IRQ           0x50u
#define TIMER_IRQ         0x60u
#define IRQ_PIN           0x70u /* From here on: pins of the I/O APIC. */
#define IRQ_PINS          24u
#define UART_IRQ          (IRQ_PIN + 4)
#define SPURIOUS_IRQ      0xffu

#define HOLE_ADDRESS      0x80000000ul /* Nothing is there; */
#define ONES_ADDRESS      0xd0000000ul /* and here, among what devices have, neither. */
#define DEVICE_ADDRESS    IOAPIC_BASE  /* Not memory. */

/* What the benchmark reads: the index register, which changes nothing. */
#define BENCH_DEVICE      IOAPIC_BASE
#define BENCH_DEVICE_TYPE uint32_t

#define WAIT_TAKES        1    /* See cpu_wait(). */
#define UNDEFINED_BYTE    0x06 /* Memory full of it holds no instructions: PUSH ES. */

/* Selectors. start.S has the table; each CPU's TSS comes after. */
#define SEL_CODE64        0x08
#define SEL_DATA          0x10
#define SEL_CODE32        0x18
#define SEL_CODE16        0x20
#define SEL_DATA16        0x28
#define SEL_USER32        0x33
#define SEL_USER_DATA     0x3b
#define SEL_USER64        0x43
#define SEL_TSS           0x50

/* struct cpu: for start.S; cpu.c compares. */
#define CPU_PROBE_STACK   8
#define CPU_SIZE          64
