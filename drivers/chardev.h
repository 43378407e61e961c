/* SPDX-License-Identifier: Apache-2.0 */
/* A character device: what the console needs of a UART. */
#pragma once

#include "kernel/types.h"

struct chardev {
    const char *name;
    uint64_t base;
    uint32_t irq; /* 0: none, it must be polled. */
    void *private;
    /*
     * Writes all of it, waiting for room in the FIFO; in any context, also in a panic. What a
     * device does not take for too long is dropped.
     */
    void (*write)(struct chardev *dev, const char *text, size_t size);
    /* A character that has arrived, -1 when none. */
    int (*read)(struct chardev *dev);
    /* The first time attaches the interrupt, to this pCPU; sets irq to 0 when that cannot be. */
    void (*set_rx_irq)(struct chardev *dev, bool on);
    /*
     * Called by the driver's interrupt handler when characters have arrived, and reads them all:
     * set by the console.
     */
    void (*received)(struct chardev *dev);
    bool irq_attached, stuck; /* The driver's. stuck: the device stopped to take characters. */
};

/*
 * The console that the platform names, else the firmware's; NULL when there is none. After
 * hostmap_init().
 */
struct chardev *chardev_console_open(void);
