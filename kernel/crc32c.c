/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight bytes at a time, by eight tables: tables[k][b] is what byte b does to a checksum when k
 * bytes follow it. The tables are made at the first use, so that the image does not carry them.
 */
#include "kernel/crc32c.h"

#define POLYNOMIAL 0x82f63b78u /* Bits reversed. */

static uint32_t tables[8][256];
static _Atomic bool ready; /* Whoever finds it false makes the same tables. */

static void make_tables(void)
{
    for (unsigned b = 0; b < 256; b++) {
        uint32_t crc = b;

        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
        tables[0][b] = crc;
    }
    for (unsigned k = 1; k < 8; k++)
        for (unsigned b = 0; b < 256; b++)
            tables[k][b] = tables[k - 1][b] >> 8 ^ tables[0][tables[k - 1][b] & 0xff];
    atomic_store_explicit(&ready, true, memory_order_release);
}

static uint32_t crc_byte(uint32_t crc, uint8_t byte)
{
    return crc >> 8 ^ tables[0][(crc ^ byte) & 0xff];
}

static uint32_t crc_words(uint32_t crc, const uint64_t *words, size_t count)
{
    for (; count > 0; count--) {
        uint64_t w = *words++ ^ crc;

        crc = tables[7][w & 0xff] ^ tables[6][w >> 8 & 0xff] ^ tables[5][w >> 16 & 0xff] ^
              tables[4][w >> 24 & 0xff] ^ tables[3][w >> 32 & 0xff] ^ tables[2][w >> 40 & 0xff] ^
              tables[1][w >> 48 & 0xff] ^ tables[0][w >> 56];
    }
    return crc;
}

uint32_t crc32c(uint32_t crc, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    if (!atomic_load_explicit(&ready, memory_order_acquire))
        make_tables();
    crc = ~crc;
    for (; size > 0 && (uintptr_t)at % 8 != 0; size--)
        crc = crc_byte(crc, *at++);
    crc = crc_words(crc, (const uint64_t *)(const void *)at, size / 8);
    at += size / 8 * 8;
    for (size %= 8; size > 0; size--)
        crc = crc_byte(crc, *at++);
    return ~crc;
}
