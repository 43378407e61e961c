/* SPDX-License-Identifier: Apache-2.0 */
/* What aarch64 keeps for each processor and vCPU; embedded in the portable structs. */
#pragma once

#include "arch/aarch64/regs.h"
#include "kernel/types.h"

#define ARCH_NAME       "aarch64"
#define ARCH_TAG        0x41363420u /* In register files and snapshots. */
#define ARCH_MACHINE    machine_aarch64
#define ARCH_FDT        true  /* Firmware may describe the machine by a device tree. */
#define ARCH_ACPI_RISCV false /* Its ACPI tables have RISC-V's structures. */

struct arch_vcpu;

struct arch_pcpu {
    void *trap_stack_top; /* For traps of our own, so that a stack overflow is reported too. */
    volatile void *gicr;  /* GICv3: this CPU's redistributor. */
    uint64_t
        sgi_target; /* GICv3: ICC_SGI1R_EL1 affinity fields; GICv2: bit of the CPU interface. */
    struct arch_vcpu *bound; /* The vCPU whose state is loaded. */
    const struct arch_vcpu
        *last_ran[16]; /* By VMID's low bits: whose translations the TLB may hold. */
};

#define ARCH_INSN_MAX  4u /* Bytes of an instruction. */

#define VIRQ_SLOTS_MAX ARCH_LIST_REGISTERS

/* The EL1 registers of sysreg.def, by index. */
enum sysreg_index {
#define X(name, text) SYS_##name,
#include "sysreg.def"
#undef X
    SYS_COUNT,
};

/* The identification of idreg.def, by index. */
enum idreg_index {
#define X(name, value) IDREG_##name,
#include "idreg.def"
#undef X
    IDREG_COUNT,
};

struct arch_fp_state {
    alignas(16) uint8_t v[32][16];
    uint64_t fpcr, fpsr;
};

/* A load or store under way that was decoded by us, for it has two registers or a write-back: see
 * insn.h. */
struct arch_insn_state {
    struct a64_insn_access access;
    uint32_t word; /* The instruction. */
    bool active;
    uint8_t done;  /* Accesses finished. */
    uint64_t gpa;  /* Of the first. */
    uint64_t base; /* The base register's new value. */
    uint64_t cause[2];
};

/* The complete register file of a vCPU; no padding. Timers are in the guest's time. */
struct arch_regs {
    uint32_t arch;        /* ARCH_TAG */
    uint32_t gic_version; /* Of what gic is the state. */
    uint64_t mpidr;       /* Of this vCPU, not to be changed; the same goes for id. */
    struct arch_fp_state fp;
    uint64_t x[31], pc, pstate;
    struct arch_gic_state gic;
    struct arch_insn_regs insn;
    uint64_t id[IDREG_COUNT];
    uint64_t sys[SYS_COUNT];
};

_Static_assert(sizeof(struct arch_regs) ==
                   16 + sizeof(struct arch_fp_state) + 8 * 33 + sizeof(struct arch_gic_state) +
                       sizeof(struct arch_insn_regs) + 8 * (IDREG_COUNT + SYS_COUNT),
               "no padding");

struct arch_vcpu {
    uint64_t x[31];
    uint64_t pc, pstate; /* Offsets 248 and 256 are known to vcpu_entry.S. */

    bool bound;
    bool fresh;                /* Its registers were replaced: see vcpu_claim_tlb(). */
    bool trap_breakpoints;     /* Until it is unbound. */
    uint8_t gic_version_bound; /* Whose list registers hold its interrupts: 2, 3; 0: gic, below. */
    unsigned index;
    uint16_t vmid;
    uint64_t hcr, vttbr, vmpidr;
    uint64_t cntvoff;
    uint64_t sys[SYS_COUNT];
    struct arch_gic_state gic;
    struct arch_insn_state insn;
    struct arch_fp_state fp;
};

/* Saved by the vectors when our own code traps. Layout known to trap.S. */
struct arch_trap_frame {
    uint64_t x[31];
    uint64_t sp, elr, spsr, esr, far;
};
