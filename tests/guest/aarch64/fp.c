/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FP and SIMD registers: zero at the start, kept over every kind of exit, and each vCPU's own. Run
 * in two VMs on one pCPU it shows that nothing leaks between them (command line: seed=N rounds=N).
 */
#include "arm.h"

#define CPACR_FPEN (3ull << 20)

void fp_fill(uint64_t seed);
uint64_t fp_compare(uint64_t seed);
uint64_t fp_or(void);

static uint64_t seed_base, rounds;
static uint64_t wrong[CPUS_MAX], leaked[CPUS_MAX];

static void timer_taken(unsigned irq)
{
    (void)irq;
    timer_off();
}

/* One exit, or stretch of time, of each kind. */
static void disturb(unsigned kind)
{
    switch (kind % 6) {
    case 0:
        hypercall();
        return;
    case 1:
        mmio_read(UART_BASE + 0x18);
        return;
    case 2:
        irq_disable(); /* The deadline may pass before the wait. */
        timer_set(clock_read() + clock_hz() / 20000);
        cpu_wait();
        irq_enable();
        return;
    case 3:
        ipi_send(cpu_id());
        return;
    case 4:
        cpu_yield();
        return;
    default: /* Long enough to be preempted now and then. */
        for (unsigned i = 0; i < 20000; i++)
            __asm__ volatile("");
    }
}

static void fp_enable(void)
{
    SYSREG_WRITE(cpacr_el1, SYSREG_READ(cpacr_el1) | CPACR_FPEN);
}

static void churn(void)
{
    unsigned cpu = cpu_id();

    fp_enable();
    leaked[cpu] = fp_or();
    irq_line_enable(TIMER_IRQ);
    irq_enable();
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t seed = seed_base + cpu * 0x1010101010101 + i * 0x30000001;

        fp_fill(seed);
        disturb((unsigned)i);
        wrong[cpu] += fp_compare(seed);
    }
    irq_disable();
}

static void check_trap(void)
{
    struct fault fault;

    SYSREG_WRITE(cpacr_el1, SYSREG_READ(cpacr_el1) & ~CPACR_FPEN);
    fault_expect();
    __asm__ volatile(".inst 0x1e604000"); /* fmov d0, d0 */
    fault = fault_taken();
    check_eq(fault.count, 1, "FP traps to the guest when the guest turned it off");
    check_eq(ESR_EC(fault.cause), EC_FP, "as an FP access");
    hypercall();
    fault_expect();
    __asm__ volatile(".inst 0x1e604000");
    check_eq(fault_taken().count, 1, "and stays off over an exit");
}

void guest_main(void)
{
    uint64_t sum = 0, leaks = 0;
    unsigned cpus;

    irq_handler = timer_taken;
    seed_base = fdt_argument("seed", 1) * 0x123456789abcdef;
    rounds = fdt_argument("rounds", 3000);
    check_trap();
    cpus = cpus_start(fdt_cpu_count());
    check(cpus_run(cpus, churn), "all vCPUs use FP at once");
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        sum += wrong[cpu];
        leaks |= leaked[cpu];
    }
    check_eq(leaks, 0, "FP registers are zero when a vCPU starts");
    check_eq(sum, 0, "FP registers, FPCR and FPSR are kept over exits and switches");
}
