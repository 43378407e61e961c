/* SPDX-License-Identifier: Apache-2.0 */
/* What start.S calls and is called for. */
#pragma once

#include "kernel/types.h"

void start_secondary(void);
extern uint64_t boot_hart; /* The hart that the firmware started us on. */
extern uint64_t host_satp; /* Tables that all harts run on; 0 until there are any. */
