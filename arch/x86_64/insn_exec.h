/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries out a decoded instruction whose operand is a device: as a row of exits, each of which the
 * run loop answers. Pure: registers, tables and devices come from the caller.
 *
 *     insn_exec_begin()        all addresses are translated, all faults found; nothing is changed
 *     insn_exec_next()         the next exit
 *     insn_exec_finish()       its answer; the last one changes registers, flags and rip
 *
 * An access that is misaligned, or crosses a page, becomes several that are aligned. One that reads
 * and writes is two exits: others may come between, LOCK or not; devices see no difference, and
 * memory is only touched by string instructions, which have no LOCK.
 *
 * The guest may have put another instruction in its place since the exit. If it does not touch the
 * page that the exit was for, or wants a port where the exit was for memory, nothing is done, and
 * the guest runs it by itself.
 *
 * Of a string instruction each element is by itself: registers are right after each, rip stays at
 * the instruction until all are done. It ends early where a page ends, or when insn_exec_stop() is
 * called between elements; the guest then runs it again from there. So interrupts get in.
 *
 * Limits and rights of segments are not looked at: hardware did that before it came to the access,
 * but not for the second operand of a string instruction in 16- and 32-bit code. Neither are data
 * breakpoints and alignment checks (#AC).
 */
#pragma once

#include "arch/x86_64/guest_walk.h"
#include "arch/x86_64/insn.h"

/* What an instruction works on. The backend's own state. */
struct insn_regs {
    uint64_t *gpr; /* 16, by number. */
    uint64_t *rip, *rflags;
};

/* What insn_exec_begin() wants to know beside. */
struct insn_cpu {
    enum insn_mode mode;
    uint64_t base[INSN_SEGS]; /* Of segments; in 64-bit code those of FS and GS. */
    struct guest_paging paging;
    const struct arch_guest_memory *memory;
    /* The access that the hardware stopped at, and where; it has walked the tables for it. NONE: it
     * stopped at a port. */
    enum arch_access access;
    gpa_t gpa;
};

#define INSN_VECTOR_SS 12u
#define INSN_VECTOR_GP 13u
#define INSN_VECTOR_PF 14u

struct insn_fault {
    uint8_t vector;
    uint32_t error;
    uint64_t addr; /* Page faults: for CR2. */
};

/* An operand in memory: it may reach into a second page. */
struct insn_place {
    uint64_t gpa[2];    /* Of the first byte, and of the second page. */
    uint8_t first_size; /* Bytes in the first page. */
};

struct insn_exec {
    struct insn insn;
    uint8_t bytes[16]; /* It, where it may be saved; the rest is zero. */
    bool active;       /* An exit is to be made or answered. */
    bool between;      /* Between elements: insn_exec_stop() is allowed. */
    uint8_t mode;      /* enum insn_mode */
    uint8_t step;      /* Of the instruction's plan. */
    uint8_t done;      /* Bytes of this step. */
    uint8_t bit;       /* Of the bit tests. */
    uint16_t port;
    uint64_t value;              /* Of this step: to write, or gathered so far. */
    uint64_t read[2];            /* What steps have read. */
    struct insn_place places[2]; /* The operand, or the source; the string destination. */
};

enum insn_begin {
    INSN_BEGIN_OK,      /* Go on with insn_exec_next() if active; else let the guest go on. */
    INSN_BEGIN_FAULT,   /* *fault is what the guest gets. */
    INSN_BEGIN_REFUSED, /* The guest's page tables cannot be read. */
};

enum insn_begin insn_exec_begin(struct insn_exec *exec, const struct insn *insn,
                                const struct insn_regs *regs, const struct insn_cpu *cpu,
                                struct insn_fault *fault);
/* MMIO or PIO; kind, the union and advance = true are set. exec is active. */
void insn_exec_next(struct insn_exec *exec, struct vcpu_exit *exit);
/*
 * The answer to the last exit. True: the instruction is complete, rip is after it; what else an
 * instruction's end brings (interrupt shadow, single step) is the caller's.
 */
bool insn_exec_finish(struct insn_exec *exec, const struct insn_regs *regs,
                      const struct vcpu_exit *exit);

/* How far it is, and to go on from there. False: there is no such instruction, or it cannot be so
 * far; exec is not active then. */
void insn_exec_save(const struct insn_exec *exec, struct insn_progress *progress);
bool insn_exec_restore(struct insn_exec *exec, const struct insn_progress *progress,
                       unsigned gpa_bits);

static inline void insn_exec_stop(struct insn_exec *exec)
{
    exec->active = false;
}
