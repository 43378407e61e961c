/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual processor: the backend's state, its place in the scheduler, its IRQ queue, and what
 * others ask of it. Only the pCPU that it is assigned to touches arch and runs it; others set bits
 * in `requests` and kick.
 *
 * Interrupts are masked in all of these, as everywhere. "Bound": its state is loaded on this pCPU.
 * "Own pCPU": the one that the scheduler has it on, sched.cpu; it changes there only.
 * Guest-physical addresses are of the VM's map, times are host ticks unless a name says ns.
 */
#pragma once

#include "kernel/ipi.h"
#include "kernel/percpu.h"
#include "kernel/sched.h"
#include "mm/guestmap.h"
#include "vcpu/arch_vcpu.h"
#include "vcpu/bus.h"
#include "vcpu/virq.h"
#include "vcpu/vsteal.h"

struct vm;

/* What vcpu_turn() looks at before it enters the guest: one word, so that nothing to do costs
 * nothing. */
enum vcpu_request {
    VCPU_REQ_IRQ = 1 << 0,    /* The IRQ queue or the interrupt controller has something. */
    VCPU_REQ_START = 1 << 1,  /* Power on at entry, arg. */
    VCPU_REQ_HOLD = 1 << 2,   /* Stay out of the guest for as long as this is set: the VM is not
                                 running. Set and cleared under vm->lock. */
    VCPU_REQ_INIT = 1 << 3,   /* x86: off, until a SIPI comes. */
    VCPU_REQ_SIPI = 1 << 4,   /* x86: power on at entry, if it is off by then. */
    VCPU_REQ_CANCEL = 1 << 5, /* End the run under way, or the next one. */
};

/*
 * Changed on the vCPU's own pCPU only, but for its making and its end:
 *
 *     INVALID -> CREATED -> FREE <-> READY <-> RUNNING      FREE: unbound. READY: bound.
 *                            ^ \       ^
 *                            |  v     /                      RUNNING: in the run loop, or in a
 *                           BLOCKED -'                       step of the manual way.
 *
 * BLOCKED is FREE, and waits for an interrupt (WFI, HLT). From CREATED, FREE and BLOCKED it becomes
 * INVALID at its end.
 */
enum vcpu_state {
    VCPU_INVALID,
    VCPU_CREATED,
    VCPU_FREE,
    VCPU_READY,
    VCPU_RUNNING,
    VCPU_BLOCKED,
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
    _Atomic(enum vcpu_state) state;
    _Atomic uint32_t requests; /* enum vcpu_request */
    struct bus_hint bus_hint, ports_hint;
    struct sched_entity sched;
    struct virq_queue virq;
    _Atomic(enum vcpu_power) power;
    bool resume;     /* It wakes at entry, in reset state: a suspend that retains nothing. */
    bool suspended;  /* It waits because its firmware call said so. */
    bool waiting;    /* It executed WFI or its like, and is to block. */
    bool held;       /* Out of the guest with its timers stopped, and acknowledged; vm->lock. */
    bool moved;      /* To another pCPU, where its timers have yet to be armed. */
    bool hold_asked; /* vm->running counts it; vm->lock. */
    struct work hold_work;    /* On its pCPU: acknowledges, whoever else may run there. */
    struct arch_entry entry;  /* For VCPU_REQ_START, VCPU_REQ_SIPI, and for resume. */
    struct timer wake;        /* A guest timer's deadline, while blocked. */
    struct vsteal steal;      /* Touched by its own run() only. */
    struct vcpu_exit stepped; /* The manual way: the last exit, as the hardware had it. */
    uint64_t exit_count;
    struct vcpu_trace trace[VCPU_TRACE];
};

/* The vCPU whose state is loaded on this pCPU, or NULL. Any context. */
static inline struct vcpu *vcpu_current(void)
{
    return this_cpu()->guest;
}

/* "running": for messages. Any context, as the next. */
const char *vcpu_state_text(enum vcpu_state state);
/* Whether the state may follow the other. */
bool vcpu_may_become(enum vcpu_state from, enum vcpu_state to);
/* Own pCPU. E_STATE, and nothing changed, where it may not; the log names both states. */
enum err vcpu_set_state(struct vcpu *vcpu, enum vcpu_state to);
/*
 * The same for what is bound to this pCPU alone. Else E_BUSY: it is bound to another; E_STATE: to
 * none, or runs there. Any pCPU.
 */
enum err vcpu_leave_ready(struct vcpu *vcpu, enum vcpu_state to);

/*
 * Off, held, FREE, on the pCPU given, which need not be this one; in its scheduler from here on.
 * index: in vm->vcpus. priority: of the scheduler, 0 the least urgent. trap_wait: WFI, HLT exit.
 * Stage-2 root and VMID come from vm->map. E_NOMEM: what the backend wants; nothing is to be given
 * back. The context of vm_create().
 */
enum err vcpu_init(struct vcpu *vcpu, struct vm *vm, unsigned index, unsigned cpu, uint8_t priority,
                   bool trap_wait);

/* Off the scheduler, and what the backend took is given back. Its VM is not running. Work, or
 * before any pCPU runs guests. */
void vcpu_destroy(struct vcpu *vcpu);

/*
 * For sched_set_affinity(): the scheduler is about to give it to another pCPU. On the pCPU that it
 * leaves, unbound: its timers stop, to be armed where it arrives.
 */
void vcpu_moving(struct sched_entity *entity);

/*
 * Ask something of the vCPU (bits of enum vcpu_request), and make it look soon: woken if it is
 * blocked, kicked if it runs elsewhere. Any pCPU, any context that may take RANK_SCHED. What was
 * written before is visible to who sees the bits.
 */
