/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The UART that a guest sees: ARM's PrimeCell PL011, revision 1 (16-deep FIFOs), as QEMU's virt
 * machine has it. What the guest sends goes to its console port at once; what is typed waits in a
 * queue behind the receive FIFO, so a paste longer than the FIFO is not lost. [DDI0183]
 */
#pragma once

#include "kernel/lock.h"
#include "vcpu/bus.h"
#include "vcpu/console.h"

#define VPL011_SIZE  0x1000u
#define VPL011_FIFO  16u
#define VPL011_QUEUE 16384u /* A power of two. */

/* All that a guest can observe; no pointers, so it can be saved and restored as it is. */
struct vpl011_state {
    _Atomic uint32_t fr; /* FR as it reads: read without the lock, written with it. */
    uint32_t rsr, ilpr, ibrd, fbrd, lcr_h, cr, ifls, imsc, ris, dmacr;
    uint32_t fifo_count;  /* Of the characters in the queue, those in the receive FIFO. */
    uint32_t queue_head;  /* Index of the oldest; the FIFO's oldest, too. */
    uint32_t queue_count; /* FIFO and what waits behind it. */
    bool overrun;         /* Typed characters were lost behind the newest. */
    bool level;           /* Of the interrupt wire. */
    uint8_t queue[VPL011_QUEUE];
};

struct vpl011 {
    struct vdev vdev;
    struct console_port port; /* For console_add(). */
    struct lock lock;         /* RANK_DEVICE: guards state. */
    struct vpl011_state state;
};

/*
 * In its power-on state. The caller sets vdev.owner and vdev.set_irq, adds vdev to the bus and port
 * to the console.
 */
void vpl011_init(struct vpl011 *uart, uint64_t base, uint32_t irq);
/* A character arrives on the line (also: port.input). Any pCPU. */
void vpl011_receive(struct vpl011 *uart, uint8_t c);
