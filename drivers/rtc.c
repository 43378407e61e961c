/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real-time clocks: a PC's, PL031, goldfish. A PC's is taken to show UTC. [MC146818A data sheet;
 * Arm PL031 TRM, 3.3.1; QEMU: goldfish_rtc; ACPI 6.5, 5.2.9: CENTURY]
 */
#include "drivers/rtc.h"

#include "kernel/arch.h"
#include "kernel/bits.h"
#include "kernel/calendar.h"
#include "kernel/platform.h"
#include "kernel/string.h"
#include "mm/hostmap.h"

#define CMOS_INDEX         ((volatile void *)(uintptr_t)0x70u)
#define CMOS_DATA          ((volatile void *)(uintptr_t)0x71u)
#define CMOS_A             0x0au
#define CMOS_B             0x0bu
#define A_UPDATING         BIT(7)
#define B_BINARY           BIT(2)
#define B_24H              BIT(1)
#define PM                 0x80u
#define TRIES_MAX          5u
#define SPINS_MAX          100000u /* An update takes 2 ms, a read of a port 100 ns at least. */

#define GOLDFISH_TIME_LOW  0u /* Latches the other half. */
#define GOLDFISH_TIME_HIGH 4u
#define NS_PER_SECOND      1000000000u

/* --- A PC's --- */

static uint8_t cmos_read(uint8_t reg)
{
    arch_write8(CMOS_INDEX, reg);
    return arch_read8(CMOS_DATA);
}

static void cmos_read_all(struct rtc_cmos *cmos)
{
    for (unsigned i = 0; i < SPINS_MAX && (cmos_read(CMOS_A) & A_UPDATING); i++)
        arch_relax();
    *cmos = (struct rtc_cmos){
        .second = cmos_read(0),
        .minute = cmos_read(2),
        .hour = cmos_read(4),
        .day = cmos_read(7),
        .month = cmos_read(8),
        .year = cmos_read(9),
        .century = platform.rtc_century ? cmos_read(platform.rtc_century) : 0,
        .format = cmos_read(CMOS_B),
    };
}

/* The same twice: no update came between. */
static uint64_t cmos_seconds(void)
{
    struct rtc_cmos first, second;

    for (unsigned i = 0; i < TRIES_MAX; i++) {
        cmos_read_all(&first);
        cmos_read_all(&second);
        if (memcmp(&first, &second, sizeof(first)) == 0)
            return rtc_cmos_seconds(&first, platform.rtc_century != 0);
    }
    return 0;
}

static unsigned cmos_number(uint8_t value, bool binary)
{
    return binary ? value : (value >> 4) * 10u + (value & 15);
}

uint64_t rtc_cmos_seconds(const struct rtc_cmos *cmos, bool century)
{
    bool binary = cmos->format & B_BINARY, half = !(cmos->format & B_24H);
    unsigned second = cmos_number(cmos->second, binary), minute = cmos_number(cmos->minute, binary);
    unsigned hour = cmos_number(half ? cmos->hour & (uint8_t)~PM : cmos->hour, binary);
    unsigned day = cmos_number(cmos->day, binary), month = cmos_number(cmos->month, binary);
    unsigned year = cmos_number(cmos->year, binary), hundreds = cmos_number(cmos->century, binary);

    if (half)
        hour = hour % 12 + (cmos->hour & PM ? 12 : 0);
    if (!century || hundreds < 19 || hundreds > 99)
        hundreds = year < 70 ? 20 : 19;
    year += 100 * hundreds;
    if (second > 59 || minute > 59 || hour > 23 || day == 0 || day > 31 || month == 0 ||
        month > 12 || year < 1970)
        return 0;
    return (((uint64_t)calendar_days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
}

/* --- Those with registers in memory --- */

static uint64_t mapped_seconds(void)
{
    volatile void *regs;
    uint64_t low;

    if (hostmap_device(platform.rtc_base, PAGE_SIZE, &regs) != OK)
        return 0;
    low = arch_read32((volatile char *)regs + GOLDFISH_TIME_LOW);
    if (platform.rtc == RTC_PL031)
        return low; /* RTCDR, at 0 as well. */
    return ((uint64_t)arch_read32((volatile char *)regs + GOLDFISH_TIME_HIGH) << 32 | low) /
           NS_PER_SECOND;
}

uint64_t rtc_seconds(void)
{
    switch (platform.rtc) {
    case RTC_CMOS:
        return cmos_seconds();
    case RTC_PL031:
    case RTC_GOLDFISH:
        return mapped_seconds();
    case RTC_NONE:
        break;
    }
    return 0;
}