void vcpu_request(struct vcpu *vcpu, uint32_t requests);
/*
 * Post an interrupt and make the vCPU look. Any pCPU, in every state of the vCPU; context as
 * vcpu_request(). Never lost while the VM lives; a start forgets what came before it. irq, below
 * VIRQ_MAX: Arm, an INTID, of a SPI on whichever vCPU it is routed to; RISC-V, a source of the PLIC
 * or, with an AIA, an identity of this vCPU's interrupt file; x86, a vector of its local APIC, 16
 * to 255. edge: one has come; two before the vCPU looks are one. Else, on Arm, its line has a new
 * level, which the model asks for: devices do that, by vdev->set_irq().
 */
void vcpu_interrupt(struct vcpu *vcpu, uint32_t irq, bool edge);
/*
 * Power on at entry: E_EXISTS when it is on, E_BUSY when it is about to be, E_STATE unless the VM
 * is running. Takes vm->lock.
 */
enum err vcpu_power_on(struct vcpu *vcpu, struct arch_entry entry);
/* The same of one that is off, of a VM that is up, with vm->lock held. Any pCPU. */
void vcpu_start(struct vcpu *vcpu, struct arch_entry entry);

/*
 * x86: INIT and SIPI from another processor (or from itself), on any pCPU. An INIT makes the vCPU
 * go off and drops a SIPI that it has not seen yet; a SIPI starts a vCPU that is off, or will be by
 * an INIT that it has not seen yet, and is dropped otherwise. The SIPI takes vm->lock.
 */
void vcpu_init_signal(struct vcpu *vcpu);
void vcpu_startup_signal(struct vcpu *vcpu, struct arch_entry entry);

/*
 * Where a guest-virtual address is, by the guest's own tables, for such an access; E_ABSENT:
 * nowhere, or not so. Bound; no lock as inner as RANK_GUESTMAP is held.
 */
enum err vcpu_translate(const struct vcpu *vcpu, gva_t addr, enum arch_access access,
                        gpa_t *result);
/* The guest's memory, as a walk of its page tables wants it. Good as long as the VM. */
struct arch_guest_memory vcpu_memory(const struct vcpu *vcpu);

/*
 * The guest wants to be told of the time that is stolen from this vCPU, in VSTEAL_SIZE bytes of a
 * region of that kind (RAM where the guest names the place): zeroed, and written whenever it has
 * waited. False: misaligned, or no such region. Bound.
 */
bool vcpu_steal_start(struct vcpu *vcpu, gpa_t place, enum guest_region_kind kind);
/* It has been started: write what there is now. By its own run(). */
void vcpu_steal_tell(struct vcpu *vcpu);

/*
 * Any pCPU, in every state of the vCPU, any number of times: the run that is under way ends, or the
 * next one does at once; never lost. A managed vCPU then goes on, a manual one's vcpu_step() says
 * EXIT_CANCELLED, once for all cancels that came before.
 */
void vcpu_cancel(struct vcpu *vcpu);

/*
 * With vm->lock held, any pCPU: make it leave the guest and stay out, acknowledged by
 * vm_vcpu_held() on its pCPU; let it go on. And held, the lock being held or not: as it was before
 * its first start.
 */
void vcpu_hold(struct vcpu *vcpu);
void vcpu_let_go(struct vcpu *vcpu);
void vcpu_reset(struct vcpu *vcpu);

/*
 * Enter the guest once and handle its exit; false: leave the loop, for the scheduler, a request, or
 * because the guest waits. Bound, managed, no locks held. run.c
 */
bool vcpu_turn(struct vcpu *vcpu);

/*
 * --- The manual way: a vCPU of a VM that is not managed (vm_load(), and not vm_start()) is run by
 * hand, on its own pCPU, outside of all locks of vcpu/: from boot, work, or a program in place of
 * boot/guests.c. Refused, nothing has changed, and the log (level debug) says why.
 */

/*
 * The guest begins at entry when it runs next, in the state that the architecture's firmware gives;
 * its power is on. E_STATE: it is not FREE, or its VM is managed; E_BUSY: as vcpu_bind().
 */
enum err vcpu_set_entry(struct vcpu *vcpu, struct arch_entry entry);

/*
 * Load on this pCPU. E_STATE: it is not FREE, or its VM is managed; E_BUSY: this is another pCPU
 * than its own, or has another vCPU loaded. Unload: E_STATE, E_BUSY as vcpu_leave_ready().
 */
enum err vcpu_bind(struct vcpu *vcpu);
enum err vcpu_unbind(struct vcpu *vcpu);

/*
 * Run until the guest exits, which the caller handles: irq_handle() for EXIT_INTERRUPT and
 * EXIT_PREEMPTION_TIMER, arch_vcpu_finish() for what is to be finished (reads with their result),
 * arch_vcpu_set_return() for calls; or vcpu_answer() for any of them. What the guest asks for by a
 * call or a register comes as the kind that says so (vcpu/intent.h). EXIT_CANCELLED: see
 * vcpu_cancel(). E_STATE, E_BUSY as vcpu_leave_ready(), and *exit is untouched. run.c
 */
enum err vcpu_step(struct vcpu *vcpu, struct vcpu_exit *exit);
/*
 * The same, until EXIT_PREEMPTION_TIMER when the guest still runs at this time (host ticks; in the
 * past: at once). Other exits may come before, host interrupts among them: call it again. run.c
 */
enum err vcpu_step_until(struct vcpu *vcpu, uint64_t deadline, struct vcpu_exit *exit);
/*
 * What the managed way would do for the exit of the last step, once: devices, interrupt controller
 * and firmware of the VM's machine. *runs: the guest can go on; false: it waits for an interrupt,
 * or went off. E_STATE, E_BUSY as vcpu_leave_ready(). run.c
 */
enum err vcpu_answer(struct vcpu *vcpu, bool *runs);
