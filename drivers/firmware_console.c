/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The firmware's console, for a machine whose UART the firmware keeps for itself or we do not know.
 * It tells nobody that a character has come: it is polled.
 *
 * No lock: the console serializes writers; its timer is the only reader.
 */
#include "drivers/uart.h"

#include "kernel/arch.h"

static void firmware_write(struct chardev *, const char *text, size_t size)
{
    (void)(arch_console_write(text, size) == OK); /* It has one: see below. */
}

static int firmware_read(struct chardev *)
{
    return arch_console_read();
}

static void firmware_set_rx_irq(struct chardev *, bool)
{
}

struct chardev *firmware_console_open(struct chardev *dev)
{
    if (arch_console_write("", 0) != OK)
        return NULL;
    *dev = (struct chardev){
        .name = "firmware",
        .write = firmware_write,
        .read = firmware_read,
        .set_rx_irq = firmware_set_rx_irq,
    };
    return dev;
}
