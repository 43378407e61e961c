/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pages of a VM hardware says that it has set the dirty bit of: between arch_stage2_log() and
 * guestmap_dirty.c. A page may be in it whose bit is clear by now.
 */
#pragma once

#include "kernel/bits.h"
#include "kernel/types.h"

#define DIRTY_LOG_WORD 64u

struct dirty_log {
    uint64_t pages;         /* How many it has bits for, from guest-physical 0 on. */
    _Atomic uint64_t *bits; /* NULL: nothing is logged. */
    _Atomic bool lost;      /* There was a page beyond these. */
};

static inline void dirty_log_add(struct dirty_log *log, gpa_t addr)
{
    uint64_t page = addr.v / PAGE_SIZE;

    if (page < log->pages)
        atomic_fetch_or(&log->bits[page / DIRTY_LOG_WORD], BIT(page % DIRTY_LOG_WORD));
    else
        atomic_store(&log->lost, true);
}

/* Takes those of a word out that are in the mask. */
static inline uint64_t dirty_log_take(struct dirty_log *log, uint64_t word, uint64_t mask)
{
    if (!(atomic_load(&log->bits[word]) & mask))
        return 0;
    return atomic_fetch_and(&log->bits[word], ~mask) & mask;
}
