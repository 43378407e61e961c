/* SPDX-License-Identifier: Apache-2.0 */
/* What riscv64 guests use beyond guest.h: CSRs, SBI, PLIC and AIA. [Privileged ISA, SBI, AIA] */
#pragma once

#include "guest.h"

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)
#define CSR_READ(name)                                                                             \
    ({                                                                                             \
        uint64_t value_;                                                                           \
        __asm__ volatile("csrr %0, " TEXT(name) : "=r"(value_)::"memory");                         \
        value_;                                                                                    \
    })
#define CSR_OP_(op, name, value)                                                                   \
    ({                                                                                             \
        uint64_t value_ = (value);                                                                 \
        __asm__ volatile(op " %0, " TEXT(name) ", %0" : "+r"(value_)::"memory");                   \
        value_;                                                                                    \
    })
/* What was there before is the value. */
#define CSR_SWAP(name, value) CSR_OP_("csrrw", name, value)
#define CSR_SET(name, value)  CSR_OP_("csrrs", name, value)
#define CSR_CLR(name, value)  CSR_OP_("csrrc", name, value)
#define CSR_WRITE(name, value)                                                                     \
    __asm__ volatile("csrw " TEXT(name) ", %0" ::"r"((uint64_t)(value)) : "memory")

/* By number: the assembler need not know the extension. */
#define CSR_STIMECMP 0x14d
#define CSR_SISELECT 0x150
#define CSR_SIREG    0x151
#define CSR_STOPEI   0x15c
#define CSR_STOPI    0xdb0

#define SSTATUS_SIE  (1ul << 1)
#define SSTATUS_SPIE (1ul << 5)
#define SSTATUS_SPP  (1ul << 8)
#define SSTATUS_FS   (3ul << 13)
#define SSTATUS_SUM  (1ul << 18)
#define SSTATUS_MXR  (1ul << 19)
#define SIE_SSIE     (1ul << IPI_IRQ)
#define SIE_STIE     (1ul << TIMER_IRQ)
#define SIE_SEIE     (1ul << 9)

enum cause {
    CAUSE_FETCH_ACCESS = 1,
    CAUSE_ILLEGAL = 2,
    CAUSE_BREAKPOINT = 3,
    CAUSE_LOAD_MISALIGNED = 4,
    CAUSE_LOAD_ACCESS = 5,
    CAUSE_STORE_MISALIGNED = 6,
    CAUSE_STORE_ACCESS = 7,
    CAUSE_ECALL_U = 8,
    CAUSE_FETCH_PAGE = 12,
    CAUSE_LOAD_PAGE = 13,
    CAUSE_STORE_PAGE = 15,
};

/* --- cpu.c: harts, by CPU. CPU 0 is the hart that was started first. --- */

uint64_t hart_of(unsigned cpu);
extern char secondary_entry[];
/* sstatus, satp, sie and a0 at the first instruction of the hart started last. */
extern uint64_t secondary_state[4];
/* When set: what a started hart runs instead of cpu_serve(), with its argument. */
extern void (*secondary_hook)(uint64_t argument);
/* The ISA string of the device tree has this extension of several letters. */
bool isa_has(const char *extension);
/* The timer is stimecmp, not a call. */
extern bool timer_by_csr;

/* --- SBI. --- */

struct sbi_result {
    int64_t error;
    uint64_t value;
};
struct sbi_result sbi_call(uint32_t extension, uint32_t function, uint64_t a, uint64_t b,
                           uint64_t c, uint64_t d, uint64_t e);
#define SBI3(extension, function, a, b, c) sbi_call(extension, function, a, b, c, 0, 0)
#define SBI(extension, function)           SBI3(extension, function, 0, 0, 0)
/* A legacy call returns in a0 only. */
uint64_t sbi_legacy(uint32_t extension, uint64_t a);

