/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A string of bytes that grows at its end, in chunks from the page allocator: a snapshot as it is
 * kept, and as it would be stored. What is aligned to a power of two up to the chunks' size is so
 * in memory, and does not lie over a border of chunks.
 */
#pragma once

#include "kernel/types.h"

#define SNAPSHOT_CHUNK_ORDER 4u
#define SNAPSHOT_CHUNK       (PAGE_SIZE << SNAPSHOT_CHUNK_ORDER)

/* Zeroed: empty. */
struct snapshot_bytes {
    uint64_t size;
    uint8_t **chunks;
    uint64_t chunk_count;
    unsigned table_order; /* Of the pages of `chunks`. */
};

/* from NULL: zeros. False: no memory; the string is as before. */
bool snapshot_bytes_add(struct snapshot_bytes *bytes, const void *from, uint64_t size);
/* Zeros up to the next multiple. */
bool snapshot_bytes_align(struct snapshot_bytes *bytes, uint64_t alignment);
/* Where the byte is, and how many are contiguous from there. at < size. */
void *snapshot_bytes_at(const struct snapshot_bytes *bytes, uint64_t at, uint64_t *contiguous);
/* False: it has no such range. */
bool snapshot_bytes_get(const struct snapshot_bytes *bytes, uint64_t at, void *to, uint64_t size);
/* Of the range, which there is, after what has the checksum crc. */
uint32_t snapshot_bytes_crc(const struct snapshot_bytes *bytes, uint32_t crc, uint64_t at,
                            uint64_t size);
/* Zeroes it and gives it back: it is empty then. */
void snapshot_bytes_free(struct snapshot_bytes *bytes);
