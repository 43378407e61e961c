/* SPDX-License-Identifier: Apache-2.0 */
/* What x86_64 keeps for each processor and vCPU; embedded in the portable structs. */
#pragma once

#include "arch/x86_64/vcpu_types.h"
#include "kernel/types.h"

#define ARCH_NAME       "x86_64"
#define ARCH_TAG        0x58363634u /* In register files and snapshots. */
#define ARCH_MACHINE    machine_x86_64
#define ARCH_FDT        false /* Firmware may describe the machine by a device tree. */
#define ARCH_ACPI_RISCV false /* Its ACPI tables have RISC-V's structures. */

#define ARCH_INSN_MAX   15u /* Bytes of an instruction. */

#define VIRQ_SLOTS_MAX  3u /* enum arch_virq_slot */

/* Host interrupts have the numbers of ACPI's global system interrupts; beside them: */
#define ARCH_IRQ_TIMER  1023u /* Of the local APIC; each pCPU has its own. */

struct pcpu;

/* [SDM 3, 8.7 Task Management in 64-bit Mode] Its fields of 64 bits are not aligned. */
struct arch_tss {
    uint32_t reserved0;
    uint32_t rsp[6];
    uint32_t reserved1[2];
    uint32_t ist[14]; /* Low and high halves of IST1 to IST7. */
    uint32_t reserved2[2];
    uint16_t reserved3, io_map;
};

struct arch_pcpu {
    struct pcpu *self;    /* What GS points into. Offset known to assembly. */
    void *trap_stack_top; /* Of the highest of the stacks for traps of our own. */
    uint8_t vector;       /* Recorded by the interrupt's stub, to be taken; 0: none. */
    bool apic_on;         /* Its local APIC is set up. */
    bool timer_off;       /* The timer has fired and was not set since. */
    alignas(16) uint64_t gdt[6];
    struct arch_tss tss;
    struct arch_virt_pcpu virt;
};

/* Saved by the trap handler when our own code traps. Layout known to trap.S. */
struct arch_trap_frame {
    uint64_t gpr[16]; /* By the encoding's number: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8... */
    uint64_t cr2, vector;
    uint64_t error, rip, cs, rflags, rsp, ss; /* As the processor pushes them. */
};
