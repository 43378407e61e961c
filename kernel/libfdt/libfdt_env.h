/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libfdt wants of its surroundings, in place of the header of that name in its sources, which
 * needs a C library. The build includes it first, and the guard's name is theirs: so it is this one
 * that counts. Device trees are big-endian.
 */
#ifndef LIBFDT_ENV_H
#define LIBFDT_ENV_H

#include "kernel/bits.h"
#include "kernel/string.h"

typedef uint16_t fdt16_t;
typedef uint32_t fdt32_t;
typedef uint64_t fdt64_t;

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the conversions below swap bytes");

static inline uint16_t fdt16_to_cpu(fdt16_t x)
{
    return __builtin_bswap16(x);
}

static inline uint32_t fdt32_to_cpu(fdt32_t x)
{
    return byte_swap32(x);
}

static inline uint64_t fdt64_to_cpu(fdt64_t x)
{
    return __builtin_bswap64(x);
}

static inline fdt16_t cpu_to_fdt16(uint16_t x)
{
    return __builtin_bswap16(x);
}

static inline fdt32_t cpu_to_fdt32(uint32_t x)
{
    return byte_swap32(x);
}

static inline fdt64_t cpu_to_fdt64(uint64_t x)
{
    return __builtin_bswap64(x);
}

#endif
