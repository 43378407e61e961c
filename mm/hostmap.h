/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own address space: all RAM at its physical address, W^X. Text is read and execute, constants
 * are read-only, the rest of RAM is read and write; device windows are mapped when asked for;
 * nothing else is there, and the page below each stack is a hole.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"

struct memmap;
struct pt;

/* The image's borders, page aligned and ascending; what lies between the parts is read-only. */
struct hostmap_image {
    uint64_t start, text_start, text_end, rodata_start, rodata_end, data_start, end;
};

/*
 * Fills in empty tables: the image by its parts, all RAM of the map but page 0. arena: a range that
 * is mapped by small leaves, so that single pages of it can be taken away later; size 0: none. For
 * hostmap_start() and tests.
 */
enum err hostmap_build(struct pt *pt, const struct memmap *map, const struct hostmap_image *image,
                       uint64_t arena, uint64_t arena_size);
/* Builds the tables from the memory map and switches the boot processor to them. Boot only. */
enum err hostmap_init(const struct memmap *map);
/* The same for an image other than the one that we are. */
enum err hostmap_start(const struct memmap *map, const struct hostmap_image *image);
/* Switches this pCPU to them. */
void hostmap_use(void);
/*
 * A device's registers; mapping a page twice is allowed. The pointer equals the address. E_EXISTS:
 * something else is mapped there (RAM).
 */
enum err hostmap_device(uint64_t base, uint64_t size, volatile void **regs);
/* Firmware tables: read-only. */
enum err hostmap_readonly(uint64_t base, uint64_t size, const void **start);
/*
 * A stack of size bytes (power of two pages) with a hole below; returns its top, NULL: no memory.
 */
void *hostmap_stack_alloc(size_t size);
