/* SPDX-License-Identifier: Apache-2.0 */
/* What x86_64 keeps for each vCPU, and of virtualization for each processor; see arch_types.h. */
#pragma once

#include "arch/x86_64/insn.h"
#include "arch/x86_64/regs.h"
#include "kernel/types.h"

struct arch_vcpu;

/* The complete register file of a vCPU. */
struct arch_regs {
    struct x86_regs x86;
};

/*
 * A page of code that the guest was seen to run, and the entries of its own tables by which it was
 * found. While they, and what they depend on, are the same, the guest's instructions are at host.
 * Whoever changes CR4, EFER or stage 2 forgets all of them. A page has one place, by the low bits
 * of its number. code.c
 */
#define ARCH_CODE_LEVELS 4u
#define ARCH_CODE_PAGES  8u

struct arch_code {
    alignas(128) uint64_t page; /* Linear; an odd number: none. */
    const uint8_t *host;
    uint64_t cr0, cr3;
    const uint64_t
        *slot[ARCH_CODE_LEVELS]; /* Those that the walk had no need of: entry[] itself. */
    uint64_t entry[ARCH_CODE_LEVELS];
};

/* An instruction in such a page, by its address: one that exited of late. CS had no base. A place
 * by the low bits of the address. */
#define ARCH_CODE_INSNS     32u
#define ARCH_CODE_INSN_SIZE 16u /* An instruction is shorter. */

struct arch_code_insn {
    alignas(64) uint64_t rip;
    const struct arch_code *code; /* Its page; code_none: no instruction. */
    /* So many bytes of the page: from rip on, or at its end those that the instruction is among. */
    const uint8_t *host;
    uint64_t words[ARCH_CODE_INSN_SIZE / 8]; /* What they were when it was decoded, as */
    struct insn_mov mov;                     /* this, */
    uint8_t known, length;                   /* or this (enum insn_known). */
};

struct insn_exec;

/* Embedded in struct arch_pcpu. */
struct arch_virt_pcpu {
    struct arch_vcpu *bound;  /* The vCPU whose state is loaded. */
    uint64_t xcr0;            /* Register, as it is now. */
    void *host_block;         /* SVM: where VMSAVE left what #VMEXIT does not restore; VMX: that of
                                 VMXON. */
    uint64_t asid_generation; /* SVM: from 1; address space numbers of older ones are void. */
    uint32_t asid_next;
    bool asid_flush; /* SVM: numbers begin again: the next entry flushes all of them. */
};

/* VMX: what is to be seen to before the next entry. */
#define VMX_STALE_PDPTES BIT(0) /* CR0, CR3, CR4 or EFER was set. */
#define VMX_STALE_POSTED BIT(1) /* Other pCPUs have posted vectors. */

/* Where the local APIC's vectors are: in software, or in hardware. vmx_apic.c */
enum { VMX_APIC_MODE_OFF, VMX_APIC_MODE_XAPIC, VMX_APIC_MODE_X2APIC };

struct arch_vcpu {
    uint64_t gpr[16];   /* By the encoding's number. Offsets known to assembly. */
    void *block;        /* SVM: its VMCB; VMX: its VMCS. */
    uint64_t rip;       /* As gpr[], after each exit what the hardware had, */
    uint64_t code_base; /* and the base of CS. */
    uint64_t host_rsp;  /* VMX: as its VMCS has it. */

    bool bound;
    bool trap_wait;
    bool nmi_blocked;      /* The guest has taken an NMI and has not returned. */
    bool apic_off;         /* CPUID tells the guest so. */
    bool trap_breakpoints; /* Until it is unbound. */
    bool port_string;      /* The exit that is to be decoded is INS or OUTS. */
    uint8_t insn_length;   /* Of the instruction that an exit is to step over. */
    uint8_t wanted;        /* Bits of slots that arch_virq_set_control() asked for. */
    uint8_t elements;      /* Of a string instruction, carried out without a look around. */
    unsigned index, count; /* In its VM. */
    uint16_t vmid;
    hpa_t stage2_root;
    uint64_t tsc_offset; /* The guest's clock shows so much less than the host's. */
    uint64_t tsc_aux;
    uint64_t debug_addr[ARCH_DEBUG_ADDRS];
    uint64_t xcr0;          /* While unbound. */
    void *fpu;              /* ARCH_FPU_SIZE */
    struct insn_exec *exec; /* An instruction under way. */
    struct arch_code code[ARCH_CODE_PAGES];
    struct arch_code_insn insns[ARCH_CODE_INSNS];
    const _Atomic uint64_t *flush_count; /* Flushes of stage 2: all, */
    uint64_t flushes;                    /* and those that this vCPU has seen. */
    unsigned asid_cpu; /* On which pCPU, and (SVM) in which generation, the TLB has nothing */
    uint64_t asid_generation; /* that is not its own under its number. */

    /* VMX. */
    bool launched;            /* Since it was bound. */
    bool interrupted;         /* The exit came while the guest was taking an event. */
    uint8_t stale;            /* VMX_STALE_*. */
    uint8_t apic_mode;        /* As its VMCS has it: VMX_APIC_MODE_*. */
    bool apic_loaded;         /* What it is, is in apic_page, bound or not. */
    uint16_t vpid;            /* Its address space number. */
    uint32_t cpu_controls;    /* As its VMCS has them, */
    uint32_t cpu_controls2;   /* and these, but for the local APIC's. */
    void *apic_page;          /* NULL: the hardware cannot. */
    bool log_on;              /* Its VMCS has the log of page modifications on, which is */
    uint64_t *log_page;       /* here; NULL: the hardware cannot. */
    uint64_t apic_levels[4];  /* Vectors whose end exits, as its VMCS has them in these modes. */
    uint64_t cr0_ours;        /* VMX_CR0_OURS, as the guest has written them. */
    uint64_t event;           /* To be injected at the next entry, as x86_regs.event. */
    uint64_t tpr;             /* What it reads as CR8, in TPR format. */
    uint64_t live[ARCH_REGS]; /* Registers that a VMCS has no place for, while unbound. */
};
