/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of GICv3 as the model needs them: offsets in the distributor's and redistributor's
 * frames, and the fields of list registers and of the hypervisor control register. [IHI
 * 0069, 12.9, 12.11, 12.4; GICv2: IHI 0048B, 4.3]
 */
#pragma once

#include "kernel/bits.h"

/* --- Distributor [12.9] --- */
#define GICD_CTLR             0x0000u
#define GICD_TYPER            0x0004u
#define GICD_IIDR             0x0008u
#define GICD_TYPER2           0x000cu
#define GICD_STATUSR          0x0010u
#define GICD_SETSPI_NSR       0x0040u
#define GICD_CLRSPI_NSR       0x0048u
#define GICD_SETSPI_SR        0x0050u
#define GICD_CLRSPI_SR        0x0058u
#define GICD_IPRIORITYR       0x0400u
#define GICD_ITARGETSR        0x0800u
#define GICD_ICFGR            0x0c00u
#define GICD_IGRPMODR         0x0d00u
#define GICD_NSACR            0x0e00u
#define GICD_SGIR             0x0f00u
#define GICD_IROUTER          0x6000u
#define GICD_IROUTER_END      0x8000u
#define GIC_IDREGS            0xffd0u /* To 0xffff, in every frame. */
#define GIC_PIDR2             0xffe8u

#define GICD_CTLR_ENABLE_GRP0 BIT(0)
#define GICD_CTLR_ENABLE_GRP1 BIT(1)
#define GICD_CTLR_ARE         BIT(4)
#define GICD_CTLR_DS          BIT(6)

#define GICD_TYPER_LINES      BITS(4, 0)   /* SPIs and private ones / 32 - 1. */
#define GICD_TYPER_MBIS       BIT(16)      /* SETSPI and CLRSPI are there. */
#define GICD_TYPER_IDBITS     BITS(23, 19) /* Bits of an INTID - 1. */
#define GICD_TYPER_A3V        BIT(24)      /* Aff3 may be other than 0. */
#define GICD_TYPER_NO1N       BIT(25)      /* No 1-of-N routing: IROUTER.IRM is RES0. */
#define GICD_TYPER_RSS        BIT(26)      /* Aff0 above 15: SGIs have a range selector. */

#define GIC_PIDR2_GICV3       0x30u       /* ArchRev = 3. */
#define GIC_IIDR_ARM          0x0000043bu /* Implementer: a value that drivers know; all else 0. */

/* Registers of one bit a line lie 0x80 apart from 0x80 on: offset / 0x80 [12.9, 12.11]. */
enum vgic_reg {
    VGIC_IGROUPR = 1,
    VGIC_ISENABLER,
    VGIC_ICENABLER,
    VGIC_ISPENDR,
    VGIC_ICPENDR,
    VGIC_ISACTIVER,
    VGIC_ICACTIVER,
};

/* --- GICv2 [IHI 0048B, 4.3]; what is not here is as above. --- */
#define GICD_V2_SIZE       0x1000u
#define GICD_V2_CPENDSGIR  0x0f10u
#define GICD_V2_SPENDSGIR  0x0f20u
#define GICD_V2_IDREGS     0x0fd0u
#define GICD_V2_PIDR2      0x0fe8u

#define GICD_V2_TYPER_CPUS BITS(7, 5) /* - 1. */
#define GIC_PIDR2_GICV2    0x20u      /* ArchRev = 2. */

#define SGIR_V2_INTID      BITS(3, 0)
#define SGIR_V2_TARGETS    BITS(23, 16)
#define SGIR_V2_FILTER     BITS(25, 24)

enum sgir_v2_filter { SGIR_V2_LIST, SGIR_V2_OTHERS, SGIR_V2_SELF };

/* --- Redistributor [12.11] --- */
#define GICR_CTLR                  0x0000u
#define GICR_IIDR                  0x0004u
#define GICR_TYPER                 0x0008u
#define GICR_STATUSR               0x0010u
#define GICR_WAKER                 0x0014u
#define GICR_FRAME                 0x10000u /* SGI_base follows RD_base. */

#define GICR_TYPER_LAST            BIT(4)
#define GICR_TYPER_PROCESSOR       BITS(23, 8)
#define GICR_TYPER_AFFINITY        BITS(63, 32)

#define GICR_WAKER_PROCESSOR_SLEEP BIT(1)
#define GICR_WAKER_CHILDREN_ASLEEP BIT(2)

/* --- ICC_SGI1R_EL1 [12.2] --- */
#define SGIR_TARGETS               BITS(15, 0)
#define SGIR_AFF1                  BITS(23, 16)
#define SGIR_INTID                 BITS(27, 24)
#define SGIR_AFF2                  BITS(39, 32)
#define SGIR_IRM                   BIT(40)
#define SGIR_RS                    BITS(47, 44)
#define SGIR_AFF3                  BITS(55, 48)

/* --- ICH_LR<n>_EL2 [12.4] --- */
#define LR_VINTID                  BITS(31, 0)
#define LR_PINTID                  BITS(44, 32)
#define LR_SENDER                  BITS(34, 32) /* Of an SGI, on a GICv2: CPUID of GICH_LR<n>. */
#define LR_EOI                     BIT(41) /* With HW = 0: maintenance interrupt when it ends. */
#define LR_PRIORITY                BITS(55, 48)
#define LR_GROUP1                  BIT(60)
#define LR_HW                      BIT(61)
#define LR_PENDING                 BIT(62)
#define LR_ACTIVE                  BIT(63)
#define LR_STATE                   BITS(63, 62)

/* --- ICH_HCR_EL2 [12.4] --- */
#define HCR_UIE                    BIT(1) /* Not used: would not go away. */
#define HCR_LRENPIE                BIT(2)
#define HCR_NPIE                   BIT(3)
#define HCR_TDIR                   BIT(14)
#define HCR_EOICOUNT               BITS(31, 27)
