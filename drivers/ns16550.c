/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 16550 UART and its descendants, with registers in memory 1 << reg_shift bytes apart. Where
 * they are four bytes apart they are accessed as 32-bit words: the integrations that do so take
 * these, and some nothing else. The firmware's baud rate is kept.
 * [National Semiconductor PC16550D data sheet, June 1995]
 *
 * No lock: the console serializes writers; readers are its interrupt or its timer.
 */
#include "drivers/uart.h"

#include "kernel/arch.h"
#include "kernel/bits.h"

/* Registers [8.0]. */
#define RBR         0 /* THR for writes. */
#define IER         1
#define FCR         2 /* IIR for reads. */
#define LCR         3
#define MCR         4
#define LSR         5

#define IER_RX      BIT(0) /* Received data, and the character timeout with it. */
#define FCR_ENABLE  BIT(0)
#define FCR_CLEAR   BITS(2, 1)
#define FCR_TRIGGER BITS(7, 6) /* 2: at 8 characters. */
#define LCR_8N1     0x03u      /* And no divisor latch. */
#define MCR_READY   BITS(1, 0) /* DTR, RTS. */
#define MCR_OUT2    BIT(3)     /* Lets the interrupt through on PCs. */
#define LSR_THRE    BIT(5)     /* The transmit FIFO is empty. */
#define LSR_DR      BIT(0)

#define FIFO_SIZE   16u

/* There is one console. */
static unsigned reg_shift;

static uint32_t ns16550_get(const struct chardev *dev, unsigned reg)
{
    volatile uint8_t *at = (volatile uint8_t *)dev->private + (reg << reg_shift);

    return reg_shift == 2 ? arch_read32(at) & 0xff : arch_read8(at);
}

static void ns16550_set(const struct chardev *dev, unsigned reg, uint64_t value)
{
    volatile uint8_t *at = (volatile uint8_t *)dev->private + (reg << reg_shift);

    if (reg_shift == 2)
        arch_write32(at, (uint8_t)value);
    else
        arch_write8(at, (uint8_t)value);
}

static bool ns16550_is_empty(struct chardev *dev)
{
    return ns16550_get(dev, LSR) & LSR_THRE;
}

/* There is no "full" bit: once the FIFO is empty it has room for all its size. */
static void ns16550_write(struct chardev *dev, const char *text, size_t size)
{
    while (size > 0) {
        size_t count = MIN(size, FIFO_SIZE);

        if (uart_wait(dev, ns16550_is_empty)) {
            for (size_t i = 0; i < count; i++)
                ns16550_set(dev, RBR, (uint8_t)text[i]);
        }
        text += count;
        size -= count;
    }
}

static int ns16550_read(struct chardev *dev)
{
    if (!(ns16550_get(dev, LSR) & LSR_DR))
        return -1;
    return (int)ns16550_get(dev, RBR);
}

static void ns16550_set_rx_irq(struct chardev *dev, bool on)
{
    on = on && uart_attach_irq(dev);
    ns16550_set(dev, IER, on ? IER_RX : 0);
}

static void ns16550_open(struct chardev *dev, volatile void *regs, const struct platform *platform)
{
    dev->name = "16550";
    dev->private = (void *)(uintptr_t)regs;
    dev->write = ns16550_write;
    dev->read = ns16550_read;
    dev->set_rx_irq = ns16550_set_rx_irq;
    reg_shift = platform->uart_reg_shift;

    ns16550_set(dev, IER, 0);
    ns16550_set(dev, LCR, LCR_8N1);
    (void)uart_wait(dev, ns16550_is_empty); /* FCR_CLEAR would cut the firmware's last words. */
    dev->stuck = false;
    ns16550_set(dev, FCR, FCR_ENABLE | FCR_CLEAR | field_put(FCR_TRIGGER, 2));
    ns16550_set(dev, MCR, MCR_READY | MCR_OUT2);
}

static const struct uart_driver ns16550 = {
    .kind = UART_16550,
    .size = 0x100,
    .open = ns16550_open,
};
LINKSET_ENTRY(uart_driver, ns16550);
