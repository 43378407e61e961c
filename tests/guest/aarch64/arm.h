/* SPDX-License-Identifier: Apache-2.0 */
/* What arm64 guests use beyond guest.h: registers, the GIC, PSCI. [IHI 0069, DEN0022, DDI0487] */
#pragma once

#include "guest.h"

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)
#define SYSREG_READ(name)                                                                          \
    ({                                                                                             \
        uint64_t value_;                                                                           \
        __asm__ volatile("mrs %0, " TEXT(name) : "=r"(value_)::"memory");                          \
        value_;                                                                                    \
    })
#define SYSREG_WRITE(name, value)                                                                  \
    __asm__ volatile("msr " TEXT(name) ", %0\n\tisb" ::"r"((uint64_t)(value)) : "memory")

/* The assembler's names, where it has them only with an extension. */
#define ICC_IAR1         s3_0_c12_c12_0
#define ICC_EOIR1        s3_0_c12_c12_1
#define ICC_HPPIR1       s3_0_c12_c12_2
#define ICC_BPR1         s3_0_c12_c12_3
#define ICC_CTLR         s3_0_c12_c12_4
#define ICC_SRE          s3_0_c12_c12_5
#define ICC_IGRPEN1      s3_0_c12_c12_7
#define ICC_DIR          s3_0_c12_c11_1
#define ICC_RPR          s3_0_c12_c11_3
#define ICC_SGI1R        s3_0_c12_c11_5
#define ICC_PMR          s3_0_c4_c6_0

#define ICC_CTLR_EOIMODE 2u
#define IRQ_NONE         1020u /* From here on not an interrupt. */
#define SGI_ALL_BUT_SELF ((uint64_t)1 << 40)

/* Distributor. */
#define GICD_CTLR        0x0000u
#define GICD_TYPER       0x0004u
#define GICD_ISENABLER   0x0100u
#define GICD_ICENABLER   0x0180u
#define GICD_ISPENDR     0x0200u
#define GICD_ICPENDR     0x0280u
#define GICD_ISACTIVER   0x0300u
#define GICD_ICACTIVER   0x0380u
#define GICD_IPRIORITYR  0x0400u
#define GICD_ICFGR       0x0c00u
#define GICD_IROUTER     0x6000u
#define GICD_PIDR2       0xffe8u
#define GICR_WAKER       0x0014u
#define GICR_SGI_FRAME   0x10000u
#define GICR_STRIDE      0x20000u

#define PRIORITY_USUAL   0xa0u

static inline uint64_t gicr_base(unsigned cpu)
{
    return GICR_BASE + cpu * (uint64_t)GICR_STRIDE;
}

/* Register `base` of a line's bank: in the redistributor of this CPU below 32. */
uint64_t gic_bank(unsigned irq, unsigned base);
/* Bit of irq in one of the set registers, and writing it. */
bool gic_bit(unsigned irq, unsigned base);
void gic_bit_write(unsigned irq, unsigned base);
void gic_priority(unsigned irq, unsigned priority);
void gic_edge(unsigned irq, bool edge);
void gic_route(unsigned irq, unsigned cpu);
/* Acknowledges the most urgent interrupt; its end. */
unsigned gic_take(void);
void gic_end(unsigned iar);
void gic_setup_first(void);
void gic_setup(void);

/* SMCCC 1.0: up to three arguments. */
uint64_t hvc(uint64_t function, uint64_t a, uint64_t b, uint64_t c);
uint64_t smc(uint64_t function, uint64_t a, uint64_t b, uint64_t c);

#define PSCI_VERSION         0x84000000ul
#define PSCI_CPU_SUSPEND     0xc4000001ul
#define PSCI_CPU_OFF         0x84000002ul
#define PSCI_CPU_ON          0xc4000003ul
#define PSCI_AFFINITY_INFO   0xc4000004ul
#define PSCI_SYSTEM_OFF      0x84000008ul
#define PSCI_SYSTEM_RESET    0x84000009ul
#define PSCI_FEATURES        0x8400000aul
#define SMCCC_VERSION        0x80000000ul
#define CAISSON_WATCHDOG     0xc6000002ul
#define CAISSON_READY        0xc6000003ul
#define CAISSON_YIELD        0xc6000001ul /* Elsewhere refused, which does no harm. */

#define PSCI_NOT_SUPPORTED   (-1)
#define PSCI_INVALID         (-2)
#define PSCI_ALREADY_ON      (-4)
#define PSCI_ON_PENDING      (-5)
#define PSCI_INVALID_ADDRESS (-9)

extern char secondary_entry[];
/* EL, DAIF, SCTLR_EL1 and MPIDR_EL1 at the first instruction of the CPU started last. */
extern uint64_t secondary_state[4];
/* When set: what a started CPU runs instead of cpu_serve(), with its context. */
extern void (*secondary_hook)(uint64_t context);

#define ESR_EC(esr) ((unsigned)((esr) >> 26) & 0x3f)
#define EC_UNKNOWN  0x00u
#define EC_FP       0x07u
#define EC_DABORT   0x25u
