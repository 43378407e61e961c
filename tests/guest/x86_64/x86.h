/* SPDX-License-Identifier: Apache-2.0 */
/* The x86_64 processor and its APICs, for guests that are of x86_64 alone. [SDM 3; APM 2] */
#pragma once

#include "guest.h"

/* A call of the hypervisor, in inline assembly: VMMCALL, which hypercall_setup() makes VMCALL. */
#define HYPERVISOR_CALL     "9: vmmcall; .pushsection .data.calls, \"aw\"; .quad 9b; .popsection;"

#define MSR_TSC             0x10u
#define MSR_APIC_BASE       0x1bu
#define MSR_TSC_ADJUST      0x3bu
#define MSR_PAT             0x277u
#define MSR_TSC_DEADLINE    0x6e0u
#define MSR_X2APIC          0x800u
#define MSR_EFER            0xc0000080u
#define MSR_STAR            0xc0000081u
#define MSR_LSTAR           0xc0000082u
#define MSR_SFMASK          0xc0000084u
#define MSR_FS_BASE         0xc0000100u
#define MSR_GS_BASE         0xc0000101u
#define MSR_KERNEL_GS_BASE  0xc0000102u

#define APIC_BASE_BSP       (1ull << 8)
#define APIC_BASE_X2        (1ull << 10)
#define APIC_BASE_ON        (1ull << 11)

/* Registers of the local APIC, as offsets; in x2APIC mode the MSR is MSR_X2APIC + offset / 16. */
#define LAPIC_ID            0x020u
#define LAPIC_VERSION       0x030u
#define LAPIC_TPR           0x080u
#define LAPIC_PPR           0x0a0u
#define LAPIC_EOI           0x0b0u
#define LAPIC_LDR           0x0d0u
#define LAPIC_DFR           0x0e0u
#define LAPIC_SVR           0x0f0u
#define LAPIC_ISR           0x100u
#define LAPIC_IRR           0x200u
#define LAPIC_ESR           0x280u
#define LAPIC_ICR           0x300u
#define LAPIC_LVT_TIMER     0x320u
#define LAPIC_LVT_LINT0     0x350u
#define LAPIC_LVT_LINT1     0x360u
#define LAPIC_LVT_ERROR     0x370u
#define LAPIC_TIMER_INITIAL 0x380u
#define LAPIC_TIMER_CURRENT 0x390u
#define LAPIC_TIMER_DIVIDE  0x3e0u
#define LAPIC_SELF_IPI      0x3f0u /* x2APIC. */

#define LVT_MASKED          (1u << 16)
#define LVT_PERIODIC        (1u << 17)
#define LVT_DEADLINE        (2u << 17)

#define ICR_LOWEST          (1u << 8)
#define ICR_NMI             (4u << 8)
#define ICR_INIT            (5u << 8)
#define ICR_STARTUP         (6u << 8)
#define ICR_LOGICAL         (1u << 11)
#define ICR_PENDING         (1u << 12)
#define ICR_ASSERT          (1u << 14)
#define ICR_LEVEL           (1u << 15)
#define ICR_SELF            (1u << 18)
#define ICR_ALL             (2u << 18)
#define ICR_OTHERS          (3u << 18)

/* A redirection of the I/O APIC. */
#define REDIRECT_LOW        (1u << 13)
#define REDIRECT_REMOTE     (1u << 14)
#define REDIRECT_LEVEL      (1u << 15)
#define REDIRECT_MASKED     (1u << 16)

#define CR0_MP              (1ul << 1)
#define CR0_EM              (1ul << 2)
#define CR0_TS              (1ul << 3)
#define CR0_NE              (1ul << 5)
#define CR0_WP              (1ul << 16)
#define CR0_NW              (1ul << 29)
#define CR0_CD              (1ul << 30)
#define CR0_PG              (1ul << 31)
#define CR4_OSFXSR          (1ul << 9)
#define CR4_OSXMMEXCPT      (1ul << 10)
#define CR4_OSXSAVE         (1ul << 18)
#define EFER_LMA            (1ul << 10)
#define EFER_SVME           (1ul << 12)

#define FLAG_CF             0x001u
#define FLAG_PF             0x004u
#define FLAG_AF             0x010u
#define FLAG_ZF             0x040u
#define FLAG_SF             0x080u
#define FLAG_TF             0x100u
#define FLAG_IF             0x200u
#define FLAG_DF             0x400u
#define FLAG_OF             0x800u
#define FLAGS_STATUS        0x8d5u

