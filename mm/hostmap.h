/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own address space: all RAM at its physical address, W^X. Text is read and execute, constants
 * are read-only, the rest of RAM is read and write; device windows are mapped when asked for; nothing else is
 * there, and the page below each stack is a hole.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"

struct memmap;

/* Builds the tables from the memory map and switches the boot processor to them. Boot only. */
enum err hostmap_init(const struct memmap *map);
/* Switches this pCPU to them. */
void hostmap_use(void);
/* A device's registers; mapping a page twice is allowed. The pointer equals the address. */
enum err hostmap_device(uint64_t base, uint64_t size, volatile void **regs);
/* Firmware tables: read-only. */
enum err hostmap_readonly(uint64_t base, uint64_t size, const void **start);
/* A stack of size bytes (power of two pages) with a hole below; returns its top, NULL: no memory. */
void *hostmap_stack_alloc(size_t size);
