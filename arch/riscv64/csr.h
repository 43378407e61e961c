/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Supervisor and hypervisor CSRs and their bits, as the manual names them [RISC-V Privileged
 * Architecture: supervisor, hypervisor, sstc, smstateen; RISC-V AIA: CSRs].
 */
#pragma once

#include "kernel/bits.h"

#define csr_read(name)                                                                             \
    ({                                                                                             \
        uint64_t value_;                                                                           \
        __asm__ volatile("csrr %0, " name : "=r"(value_));                                         \
        value_;                                                                                    \
    })
#define csr_write(name, value)                                                                     \
    __asm__ volatile("csrw " name ", %0" : : "rK"((uint64_t)(value)) : "memory")
#define csr_set(name, value)                                                                       \
    __asm__ volatile("csrs " name ", %0" : : "rK"((uint64_t)(value)) : "memory")
#define csr_clear(name, value)                                                                     \
    __asm__ volatile("csrc " name ", %0" : : "rK"((uint64_t)(value)) : "memory")
#define csr_swap(name, value)                                                                      \
    ({                                                                                             \
        uint64_t value_;                                                                           \
        __asm__ volatile("csrrw %0, " name ", %1"                                                  \
                         : "=r"(value_)                                                            \
                         : "rK"((uint64_t)(value))                                                 \
                         : "memory");                                                              \
        value_;                                                                                    \
    })

/*
 * Whether the instruction, with %1 as target, can be executed: a trap lands behind it. Changes
 * sepc, scause, stval and the fields of sstatus and hstatus that a trap writes; for the start only.
 */
#define insn_probe_at(text, addr)                                                                  \
    ({                                                                                             \
        uint64_t ok_, value_, handler_;                                                            \
        __asm__ volatile("lla %2, 1f\n"                                                            \
                         "csrrw %2, stvec, %2\n"                                                   \
                         "li %0, 0\n" text "\n"                                                    \
                         "li %0, 1\n"                                                              \
                         ".balign 4\n"                                                             \
                         "1: csrw stvec, %2\n"                                                     \
                         : "=&r"(ok_), "=&r"(value_), "=&r"(handler_)                              \
                         : "r"(addr)                                                               \
                         : "memory");                                                              \
        ok_ != 0;                                                                                  \
    })
#define insn_probe(text) insn_probe_at(text, NULL)
#define csr_probe(name)  insn_probe("csrr %1, " name)

#define SSTATUS_SIE      BIT(1)
#define SSTATUS_SPIE     BIT(5)
#define SSTATUS_SPP      BIT(8)
#define SSTATUS_VS       BITS(10, 9)
#define SSTATUS_FS       BITS(14, 13)
#define SSTATUS_SUM      BIT(18)
#define SSTATUS_UXL      BITS(33, 32)
#define EXT_OFF          0u /* Of FS and VS. */
#define EXT_CLEAN        2u
#define EXT_DIRTY        3u
#define XL_64            2u

#define HSTATUS_GVA      BIT(6)
#define HSTATUS_SPV      BIT(7)
#define HSTATUS_SPVP     BIT(8)
#define HSTATUS_VGEIN    BITS(17, 12)

#define HVICTL_IID       BITS(27, 16) /* Major identity of an interrupt. */
#define HSTATUS_VTW      BIT(21)
#define HSTATUS_VSXL     BITS(33, 32)

/* Interrupts: bits of sie, sip, hie, hip, hvip, hideleg. */
#define INT_SSI          BIT(1)
#define INT_VSSI         BIT(2)
#define INT_STI          BIT(5)
#define INT_VSTI         BIT(6)
#define INT_SEI          BIT(9)
#define INT_VSEI         BIT(10)
#define INT_SGEI         BIT(12)
#define INT_VS           (INT_VSSI | INT_VSTI | INT_VSEI)

#define SATP_MODE        BITS(63, 60) /* hgatp too. */
#define SATP_PPN         BITS(43, 0)
#define HGATP_VMID       BITS(57, 44)
enum satp_mode { MODE_BARE = 0, MODE_SV39 = 8, MODE_SV48 = 9, MODE_SV57 = 10 };

#define HENVCFG_FIOM     BIT(0)
#define HENVCFG_CBIE     BITS(5, 4)
#define HENVCFG_CBCFE    BIT(6)
#define HENVCFG_CBZE     BIT(7)
#define HENVCFG_PBMTE    BIT(62)
#define HENVCFG_STCE     BIT(63)

#define HCOUNTEREN_TM    BIT(1)

#define HSTATEEN0_IMSIC  BIT(58)
#define HSTATEEN0_AIA    BIT(59)
#define HSTATEEN0_CSRIND BIT(60)
#define HSTATEEN0_ENVCFG BIT(62)

#define SCAUSE_INTERRUPT BIT(63)
enum scause {
    CAUSE_FETCH_MISALIGNED = 0,
    CAUSE_FETCH_ACCESS = 1,
    CAUSE_ILLEGAL = 2,
    CAUSE_BREAKPOINT = 3,
    CAUSE_LOAD_MISALIGNED = 4,
    CAUSE_LOAD_ACCESS = 5,
    CAUSE_STORE_MISALIGNED = 6,
    CAUSE_STORE_ACCESS = 7,
    CAUSE_ECALL_U = 8,
    CAUSE_ECALL_S = 9,
    CAUSE_ECALL_VS = 10,
    CAUSE_FETCH_PAGE = 12,
    CAUSE_LOAD_PAGE = 13,
    CAUSE_STORE_PAGE = 15,
    CAUSE_SOFTWARE_CHECK = 18,
    CAUSE_FETCH_GUEST_PAGE = 20,
    CAUSE_LOAD_GUEST_PAGE = 21,
    CAUSE_VIRTUAL = 22,
    CAUSE_STORE_GUEST_PAGE = 23,
};

/* htinst for a fault of the guest's own table walk: 64-bit read, write [Transformed Instruction].
 */
#define HTINST_WALK_READ  0x3000u
#define HTINST_WALK_WRITE 0x3020u

/* CSRs by number, as a guest's instruction names them. */
#define CSRNO_SIREG       0x151u
#define CSRNO_STOPEI      0x15cu

/* What this CPU has beyond RV64 with H; found on the boot processor, the same on all. */
struct cpu_has {
    uint16_t zero_size;                  /* Bytes that CBO.ZERO clears; 0: it is not there. */
    bool sstc, envcfg, stateen, aia, fp; /* fp: with D. */
    bool csrind, jvt, scontext;          /* State of theirs that a guest could leave behind. */
};
extern struct cpu_has cpu_has;

/* A cause of scause or vscause in words. trap.c */
const char *trap_text(uint64_t cause);
