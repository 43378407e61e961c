/* SPDX-License-Identifier: Apache-2.0 */
/* Segments of a guest, and the tables of descriptors. */
#pragma once

#include "kernel/types.h"

/* As the VMCB holds it, in its order. attributes: bits 15:12 and 7:0 of a descriptor's second
 * word's upper half, next to each other: type, S, DPL, P; AVL, L, D, G. */
struct arch_segment {
    uint16_t selector, attributes;
    uint32_t limit; /* In bytes. */
    uint64_t base;
};

enum arch_segment_index {
    SEGMENT_ES,
    SEGMENT_CS,
    SEGMENT_SS,
    SEGMENT_DS,
    SEGMENT_FS,
    SEGMENT_GS,
    SEGMENT_GDTR,
    SEGMENT_LDTR,
    SEGMENT_IDTR,
    SEGMENT_TR,
    ARCH_SEGMENTS,
};
