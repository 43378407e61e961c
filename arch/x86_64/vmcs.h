/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual machine control structure: its fields, and what their bits mean. Pure. Its layout in
 * memory is the processor's own; fields are reached by VMREAD and VMWRITE, see vmx.h. [SDM 3,
 * chapter 25 and appendices A to C]
 */
#pragma once

#include "arch/x86_64/segment.h"
#include "kernel/bits.h"

enum vmcs_field {
#define X(name, width, code) VMCS_##name = (code),
#include "arch/x86_64/vmcs.def"
#undef X
};

/* The same as an index, for tables of all of them. */
enum vmcs_index {
#define X(name, width, code) VMCS_INDEX_##name,
#include "arch/x86_64/vmcs.def"
#undef X
    VMCS_FIELDS,
};

/* An encoding says its width in bits 14:13, and never has bit 0 set but for high halves, nor bits
 * 12 and from 15 on. [SDM 3, 25.11.2] */
enum vmcs_width { VMCS_WIDTH_16, VMCS_WIDTH_64, VMCS_WIDTH_32, VMCS_WIDTH_NATURAL };
#define X(name, width, code)                                                                       \
    _Static_assert(((code) >> 13 & 3) == VMCS_WIDTH_##width, "width of " #name);                   \
    _Static_assert(((code) & ~0x6ffe) == 0, "encoding of " #name);
#include "arch/x86_64/vmcs.def"
#undef X

/* Pin-based controls. */
#define VMX_PIN_INTR          BIT(0)
#define VMX_PIN_NMI           BIT(3)
#define VMX_PIN_VIRTUAL_NMI   BIT(5)
#define VMX_PIN_POSTED        BIT(7)

/* Processor-based controls, first and second word. */
#define VMX_CPU_INTR_WINDOW   BIT(2)
#define VMX_CPU_TSC_OFFSET    BIT(3)
#define VMX_CPU_HLT           BIT(7)
#define VMX_CPU_MWAIT         BIT(10)
#define VMX_CPU_RDPMC         BIT(11)
#define VMX_CPU_CR3_LOAD      BIT(15)
#define VMX_CPU_CR3_STORE     BIT(16)
#define VMX_CPU_CR8_LOAD      BIT(19)
#define VMX_CPU_CR8_STORE     BIT(20)
#define VMX_CPU_TPR_SHADOW    BIT(21)
#define VMX_CPU_NMI_WINDOW    BIT(22)
#define VMX_CPU_IO            BIT(24)
#define VMX_CPU_MSR_MAP       BIT(28)
#define VMX_CPU_MONITOR       BIT(29)
#define VMX_CPU_PAUSE         BIT(30)
#define VMX_CPU_SECOND        BIT(31)

#define VMX_CPU2_APIC_WINDOW  BIT(0) /* Accesses to the page at APIC_WINDOW go to APIC_PAGE. */
#define VMX_CPU2_EPT          BIT(1)
#define VMX_CPU2_X2APIC       BIT(4) /* Its MSRs go to APIC_PAGE. */
#define VMX_CPU2_RDTSCP       BIT(3)
#define VMX_CPU2_VPID         BIT(5)
#define VMX_CPU2_WBINVD       BIT(6)
#define VMX_CPU2_UNRESTRICTED BIT(7)
#define VMX_CPU2_APIC_READS   BIT(8) /* Of all its registers. */
#define VMX_CPU2_VECTORS      BIT(9) /* Virtual-interrupt delivery. */
#define VMX_CPU2_PAUSE_LOOP   BIT(10)
#define VMX_CPU2_INVPCID      BIT(12)
#define VMX_CPU2_LOG          BIT(17) /* Of page modifications. */

#define VMX_EXIT_SAVE_DEBUG   BIT(2)
#define VMX_EXIT_HOST_LONG    BIT(9)
#define VMX_EXIT_ACKNOWLEDGE  BIT(15) /* Of the host's interrupts. */
#define VMX_EXIT_SAVE_PAT     BIT(18)
#define VMX_EXIT_LOAD_PAT     BIT(19)
#define VMX_EXIT_SAVE_EFER    BIT(20)
#define VMX_EXIT_LOAD_EFER    BIT(21)

#define VMX_ENTRY_LOAD_DEBUG  BIT(2)
#define VMX_ENTRY_GUEST_LONG  BIT(9)
#define VMX_ENTRY_LOAD_PAT    BIT(14)
#define VMX_ENTRY_LOAD_EFER   BIT(15)

/* GUEST_BLOCKED: interruptibility. */
#define VMX_BLOCKED_STI       BIT(0)
#define VMX_BLOCKED_MOV_SS    BIT(1)
#define VMX_BLOCKED_SMI       BIT(2)
#define VMX_BLOCKED_NMI       BIT(3)
#define VMX_BLOCKED_ENCLAVE   BIT(4)
#define VMX_BLOCKED_SHADOW    (VMX_BLOCKED_STI | VMX_BLOCKED_MOV_SS)

#define VMX_ACTIVE            0u /* GUEST_ACTIVITY */
#define VMX_HALTED            1u
#define VMX_SHUTDOWN          2u
#define VMX_ACTIVITY_LAST     3u

#define VMX_PENDING_STEP      BIT(14) /* GUEST_PENDING_DEBUG: a step was done. */
#define VMX_PENDING_ENABLED   BIT(12) /* A breakpoint that is enabled was met. */
#define VMX_PENDING_RTM       BIT(16)

#define VMX_RIGHTS_LONG       BIT(13) /* GUEST_xx_RIGHTS */
#define VMX_RIGHTS_UNUSABLE   BIT(16)
#define VMX_RIGHTS_RESERVED   (BITS(11, 8) | BITS(31, 17))

/* EPT_POINTER */
#define VMX_EPTP_WRITE_BACK   6u
#define VMX_EPTP_LEVELS_4     (3u << 3)
#define VMX_EPTP_DIRTY        BIT(6) /* Accessed and dirty bits. */

/* Exit reasons; bit 31 of EXIT_REASON: it was an entry that failed. */
#define VMX_REASON            BITS(15, 0)
#define VMX_REASON_ENTRY      BIT(31)
enum vmx_reason {
    VMX_REASON_EXCEPTION = 0,
    VMX_REASON_INTR = 1,
    VMX_REASON_TRIPLE_FAULT = 2,
    VMX_REASON_INIT = 3,
    VMX_REASON_SIPI = 4,
    VMX_REASON_IO_SMI = 5,
    VMX_REASON_SMI = 6,
    VMX_REASON_INTR_WINDOW = 7,
    VMX_REASON_NMI_WINDOW = 8,
    VMX_REASON_TASK_SWITCH = 9,
    VMX_REASON_CPUID = 10,
    VMX_REASON_GETSEC = 11,
    VMX_REASON_HLT = 12,
    VMX_REASON_INVD = 13,
    VMX_REASON_RDPMC = 15,
    VMX_REASON_RSM = 17,
    VMX_REASON_VMCALL = 18,
    VMX_REASON_VMCLEAR = 19,
    VMX_REASON_VMXON = 27,
    VMX_REASON_CR = 28,
    VMX_REASON_DR = 29,
    VMX_REASON_IO = 30,
    VMX_REASON_RDMSR = 31,
    VMX_REASON_WRMSR = 32,
    VMX_REASON_GUEST_STATE = 33,
    VMX_REASON_MSR_LOAD = 34,
    VMX_REASON_MWAIT = 36,
    VMX_REASON_MONITOR = 39,
    VMX_REASON_PAUSE = 40,
    VMX_REASON_MACHINE_CHECK = 41,
    VMX_REASON_APIC_ACCESS = 44,
    VMX_REASON_VECTOR_END = 45,
    VMX_REASON_EPT_VIOLATION = 48,
    VMX_REASON_EPT_MISCONFIGURED = 49,
    VMX_REASON_INVEPT = 50,
    VMX_REASON_INVVPID = 53,
    VMX_REASON_WBINVD = 54,
    VMX_REASON_XSETBV = 55,
    VMX_REASON_APIC_WRITE = 56,
    VMX_REASON_VMFUNC = 59,
    VMX_REASON_LOG_FULL = 62,
    VMX_REASONS = 65,
};

/* QUALIFICATION of an access to a control register, */
#define VMX_CR_NUMBER        BITS(3, 0)
#define VMX_CR_KIND          BITS(5, 4)
#define VMX_CR_GPR           BITS(11, 8)
#define VMX_CR_MOV_TO        0u
#define VMX_CR_MOV_FROM      1u
/* of one to a port, */
#define VMX_IO_WIDTH         BITS(2, 0) /* Less 1. */
#define VMX_IO_IN            BIT(3)
#define VMX_IO_STRING        BIT(4)
#define VMX_IO_PORT          BITS(31, 16)
/* of a violation of EPT, */
#define VMX_EPT_WRITE        BIT(1)
#define VMX_EPT_FETCH        BIT(2)
#define VMX_EPT_LINEAR_VALID BIT(7)
#define VMX_EPT_TRANSLATED   BIT(8)  /* Clear: the access was to a page table of the guest. */
#define VMX_EPT_IRET         BIT(12) /* It was by IRET, which has opened NMIs. */
/* of the end of a vector, and of an access or a write to the local APIC, */
#define VMX_END_VECTOR       BITS(7, 0)
#define VMX_APIC_OFFSET      BITS(11, 0)
#define VMX_APIC_KIND        BITS(15, 12)
#define VMX_APIC_READ        0u /* By linear address: a read, */
#define VMX_APIC_STORE       1u
#define VMX_APIC_FETCH       2u
#define VMX_APIC_DELIVERY    3u /* or for an event. Others are by guest-physical address. */
/* and of a debug exception: bits of DR6 that are set. */
#define VMX_DEBUG_DR6        (BITS(3, 0) | BITS(14, 13))
