/* SPDX-License-Identifier: Apache-2.0 */
/* What start.S calls and is called for. */
#pragma once

#include "kernel/types.h"

struct memmap;
struct pcpu;

/* Called with the MMU off: touches only static memory and the map. */
hpa_t early_map(const struct memmap *map);

void start_switch_map(hpa_t root);
void start_secondary(void);
extern hpa_t host_root; /* Tables that secondaries start on. */
