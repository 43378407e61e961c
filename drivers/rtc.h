/* SPDX-License-Identifier: Apache-2.0 */
/* The host's clock, where no firmware tells the time: read once, at the start. */
#pragma once

#include "kernel/types.h"

/* Unix time, by platform.rtc; 0: there is no clock, or it does not go. Boot. */
uint64_t rtc_seconds(void);

/* What a PC's clock shows, as it lies in its registers, and their format. Pure. */
struct rtc_cmos {
    uint8_t second, minute, hour, day, month, year, century, format;
};

/* 0: that is no time. century: it has a register, as ACPI says. */
uint64_t rtc_cmos_seconds(const struct rtc_cmos *cmos, bool century);
