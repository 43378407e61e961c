/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC, as x2APIC where the processor has that: MSRs in place of memory. And what the
 * kernel calls the interrupt controller: numbers are global system interrupts, which I/O APICs turn
 * into vectors, and the timer's. [SDM 3, chapter 11 (APIC)]
 *
 * An interrupt that was taken is in service until arch_irq_end(); while it is, the local APIC holds
 * back those of its priority and below.
 */
#include "arch/x86_64/apic.h"

#include "arch/x86_64/remote.h"
#include "arch/x86_64/trap.h"
#include "arch/x86_64/x86.h"
#include "kernel/assert.h"
#include "kernel/ipi.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"
#include "mm/hostmap.h"

/* Registers, by offset in memory; the MSR is MSR_X2APIC + offset / 16. */
#define APIC_VERSION       0x030u
#define APIC_TPR           0x080u
#define APIC_EOI           0x0b0u
#define APIC_SPURIOUS      0x0f0u
#define APIC_ERROR         0x280u
#define APIC_LVT_CMCI      0x2f0u
#define APIC_ICR           0x300u
#define APIC_ICR_HIGH      0x310u /* Not with x2APIC: there the ICR has 64 bits. */
#define APIC_LVT_TIMER     0x320u
#define APIC_LVT_THERMAL   0x330u
#define APIC_LVT_PERF      0x340u
#define APIC_LVT_LINT0     0x350u
#define APIC_LVT_LINT1     0x360u
#define APIC_LVT_ERROR     0x370u
#define APIC_TIMER_INITIAL 0x380u
#define APIC_TIMER_CURRENT 0x390u
#define APIC_TIMER_DIVIDE  0x3e0u

#define APIC_MAX_LVT       BITS(23, 16) /* APIC_VERSION: of the highest entry. */
#define SPURIOUS_ENABLE    BIT(8)
#define LVT_MASKED         BIT(16)
#define LVT_NMI            field_put(BITS(10, 8), 4)
#define LVT_DEADLINE       field_put(BITS(18, 17), 2)
#define DIVIDE_BY_1        0x0bu

#define ICR_FIXED          field_put(BITS(10, 8), 0)
#define ICR_INIT           field_put(BITS(10, 8), 5)
#define ICR_STARTUP        field_put(BITS(10, 8), 6)
#define ICR_PENDING        BIT(12)
#define ICR_ASSERT         BIT(14)

#define INIT_WAIT_NS       10000000u
#define STARTUP_WAIT_NS    200000u
#define ICR_SPINS_MAX      1000000u

static bool x2apic;              /* Set once in arch_irqchip_init(), with: */
static volatile char *apic_regs; /* xAPIC; the same address for all pCPUs. */

static uint32_t apic_read(uint32_t reg)
{
    return x2apic ? (uint32_t)msr_read(MSR_X2APIC + reg / 16) : arch_read32(apic_regs + reg);
}

static void apic_write(uint32_t reg, uint32_t value)
{
    if (x2apic)
        msr_write(MSR_X2APIC + reg / 16, value);
    else
        arch_write32(apic_regs + reg, value);
}

uint32_t apic_own_id(void)
{
    struct cpuid topology = cpuid_or_none(0x0b, 0);

    return topology.ebx ? topology.edx : cpuid(1, 0).ebx >> 24;
}

const char *apic_describe(void)
{
    return x2apic ? "x2APIC" : "xAPIC";
}

/* --- IPIs --- */

static void apic_command(uint32_t id, uint32_t command)
{
    if (x2apic) {
        /* Writes of its MSRs do not wait for stores before them [SDM 3, 11.12.3]. */
        __asm__ volatile("mfence; lfence" : : : "memory");
        msr_write(MSR_X2APIC + APIC_ICR / 16, (uint64_t)id << 32 | command);
        return;
    }
    for (unsigned i = 0; i < ICR_SPINS_MAX && apic_read(APIC_ICR) & ICR_PENDING; i++)
        __asm__ volatile("pause");
    apic_write(APIC_ICR_HIGH, id << 24);
    apic_write(APIC_ICR, command);
}

void apic_send(const struct pcpu *cpu, uint8_t vector)
{
    apic_command((uint32_t)cpu->hw_id, ICR_FIXED | ICR_ASSERT | vector);
}

static void apic_wait(uint64_t ns)
{
    uint64_t end = arch_ticks() + ticks_from_ns(ns);

    while (arch_ticks() < end)
        arch_relax();
}

/* Two start-up IPIs: the first may be lost [SDM 3, 9.4.4.1]. */
void apic_start(const struct pcpu *cpu, uint32_t page)
{
    apic_command((uint32_t)cpu->hw_id, ICR_INIT | ICR_ASSERT);
    apic_wait(INIT_WAIT_NS);
    for (unsigned i = 0; i < 2; i++) {
        apic_command((uint32_t)cpu->hw_id, ICR_STARTUP | ICR_ASSERT | page >> PAGE_SHIFT);
        apic_wait(STARTUP_WAIT_NS);
    }
}

