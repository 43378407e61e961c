/* SPDX-License-Identifier: Apache-2.0 */
/* What a UART's driver gives, and what all of them share. */
#pragma once

#include "drivers/chardev.h"
#include "kernel/linkset.h"
#include "kernel/platform.h"

/* LINKSET_ENTRY(uart_driver, …) makes the driver known. */
struct uart_driver {
    enum platform_uart kind;
    uint64_t size; /* Of the registers. */
    /* Sets up the device and fills in name, private and the functions. */
    void (*open)(struct chardev *dev, volatile void *regs, const struct platform *platform);
};

/* Times that a full FIFO is looked at before its character is dropped: a second, more or less. */
#define UART_SPINS_MAX 1000000u

/* Opens by the driver for the kind; NULL when there is none. */
struct chardev *uart_open(struct chardev *dev, volatile void *regs,
                          const struct platform *platform);
/* The firmware's console, polled; NULL: there is none. */
struct chardev *firmware_console_open(struct chardev *dev);
/* NULL: none. */
const struct uart_driver *uart_driver_find(enum platform_uart kind);
/* Waits for room in the FIFO. False: there is none, drop the character. */
bool uart_wait(struct chardev *dev, bool (*has_room)(struct chardev *dev));
/* Has dev->irq call dev->received(). False when that cannot be; dev->irq is 0 then. */
bool uart_attach_irq(struct chardev *dev);
