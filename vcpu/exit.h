/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exits: the guest gave control back. A backend turns the hardware's cause into one of these and
 * returns; it never calls up. The run loop decides. Fields of an exit are valid only for its kind.
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
    EXIT_IDLE, /* The guest is idle for as long as the backend knows: SBI suspend, PSCI suspend. */
    EXIT_WFI,  /* Wait for interrupt. */
    EXIT_WFE,  /* Wait for event; PAUSE loops. */
    EXIT_CPU_UP,           /* cpu: the guest starts one of its CPUs. */
    EXIT_CPU_DOWN,         /* The guest stops this CPU. */
    EXIT_SEND_IPI,         /* ipi. */
    EXIT_SYSTEM_DOWN,      /* The guest powers off. */
    EXIT_SYSTEM_RESET,     /* The guest restarts its machine. */
    EXIT_SHUTDOWN,         /* x86: a fault while a double fault was being taken. */
    EXIT_DEBUG,            /* debug: breakpoint, step. */
    EXIT_INTERRUPT_WINDOW, /* x86: the guest can take what was asked for by arch_virq_set_control().
                            */
    EXIT_PREEMPTION_TIMER, /* A guest timer or the slice timer of the hardware fired. */
    EXIT_INTERRUPT_END,    /* The guest ended an interrupt that we asked to hear about. */
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
            uint64_t args[6];  /* x1-x6; a0-a5. x86: in registers yet, no call has any. */
            uint64_t function; /* RISC-V: a6. */
            uint16_t imm;      /* Immediate of HVC or SMC. */
            bool firmware;     /* SMC rather than HVC. */
        } call;
        struct {
            gpa_t gpa;
            uint64_t
                data; /* Read: the result, set by the handler. Write: the value, cut to width. */
            uint8_t width; /* Bytes: 1, 2, 4, 8. */
            uint8_t reg, reg_width;
            bool sign_extend;
        } mmio;
        struct {
            uint16_t port;
            uint8_t width;
            uint64_t data;
        } pio;
        struct {
            uint32_t addr; /* MSR or CSR number; on Arm ESR's ISS without Rt and direction. */
            uint8_t reg;
            uint64_t value;
            uint32_t select; /* RISC-V: siselect, which sireg goes to. */
            bool both;       /* RISC-V: reads and writes: a read exit, then a write exit; but none
                                when who answers the read has cleared it. */
        } sysreg;
        struct {
            gpa_t gpa;
            gva_t gva;
            bool gva_valid;
            bool write, execute;
            bool table_walk; /* By the guest's own page-table walk. */
            bool delivery;   /* x86: while it took an event; no instruction's. */
        } fault;
        struct {
            uint64_t target, entry, arg;
        } cpu;
        struct {
            uint64_t targets; /* Bits of Aff0 on Arm, hart mask on RISC-V. */
            uint64_t group;   /* Upper affinity; hart mask base. */
            uint32_t vector;
            bool to_all, to_self;
        } ipi;
        struct {
            uint64_t pc, syndrome;
            uint16_t imm;
        } debug;
        uint64_t code;
    };
};

/* "mmio-read": for messages and traces. */
const char *exit_kind_text(enum exit_kind kind);
