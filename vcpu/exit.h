/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exits: the guest gave control back. A backend turns the hardware's cause into one of these and
 * returns; it never calls up. The run loop decides. Fields of an exit are valid only for its kind.
 * Those marked (i) are not a cause of the hardware's: they are what the guest asks for by a call or
 * a register, which machine_ops.call finds out in the managed way, and machine_ops.intent in the
 * manual one. ARCHITECTURE.md has a table of what a guest does to cause each.
 *
 * An exit is a value of its caller's: it may be kept, copied and looked at anywhere. It is good for
 * arch_vcpu_finish() until the vCPU runs again. Widths are in bytes; values are zero-extended from
 * their width unless sign_extend says otherwise; registers have the architecture's numbers.
 */
#pragma once

#include "kernel/types.h"

enum exit_kind {
    EXIT_NOTHING,      /* No reason; run again. */
    EXIT_INTERRUPT,    /* A host interrupt is pending; it is still unacknowledged. */
    EXIT_HYPERCALL,    /* HVC, SMC, ECALL, VMCALL, VMMCALL: call. */
    EXIT_MMIO_READ,    /* mmio: finish with exit.mmio.data set to the value. */
    EXIT_MMIO_WRITE,   /* mmio. */
    EXIT_PIO_IN,       /* pio: finish with exit.pio.data set. */
    EXIT_PIO_OUT,      /* pio. */
    EXIT_SYSREG_READ,  /* sysreg: finish with exit.sysreg.value set. */
    EXIT_SYSREG_WRITE, /* sysreg. */
    EXIT_STAGE2_FAULT, /* fault: an access that cannot be answered as MMIO (fetch, table walk, no
                          syndrome). */
    EXIT_HALT,         /* HLT. */
    EXIT_IDLE,        /* (i) Idle until an interrupt, by its firmware: SBI suspend, PSCI suspend. */
    EXIT_WFI,         /* Wait for interrupt. */
    EXIT_WFE,         /* Wait for event; PAUSE loops. */
    EXIT_CPU_UP,      /* (i) cpu: the guest starts one of its CPUs. */
    EXIT_CPU_DOWN,    /* (i) The guest stops this CPU. */
    EXIT_SEND_IPI,    /* (i) ipi. */
    EXIT_SYSTEM_DOWN, /* (i) The guest powers off. */
    EXIT_SYSTEM_RESET,     /* (i) The guest restarts its machine. */
    EXIT_SHUTDOWN,         /* x86: a fault while a double fault was being taken. */
    EXIT_DEBUG,            /* debug: a breakpoint, after arch_vcpu_trap_breakpoints(). */
    EXIT_INTERRUPT_WINDOW, /* x86: the guest can take what was asked for by arch_virq_set_control().
                            */
    EXIT_PREEMPTION_TIMER, /* The time of vcpu_step_until() is over, or (Arm) the guest's timer is
                              due. To be handled as EXIT_INTERRUPT. */
    EXIT_INTERRUPT_END,    /* (i) end: the guest ended an interrupt. */
    EXIT_FAIL_ENTRY,       /* code: hardware refused to enter the guest. */
    EXIT_CANCELLED,        /* vcpu_cancel(). */
    EXIT_INTERNAL_ERROR,   /* code. */
    EXIT_UNKNOWN,          /* code: a cause that we do not know. */
    EXIT_KINDS,
};

struct vcpu_exit {
    enum exit_kind kind;
    bool advance; /* arch_vcpu_finish() steps over the instruction. */
    uint64_t
        cause[2]; /* The hardware's words: ESR and FAR; scause and stval; exit code and info. */
    union {
        struct {
            uint64_t nr;       /* Arm: x0. RISC-V: a7 (extension). x86: rax. */
            uint64_t args[6];  /* x1-x6; a0-a5. x86: rbx, rcx, rdx, rsi, rdi, rbp, in the manual way
                                  only: none of our calls has more than the registers say. */
            uint64_t function; /* RISC-V: a6. */
            uint16_t imm;      /* Immediate of HVC or SMC. */
            bool firmware;     /* SMC rather than HVC. */
        } call;
        struct {
            gpa_t gpa;
            uint64_t
                data; /* Read: the result, set by the handler. Write: the value, cut to width. */
            uint8_t width;          /* Bytes: 1, 2, 4, 8. */
            uint8_t reg, reg_width; /* Where a read goes, and how much of it is written. */
            bool sign_extend;
        } mmio;
        struct {
            uint16_t port;
            uint8_t width; /* 1, 2, 4. */
            uint64_t data; /* As mmio's. */
        } pio;
        struct {
            uint32_t addr;   /* MSR or CSR number; on Arm ESR's ISS without Rt and direction. */
            uint8_t reg;     /* Where a read goes; x86: edx:eax, whatever this says. */
            uint64_t value;  /* What is written; of a read, to be set. */
            uint32_t select; /* RISC-V: siselect, which sireg goes to. */
            bool both;       /* RISC-V: reads and writes: a read exit, then a write exit; but none
                                when who answers the read has cleared it. */
        } sysreg;
        struct {
            gpa_t gpa; /* Of the access; of the table's entry where table_walk is set. */
            gva_t gva; /* If it is valid: what the guest tried to reach. */
            bool gva_valid;
            bool write, execute; /* Neither: a read. */
            bool table_walk;     /* By the guest's own page-table walk. */
            bool delivery;       /* x86: while it took an event; no instruction's. */
        } fault;
        struct {
            uint64_t target; /* As its firmware names it: MPIDR, hart id, APIC id. */
            uint64_t entry;  /* Guest-physical. */
            uint64_t arg;    /* For x0; for a1; x86: none. */
        } cpu;
        struct {
            uint64_t targets; /* Bits of Aff0 on Arm, hart mask on RISC-V; x86: the destination. */
            uint64_t group;   /* RS.Aff3.Aff2.Aff1; hart mask base; x86: 1: a logical one. */
            uint32_t vector;  /* RISC-V: 0, there is but one. */
            bool to_all;      /* Arm, x86: but oneself. */
            bool to_self;     /* x86: too, or only. */
        } ipi;
        struct {
            uint32_t vector; /* UINT32_MAX: the guest did not say, it is the latest (x86, AIA). */
        } end;
        struct {
            uint64_t pc, syndrome; /* ESR; scause; vector. */
            uint16_t imm;          /* Arm: of BRK. */
        } debug;       /* With advance set, arch_vcpu_finish() steps over the breakpoint. */
        uint64_t code; /* The hardware's: as cause[0], or the reason why an entry was refused. */
    };
};

/* "mmio-read": for messages and traces. Any context. */
const char *exit_kind_text(enum exit_kind kind);