enum exception {
    VECTOR_DE = 0,
    VECTOR_DB = 1,
    VECTOR_NMI = 2,
    VECTOR_BP = 3,
    VECTOR_OF = 4,
    VECTOR_UD = 6,
    VECTOR_NM = 7,
    VECTOR_DF = 8,
    VECTOR_NP = 11,
    VECTOR_SS = 12,
    VECTOR_GP = 13,
    VECTOR_PF = 14,
    VECTOR_MF = 16,
    VECTOR_AC = 17,
    NO_EXCEPTION = 0x100,
};

/* What start.S keeps of who is interrupted. */
struct frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rdx, rcx, rbx, rax;
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

struct [[gnu::packed]] tss {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, map;
};

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

/* --- cpu.c --- */

/* An exception's or NMI's handler, first asked; true: it was for it. NULL: none. */
extern bool (*exception_hook)(struct frame *frame);
/*
 * The exception that fn(arg) makes, at which it ends, or NO_EXCEPTION. Its error code and CR2 are
 * in probe_error and probe_address. On CPU 0.
 */
unsigned probe(void (*fn)(void *arg), void *arg);
extern uint64_t probe_error, probe_address;

/* A gate of the IDT: handler in 64-bit code, ist 0 or 1, dpl who may use INT. */
void gate_set(unsigned vector, const void *handler, unsigned ist, unsigned dpl);
/* As at the start: the vector goes to trap_taken(). */
void gate_reset(unsigned vector);
struct tss *cpu_tss(unsigned cpu);
void cpu_setup(unsigned cpu);
[[gnu::noreturn]] void secondary_main(void);
/* Called by other CPUs before they serve; NULL: not. */
extern void (*secondary_hook)(void);
/* Ends with INIT, and starts again. */
void cpu_init_ipi(unsigned cpu);
void cpu_startup_ipi(unsigned cpu, unsigned page);
/* The next secondary CPU that starts is this one. */
void cpu_expect(unsigned cpu);

#define HYPERCALL_YIELD    0xc6000001u
#define HYPERCALL_COUNT    0x8600ff00u
#define HYPERCALL_WATCHDOG 0xc6000002u
#define HYPERCALL_READY    0xc6000003u
#define HYPERCALL_UID      0x8600ff01u

/* --- bench_x86.S: VMMCALL, or VMCALL where that is the processor's. --- */

void hypercall_setup(void);
uint64_t hypercall_number(uint64_t number);
uint64_t hypercall_one(uint64_t number, uint64_t arg);

/* --- apic.c --- */

extern bool lapic_x2, lapic_deadline;
uint32_t lapic_read(unsigned reg);
void lapic_write(unsigned reg, uint32_t value);
void lapic_end(void);
/* Sends: ICR's low half; target is an APIC id or a logical destination. */
void lapic_send(uint32_t target, uint32_t what);
/* Of 256 bits of IRR or ISR. */
bool lapic_bit(unsigned reg, unsigned vector);
void lapic_setup(void);
/* In the other mode, by way of off if need be. */
void lapic_enter(bool x2);

uint32_t ioapic_read(unsigned reg);
void ioapic_write(unsigned reg, uint32_t value);
uint32_t redirect_read(unsigned pin);
void redirect_write(unsigned pin, uint32_t low, uint32_t target);
void ioapic_setup(void);

/* --- clock.c --- */

void clock_setup(void);
uint32_t pm_timer(void);
/* Of the local APIC's timer, divided by 1. */
extern uint64_t lapic_hz;
/* The timer's interrupt; false: not ours yet. */
bool timer_taken_here(void);
void timer_again(void);
void delay_us(uint64_t us);

/* --- acpi.c --- */

struct pvh_start {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, cmdline, rsdp, memory_map;
    uint32_t memory_count, reserved;
};
struct pvh_memory {
    uint64_t base, size;
    uint32_t type, reserved;
};
#define PVH_MAGIC  0x336ec578u
#define MEMORY_MAX 16u
extern struct pvh_memory memory_map[MEMORY_MAX];
extern unsigned memory_count;
extern bool is_caisson;

void machine_find(const struct pvh_start *start);
/* A table with this signature, NULL: none. */
const uint8_t *acpi_find(const char *signature);
uint32_t acpi_get(const void *at, unsigned bytes);
/* Where an interrupt of the ISA bus is. */
unsigned isa_pin(unsigned irq);
unsigned apic_id_of(unsigned cpu);

/* --- modes.S, see there. --- */

extern char low_start[], low_end[];

/* --- Instructions. --- */

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r;

    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(subleaf));
    return r;
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint16_t in16(uint16_t port)
{
    uint16_t value;

    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline void out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline void out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

#define CR_READ(n)                                                                                 \
    ({                                                                                             \
        uint64_t value_;                                                                           \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(value_)::"memory");                           \
        value_;                                                                                    \
    })
#define CR_WRITE(n, v) __asm__ volatile("mov %0, %%cr" #n ::"r"((uint64_t)(v)) : "memory")
