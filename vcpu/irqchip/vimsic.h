/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IMSIC for a guest whose vCPU has no guest interrupt file in hardware: one interrupt file of
 * supervisor level for each vCPU. A pure model.
 *
 * No lock: pending bits are atomic, anybody sets them; all else is touched on the vCPU's own pCPU
 * only, or while no vCPU runs.
 *
 * [RISC-V AIA 1.0, chapter 3]
 */
#pragma once

#include "kernel/types.h"

struct arch_guest_file;

#define VIMSIC_IDS       255u /* The highest identity; 0 is none. */
#define VIMSIC_WORDS     4u
#define VIMSIC_PAGE_SIZE 0x1000u

/* All that a guest can observe; no pointers. */
struct vimsic {
    _Atomic uint64_t pending[VIMSIC_WORDS]; /* eip */
    uint64_t enabled[VIMSIC_WORDS];         /* eie */
    bool delivery;
    uint8_t threshold;
    /* What of eip an instruction that reads and writes has read, for its write. */
    uint64_t read_pending;
};

/* To power-on state; no vCPU runs. */
void vimsic_reset(struct vimsic *imsic);
/*
 * What is in it, as a file of hardware has it, without what an instruction under way has read. Into
 * it: false, and nothing changed, where there is more than it has. No vCPU runs.
 */
void vimsic_get(const struct vimsic *imsic, struct arch_guest_file *contents);
bool vimsic_set(struct vimsic *imsic, const struct arch_guest_file *contents);
/* An MSI. Any pCPU. True: the vCPU is to look, vimsic_line() may have changed. Identities that
 * there are not: ignored. */
bool vimsic_msi(struct vimsic *imsic, uint64_t identity);
/* The external interrupt of the hart. Own pCPU. */
bool vimsic_line(const struct vimsic *imsic);

/*
 * sireg with this siselect. both: the access is half of an instruction that reads, then writes.
 * False: not a register of the file. Own pCPU.
 */
bool vimsic_read(struct vimsic *imsic, uint32_t select, bool both, uint64_t *value);
bool vimsic_write(struct vimsic *imsic, uint32_t select, bool both, uint64_t value);
/* stopei: what a read gives; and a write, which claims it. Own pCPU. */
uint64_t vimsic_top_read(const struct vimsic *imsic);
uint64_t vimsic_top_claim(struct vimsic *imsic);
/* A write to the file's page by anybody; as vimsic_msi(). */
bool vimsic_page_write(struct vimsic *imsic, uint64_t offset, unsigned width, uint64_t value);
