/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ARM's PL011 UART, and those that ACPI calls "SBSA generic": the same without baud rate and
 * control registers, where writes to these do nothing. The firmware's baud rate is kept.
 * [ARM DDI0183G: PrimeCell UART (PL011) Technical Reference Manual]
 *
 * No lock: the console serializes writers; readers are its interrupt or its timer.
 */
#include "drivers/uart.h"

#include "kernel/arch.h"
#include "kernel/bits.h"

/* Registers [3.2]. All accesses are 32 bits wide, which every integration of the chip allows. */
#define DR         0x00
#define FR         0x18
#define LCR_H      0x2c
#define CR         0x30
#define IFLS       0x34
#define IMSC       0x38
#define ICR        0x44

#define FR_TXFF    BIT(5)
#define FR_RXFE    BIT(4)
#define FR_BUSY    BIT(3)
#define LCR_H_FEN  BIT(4)
#define LCR_H_WLEN BITS(6, 5) /* 3: 8 bits. */
#define CR_RXE     BIT(9)
#define CR_TXE     BIT(8)
#define CR_LBE     BIT(7)
#define CR_UARTEN  BIT(0)
#define IFLS_HALF  0x12u
#define INT_RT     BIT(6)
#define INT_RX     BIT(4)
#define INT_ALL    BITS(10, 0)

static uint32_t pl011_get(const struct chardev *dev, unsigned reg)
{
    return arch_read32((volatile uint8_t *)dev->private + reg);
}

static void pl011_set(const struct chardev *dev, unsigned reg, uint64_t value)
{
    arch_write32((volatile uint8_t *)dev->private + reg, (uint32_t)value);
}

static bool pl011_has_room(struct chardev *dev)
{
    return !(pl011_get(dev, FR) & FR_TXFF);
}

static bool pl011_is_idle(struct chardev *dev)
{
    return !(pl011_get(dev, FR) & FR_BUSY);
}

static void pl011_write(struct chardev *dev, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (uart_wait(dev, pl011_has_room))
            pl011_set(dev, DR, (uint8_t)text[i]);
    }
}

/* Characters with errors are taken as they are: a wrong baud rate shows on the screen. */
static int pl011_read(struct chardev *dev)
{
    if (pl011_get(dev, FR) & FR_RXFE)
        return -1;
    return pl011_get(dev, DR) & 0xff;
}

static void pl011_set_rx_irq(struct chardev *dev, bool on)
{
    on = on && uart_attach_irq(dev);
    pl011_set(dev, IMSC, on ? INT_RX | INT_RT : 0);
}

/*
 * The order of the manual: off, the last character out, line control (which empties the FIFOs and
 * takes over the baud rate as it is), on [3.3.7, 3.3.8].
 */
static void pl011_open(struct chardev *dev, volatile void *regs,
                       [[maybe_unused]] const struct platform *platform)
{
    uint32_t cr;

    dev->name = "pl011";
    dev->private = (void *)(uintptr_t)regs;
    dev->write = pl011_write;
    dev->read = pl011_read;
    dev->set_rx_irq = pl011_set_rx_irq;

    pl011_set(dev, IMSC, 0);
    cr = pl011_get(dev, CR) & ~CR_LBE;
    (void)uart_wait(dev, pl011_is_idle);
    dev->stuck = false;
    pl011_set(dev, CR, cr & ~CR_UARTEN);
    pl011_set(dev, LCR_H, field_put(LCR_H_WLEN, 3) | LCR_H_FEN);
    pl011_set(dev, IFLS, IFLS_HALF);
    pl011_set(dev, ICR, INT_ALL);
    pl011_set(dev, CR, cr | CR_RXE | CR_TXE | CR_UARTEN);
}

static const struct uart_driver pl011 = {.kind = UART_PL011, .size = 0x1000, .open = pl011_open};
LINKSET_ENTRY(uart_driver, pl011);
