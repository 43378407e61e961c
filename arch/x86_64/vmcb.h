/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual machine control block: layout, and what its fields mean. Pure. [AMD APM 2, chapter 15
 * and appendices B (layout) and C (exit codes)]
 */
#pragma once

#include "arch/x86_64/segment.h"
#include "kernel/bits.h"

/* Intercepts, by word; of control registers reads are in the low half, writes in the high one. */
#define VMCB_CR4_WRITE         BIT(16 + 4)
#define VMCB_CR8_WRITE         BIT(16 + 8)

#define VMCB_INTR              BIT(0) /* Word 3. */
#define VMCB_NMI               BIT(1)
#define VMCB_SMI               BIT(2)
#define VMCB_INIT              BIT(3)
#define VMCB_VINTR             BIT(4)
#define VMCB_RDPMC             BIT(15)
#define VMCB_CPUID             BIT(18)
#define VMCB_RSM               BIT(19)
#define VMCB_IRET              BIT(20)
#define VMCB_INVD              BIT(22)
#define VMCB_PAUSE             BIT(23)
#define VMCB_HLT               BIT(24)
#define VMCB_INVLPGA           BIT(26)
#define VMCB_IOIO              BIT(27)
#define VMCB_MSR               BIT(28)
#define VMCB_FERR_FREEZE       BIT(30)
#define VMCB_SHUTDOWN          BIT(31)

#define VMCB_VMRUN             BIT(0) /* Word 4. */
#define VMCB_VMMCALL           BIT(1)
#define VMCB_VMLOAD            BIT(2)
#define VMCB_VMSAVE            BIT(3)
#define VMCB_STGI              BIT(4)
#define VMCB_CLGI              BIT(5)
#define VMCB_SKINIT            BIT(6)
#define VMCB_WBINVD            BIT(9)
#define VMCB_MONITOR           BIT(10)
#define VMCB_MWAIT             BITS(12, 11) /* Always, and when armed. */
#define VMCB_XSETBV            BIT(13)
#define VMCB_RDPRU             BIT(14)

#define VMCB_INVLPGB           BITS(1, 0) /* Word 5. */
#define VMCB_MCOMMIT           BIT(3)
#define VMCB_TLBSYNC           BIT(4)

/* tlb_control */
#define VMCB_TLB_KEEP          0u
#define VMCB_TLB_FLUSH_ALL     1u

/* int_control */
#define VMCB_V_TPR             BITS(3, 0)
#define VMCB_V_IRQ             BIT(8)
#define VMCB_V_INTR_PRIO       BITS(19, 16)
#define VMCB_V_IGN_TPR         BIT(20)
#define VMCB_V_INTR_MASKING    BIT(24)

#define VMCB_SHADOW            BIT(0) /* int_state */

/* event_inj, exit_int_info */
#define VMCB_EVENT_VECTOR      BITS(7, 0)
#define VMCB_EVENT_TYPE        BITS(10, 8)
#define VMCB_EVENT_ERROR_VALID BIT(11)
#define VMCB_EVENT_VALID       BIT(31)
#define VMCB_EVENT_ERROR       BITS(63, 32)
#define VMCB_EVENT_RESERVED    BITS(30, 12)

#define VMCB_NESTED_PAGING     BIT(0) /* nested_control */

/* clean: what has not changed since this pCPU has run this block. */
#define VMCB_CLEAN_INTERCEPTS  BIT(0) /* Also the TSC's offset, and the pause filter. */
#define VMCB_CLEAN_ASID        BIT(2)
#define VMCB_CLEAN_INT         BIT(3)
#define VMCB_CLEAN_NESTED      BIT(4) /* Also PAT. */
#define VMCB_CLEAN_CONTROL     BIT(5) /* CR0, CR3, CR4, EFER. */
#define VMCB_CLEAN_DEBUG       BIT(6)
#define VMCB_CLEAN_TABLES      BIT(7)
#define VMCB_CLEAN_SEGMENTS    BIT(8)
#define VMCB_CLEAN_CR2         BIT(9)
#define VMCB_CLEAN_ALL         0xfffu

