/* SPDX-License-Identifier: Apache-2.0 */
/* Private to vcpu/config_*.c: ELF files with 64 bits, little-endian, for a fixed address. */
#pragma once

#include "vcpu/image.h"

struct elf_range {
    uint64_t entry;      /* Guest-physical. */
    uint64_t base, size; /* From the first to the last segment. */
};

bool elf_is(const void *data, size_t size);
/* Checks all of it; NULL or what is wrong: "has a segment beyond its end". */
const char *elf_check(const void *data, size_t size, uint16_t machine, struct elf_range *range);
/* The index'th loadable segment that is not empty; data must have passed elf_check(). */
bool elf_segment(const void *data, size_t size, unsigned index, struct image_segment *segment);
