/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of boot/, and what an architecture's first instructions call. */
#pragma once

#include "drivers/platform.h"

struct handoff;
struct memmap;
struct pcpu;

/*
 * x86: what a multiboot2 or PVH loader gave, as our EFI program would have; loader: eax as it came.
 * NULL: it is neither. Called before boot_memmap(), from which on it is the same.
 */
const struct handoff *boot_direct(const void *info, uint32_t loader);
/*
 * Called by start.S with the MMU off; arg: struct handoff or a device tree. Touches static memory
 * only.
 */
const struct memmap *boot_memmap(const void *arg);
/*
 * Takes what lies at end and above, where our tables do not reach, out of that map; logged. With a
 * log, before the map is used.
 */
void boot_memory_limit(uint64_t end);
/* What that found beside memory. */
extern struct boot_tree {
    struct fdt fdt; /* Opened; blob NULL: the machine gave none that is sound. */
    struct platform_chosen chosen;
} boot_tree;
/*
 * The same, when we are at a level from which we cannot run: says so on the UART, if one is known.
 */
void boot_wrong_level(const void *arg, unsigned level);
/* The start of the hypervisor, on the early map and the boot stack. */
[[gnu::noreturn]] void boot_main(const void *arg, const struct memmap *memory);
/* The start of every other processor, on its own stack and the final map. */
[[gnu::noreturn]] void secondary_main(struct pcpu *cpu);

/* Wakes the other processors and waits until they are in their scheduler. secondary.c */
void secondary_start_all(void);
