/* SPDX-License-Identifier: Apache-2.0 */
/* What riscv64 keeps for each processor and vCPU; embedded in the portable structs. */
#pragma once

#include "arch/riscv64/regs.h"
#include "kernel/types.h"

#define ARCH_NAME           "riscv64"
#define ARCH_TAG            0x52563634u /* In register files and snapshots. */
#define ARCH_MACHINE        machine_riscv64
#define ARCH_FDT            true /* Firmware may describe the machine by a device tree. */
#define ARCH_ACPI_RISCV     true /* Its ACPI tables have RISC-V's structures. */

#define ARCH_INSN_MAX       4u /* Bytes of an instruction. */

#define VIRQ_SLOTS_MAX      3u /* enum arch_virq_line */

/* Host interrupts that are no source of the PLIC or APLIC; each pCPU has its own. */
#define ARCH_IRQ_GUEST_FILE 1022u /* A guest interrupt file that is watched has something. */
#define ARCH_IRQ_TIMER      1023u

struct arch_vcpu;

struct arch_pcpu {
    void *trap_stack_top;      /* For traps of our own, so that a stack overflow is reported too. */
    volatile void *plic_claim; /* PLIC: threshold and claim registers of this hart's context, */
    volatile void *plic_enable; /* and its enable bits. */
    volatile void *imsic;       /* AIA: where MSIs to this hart are written. */
    struct arch_vcpu *bound;    /* The vCPU whose state is loaded. */
    const struct arch_vcpu
        *last_ran[16]; /* By VMID's low bits: whose translations the TLB may hold. */
};

/* The registers of csr.def, by index. */
enum csr_index {
#define X(name, text, present) CSR_##name,
#include "csr.def"
#undef X
    CSR_COUNT,
};

/* The complete register file of a vCPU; no padding. The timer is in the guest's time. */
struct arch_regs {
    uint32_t arch; /* ARCH_TAG */
    uint32_t hart; /* Of this vCPU, not to be changed; the same goes for isa: */
    uint64_t isa;  /* what stands for the guest's ISA string. */
    uint64_t x[32], pc;
    uint64_t supervisor; /* 1: VS-mode, 0: VU-mode. */
    uint64_t hvip;
    struct arch_access_regs access;
    struct arch_fp_state fp;
    uint64_t csr[CSR_COUNT]; /* 0: the CPU has it not. */
};

_Static_assert(sizeof(struct arch_regs) == 16 + 8 * 35 + sizeof(struct arch_access_regs) +
                                               sizeof(struct arch_fp_state) + 8 * CSR_COUNT,
               "no padding");

/* A CSR access under way that both reads and writes: two exits. */
struct arch_csr_access {
    bool active;
    uint8_t op;  /* enum csr_op */
    uint8_t reg; /* Gets what was read. */
    uint16_t csr;
    uint64_t operand;
    uint64_t read; /* What the first half gave. */
};

struct arch_vcpu {
    uint64_t x[32]; /* x[0] stays 0. */
    uint64_t pc;
    uint64_t host_sp, host_tp, host_ra, host_s0; /* Ours, while the guest runs. */

    bool bound;
    bool trap_breakpoints;          /* Until it is unbound. */
    const struct arch_pcpu *ran_on; /* Where it was bound last. */
    bool fresh;                     /* Started since it was bound last: see vcpu_claim_tlb(). */
    uint8_t insn_length;            /* Of the instruction that an exit is to step over. */
    uint8_t guest_file;
    unsigned index;
    uint16_t vmid;
    uint64_t hgatp, htimedelta;
    uint64_t sstatus, hstatus, hvip; /* While unbound. */
    struct arch_csr_access access;
    uint64_t csr[CSR_COUNT];
    struct arch_fp_state fp;
};

/* Saved by the trap handler when our own code traps. Layout known to trap.S. */
struct arch_trap_frame {
    uint64_t x[32]; /* x[0] is not used. */
    uint64_t sepc, sstatus, scause, stval, hstatus, htval;
};
