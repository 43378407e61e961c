/* SPDX-License-Identifier: Apache-2.0 */
/* Private to vcpu/config_*.c: ELF files, little-endian, for a fixed address. */
#pragma once

#include "vcpu/image.h"

struct elf_range {
    uint64_t entry;      /* Guest-physical. */
    uint64_t base, size; /* From the first to the last segment. */
    bool narrow;         /* x86: with 32 bits. */
    bool multiboot;      /* x86: of elf_multiboot(). */
    uint64_t pvh_entry;  /* x86: of the note, guest-physical; 0: there is none. */
};

bool elf_is(const void *data, size_t size);
/* Checks all of it; NULL or what is wrong: "has a segment beyond its end". */
const char *elf_check(const void *data, size_t size, uint16_t machine, struct elf_range *range);
/* Looks for a multiboot header, version 1, in a file that was checked; NULL, or what is wrong with
 * what it asks for. */
const char *elf_multiboot(const void *data, size_t size, struct elf_range *range);
/* The index'th loadable segment that is not empty; data must have passed elf_check(). */
bool elf_segment(const void *data, size_t size, unsigned index, struct image_segment *segment);
