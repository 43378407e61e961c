/* SPDX-License-Identifier: Apache-2.0 */
/* A growing string of bytes; see snapshot_bytes.h. */
#include "vcpu/snapshot_bytes.h"

#include "kernel/arch.h"
#include "kernel/assert.h"
#include "kernel/crc32c.h"
#include "kernel/string.h"
#include "mm/page.h"

static uint64_t table_room(const struct snapshot_bytes *bytes)
{
    return bytes->chunks ? (PAGE_SIZE << bytes->table_order) / sizeof(bytes->chunks[0]) : 0;
}

/* A table of twice the room. */
static bool table_grow(struct snapshot_bytes *bytes)
{
    unsigned order = bytes->chunks ? bytes->table_order + 1 : 0;
    uint8_t **table = order <= PAGE_ORDER_MAX ? page_alloc(order) : NULL;

    if (!table)
        return false;
    if (bytes->chunks) {
        memcpy(table, bytes->chunks, bytes->chunk_count * sizeof(table[0]));
        page_free(bytes->chunks, bytes->table_order);
    }
    bytes->chunks = table;
    bytes->table_order = order;
    return true;
}

/* Room for that size. What was taken stays when there is not enough: it is used later, or freed. */
static bool bytes_reserve(struct snapshot_bytes *bytes, uint64_t size)
{
    while (bytes->chunk_count * SNAPSHOT_CHUNK < size) {
        uint8_t *chunk;

        if (bytes->chunk_count == table_room(bytes) && !table_grow(bytes))
            return false;
        chunk = page_alloc(SNAPSHOT_CHUNK_ORDER);
        if (!chunk)
            return false;
        bytes->chunks[bytes->chunk_count++] = chunk;
    }
    return true;
}

bool snapshot_bytes_add(struct snapshot_bytes *bytes, const void *from, uint64_t size)
{
    const char *at = from;
    uint64_t end = bytes->size + size;

    if (end < size || !bytes_reserve(bytes, end))
        return false;
    while (bytes->size < end) {
        uint64_t offset = bytes->size % SNAPSHOT_CHUNK;
        uint64_t piece = MIN(end - bytes->size, SNAPSHOT_CHUNK - offset);
        uint8_t *to = bytes->chunks[bytes->size / SNAPSHOT_CHUNK] + offset;

        if (at)
            memcpy(to, at, piece);
        else
            memset(to, 0, piece);
        at = at ? at + piece : NULL;
        bytes->size += piece;
    }
    return true;
}

bool snapshot_bytes_align(struct snapshot_bytes *bytes, uint64_t alignment)
{
    return snapshot_bytes_add(bytes, NULL, ALIGN_UP(bytes->size, alignment) - bytes->size);
}

void *snapshot_bytes_at(const struct snapshot_bytes *bytes, uint64_t at, uint64_t *contiguous)
{
    uint64_t offset = at % SNAPSHOT_CHUNK;

    assert(at < bytes->size);
    *contiguous = MIN(SNAPSHOT_CHUNK - offset, bytes->size - at);
    return bytes->chunks[at / SNAPSHOT_CHUNK] + offset;
}

bool snapshot_bytes_get(const struct snapshot_bytes *bytes, uint64_t at, void *to, uint64_t size)
{
    char *out = to;

    if (at > bytes->size || size > bytes->size - at)
        return false;
    while (size > 0) {
        uint64_t contiguous, piece;
        const void *from = snapshot_bytes_at(bytes, at, &contiguous);

        piece = MIN(size, contiguous);
        memcpy(out, from, piece);
        out += piece;
        at += piece;
        size -= piece;
    }
    return true;
}

uint32_t snapshot_bytes_crc(const struct snapshot_bytes *bytes, uint32_t crc, uint64_t at,
                            uint64_t size)
{
    while (size > 0) {
        uint64_t contiguous, piece;
        const void *from = snapshot_bytes_at(bytes, at, &contiguous);

        piece = MIN(size, contiguous);
        crc = crc32c(crc, from, piece);
        at += piece;
        size -= piece;
    }
    return crc;
}

void snapshot_bytes_free(struct snapshot_bytes *bytes)
{
    for (uint64_t i = 0; i < bytes->chunk_count; i++) {
        arch_zero_pages(bytes->chunks[i], SNAPSHOT_CHUNK);
        page_free(bytes->chunks[i], SNAPSHOT_CHUNK_ORDER);
    }
    if (bytes->chunks)
        page_free(bytes->chunks, bytes->table_order);
    *bytes = (struct snapshot_bytes){};
}
