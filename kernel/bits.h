/* SPDX-License-Identifier: Apache-2.0 */
/* Bits and bit fields, written high bit first as the manuals print them. */
#pragma once

#include "kernel/types.h"

#define BIT(n)                ((uint64_t)1 << (n))
#define BITS(hi, lo)          ((~(uint64_t)0 >> (63 - (hi))) & (~(uint64_t)0 << (lo)))

/* Value of the field that mask covers. */
#define field_get(mask, v)    (((uint64_t)(v) & (mask)) / ((mask) & ~((mask) << 1)))
/* Value x shifted to the place of the field that mask covers; bits beyond the field are cut. */
#define field_put(mask, x)    (((uint64_t)(x) * ((mask) & ~((mask) << 1))) & (mask))
/* v with the field that mask covers replaced by x. */
#define field_set(mask, v, x) (((uint64_t)(v) & ~(mask)) | field_put(mask, x))

/* Written out: the compiler finds an instruction for it, and where there is none makes no call. */
[[gnu::always_inline]] static inline uint32_t byte_swap32(uint32_t v)
{
    return v << 24 | (v & 0xff00) << 8 | (v >> 8 & 0xff00) | v >> 24;
}

static inline unsigned bit_lowest(uint64_t v) /* v is not 0. */
{
    return (unsigned)__builtin_ctzll(v);
}

static inline unsigned bit_highest(uint64_t v) /* v is not 0. */
{
    return 63u - (unsigned)__builtin_clzll(v);
}

static inline unsigned bit_count(uint64_t v)
{
    return (unsigned)__builtin_popcountll(v);
}
