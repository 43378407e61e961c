/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for page tables under test, which is not fooled: it keeps what each entry was when it was
 * last published, and checks every change of a linked table as a hardware walker with a TLB would
 * suffer from it.
 *
 * - Where the format wants break before make, a valid entry is never replaced by another valid one,
 *   unless only permissions change; and between the break and the make there is a flush.
 * - A table that was linked is freed only after a flush that followed its unlinking.
 * - Nothing is written to a table without being published.
 */
#pragma once

#include "mm/pt.h"

struct pt_fake {
    struct pt pt;         /* First member. */
    unsigned tables;      /* Allocated now, root included. */
    unsigned allocs_left; /* Then table_alloc fails. */
    uint64_t flushes, refreshes, publishes;
    uint64_t unlinked_at;            /* flushes + 1 when an entry last became a hole. */
    uint64_t flush_start, flush_end; /* Hull of all flushes since the test cleared it. */
    /* Called after each published entry: the state is one that hardware can see. */
    void (*on_state)(struct pt_fake *memory);
    void *test;
};

/*
 * NULL at the end: all formats that there are, and made-up ones that show that nothing is tied to
 * them.
 */
extern const struct pt_format *const all_pt_formats[];

void pt_memory_init(struct pt_fake *memory, const struct pt_format *format);
/* Destroys the table and checks that nothing is left. */
void pt_memory_end(struct pt_fake *memory);

/* An independent walk, as hardware does it: false: fault. */
bool pt_memory_walk(const struct pt *pt, uint64_t va, uint64_t *pa, uint64_t *rights);
