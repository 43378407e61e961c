/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ticket lock with a rank. The hypervisor runs with interrupts masked, so no handler can come
 * between a take and a drop, and there is one kind of lock. Taking a lock of a rank not above those
 * held asserts.
 */
#pragma once

#include "kernel/arch.h"

/* From outer to inner: a lock may be taken while holding only locks above it in this list. */
enum lock_rank {
    RANK_VM = 1,
    RANK_SNAPSHOT, /* The list of snapshots. */
    RANK_DEVICE,   /* A virtual device. */
    RANK_IRQCHIP,  /* A VM's virtual interrupt controller. */
    RANK_CONSOLE,  /* The console multiplexer. */
    RANK_SCHED,    /* A pCPU's run queue. */
    RANK_TIMER,    /* A pCPU's timer queue. */
    RANK_GUESTMAP, /* A VM's stage-2 tables. */
    RANK_HOSTMAP,
    RANK_PAGES,
    RANK_LOG,
    RANK_UART,
};

struct lock {
    _Atomic uint32_t next, owner; /* Ticket to be drawn; ticket being served. */
    uint8_t rank;
    const char *name;
};

#define LOCK_INIT(rank_, name_)                                                                    \
    {                                                                                              \
        .rank = (rank_), .name = (name_)                                                           \
    }

void lock_init(struct lock *lock, enum lock_rank rank, const char *name);
void lock_take(struct lock *lock);
void lock_drop(struct lock *lock);
bool lock_held(const struct lock *lock);
