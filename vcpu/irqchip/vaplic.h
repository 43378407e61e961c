/* SPDX-License-Identifier: Apache-2.0 */
/*
 * APLIC for a guest: one domain of supervisor level without children, which forwards what comes on
 * wires as MSIs. Direct delivery is not there (domaincfg.DM is 1 always): every machine that has
 * this has IMSICs. A pure model.
 *
 * Locking: one lock per VM (RANK_IRQCHIP); devices change their wires under their own lock, on any
 * pCPU.
 *
 * [RISC-V AIA 1.0, chapter 4]
 */
#pragma once

#include "kernel/lock.h"

struct state;

#define VAPLIC_SOURCES 96u /* The highest; 0 is none. */
#define VAPLIC_WORDS   4u  /* Of 32 sources. */
#define VAPLIC_SIZE    0x8000u

struct vaplic_owner {
    /* An MSI to a hart, by index; it may name none. With the lock held: may wake a vCPU, but take
     * no lock that is outer. */
    void (*msi)(struct vaplic_owner *owner, uint32_t hart, uint32_t identity);
};

struct vaplic {
    struct lock lock;
    struct vaplic_owner *owner;
    /* All that a guest can observe; no pointers. Bit per source in words of 32, as registers have
     * them. */
    struct vaplic_state {
        uint32_t wire[VAPLIC_WORDS];
        uint32_t active[VAPLIC_WORDS]; /* The source mode is not "inactive". */
        uint32_t level[VAPLIC_WORDS];  /* It is Level1 or Level0; */
        uint32_t edge[VAPLIC_WORDS];   /* Edge1 or Edge0; */
        uint32_t invert[VAPLIC_WORDS]; /* the wire counts inverted. */
        uint32_t pending[VAPLIC_WORDS];
        uint32_t enabled[VAPLIC_WORDS];
        uint32_t target[VAPLIC_SOURCES + 1];
        uint8_t mode[VAPLIC_SOURCES + 1];
        uint32_t genmsi;
        bool on; /* domaincfg.IE */
    } state;
};

void vaplic_init(struct vaplic *aplic, struct vaplic_owner *owner);
/* All but the wires, which belong to devices, to power-on state; no vCPU runs. */
void vaplic_reset(struct vaplic *aplic);
/* Registers. Only aligned 32-bit accesses do anything. */
uint64_t vaplic_read(struct vaplic *aplic, uint64_t offset, unsigned width);
void vaplic_write(struct vaplic *aplic, uint64_t offset, unsigned width, uint64_t value);
/* To a snapshot, or from it; no vCPU runs. */
void vaplic_state(struct vaplic *aplic, struct state *s);
/* A wire has a new level. Any pCPU. A source that there is not is ignored. */
void vaplic_set_wire(struct vaplic *aplic, uint32_t source, bool level);
