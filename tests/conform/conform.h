/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conformance suite: one list of cases (cases.def), the same on every backend, run on the real
 * hardware by a program in place of boot/guests.c. It prints a line for each: passed, failed with
 * what did not hold, or not possible with the reason. Cases are C; what a guest does to cause an
 * exit is in <arch>/actions.S, a few instructions each, and <arch>/actions.c says what to expect.
 */
#pragma once

#include "kernel/irq.h"
#include "kernel/percpu.h"
#include "vcpu/arch_vcpu.h"
#include "vcpu/machine.h"
#include "vcpu/vm.h"

/* What a guest can do. Not all of them can do all. */
enum action {
    ACT_HYPERCALL,
    ACT_MMIO_READ,
    ACT_MMIO_WRITE,
    ACT_PIO_IN,
    ACT_PIO_OUT,
    ACT_SYSREG_READ,
    ACT_SYSREG_WRITE,
    ACT_FETCH, /* From where nothing is. */
    ACT_HALT,
    ACT_IDLE,
    ACT_WFI,
    ACT_WFE,
    ACT_CPU_UP,
    ACT_CPU_DOWN,
    ACT_SEND_IPI,
    ACT_SYSTEM_DOWN,
    ACT_SYSTEM_RESET,
    ACT_SHUTDOWN,
    ACT_DEBUG,
    ACT_WINDOW, /* A call with interrupts off, then on. */
    ACT_TIMER,  /* Waits for its own timer, with interrupts off. */
    ACT_END,    /* Ends an interrupt. */
    ACT_FAIL,   /* Cannot be entered. */
    ACT_NOTHING,
    ACT_INTERNAL, /* Meets a mistake of ours, which before() makes. */
    ACT_UNKNOWN,  /* Does what exits since before() has told the hardware so, and nobody asked. */
    ACT_UNKNOWN_BY_GUEST, /* Does what nobody knows, by itself. */
    ACT_INTERRUPTS,       /* Takes INJECT, counts it behind COUNTER, and counts on, for ever. */
    ACT_WAIT,             /* The same, but waits before each count. */
    ACT_SPIN,
    ACT_COUNT, /* Counts in its memory, at COUNTER behind its RAM's base, for ever. */
    ACT_BREAK, /* A crash: touches where nothing is. */
    ACTIONS,
};

struct action_info {
    const char *code; /* In actions.S; NULL: see why. */
    const char *why;  /* Why the architecture cannot. */
    /* Why this processor cannot, by what it says of itself; NULL: it can, and must. */
    const char *(*lacks)(void);
    /* Why an emulator does it without an exit, though asked() finds it asked for. Bound. */
    const char *unseen;
    bool (*asked)(const struct arch_vcpu *vcpu);
    bool resumes;        /* It goes on when it is finished, and calls with CALL_DONE. */
    uint64_t expect;     /* Of the exit: address, number, vector; see exits.c. */
    uint64_t result;     /* What it tells with CALL_DONE, ANSWER having been given. */
    enum arch_mode mode; /* Another than the machine's: it begins at its code. */
    /* What the hypervisor does before it runs, or goes on, and afterwards. Bound. */
    void (*before)(struct arch_vcpu *vcpu), (*after)(struct arch_vcpu *vcpu);
};

extern const struct action_info actions[ACTIONS]; /* <arch>/actions.c */
extern const char actions_start[], actions_end[]; /* <arch>/actions.S */

/* The guest's code for each; an architecture has those that it can do. <arch>/actions.S */
extern const char act_hypercall[], act_mmio_read[], act_mmio_write[], act_pio_in[], act_pio_out[],
    act_sysreg_read[], act_sysreg_write[], act_fetch[], act_halt[], act_wfi[], act_wfe[],
    act_idle[], act_cpu_up[], act_cpu_down[], act_send_ipi[], act_system_down[], act_system_reset[],
    act_shutdown[], act_debug[], act_window[], act_timer[], act_end[], act_nothing[], act_spin[],
    act_count[], act_break[], act_undefined[], act_task_switch[], act_interrupts[], act_wait[];

#define HOLE      0x10001000u /* Where nothing is, on all machines. */
#define VALUE     0x11223344u /* What is written. */
#define ANSWER    0xfffeu     /* What is read. */
#define COUNTER   0x20000u
#define TAKEN     (COUNTER + 8) /* How often it took this: */
#define INJECT    40u
#define CALL_DONE 0x77u
#define CALL_TEST 0x1234u

#define STEP_MS   100u /* A guest that has not exited by then does not. */
#define SPIN_MS   20u  /* One that shall not exit is watched for so long. */
#define WAIT_MS   3000u

/* The case under way. */
struct conform {
    struct config_vm config;
    struct vm *vm;
    struct vcpu *vcpu; /* vCPU 0. */
    const char *failed, *impossible;
    unsigned line;
    uint64_t passed, cases, skipped;
};

extern struct conform c;

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            c.failed = #what;                                                                      \
            c.line = __LINE__;                                                                     \
            return;                                                                                \
        }                                                                                          \
    } while (0)
#define CHECK_ERR(err, what) CHECK((what) == (err))
#define CHECK_OK(what)       CHECK_ERR(OK, what)
#define IMPOSSIBLE(reason)                                                                         \
    do {                                                                                           \
        c.impossible = (reason);                                                                   \
        return;                                                                                    \
    } while (0)

/* A case: cases.def declares all of them. */
#define CASE(name, text) void case_##name(void);
#define CASE_BOOT(name, text, tests)
#include "tests/conform/cases.def"
#undef CASE
#undef CASE_BOOT

/* A configuration of so many vCPUs, all on that pCPU, that does this. */
const struct config_vm *conform_config(enum action action, unsigned vcpus, unsigned cpu);
/* Made of it, in c.vm; taken apart at the end of the case. */
enum err conform_create(enum action action, unsigned vcpus, unsigned cpu);
/*
 * Done at the end of each case, and by those that want another. False: it will not go, which is a
 * failure of the case, and its memory is lost.
 */
bool conform_take_apart(void);
/* Made, and loaded, vCPU 0 bound at its beginning, on this pCPU. */
enum err conform_by_hand(enum action action);
/* Until an exit that is not a host interrupt's; EXIT_PREEMPTION_TIMER: none came in STEP_MS. */
enum err conform_step(struct vcpu_exit *exit);
/* By hand: it does not exit in SPIN_MS, but for what the backend answers. */
bool conform_runs_on(void);
/* It is finished, and the guest goes on until it calls with CALL_DONE; what it tells. False: not
 * so. */
bool conform_resumes(struct vcpu_exit *exit, uint64_t *result);
/* before(): breakpoints are exits. */
void conform_trap_breakpoints(struct arch_vcpu *vcpu);
/* Waits, as the scheduler would on this pCPU. False: WAIT_MS are over. */
bool conform_wait_state(enum vm_state state);
void conform_pass_time(unsigned ms);
/* Waits until the guest's counter is above that. */
bool conform_wait_count(uint64_t count);
/* The guest's counters: COUNTER, TAKEN. */
uint64_t conform_counter(void);
uint64_t conform_taken(void);
/* By hand: runs, answered as in the managed way, until this holds; false: WAIT_MS are over. */
bool conform_serve(bool (*until)(void));
/*
 * Puts this entry in place of the one that leads to HOLE at a level of the VM's stage-2 tables; a
 * region is added there first, so that there are tables down to it. The other puts that one back.
 */
void conform_break_tables(unsigned level, uint64_t entry);
void conform_mend_tables(void);
/* Whether the last line of the log has both words. */
bool conform_said(const char *one, const char *other);
