/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processor of a riscv64 guest: traps, clock, timer, SBI. Addresses are physical ones: satp is
 * 0. Firmware may start any hart first: that one is CPU 0, and hart 0 has its number instead.
 */
#include "riscv.h"

struct frame {
    uint64_t regs[32];
    uint64_t sepc, sstatus;
};

extern char trap_vector[];
extern uint64_t bench_scale; /* bench_riscv.S */

static uint64_t boot_hart, hz;
static struct fault faults[CPUS_MAX];
static bool fault_expected[CPUS_MAX];

bool timer_by_csr;
void (*irq_handler)(unsigned irq);
void (*irq_raw)(void);
void (*secondary_hook)(uint64_t argument);

void cpu_setup(void)
{
    CSR_WRITE(stvec, (uint64_t)trap_vector);
    irqchip_setup();
    CSR_WRITE(sie, SIE_SSIE | SIE_SEIE);
}

void cpu_setup_first(uint64_t hart, const void *tree)
{
    boot_hart = hart;
    CSR_WRITE(stvec, (uint64_t)trap_vector);
    fdt_set(tree);
    hz = fdt_cells(fdt_find("cpus", "timebase-frequency", NULL), 1);
    bench_scale = 1000000000 / hz;
    timer_by_csr = isa_has("sstc");
    irqchip_setup_first();
    timer_off();
    cpu_setup();
}

[[gnu::noreturn]] void secondary_main(uint64_t argument)
{
    if (secondary_hook != NULL)
        secondary_hook(argument);
    cpu_serve();
}

uint64_t hart_of(unsigned cpu)
{
    return cpu == 0 ? boot_hart : cpu == boot_hart ? 0 : cpu;
}

unsigned cpu_id(void)
{
    uint64_t cpu;

    __asm__ volatile("mv %0, tp" : "=r"(cpu));
    return (unsigned)cpu;
}

bool isa_has(const char *extension)
{
    const char *isa = fdt_find("cpu@", "riscv,isa", NULL);
    unsigned i;

    for (; isa != NULL && *isa; isa++) {
        if (*isa != '_')
            continue;
        for (i = 0; extension[i] && isa[i + 1] == extension[i]; i++)
            ;
        if (!extension[i] && (isa[i + 1] == '_' || isa[i + 1] == 0))
            return true;
    }
    return false;
}

void cpu_relax(void)
{
    __asm__ volatile(".insn i 0x0f, 0, x0, x0, 0x010" ::: "memory"); /* PAUSE */
}

void cpu_wait(void)
{
    __asm__ volatile("wfi" ::: "memory");
}

void irq_enable(void)
{
    CSR_SET(sstatus, SSTATUS_SIE);
}

void irq_disable(void)
{
    CSR_CLR(sstatus, SSTATUS_SIE);
}

/* --- Traps. --- */

[[gnu::noreturn]] static void trap_unexpected(void)
{
    report_failure();
    print("FAIL no unexpected exception: scause 0x%lx, sepc 0x%lx, stval 0x%lx\n", CSR_READ(scause),
          CSR_READ(sepc), CSR_READ(stval));
    report_end();
}

/*
 * Where to go on: behind the instruction; if it could not be fetched, or was a call of U-mode,
 * where it was called.
 */
static uint64_t trap_next(const struct frame *frame, uint64_t cause)
{
    uint64_t kept, next;

    if (cause == CAUSE_FETCH_ACCESS || cause == CAUSE_FETCH_PAGE || cause == CAUSE_ECALL_U)
        return frame->regs[1];
    /* Its page may be for execution only, or the user's. */
    kept = CSR_SET(sstatus, SSTATUS_MXR | SSTATUS_SUM);
    next = frame->sepc + ((*(volatile uint16_t *)frame->sepc & 3) == 3 ? 4 : 2);
    CSR_WRITE(sstatus, kept);
    return next;
}

static void exception_taken(struct frame *frame)
{
    struct fault *fault = &faults[cpu_id()];

    if (!fault_expected[cpu_id()])
        trap_unexpected();
    fault->count++;
    fault->cause = CSR_READ(scause);
    fault->address = CSR_READ(stval);
    frame->sepc = trap_next(frame, fault->cause);
    if (fault->cause == CAUSE_ECALL_U)
        frame->sstatus |= SSTATUS_SPP; /* Goes on in S-mode. */
}

