/* SPDX-License-Identifier: Apache-2.0 */
/* System registers of EL2 and their bits, as the manual names them [Arm ARM DDI 0487, D19]. */
#pragma once

#include "kernel/bits.h"

#define sysreg_read(name)                                                                          \
    ({                                                                                             \
        uint64_t value_;                                                                           \
        __asm__ volatile("mrs %0, " name : "=r"(value_));                                          \
        value_;                                                                                    \
    })
#define sysreg_write(name, value) __asm__ volatile("msr " name ", %x0" : : "rZ"((uint64_t)(value)))
#define isb()                     __asm__ volatile("isb" : : : "memory")
#define dsb_ish()                 __asm__ volatile("dsb ish" : : : "memory")
#define dsb_sy()                  __asm__ volatile("dsb sy" : : : "memory")

/* GICv3 CPU interface by encoding: assemblers want the architecture extension for the names. */
#define ICC_IAR1_EL1              "s3_0_c12_c12_0"
#define ICC_EOIR1_EL1             "s3_0_c12_c12_1"
#define ICC_DIR_EL1               "s3_0_c12_c11_1"
#define ICC_SGI1R_EL1             "s3_0_c12_c11_5"
#define ICC_PMR_EL1               "s3_0_c4_c6_0"
#define ICC_BPR1_EL1              "s3_0_c12_c12_3"
#define ICC_CTLR_EL1              "s3_0_c12_c12_4"
#define ICC_SRE_EL2               "s3_4_c12_c9_5"
#define ICC_IGRPEN1_EL1           "s3_0_c12_c12_7"
#define ICC_SRE_EL1               "s3_0_c12_c12_5"
#define ICC_AP1R0_EL1             "s3_0_c12_c9_0"
#define ICH_HCR_EL2               "s3_4_c12_c11_0"
#define ICH_VTR_EL2               "s3_4_c12_c11_1"
#define ICH_MISR_EL2              "s3_4_c12_c11_2"
#define ICH_EISR_EL2              "s3_4_c12_c11_3"
#define ICH_ELRSR_EL2             "s3_4_c12_c11_5"
#define ICH_VMCR_EL2              "s3_4_c12_c11_7"

#define ICC_SRE_ALL               BITS(2, 0) /* SRE, DFB, DIB. */
#define ICC_SRE_ENABLE            BIT(3)     /* EL1 may access ICC_SRE_EL1. */
#define VDISR_EL2                 "s3_4_c12_c1_1"
#define ICC_CTLR_EOIMODE          BIT(1) /* EOIR drops the priority only, DIR deactivates. */
#define ICH_HCR_EN                BIT(0)
#define ICH_VTR_LISTREGS          BITS(4, 0)
#define ICH_VTR_PREBITS           BITS(28, 26)

#define HCR_VM                    BIT(0) /* Stage 2 on. */
#define HCR_SWIO                  BIT(1) /* Set/way invalidation also cleans. */
#define HCR_PTW                   BIT(2) /* A guest's table walk of device memory faults. */
#define HCR_FMO                   BIT(3) /* FIQ, IRQ, SError go to EL2; EL1 has virtual ones. */
#define HCR_IMO                   BIT(4)
#define HCR_AMO                   BIT(5)
#define HCR_VSE                   BIT(8) /* Virtual SError pending. */
#define HCR_FB                    BIT(9) /* Broadcast TLB maintenance: vCPUs may move. */
#define HCR_BSU_IS                BIT(10)
#define HCR_TWI                   BIT(13) /* WFI, WFE trap. */
#define HCR_TWE                   BIT(14)
#define HCR_TID3                  BIT(18) /* ID registers trap. */
#define HCR_TSC                   BIT(19) /* SMC traps. */
#define HCR_TIDCP                 BIT(20) /* Implementation-defined registers trap. */
#define HCR_TACR                  BIT(21) /* ACTLR_EL1 traps. */
#define HCR_RW                    BIT(31) /* EL1 is AArch64. */
#define HCR_E2H                   BIT(34)
#define HCR_HOST                  (HCR_RW | HCR_AMO | HCR_IMO | HCR_FMO) /* While no guest runs. */
#define HCR_TLOR                  BIT(35) /* LORegion registers trap. */
#define HCR_TERR                  BIT(36) /* RAS error records trap. */

#define CPTR_RES1                 (BITS(13, 12) | BIT(9) | BITS(7, 0)) /* E2H = 0. */
#define CPTR_TZ                   BIT(8)                               /* SVE traps. */
#define CPTR_TFP                  BIT(10)
#define CPTR_TTA                  BIT(20) /* Trace registers trap. */
#define CPTR_TAM                  BIT(30) /* Activity monitors trap. */

