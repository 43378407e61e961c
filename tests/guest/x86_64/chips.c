/* SPDX-License-Identifier: Apache-2.0 */
/* The UART (16550A) and the clock (MC146818) of an x86_64 guest. */
#include "x86.h"

#define UART_DATA    0x3f8u
#define UART_IER     (UART_DATA + 1)
#define UART_FCR     (UART_DATA + 2)
#define UART_LCR     (UART_DATA + 3)
#define UART_MCR     (UART_DATA + 4)
#define UART_LSR     (UART_DATA + 5)

#define RTC_INDEX    0x70u
#define RTC_DATA     0x71u
#define RTC_STATUS_A 0x0au
#define RTC_STATUS_B 0x0bu
#define RTC_CENTURY  0x32u
#define RTC_UPDATING 0x80u
#define RTC_SET      0x80u

void uart_put(char c)
{
    if (c == '\n')
        uart_put('\r');
    while (!(in8(UART_LSR) & 1u << 5))
        cpu_relax();
    out8(UART_DATA, (uint8_t)c);
}

int uart_get(void)
{
    if (!(in8(UART_LSR) & 1))
        return -1;
    return in8(UART_DATA);
}

void uart_irq_enable(void)
{
    out8(UART_LCR, 3); /* Eight bits. */
    out8(UART_FCR, 1);
    out8(UART_MCR, 0x0b); /* DTR, RTS, and OUT2, which gates the interrupt. */
    out8(UART_IER, 1);
    irq_line_enable(UART_IRQ);
}

static unsigned cmos_read(unsigned index)
{
    out8(RTC_INDEX, (uint8_t)index);
    return in8(RTC_DATA);
}

static void cmos_write(unsigned index, unsigned value)
{
    out8(RTC_INDEX, (uint8_t)index);
    out8(RTC_DATA, (uint8_t)value);
}

static unsigned bcd_read(unsigned index)
{
    unsigned value = cmos_read(index);

    return (value >> 4) * 10 + (value & 15);
}

static void bcd_write(unsigned index, unsigned value)
{
    cmos_write(index, value / 10 << 4 | value % 10);
}

/* Days since 1970 of a day of the Gregorian calendar; its year begins in March. */
static unsigned days_of(unsigned year, unsigned month, unsigned day)
{
    year -= month <= 2;
    month = month <= 2 ? month + 9 : month - 3;
    return year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719469;
}

/* BCD, 24 hours: as the firmware of a PC leaves it. */
uint32_t rtc_read(void)
{
    unsigned days;

    while (cmos_read(RTC_STATUS_A) & RTC_UPDATING)
        cpu_relax();
    days = days_of(bcd_read(RTC_CENTURY) * 100 + bcd_read(9), bcd_read(8), bcd_read(7));
    return ((days * 24 + bcd_read(4)) * 60 + bcd_read(2)) * 60 + bcd_read(0);
}

void rtc_write(uint32_t seconds)
{
    unsigned days = seconds / 86400, year = 1970, month = 1, status = cmos_read(RTC_STATUS_B);

    while (days_of(year + 1, 1, 1) <= days)
        year++;
    while (month < 12 && days_of(year, month + 1, 1) <= days)
        month++;
    cmos_write(RTC_STATUS_B, (status | RTC_SET | 2) & ~4u);
    bcd_write(RTC_CENTURY, year / 100);
    bcd_write(9, year % 100);
    bcd_write(8, month);
    bcd_write(7, days - days_of(year, month, 1) + 1);
    bcd_write(4, seconds / 3600 % 24);
    bcd_write(2, seconds / 60 % 60);
    bcd_write(0, seconds % 60);
    cmos_write(RTC_STATUS_B, (status | 2) & ~(RTC_SET | 4u));
}
