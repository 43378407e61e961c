/* SPDX-License-Identifier: Apache-2.0 */
/* The Gregorian calendar, for ever. Also for the EFI program: nothing else is included. */
#pragma once

#include <stdint.h>

/*
 * Days from 1970-01-01 to a date; a month out of range is some month. Years begin in March here, so
 * that the leap day is their last; 400 of them have always as many days.
 */
static inline int64_t calendar_days(int64_t year, int64_t month, int64_t day)
{
    int64_t of_year = (month + 9) % 12, march = year + 400 - (of_year >= 10);

    return march * 365 + march / 4 - march / 100 + march / 400 + (153 * of_year + 2) / 5 + day - 1 -
           719468 - 146097;
}
