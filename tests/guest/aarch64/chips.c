/* SPDX-License-Identifier: Apache-2.0 */
/* The UART (PL011) and the clock (PL031) of an arm64 guest. */
#include "guest.h"

#define UART_DR   (UART_BASE + 0x00)
#define UART_FR   (UART_BASE + 0x18)
#define UART_LCRH (UART_BASE + 0x2c)
#define UART_CR   (UART_BASE + 0x30)
#define UART_IMSC (UART_BASE + 0x38)
#define UART_ICR  (UART_BASE + 0x44)

void uart_put(char c)
{
    if (c == '\n')
        uart_put('\r');
    while (mmio_read(UART_FR) & 1u << 5)
        cpu_relax();
    mmio_write(UART_DR, (uint8_t)c);
}

int uart_get(void)
{
    if (mmio_read(UART_FR) & 1u << 4)
        return -1;
    return mmio_read(UART_DR) & 0xff;
}

void uart_irq_enable(void)
{
    mmio_write(UART_LCRH, 0x70); /* Eight bits, FIFO. */
    mmio_write(UART_CR, 0x301);
    mmio_write(UART_ICR, 0x7ff);
    mmio_write(UART_IMSC, 0x50); /* Receive, receive timeout. */
    irq_line_enable(UART_IRQ);
}

uint32_t rtc_read(void)
{
    return mmio_read(RTC_BASE);
}

void rtc_write(uint32_t seconds)
{
    mmio_write(RTC_BASE + 8, seconds);
}
