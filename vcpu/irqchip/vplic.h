/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PLIC for a guest, where QEMU's virt has it: context 2 * hart belongs to machine level, which no
 * guest has, and reads as zero; context 2 * hart + 1 to supervisor level. A pure model: its result
 * is one line per hart, which the machine brings into hvip.
 *
 * Locking: one lock per VM (RANK_IRQCHIP); devices change their lines under their own lock, on any
 * pCPU. The lines of harts are read without it.
 *
 * [RISC-V PLIC Specification 1.0.0]
 */
#pragma once

#include "kernel/lock.h"

struct state;

#define VPLIC_HARTS_MAX 32u
#define VPLIC_SOURCES   95u /* The highest; 0 is none. */
#define VPLIC_WORDS     2u  /* Of 64 sources. */
#define VPLIC_PRIORITY  7u  /* The highest. */
#define VPLIC_SIZE      0x600000u

struct vplic_owner {
    /* The line of the hart has changed. Called without the lock, also for the hart that does the
     * access. */
    void (*kick)(struct vplic_owner *owner, unsigned hart);
};

struct vplic {
    struct lock lock;
    struct vplic_owner *owner;
    unsigned hart_count;
    uint32_t kicks;         /* Harts to kick when the lock is dropped. */
    _Atomic uint32_t lines; /* Bit per hart: it has an interrupt above its threshold. */
    /* All that a guest can observe; no pointers. Bit per source in words of 64. */
    struct vplic_state {
        uint64_t wire[VPLIC_WORDS]; /* Level of the source's wire. */
        uint64_t pending[VPLIC_WORDS];
        uint64_t claimed[VPLIC_WORDS];                   /* The gateway waits for a completion. */
        uint64_t again[VPLIC_WORDS];                     /* An edge came meanwhile. */
        uint64_t above[VPLIC_PRIORITY + 1][VPLIC_WORDS]; /* Of a priority higher than the index. */
        uint64_t enabled[VPLIC_HARTS_MAX][VPLIC_WORDS];
        uint32_t enabled_by[VPLIC_SOURCES + 1]; /* The same, by source: bit per hart. */
        uint8_t priority[VPLIC_SOURCES + 1];
        uint8_t threshold[VPLIC_HARTS_MAX];
    } state;
};

void vplic_init(struct vplic *plic, unsigned harts, struct vplic_owner *owner);
/* All but the wires, which belong to devices, to power-on state; no vCPU runs. */
void vplic_reset(struct vplic *plic);

/* Registers, whichever hart accesses them. Only aligned 32-bit accesses do anything. */
uint64_t vplic_read(struct vplic *plic, uint64_t offset, unsigned width);
void vplic_write(struct vplic *plic, uint64_t offset, unsigned width, uint64_t value);

/* A wire has a new level. Any pCPU. A source that there is not is ignored. */
void vplic_set_wire(struct vplic *plic, uint32_t source, bool level);
/* One edge. Any pCPU. */
void vplic_edge(struct vplic *plic, uint32_t source);

/* To a snapshot, or from it; no vCPU runs. */
void vplic_state(struct vplic *plic, struct state *s);

/* The external interrupt of the hart. Lock-free. */
static inline bool vplic_line(const struct vplic *plic, unsigned hart)
{
    return atomic_load_explicit(&plic->lines, memory_order_acquire) >> hart & 1;
}
