/* SPDX-License-Identifier: Apache-2.0 */
/* The fake architecture's processor and vCPU: what tests look at is here in the open. */
#pragma once

#include "kernel/types.h"

#define ARCH_NAME       "fake"
#define ARCH_TAG        0x46u /* In register files and snapshots. */
/* The portable model of the aarch64 machine; the fake has the slots of a GICv3. */
#define ARCH_MACHINE    machine_aarch64
#define ARCH_FDT        true
#define ARCH_ACPI_RISCV true /* Its ACPI tables have RISC-V's structures. */

#define VIRQ_SLOTS_MAX  16u
#define ARCH_INSN_MAX   4u /* Bytes of an instruction. */

struct vcpu_exit;

struct arch_pcpu {
    unsigned ipis;           /* Sent to this pCPU. */
    uint64_t timer_deadline; /* What its timer was set to. */
    struct arch_vcpu *bound;
};

struct arch_regs {
    uint32_t arch; /* ARCH_TAG */
    uint32_t zero;
    uint64_t gpr[32], pc;
    uint64_t slots[VIRQ_SLOTS_MAX], control; /* For get and set; a vCPU has its own, below. */
};

/*
 * A scripted vCPU: arch_vcpu_run() first calls on_run, if there is one; when that returns false, it
 * gives the next exit of the script; at the script's end always EXIT_SYSTEM_DOWN, so that loops
 * end.
 */
struct arch_vcpu {
    struct arch_regs regs; /* gpr[0] is the argument after arch_vcpu_start(). */
    uint64_t returns[4];   /* Of hypercalls. */
    unsigned index;
    uint16_t vmid;
    hpa_t stage2_root;
    bool trap_wait;
    bool apic_off;
    bool trap_breakpoints;
    unsigned mode;      /* enum arch_mode of the last start. */
    struct pcpu *bound; /* NULL: unbound. */

    const struct vcpu_exit *script;
    unsigned script_count, script_next;
    bool (*on_run)(struct arch_vcpu *vcpu, struct vcpu_exit *exit);
    bool (*on_decode)(struct arch_vcpu *vcpu, const void *insn, unsigned size,
                      struct vcpu_exit *exit);
    bool (*on_sysreg)(struct arch_vcpu *vcpu, struct vcpu_exit *exit);
    bool midway; /* What arch_vcpu_midway() says. */
    void *test;  /* The test's own. */

    unsigned runs, binds, starts, finishes, faults;
    struct vcpu_exit *finished; /* If the test sets it: the last finished exit is copied there. */
    unsigned fault_last;        /* enum arch_fault */
    uint64_t time_offset;
    uint64_t timer_set; /* By arch_vcpu_timer_set(), in the guest's time. */
    unsigned guest_file;
    uint64_t timer_deadline; /* What arch_vcpu_timer_deadline() returns; starts TICKS_NEVER. */

    uint64_t slots[VIRQ_SLOTS_MAX]; /* As ICH_LR<n>_EL2. */
    uint64_t slots_busy;            /* By the test: bits of slots that are never empty. */
    uint64_t control;               /* As ICH_HCR_EL2. */
    bool apic_loaded;               /* x86: arch_apic_load() with something, kept in: */
    uint64_t apic_irr[4], apic_isr[4], apic_level[4];
    uint32_t apic_tpr;
    _Atomic uint64_t apic_posted[4];
};

struct arch_trap_frame {
    uint64_t pc;
};