void arch_ipi_send(struct pcpu *cpu)
{
    arch_mb(); /* What the receiver is to see comes first. */
    apic_send(cpu, VECTOR_IPI);
}

void arch_apic_notify(const struct pcpu *cpu)
{
    arch_mb();
    apic_send(cpu, VECTOR_POSTED);
}

/* --- Setting up --- */

enum err arch_irqchip_init(const struct platform *platform)
{
    uint64_t base = msr_read(MSR_APIC_BASE);
    volatile void *regs;

    if (platform->irqchip != IRQCHIP_APIC) {
        log_error("the firmware describes no local APICs");
        return E_ABSENT;
    }
    x2apic = cpuid(1, 0).ecx & CPUID1_ECX_X2APIC;
    if (!x2apic) {
        TRY(hostmap_device(base & APIC_BASE_ADDR, PAGE_SIZE, &regs));
        apic_regs = regs;
    }
    return ioapic_init(platform);
}

/* LINTn carries NMIs when the firmware says so; all else is masked. */
static uint32_t apic_lint(unsigned n)
{
    return platform.nmi_lints & BIT(n) ? LVT_NMI : LVT_MASKED;
}

static void apic_set_vectors(void)
{
    uint64_t max = field_get(APIC_MAX_LVT, apic_read(APIC_VERSION));

    apic_write(APIC_LVT_TIMER, LVT_MASKED);
    apic_write(APIC_LVT_ERROR, LVT_MASKED);
    if (max >= 4)
        apic_write(APIC_LVT_PERF, LVT_MASKED);
    if (max >= 5)
        apic_write(APIC_LVT_THERMAL, LVT_MASKED);
    if (max >= 6)
        apic_write(APIC_LVT_CMCI, LVT_MASKED);
    apic_write(APIC_LVT_LINT0, apic_lint(0));
    apic_write(APIC_LVT_LINT1, apic_lint(1));
}

enum err arch_irqchip_init_cpu(void)
{
    uint64_t base = msr_read(MSR_APIC_BASE) | APIC_BASE_ENABLE;

    msr_write(MSR_APIC_BASE, base);
    if (x2apic)
        msr_write(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
    apic_write(APIC_TPR, 0);
    apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
    apic_set_vectors();
    apic_write(APIC_ERROR, 0);
    apic_write(APIC_EOI, 0);
    this_cpu()->arch.apic_on = true;
    return OK;
}

/* --- The timer --- */

void apic_timer_mode(enum apic_timer_mode mode)
{
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER | (mode == APIC_TIMER_DEADLINE ? LVT_DEADLINE : 0));
    arch_mb(); /* Before the first deadline [SDM 3, 11.5.4.1]. */
}

void apic_timer_start(uint32_t count)
{
    apic_write(APIC_TIMER_INITIAL, count);
}

uint32_t apic_timer_left(void)
{
    return apic_read(APIC_TIMER_CURRENT);
}

/* --- Interrupts --- */

bool arch_irq_is_percpu(uint32_t irq)
{
    return irq == ARCH_IRQ_TIMER;
}

enum err arch_irq_enable(uint32_t irq, enum irq_trigger trigger)
{
    if (irq == ARCH_IRQ_TIMER)
        return OK;
    if (irq >= VECTOR_GSI_COUNT)
        return E_RANGE;
    return ioapic_enable(irq, trigger, (uint8_t)(VECTOR_GSI + irq));
}

/* No interrupt of this machine is left for a guest to end. */
void arch_irq_set_active(uint32_t, bool)
{
    unreachable();
}

/*
 * The vector that arrived while interrupts were last open: in arch_idle(), or in the one
 * instruction here. Its stub masked them again.
 */
static uint8_t apic_take_vector(struct pcpu *cpu)
{
    volatile uint8_t *recorded = &cpu->arch.vector;
    uint8_t vector = *recorded;

    if (!vector) {
        __asm__ volatile("sti; nop; cli" : : : "memory");
        vector = *recorded;
    }
    *recorded = 0;
    return vector;
}

bool arch_irq_take(uint32_t *irq)
{
    uint8_t vector;

    while ((vector = apic_take_vector(this_cpu())) != 0) {
        switch (vector) {
        case VECTOR_TIMER:
            *irq = ARCH_IRQ_TIMER;
            return true;
        case VECTOR_IPI:
            apic_write(APIC_EOI, 0);
            ipi_taken();
            continue;
        case VECTOR_REMOTE:
            apic_write(APIC_EOI, 0);
            remote_answer();
            continue;
        case VECTOR_POSTED: /* It came outside of the guest. */
            apic_write(APIC_EOI, 0);
            if (this_cpu()->arch.virt.bound)
                this_cpu()->arch.virt.bound->stale |= (uint8_t)VMX_STALE_POSTED;
            continue;
        }
        if (vector >= VECTOR_GSI) {
            *irq = vector - VECTOR_GSI;
            return true;
        }
    }
    return false;
}

void arch_irq_end(uint32_t, [[maybe_unused]] bool keep)
{
    assert(!keep);
    apic_write(APIC_EOI, 0);
}
