/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processor of an arm64 guest: memory attributes, exceptions, clock, PSCI. Addresses are
 * physical ones: one table of 1 GiB blocks maps them to themselves, the first as device, the
 * others as memory.
 */
#include "arm.h"

#define BLOCK_DEVICE (0x401ull)                   /* AttrIndx 0, access flag. */
#define BLOCK_NORMAL (0x401ull | 3 << 8 | 1 << 2) /* AttrIndx 1, inner shareable. */
#define MAIR         (0xff00ull)                  /* 0: Device-nGnRnE, 1: write-back. */
/* 39 bits of address, write-back walks, TTBR0 only, 40 bits physical. */
#define TCR          (25ull | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2ull << 32)
#define SCTLR_MMU    (1ull << 12 | 1 << 2 | 1)

struct frame {
    uint64_t regs[30];
    uint64_t elr, spsr;
};

extern char vectors[];

static uint64_t table[512] __attribute__((aligned(4096)));
static struct fault faults[CPUS_MAX];
static bool fault_expected[CPUS_MAX];

void (*irq_handler)(unsigned irq);
void (*irq_raw)(void);
void (*secondary_hook)(uint64_t context);

void cpu_setup(void)
{
    SYSREG_WRITE(vbar_el1, vectors);
    SYSREG_WRITE(mair_el1, MAIR);
    SYSREG_WRITE(tcr_el1, TCR);
    SYSREG_WRITE(ttbr0_el1, table);
    __asm__ volatile("tlbi vmalle1; dsb ish; isb" ::: "memory");
    SYSREG_WRITE(sctlr_el1, SYSREG_READ(sctlr_el1) | SCTLR_MMU);
    gic_setup();
}

void cpu_setup_first(const void *tree)
{
    fdt_set(tree);
    table[0] = BLOCK_DEVICE;
    for (unsigned i = 1; i < 512; i++)
        table[i] = (uint64_t)i << 30 | BLOCK_NORMAL;
    __asm__ volatile("dsb ish" ::: "memory");
    gic_setup_first();
    cpu_setup();
}

[[gnu::noreturn]] void secondary_main(uint64_t context)
{
    if (secondary_hook != NULL)
        secondary_hook(context);
    cpu_serve();
}

unsigned cpu_id(void)
{
    uint64_t mpidr = SYSREG_READ(mpidr_el1);

    return (unsigned)(mpidr & 0xff) + 16 * (unsigned)(mpidr >> 8 & 0xff);
}

void cpu_relax(void)
{
    __asm__ volatile("yield" ::: "memory");
}

void cpu_wait(void)
{
    __asm__ volatile("dsb sy; wfi" ::: "memory");
}

void irq_enable(void)
{
    __asm__ volatile("msr daifclr, #2; isb" ::: "memory");
}

void irq_disable(void)
{
    __asm__ volatile("msr daifset, #2; isb" ::: "memory");
}

/* --- Exceptions. --- */

void vector_unexpected(unsigned vector)
{
    report_failure();
    print("FAIL no unexpected exception: vector %u, esr 0x%lx, elr 0x%lx, far 0x%lx\n", vector,
          SYSREG_READ(esr_el1), SYSREG_READ(elr_el1), SYSREG_READ(far_el1));
    report_end();
}

void sync_taken(struct frame *frame)
{
    unsigned cpu = cpu_id();

    if (!fault_expected[cpu])
        vector_unexpected(4);
    faults[cpu].count++;
    faults[cpu].cause = SYSREG_READ(esr_el1);
    faults[cpu].address = SYSREG_READ(far_el1);
    frame->elr += 4;
}

void irq_taken(void)
{
    unsigned iar;

    if (irq_raw != NULL) {
        irq_raw();
        return;
    }
    iar = gic_take();
    if ((iar & 0x3ff) >= IRQ_NONE)
        return;
    irq_handler(iar & 0x3ff); /* Above: who sent an SGI of a GICv2. */
    gic_end(iar);
}

void fault_expect(void)
{
    faults[cpu_id()] = (struct fault){0};
    fault_expected[cpu_id()] = true;
    __asm__ volatile("" ::: "memory");
}

struct fault fault_taken(void)
{
    __asm__ volatile("isb" ::: "memory");
    fault_expected[cpu_id()] = false;
    return faults[cpu_id()];
}

void vectors_set(uint64_t address)
{
    SYSREG_WRITE(vbar_el1, address);
}

/* --- Clock and timer. --- */

uint64_t clock_read(void)
{
    __asm__ volatile("isb" ::: "memory");
    return SYSREG_READ(cntvct_el0);
}

uint64_t clock_hz(void)
{
    return SYSREG_READ(cntfrq_el0);
}

void timer_set(uint64_t deadline)
{
    SYSREG_WRITE(cntv_ctl_el0, 0); /* Once: not between the two writes as well. */
    SYSREG_WRITE(cntv_cval_el0, deadline);
    SYSREG_WRITE(cntv_ctl_el0, 1);
}

void timer_off(void)
{
    SYSREG_WRITE(cntv_ctl_el0, 0);
}

bool timer_due(void)
{
    return (SYSREG_READ(cntv_ctl_el0) & 4) != 0;
}

/* --- Firmware. --- */

uint64_t hvc(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    register uint64_t x0 __asm__("x0") = function, x1 __asm__("x1") = a, x2 __asm__("x2") = b,
                         x3 __asm__("x3") = c;

    __asm__ volatile("hvc #0"
                     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"x4", "x5", "x6", "x7", "x8", "x9",
                       "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "memory");
    return x0;
}

uint64_t smc(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    register uint64_t x0 __asm__("x0") = function, x1 __asm__("x1") = a, x2 __asm__("x2") = b,
                         x3 __asm__("x3") = c;

    __asm__ volatile("smc #0"
                     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"x4", "x5", "x6", "x7", "x8", "x9",
                       "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "memory");
    return x0;
}

bool cpu_start(unsigned cpu)
{
    uint64_t mpidr = (uint64_t)(cpu / 16) << 8 | cpu % 16;

    return hvc(PSCI_CPU_ON, mpidr, (uint64_t)secondary_entry, cpu) == 0;
}

void hypercall(void)
{
    hvc(PSCI_VERSION, 0, 0, 0);
}

void cpu_yield(void)
{
    hvc(CAISSON_YIELD, 0, 0, 0);
}

bool watchdog_feed(uint64_t ms)
{
    return hvc(CAISSON_WATCHDOG, ms, 0, 0) == 0;
}

bool hypervisor_ready(void)
{
    return hvc(CAISSON_READY, 0, 0, 0) == 0;
}

void power_off(void)
{
    hvc(PSCI_SYSTEM_OFF, 0, 0, 0);
    for (;;)
        cpu_wait();
}

void machine_reset(void)
{
    hvc(PSCI_SYSTEM_RESET, 0, 0, 0);
    for (;;)
        cpu_wait();
}
