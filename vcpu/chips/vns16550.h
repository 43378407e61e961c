/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The UART that a riscv64 guest sees: a 16550A with registers one byte apart, as QEMU's virt has
 * it. What the guest sends goes to its console port at once; what is typed waits in a queue behind
 * the receive FIFO, so a paste longer than the FIFO is not lost. [PC16550D]
 */
#pragma once

#include "kernel/lock.h"
#include "vcpu/bus.h"
#include "vcpu/console.h"

#define VNS16550_SIZE  0x100u
#define VNS16550_FIFO  16u
#define VNS16550_QUEUE 16384u /* A power of two. */

/* All that a guest can observe; no pointers, so it can be saved and restored as it is. */
struct vns16550_state {
    _Atomic uint32_t lsr; /* LSR as it reads: without the lock while no character was lost. */
    uint8_t ier, fcr, lcr, mcr, msr, scr, dll, dlm;
    bool thre;            /* The transmit interrupt is raised. */
    bool level;           /* Of the interrupt wire. */
    uint32_t fifo_count;  /* Of the characters in the queue, those in the receive FIFO. */
    uint32_t queue_head;  /* Index of the oldest; the FIFO's oldest, too. */
    uint32_t queue_count; /* FIFO and what waits behind it. */
    uint8_t queue[VNS16550_QUEUE];
};

struct vns16550 {
    struct vdev vdev;
    struct console_port port; /* For console_add(). */
    struct lock lock;         /* RANK_DEVICE: guards state. */
    struct vns16550_state state;
};

/*
 * In its power-on state. The caller sets vdev.owner and vdev.set_irq, adds vdev to the bus and port
 * to the console.
 */
void vns16550_init(struct vns16550 *uart, uint64_t base, uint32_t irq);
/* A character arrives on the line (also: port.input). Any pCPU. */
void vns16550_receive(struct vns16550 *uart, uint8_t c);
/* The next character that was typed, past the registers, for a firmware's console; -1: none. Any
 * pCPU. */
int vns16550_take(struct vns16550 *uart);
