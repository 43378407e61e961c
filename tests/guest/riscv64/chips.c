/* SPDX-License-Identifier: Apache-2.0 */
/* The UART (16550A) and the clock (Goldfish's) of a riscv64 guest. */
#include "riscv.h"

#define UART_DATA (UART_BASE + 0)
#define UART_IER  (UART_BASE + 1)
#define UART_FCR  (UART_BASE + 2)
#define UART_LCR  (UART_BASE + 3)
#define UART_MCR  (UART_BASE + 4)
#define UART_LSR  (UART_BASE + 5)

#define NS        1000000000ull

void uart_put(char c)
{
    if (c == '\n')
        uart_put('\r');
    while (!(mmio_read8(UART_LSR) & 1u << 5))
        cpu_relax();
    mmio_write8(UART_DATA, (uint8_t)c);
}

int uart_get(void)
{
    if (!(mmio_read8(UART_LSR) & 1))
        return -1;
    return mmio_read8(UART_DATA);
}

void uart_irq_enable(void)
{
    mmio_write8(UART_LCR, 3); /* Eight bits. */
    mmio_write8(UART_FCR, 1);
    mmio_write8(UART_MCR, 0x0b); /* DTR, RTS, and OUT2, which gates the interrupt on a PC. */
    mmio_write8(UART_IER, 1);
    irq_line_enable(UART_IRQ);
}

/* The lower word latches the upper one. */
uint32_t rtc_read(void)
{
    uint64_t low = mmio_read(RTC_BASE);

    return (uint32_t)(((uint64_t)mmio_read(RTC_BASE + 4) << 32 | low) / NS);
}

void rtc_write(uint32_t seconds)
{
    mmio_write(RTC_BASE + 4, (uint32_t)(seconds * NS >> 32));
    mmio_write(RTC_BASE, (uint32_t)(seconds * NS));
}