static void external_taken(void)
{
    unsigned source = external_claim();

    if (source == 0)
        return;
    if (source == IPI_IDENTITY) { /* A message, not a source: claimed is ended. */
        irq_handler(IPI_IRQ);
        return;
    }
    irq_handler(IRQ_SOURCE + source);
    external_end(source);
}

static void irq_taken(unsigned irq)
{
    if (irq_raw != NULL) {
        irq_raw();
        return;
    }
    if (irq == 9) {
        external_taken();
        return;
    }
    if (irq == IPI_IRQ)
        CSR_CLR(sip, SIE_SSIE);
    irq_handler(irq);
}

void trap_taken(struct frame *frame)
{
    uint64_t cause = CSR_READ(scause);

    if (cause >> 63)
        irq_taken((unsigned)cause & 63);
    else
        exception_taken(frame);
}

void fault_expect(void)
{
    faults[cpu_id()] = (struct fault){0};
    fault_expected[cpu_id()] = true;
    __asm__ volatile("" ::: "memory");
}

struct fault fault_taken(void)
{
    __asm__ volatile("" ::: "memory");
    fault_expected[cpu_id()] = false;
    return faults[cpu_id()];
}

void vectors_set(uint64_t address)
{
    CSR_WRITE(stvec, address);
}

/* --- Clock and timer. --- */

uint64_t clock_read(void)
{
    return CSR_READ(time);
}

uint64_t clock_hz(void)
{
    return hz;
}

void timer_set(uint64_t deadline)
{
    if (timer_by_csr)
        CSR_WRITE(CSR_STIMECMP, deadline);
    else
        SBI3(SBI_TIME, 0, deadline, 0, 0);
}

void timer_off(void)
{
    timer_set(~0ull);
}

bool timer_due(void)
{
    return (CSR_READ(sip) & SIE_STIE) != 0;
}

/* --- Firmware. --- */

struct sbi_result sbi_call(uint32_t extension, uint32_t function, uint64_t a, uint64_t b,
                           uint64_t c, uint64_t d, uint64_t e)
{
    register uint64_t a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c,
                         a3 __asm__("a3") = d, a4 __asm__("a4") = e, a6 __asm__("a6") = function,
                         a7 __asm__("a7") = extension;

    __asm__ volatile("ecall"
                     : "+r"(a0), "+r"(a1)
                     : "r"(a2), "r"(a3), "r"(a4), "r"(a6), "r"(a7)
                     : "memory");
    return (struct sbi_result){(int64_t)a0, a1};
}

uint64_t sbi_legacy(uint32_t extension, uint64_t a)
{
    return (uint64_t)sbi_call(extension, 0, a, 0, 0, 0, 0).error;
}

bool cpu_start(unsigned cpu)
{
    return SBI3(SBI_HSM, 0, hart_of(cpu), (uint64_t)secondary_entry, cpu).error == SBI_SUCCESS;
}

/* Command line: msi=1, by a message to the hart's interrupt file in place of the firmware. */
void ipi_send(unsigned cpu)
{
    static unsigned by_msi = ~0u;

    if (by_msi == ~0u)
        by_msi = has_aia && machine_argument("msi", 0) != 0;
    __asm__ volatile("fence rw, rw; fence w, o" ::: "memory");
    if (by_msi)
        mmio_write(imsic_page(cpu), IPI_IDENTITY);
    else
        SBI3(SBI_IPI, 0, 1, hart_of(cpu), 0);
}

void hypercall(void)
{
    SBI(SBI_BASE, 0);
}

void cpu_yield(void)
{
    SBI(SBI_CAISSON, SBI_CAISSON_YIELD);
}

bool watchdog_feed(uint64_t ms)
{
    return SBI3(SBI_CAISSON, SBI_CAISSON_WATCHDOG, ms, 0, 0).error == 0;
}

bool hypervisor_ready(void)
{
    return SBI3(SBI_CAISSON, SBI_CAISSON_READY, 0, 0, 0).error == 0;
}

void power_off(void)
{
    SBI3(SBI_SRST, 0, 0, 0, 0);
    for (;;)
        cpu_wait();
}

void machine_reset(void)
{
    SBI3(SBI_SRST, 0, 1, 0, 0);
    for (;;)
        cpu_wait();
}
