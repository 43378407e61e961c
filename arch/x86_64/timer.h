/* SPDX-License-Identifier: Apache-2.0 */
/* The time stamp counter's frequency. */
#pragma once

#include "kernel/types.h"

/* What CPUID says of it; 0: nothing. */
uint64_t tsc_hz_told(void);
/* "from CPUID": where tsc_hz came from. */
const char *tsc_source(void);
