/* SPDX-License-Identifier: Apache-2.0 */
/* The host's clock, and the calendar. */
#include "drivers/rtc.h"
#include "kernel/calendar.h"
#include "kernel/platform.h"
#include "tests/host/test.h"

#define F24   0x02
#define F12   0x00
#define FBIN  0x04
#define EPOCH 1767323045 /* 2026-01-02 03:04:05 */

TEST(days_are_counted_from_1970_through_leap_years)
{
    ASSERT_EQ(calendar_days(1970, 1, 1), 0);
    ASSERT_EQ(calendar_days(1969, 12, 31), -1);
    ASSERT_EQ(calendar_days(2000, 2, 29), 11016);
    ASSERT_EQ(calendar_days(2000, 3, 1), 11017);
    ASSERT_EQ(calendar_days(2100, 3, 1) - calendar_days(2100, 2, 28), 1);
    ASSERT_EQ(calendar_days(0, 1, 1), -719528);
}

TEST(a_pcs_clock_is_read_in_each_of_its_formats)
{
    static const struct {
        struct rtc_cmos cmos;
        bool century;
        uint64_t seconds;
    } cases[] = {
        {{0x05, 0x04, 0x03, 0x02, 0x01, 0x26, 0x20, F24}, true, EPOCH},
        {{0x05, 0x04, 0x03, 0x02, 0x01, 0x26, 0xff, F24}, true, EPOCH},
        {{0x05, 0x04, 0x03, 0x02, 0x01, 0x26, 0x19, F24}, false, EPOCH},
        {{5, 4, 3, 2, 1, 26, 20, F24 | FBIN}, true, EPOCH},
        {{0x05, 0x04, 0x03, 0x02, 0x01, 0x26, 0x20, F12}, true, EPOCH},
        {{0x05, 0x04, 0x83, 0x02, 0x01, 0x26, 0x20, F12}, true, EPOCH + 12 * 3600},
        {{0x05, 0x04, 0x12, 0x02, 0x01, 0x26, 0x20, F12}, true, EPOCH - 3 * 3600},
        {{0x05, 0x04, 0x92, 0x02, 0x01, 0x26, 0x20, F12}, true, EPOCH + 9 * 3600},
        {{5, 4, 0x83, 2, 1, 26, 20, FBIN}, true, EPOCH + 12 * 3600},
        {{0x59, 0x59, 0x23, 0x31, 0x12, 0x99, 0x19, F24}, true, 946684799},
        {{0x59, 0x59, 0x23, 0x31, 0x12, 0x99, 0, F24}, false, 946684799},
        {{0x60, 0x04, 0x03, 0x02, 0x01, 0x26, 0x20, F24}, true, 0},
        {{0x05, 0x04, 0x24, 0x02, 0x01, 0x26, 0x20, F24}, true, 0},
        {{0x05, 0x04, 0x03, 0x00, 0x01, 0x26, 0x20, F24}, true, 0},
        {{0x05, 0x04, 0x03, 0x02, 0x13, 0x26, 0x20, F24}, true, 0},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, true, 0},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
        ASSERT_EQ(rtc_cmos_seconds(&cases[i].cmos, cases[i].century), cases[i].seconds);
}

TEST(a_machine_without_a_clock_has_no_time)
{
    platform.rtc = RTC_NONE;
    ASSERT_EQ(rtc_seconds(), 0);
    platform.rtc = RTC_CMOS; /* Nothing answers: the fake's ports keep what was written last. */
    platform.rtc_century = 0;
    ASSERT_EQ(rtc_seconds(), 0);
    platform.rtc = RTC_NONE;
}
