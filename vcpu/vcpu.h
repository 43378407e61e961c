/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual processor: the backend's state, its place in the scheduler, its IRQ queue, and what
 * others ask of it. Only the pCPU that it is assigned to touches arch and runs it; others set bits
 * in `requests` and kick.
 */
#pragma once

#include "kernel/percpu.h"
#include "kernel/sched.h"
#include "vcpu/arch_vcpu.h"
#include "vcpu/bus.h"
#include "vcpu/virq.h"

struct vm;

/* What vcpu_turn() looks at before it enters the guest: one word, so that nothing to do costs
 * nothing. */
enum vcpu_request {
    VCPU_REQ_IRQ = 1 << 0,   /* The IRQ queue or the interrupt controller has something. */
    VCPU_REQ_START = 1 << 1, /* Power on at entry, arg. */
    VCPU_REQ_STOP = 1 << 2,  /* Leave the guest and stay out: the VM stops. */
    VCPU_REQ_INIT = 1 << 3,  /* x86: off, until a SIPI comes. */
    VCPU_REQ_SIPI = 1 << 4,  /* x86: power on at entry, if it is off by then. */
};

enum vcpu_power { VCPU_OFF, VCPU_ON_PENDING, VCPU_ON };

/* The last exits, for fault reports. */
#define VCPU_TRACE 16u

struct vcpu_trace {
    uint64_t pc;
    uint32_t cause; /* The low half: all of a syndrome but on x86, where kind tells enough. */
    uint32_t kind;  /* enum exit_kind */
};

struct vcpu {
    struct arch_vcpu arch;
    struct vm *vm;
    void *machine_cpu; /* The machine's part of it, if it has one. */
    unsigned index;
    _Atomic uint32_t requests; /* enum vcpu_request */
    struct bus_hint bus_hint;
    struct sched_entity sched;
    struct virq_queue virq;
    _Atomic(enum vcpu_power) power;
    bool resume;  /* It wakes at entry, in reset state: a suspend that retains nothing. */
    bool waiting; /* It executed WFI or its like, and is to block. */
    bool parked;  /* Stopped and acknowledged. */
    struct arch_entry entry; /* For VCPU_REQ_START, VCPU_REQ_SIPI, and for resume. */
    struct timer wake;       /* A guest timer's deadline, while blocked. */
    uint64_t exit_count;
    struct vcpu_trace trace[VCPU_TRACE];
};

/* The vCPU whose state is loaded on this pCPU, or NULL. */
static inline struct vcpu *vcpu_current(void)
{
    return this_cpu()->guest;
}

/* Off, on the pCPU given. stage-2 root and VMID come from vm->map. */
enum err vcpu_init(struct vcpu *vcpu, struct vm *vm, unsigned index, unsigned cpu, uint8_t priority,
                   bool trap_wait);

/* Ask something of the vCPU, and make it look soon. Any pCPU, any context, also with locks above
 * RANK_SCHED. */
void vcpu_request(struct vcpu *vcpu, uint32_t requests);
/* Post an interrupt and make the vCPU look. Any pCPU, in every state of the vCPU. */
void vcpu_interrupt(struct vcpu *vcpu, uint32_t irq, bool edge);
/*
 * Power on at entry: E_EXISTS when it is on, E_BUSY when it is about to be, E_STATE unless the VM
 * is running. Takes vm->lock.
 */
enum err vcpu_power_on(struct vcpu *vcpu, struct arch_entry entry);

/*
 * x86: INIT and SIPI from another processor (or from itself), on any pCPU. An INIT makes the vCPU
 * go off and drops a SIPI that it has not seen yet; a SIPI starts a vCPU that is off, or will be by
 * an INIT that it has not seen yet, and is dropped otherwise. The SIPI takes vm->lock.
 */
void vcpu_init_signal(struct vcpu *vcpu);
void vcpu_startup_signal(struct vcpu *vcpu, struct arch_entry entry);

/* Where a guest-virtual address is, by the guest's own tables; E_ABSENT: nowhere. Bound. */
enum err vcpu_translate(const struct vcpu *vcpu, gva_t addr, enum arch_access access,
                        gpa_t *result);
/* The guest's memory, for its page tables. */
struct arch_guest_memory vcpu_memory(const struct vcpu *vcpu);

/* Load on, unload from this pCPU. */
void vcpu_bind(struct vcpu *vcpu);
void vcpu_unbind(struct vcpu *vcpu);

/* Enter the guest once and handle its exit; false: leave the loop. Bound. run.c */
bool vcpu_turn(struct vcpu *vcpu);
