/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the compiler takes from its library for RV64IMAC: bit counts, byte order, atomics of less
 * than a word. The cross compilers' libgcc is built for another ABI (lp64d), which cannot be linked
 * with ours. [GCC Internals: The GCC low-level runtime library; RISC-V Unprivileged ISA: A]
 */
#include "kernel/types.h"

int __popcountdi2(uint64_t v);
int __ctzdi2(uint64_t v);
int __clzdi2(uint64_t v);
uint32_t __bswapsi2(uint32_t v);
uint64_t __bswapdi2(uint64_t v);
uint8_t __atomic_exchange_1(volatile void *at, uint8_t value, int order);
uint16_t __atomic_fetch_add_2(volatile void *at, uint16_t value, int order);

/* Counts of ever larger fields side by side; the product adds the bytes up in the highest one. */
int __popcountdi2(uint64_t v)
{
    v -= v >> 1 & 0x5555555555555555;
    v = (v & 0x3333333333333333) + (v >> 2 & 0x3333333333333333);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return (int)(v * 0x0101010101010101 >> 56);
}

/*
 * The number of the only bit that is set. Each six bits of the factor's 64 differ from all others,
 * and the bit shifts another six to the top. [Leiserson, Prokop, Randall: Using de Bruijn Sequences
 * to Index a 1 in a Computer Word, 1998]
 */
static unsigned bit_number(uint64_t bit)
{
    static const uint8_t numbers[64] = {
        0,  1,  2,  7,  3,  13, 8,  19, 4,  25, 14, 28, 9,  34, 20, 40, 5,  17, 26, 38, 15, 46,
        29, 48, 10, 31, 35, 54, 21, 50, 41, 57, 63, 6,  12, 18, 24, 27, 33, 39, 16, 37, 45, 47,
        30, 53, 49, 56, 62, 11, 23, 32, 36, 44, 52, 55, 61, 22, 43, 51, 60, 42, 59, 58,
    };

    return numbers[bit * 0x0218a392cd3d5dbf >> 58];
}

int __ctzdi2(uint64_t v)
{
    return (int)bit_number(v & -v);
}

/* All bits below the highest one set, and then only that one. */
int __clzdi2(uint64_t v)
{
    for (unsigned shift = 1; shift < 64; shift *= 2)
        v |= v >> shift;
    return 63 - (int)bit_number(v ^ v >> 1);
}

uint32_t __bswapsi2(uint32_t v)
{
    v = (v & 0x00ff00ff) << 8 | (v >> 8 & 0x00ff00ff);
    return v << 16 | v >> 16;
}

uint64_t __bswapdi2(uint64_t v)
{
    return (uint64_t)__bswapsi2((uint32_t)v) << 32 | __bswapsi2((uint32_t)(v >> 32));
}

/*
 * LR and SC work on words: the part is replaced in the word that it lies in. add: value is added to
 * the part, else put there. Fully ordered, whatever is asked.
 */
static uint32_t atomic_part(volatile void *at, uint32_t mask, uint32_t value, bool add)
{
    volatile uint32_t *word = (volatile uint32_t *)((uintptr_t)at & ~(uintptr_t)3);
    unsigned shift = ((uintptr_t)at & 3) * 8;
    uint32_t old, new, failed;

    do {
        __asm__ volatile("lr.w.aqrl %0, (%1)" : "=r"(old) : "r"(word) : "memory");
        new = add ? (old >> shift) + value : value;
        new = (old & ~(mask << shift)) | (new &mask) << shift;
        __asm__ volatile("sc.w.rl %0, %2, (%1)" : "=&r"(failed) : "r"(word), "r"(new) : "memory");
    } while (failed);
    return old >> shift & mask;
}

uint8_t __atomic_exchange_1(volatile void *at, uint8_t value, int)
{
    return (uint8_t)atomic_part(at, 0xff, value, false);
}

uint16_t __atomic_fetch_add_2(volatile void *at, uint16_t value, int)
{
    return (uint16_t)atomic_part(at, 0xffff, value, true);
}
