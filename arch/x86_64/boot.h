/* SPDX-License-Identifier: Apache-2.0 */
/* Between the first instructions, in assembly, and C. */
#pragma once

#include "kernel/types.h"

struct memmap;
struct pcpu;

/* Tables for the time until hostmap_init(), and for the first moments of other pCPUs. early.c */
uint64_t early_map(const struct memmap *map);
const void *early_tables(void); /* Their root, a page. */

void start_secondary(void);
extern const char trampoline[], trampoline_end[];
extern uint64_t host_cr3; /* Tables that all pCPUs run on. */

/* Stubs of the interrupt vectors, TRAP_STUB_SIZE (asm.h) apart. trap.S */
extern const char trap_stubs[];
