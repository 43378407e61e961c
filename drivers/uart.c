/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console's UART: chosen by what the platform names, out of the linker set "uart_driver". Where
 * that is nothing that we know: the console of the firmware.
 *
 * One device at most, opened once in boot. No lock: the console serializes its writers.
 */
#include "drivers/uart.h"

#include "kernel/arch.h"
#include "kernel/assert.h"
#include "kernel/irq.h"
#include "kernel/log.h"
#include "mm/hostmap.h"

LINKSET_DECLARE(uart_driver);

const struct uart_driver *uart_driver_find(enum platform_uart kind)
{
    linkset_for_each(uart_driver, it)
    {
        const struct uart_driver *driver = *it;

        if (driver->kind == kind)
            return driver;
    }
    return NULL;
}

struct chardev *uart_open(struct chardev *dev, volatile void *regs, const struct platform *platform)
{
    const struct uart_driver *driver = uart_driver_find(platform->uart);

    if (driver == NULL)
        return NULL;
    *dev = (struct chardev){.base = platform->uart_base, .irq = platform->uart_irq};
    driver->open(dev, regs, platform);
    assert(dev->write != NULL && dev->read != NULL && dev->set_rx_irq != NULL);
    return dev;
}

struct chardev *chardev_console_open(void)
{
    static struct chardev console;
    const struct uart_driver *driver = uart_driver_find(platform.uart);
    volatile void *regs;

    assert(console.name == NULL);
    if (driver == NULL || platform.uart_base == 0)
        return firmware_console_open(&console);
    regs = (volatile void *)(uintptr_t)platform.uart_base;
    if (platform.uart_base >= PLATFORM_PORTS_END &&
        hostmap_device(platform.uart_base, driver->size, &regs) != OK)
        return NULL; /* Nobody to tell: the log has no console. */
    return uart_open(&console, regs, &platform);
}

bool uart_wait(struct chardev *dev, bool (*has_room)(struct chardev *dev))
{
    /* A device that did not move for so long is not waited for again until it does. */
    unsigned spins = dev->stuck ? 1 : UART_SPINS_MAX;

    while (spins-- > 0) {
        if (likely(has_room(dev))) {
            dev->stuck = false;
            return true;
        }
        arch_relax();
    }
    dev->stuck = true;
    return false;
}

static enum irq_result uart_irq([[maybe_unused]] uint32_t irq, void *arg)
{
    struct chardev *dev = arg;

    if (dev->received != NULL)
        dev->received(dev);
    else
        dev->set_rx_irq(dev, false); /* Nobody would take the characters, and the level stay up. */
    return IRQ_DONE;
}

bool uart_attach_irq(struct chardev *dev)
{
    enum err err;

    if (dev->irq_attached)
        return true;
    if (dev->irq == 0)
        return false;
    err = irq_attach(dev->irq, IRQ_LEVEL, uart_irq, dev);
    if (err != OK) {
        log_warn("%s: interrupt %u: %s; the console is polled", dev->name, dev->irq, err_text(err));
        dev->irq = 0;
        return false;
    }
    dev->irq_attached = true;
    return true;
}