#define MDCR_HPMN                 BITS(4, 0)
#define MDCR_TPMCR                BIT(5)
#define MDCR_TPM                  BIT(6)
#define MDCR_TDE                  BIT(8)
#define MDCR_TDA                  BIT(9)
#define MDCR_TDOSA                BIT(10)
#define MDCR_TDRA                 BIT(11)
#define MDCR_TPMS                 BIT(14)
#define MDCR_TTRF                 BIT(19)

/* MDSCR_EL1: what a guest may set: single step, its trap of the comms channel, kernel debug. */
#define MDSCR_GUEST               (BIT(0) | BITS(13, 12))

#define CNTHCTL_EL1PCTEN          BIT(0) /* EL1 may read the physical counter. */

#define CNT_CTL_ENABLE            BIT(0)
#define CNT_CTL_IMASK             BIT(1)
#define CNT_CTL_ISTATUS           BIT(2)

#define SCTLR_EL2_RES1            0x30c50830u
#define SCTLR_M                   BIT(0)
#define SCTLR_A                   BIT(1)
#define SCTLR_C                   BIT(2)
#define SCTLR_SA                  BIT(3)
#define SCTLR_I                   BIT(12)
#define SCTLR_WXN                 BIT(19)
#define SCTLR_SPAN                BIT(23)
#define SCTLR_DSSBS               BIT(44)
#define SCTLR_EL1_RESET           0x30d00980u /* RES1 bits; MMU, caches off; little endian. */

#define PSTATE_EL2H               0x9u
#define PSTATE_EL1H               0x5u
#define PSTATE_EL1T               0x4u
#define PSTATE_DAIF               BITS(9, 6)
#define PSTATE_MODE               BITS(4, 0)
#define PSTATE_A32                BIT(4) /* AArch32. */
#define PSTATE_BTYPE              BITS(11, 10)
#define PSTATE_SSBS               BIT(12)
#define PSTATE_ALLINT             BIT(13)
#define PSTATE_IL                 BIT(20)
#define PSTATE_SS                 BIT(21)
#define PSTATE_PAN                BIT(22)
#define PSTATE_UAO                BIT(23)
#define PSTATE_DIT                BIT(24)
#define PSTATE_TCO                BIT(25)
#define PSTATE_NZCV               BITS(31, 28)

#define ESR_EC                    BITS(31, 26)
#define ESR_IL                    BIT(25)
#define ESR_ISS                   BITS(24, 0)

enum esr_ec {
    EC_UNKNOWN = 0x00,
    EC_WFX = 0x01,
    EC_CP15_32 = 0x03,
    EC_FP = 0x07,
    EC_LS64 = 0x0a,
    EC_MRRC = 0x0c,
    EC_ILLEGAL_STATE = 0x0e,
    EC_HVC64 = 0x16,
    EC_SMC64 = 0x17,
    EC_SYSREG = 0x18,
    EC_SVE = 0x19,
    EC_SME = 0x1d,
    EC_FETCH_ABORT_LOWER = 0x20,
    EC_FETCH_ABORT = 0x21,
    EC_PC_ALIGN = 0x22,
    EC_DATA_ABORT_LOWER = 0x24,
    EC_DATA_ABORT = 0x25,
    EC_SP_ALIGN = 0x26,
    EC_SERROR = 0x2f,
    EC_BREAKPOINT_LOWER = 0x30,
    EC_STEP_LOWER = 0x32,
    EC_WATCHPOINT_LOWER = 0x34,
    EC_BRK64 = 0x3c,
};

/* ISS of a data abort. */
#define ISS_ISV         BIT(24)
#define ISS_SAS         BITS(23, 22)
#define ISS_SSE         BIT(21)
#define ISS_SRT         BITS(20, 16)
#define ISS_SF          BIT(15)
#define ISS_CM          BIT(8) /* Cache maintenance. */
#define ISS_S1PTW       BIT(7)
#define ISS_WNR         BIT(6)
#define ISS_FSC         BITS(5, 0)
#define FSC_TRANSLATION 0x04u /* With the level in the low two bits. */
#define FSC_ACCESS      0x08u
#define FSC_PERMISSION  0x0cu
#define FSC_TYPE        0x3cu

#define ISS_WFX_TI      BITS(1, 0) /* 0 WFI, 1 WFE, 2 WFIT, 3 WFET. */

/* ISS of a trapped MRS or MSR: Rt and direction are cut out of the portable number. */
#define ISS_SYS_READ    BIT(0)
#define ISS_SYS_RT      BITS(9, 5)
#define ISS_SYS_REG     (BITS(21, 10) | BITS(4, 1))
#define SYS_ISS(op0, op1, crn, crm, op2)                                                           \
    ((uint32_t)((op0) << 20 | (op2) << 17 | (op1) << 14 | (crn) << 10 | (crm) << 1))

#define PAR_F  BIT(0)
#define PAR_PA BITS(47, 12)
