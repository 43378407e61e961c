/* SPDX-License-Identifier: Apache-2.0 */
/* The guests of the configuration: created, and started. */
#pragma once

#include "kernel/types.h"

struct memmap;

/* Host interrupts that belong to guests. Boot processor, before the others are started. */
void guests_init(void);
/*
 * size 0: there is no configuration. Mistakes are logged with their node; what is right is started.
 * Boot.
 */
void guests_start(const void *blob, uint64_t size, const struct memmap *map);