#define SBI_BASE                  0x10u
#define SBI_TIME                  0x54494d45u
#define SBI_IPI                   0x735049u
#define SBI_RFENCE                0x52464e43u
#define SBI_HSM                   0x48534du
#define SBI_SRST                  0x53525354u
#define SBI_DBCN                  0x4442434eu
#define SBI_CAISSON               0x0a434149u /* Elsewhere refused, which does no harm. */
#define SBI_CAISSON_WATCHDOG      2u
#define SBI_CAISSON_READY         3u
#define SBI_CAISSON_YIELD         1u

#define SBI_SUCCESS               0
#define SBI_ERR_NOT_SUPPORTED     (-2)
#define SBI_ERR_INVALID_PARAM     (-3)
#define SBI_ERR_INVALID_ADDRESS   (-5)
#define SBI_ERR_ALREADY_AVAILABLE (-6)

/* --- irqchip.c --- */

/* The guest has an AIA, not a PLIC. */
extern bool has_aia;
void irqchip_setup_first(void);
void irqchip_setup(void);
/* The most urgent source or identity, claimed; 0: none. And its end. */
unsigned external_claim(void);
void external_end(unsigned source);

#define PLIC_PRIORITY(source) (PLIC_BASE + 4ul * (source))
#define PLIC_PENDING          (PLIC_BASE + 0x1000)
#define PLIC_ENABLE(hart)     (PLIC_BASE + 0x2000 + 0x80ul * (2 * (hart) + 1))
#define PLIC_THRESHOLD(hart)  (PLIC_BASE + 0x200000 + 0x1000ul * (2 * (hart) + 1))
#define PLIC_CLAIM(hart)      (PLIC_THRESHOLD(hart) + 4)

#define APLIC_DOMAINCFG       (APLIC_BASE + 0x0000)
#define APLIC_SOURCECFG(s)    (APLIC_BASE + 4ul * (s))
#define APLIC_SETIP(word)     (APLIC_BASE + 0x1c00 + 4ul * (word))
#define APLIC_SETIPNUM        (APLIC_BASE + 0x1cdc)
#define APLIC_IN_CLRIP(word)  (APLIC_BASE + 0x1d00 + 4ul * (word))
#define APLIC_CLRIPNUM        (APLIC_BASE + 0x1ddc)
#define APLIC_SETIE(word)     (APLIC_BASE + 0x1e00 + 4ul * (word))
#define APLIC_SETIENUM        (APLIC_BASE + 0x1edc)
#define APLIC_CLRIE(word)     (APLIC_BASE + 0x1f00 + 4ul * (word))
#define APLIC_CLRIENUM        (APLIC_BASE + 0x1fdc)
#define APLIC_SETIPNUM_LE     (APLIC_BASE + 0x2000)
#define APLIC_GENMSI          (APLIC_BASE + 0x3000)
#define APLIC_TARGET(s)       (APLIC_BASE + 0x3000 + 4ul * (s))
enum aplic_mode {
    APLIC_INACTIVE,
    APLIC_DETACHED,
    APLIC_EDGE1 = 4,
    APLIC_EDGE0,
    APLIC_LEVEL1,
    APLIC_LEVEL0
};

#define IMSIC_IPRIO       0x30u
#define IMSIC_EIDELIVERY  0x70u
#define IMSIC_EITHRESHOLD 0x72u
#define IMSIC_EIP(word)   (0x80u + 2 * (word)) /* Words of 64. */
#define IMSIC_EIE(word)   (0xc0u + 2 * (word))

#define IPI_IDENTITY      250u /* Of an IPI by a message; nothing else has it. */

static inline uint64_t imsic_page(unsigned cpu)
{
    return IMSIC_BASE + 0x1000 * hart_of(cpu);
}

static inline uint64_t imsic_read(unsigned select)
{
    CSR_WRITE(CSR_SISELECT, select);
    return CSR_READ(CSR_SIREG);
}

static inline void imsic_write(unsigned select, uint64_t value)
{
    CSR_WRITE(CSR_SISELECT, select);
    CSR_WRITE(CSR_SIREG, value);
}

static inline uint8_t mmio_read8(uint64_t address)
{
    return *(volatile uint8_t *)address;
}

static inline void mmio_write8(uint64_t address, uint8_t value)
{
    *(volatile uint8_t *)address = value;
}
