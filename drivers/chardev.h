/* SPDX-License-Identifier: Apache-2.0 */
/* A character device: what the console needs of a UART. */
#pragma once

#include "kernel/types.h"

struct chardev {
    const char *name;
    uint64_t base;
    uint32_t irq;
    void *private;
    /* Writes all of it, waiting for room in the FIFO; in any context, also in a panic. */
    void (*write)(struct chardev *dev, const char *text, size_t size);
    /* A character that has arrived, -1 when none. */
    int (*read)(struct chardev *dev);
    void (*set_rx_irq)(struct chardev *dev, bool on);
    /* Called by the driver's interrupt handler when characters have arrived: set by the console. */
    void (*received)(struct chardev *dev);
};

/* The console that the platform names; NULL when there is none we know. After hostmap_init(). */
struct chardev *chardev_console_open(void);