/* Exit codes. */
#define VMEXIT_CR4_WRITE       0x14u
#define VMEXIT_CR8_WRITE       0x18u
#define VMEXIT_EXCEPTION       0x40u
#define VMEXIT_INTR            0x60u
#define VMEXIT_NMI             0x61u
#define VMEXIT_SMI             0x62u
#define VMEXIT_INIT            0x63u
#define VMEXIT_VINTR           0x64u
#define VMEXIT_RDPMC           0x6fu
#define VMEXIT_CPUID           0x72u
#define VMEXIT_RSM             0x73u
#define VMEXIT_IRET            0x74u
#define VMEXIT_INVD            0x76u
#define VMEXIT_PAUSE           0x77u
#define VMEXIT_HLT             0x78u
#define VMEXIT_INVLPGA         0x7au
#define VMEXIT_IOIO            0x7bu
#define VMEXIT_MSR             0x7cu
#define VMEXIT_SHUTDOWN        0x7fu
#define VMEXIT_VMRUN           0x80u
#define VMEXIT_VMMCALL         0x81u
#define VMEXIT_WBINVD          0x89u
#define VMEXIT_XSETBV          0x8du
#define VMEXIT_RDPRU           0x8eu
#define VMEXIT_INVLPGB         0xa0u
#define VMEXIT_TLBSYNC         0xa4u
#define VMEXIT_NPF             0x400u
#define VMEXIT_INVALID         UINT32_MAX /* Of 64 bits; some emulators set just 32. */

/* exit_info[0] of an I/O exit; exit_info[1] is where the next instruction is. */
#define VMEXIT_IO_IN           BIT(0)
#define VMEXIT_IO_STRING       BIT(2)
#define VMEXIT_IO_WIDTH        BITS(6, 4) /* 1, 2 or 4 bytes: one bit of these is set. */
#define VMEXIT_IO_PORT         BITS(31, 16)

/* exit_info[0] of a nested page fault; exit_info[1] is the guest-physical address. */
#define VMEXIT_NPF_WRITE       BIT(1)
#define VMEXIT_NPF_FETCH       BIT(4)
#define VMEXIT_NPF_TABLE       BIT(33) /* The access was to a page table of the guest. */

#define VMEXIT_MOV_CR          BIT(63) /* Decode assists: it was MOV, not LMSW or CLTS. */
#define VMEXIT_MOV_CR_GPR      BITS(3, 0)

struct vmcb_control {
    uint32_t intercept_cr, intercept_dr, intercept_exceptions;
    uint32_t intercept[3]; /* Words 3, 4 and 5. */
    uint8_t reserved_018[36];
    uint16_t pause_threshold, pause_count;
    uint64_t io_map, msr_map;
    uint64_t tsc_offset;
    uint32_t asid;
    uint8_t tlb_control, reserved_05d[3];
    uint64_t int_control; /* V_INTR_VECTOR, in the high half, is not used. */
    uint64_t int_state;
    uint32_t exit_code, exit_code_high; /* The latter tells nothing. */
    uint64_t exit_info[2];
    uint64_t exit_int_info;
    uint64_t nested_control;
    uint8_t reserved_098[16];
    uint64_t event_inj;
    uint64_t nested_cr3;
    uint64_t lbr_control;
    uint32_t clean, reserved_0c4;
    uint64_t next_rip;
    uint8_t insn_count, insn[15];
    uint8_t reserved_0e0[768];
    uint64_t host[4]; /* For our use; the first: physical address of the pCPU's host_block. */
};

struct vmcb_save {
    struct arch_segment segment[ARCH_SEGMENTS];
    uint8_t reserved_0a0[43], cpl, reserved_0cc[4];
    uint64_t efer;
    uint8_t reserved_0d8[112];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
    uint8_t reserved_180[88];
    uint64_t rsp;
    uint8_t reserved_1e0[24];
    uint64_t rax;
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t cr2;
    uint8_t reserved_248[32];
    uint64_t pat, debugctl;
    uint8_t reserved_278[2440];
};

struct vmcb {
    struct vmcb_control control;
    struct vmcb_save save;
};

_Static_assert(offsetof(struct vmcb_control, pause_threshold) == 0x3c, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_control, io_map) == 0x40, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_control, tsc_offset) == 0x50, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_control, tlb_control) == 0x5c, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_control, int_control) == 0x60, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_control, int_state) == 0x68, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_control, exit_code) == 0x70, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_control, exit_int_info) == 0x88, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_control, nested_control) == 0x90, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_control, event_inj) == 0xa8, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_control, nested_cr3) == 0xb0, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_control, clean) == 0xc0, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_control, next_rip) == 0xc8, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_control, insn) == 0xd1, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_control, host) == 0x3e0, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb, save) == 0x400, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_save, cpl) == 0xcb, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_save, efer) == 0xd0, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_save, cr4) == 0x148, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_save, rip) == 0x178, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_save, rsp) == 0x1d8, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_save, rax) == 0x1f8, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_save, cr2) == 0x240, "[AMD APM 2, appendix B]");
_Static_assert(offsetof(struct vmcb_save, pat) == 0x268, "[AMD APM 2, appendix B]");
_Static_assert(sizeof(struct vmcb) == PAGE_SIZE, "[AMD APM 2, appendix B]");
