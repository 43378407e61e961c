/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processor of an x86_64 guest: descriptors, traps, probes, the start of other CPUs. GS points
 * to each CPU's own.
 */
#include "x86.h"

struct cpu {
    uint64_t id;
    uint64_t probe_stack; /* While probe() runs, 0 else. */
};

_Static_assert(offsetof(struct cpu, probe_stack) == CPU_PROBE_STACK, "start.S knows it");

struct [[gnu::packed]] table_pointer {
    uint16_t limit;
    uint64_t base;
};

struct gate {
    uint16_t low, selector;
    uint8_t ist, type;
    uint16_t middle;
    uint32_t high, reserved;
};

extern char trap_stubs[], probe_resume[];
extern const struct table_pointer gdt_pointer;
extern uint64_t gdt_tss[];
extern uint32_t secondary_cpu, start_pm_timer;
unsigned probe_run(void (*fn)(void *arg), void *arg);

static struct cpu cpus[CPUS_MAX];
static struct tss tasks[CPUS_MAX];
static struct gate idt[256];
const struct table_pointer idt_pointer = {sizeof(idt) - 1, (uint64_t)idt};
static uint8_t ist_stacks[CPUS_MAX][PAGE] __attribute__((aligned(16)));

uint64_t start_clock, probe_error, probe_address;
bool (*exception_hook)(struct frame *frame);
void (*irq_handler)(unsigned irq);
void (*irq_raw)(void);
void (*secondary_hook)(void);

/* --- Set-up. --- */

void gate_set(unsigned vector, const void *handler, unsigned ist, unsigned dpl)
{
    uint64_t at = (uint64_t)handler;

    idt[vector] = (struct gate){
        .low = (uint16_t)at,
        .selector = SEL_CODE64,
        .ist = (uint8_t)ist,
        .type = (uint8_t)(0x8e | dpl << 5),
        .middle = (uint16_t)(at >> 16),
        .high = (uint32_t)(at >> 32),
    };
}

void gate_reset(unsigned vector)
{
    gate_set(vector, trap_stubs + 16 * vector, vector == VECTOR_DF, 0);
}

struct tss *cpu_tss(unsigned cpu)
{
    return &tasks[cpu];
}

static void tss_load(unsigned cpu)
{
    uint64_t base = (uint64_t)&tasks[cpu];

    tasks[cpu].ist[0] = (uint64_t)ist_stacks[cpu] + PAGE;
    tasks[cpu].map = sizeof(struct tss);
    gdt_tss[2 * cpu] = (sizeof(struct tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
                       (base >> 24 & 0xff) << 56;
    gdt_tss[2 * cpu + 1] = base >> 32;
    __asm__ volatile("ltr %0" ::"r"((uint16_t)(SEL_TSS + 16 * cpu)) : "memory");
}

void cpu_setup(unsigned cpu)
{
    __asm__ volatile("lgdt %0" ::"m"(gdt_pointer));
    __asm__ volatile("lidt %0" ::"m"(idt_pointer));
    cpus[cpu] = (struct cpu){.id = cpu};
    wrmsr(MSR_GS_BASE, (uint64_t)&cpus[cpu]);
    tss_load(cpu);
    lapic_setup();
}

void cpu_setup_first(const struct pvh_start *start)
{
    machine_find(start);
    memcpy((void *)LOW_BASE, low_start, (size_t)(low_end - low_start));
    for (unsigned vector = 0; vector < 256; vector++)
        gate_reset(vector);
    start_clock = start_pm_timer * 1000000000ull / PM_TIMER_HZ;
    ioapic_setup();
    cpu_setup(0);
    clock_setup();
    hypercall_setup();
}

[[gnu::noreturn]] void secondary_main(void)
{
    if (secondary_hook != NULL)
        secondary_hook();
    cpu_serve();
}

unsigned cpu_id(void)
{
    uint32_t id;

    __asm__ volatile("movl %%gs:0, %0" : "=r"(id));
    return id;
}

void cpu_relax(void)
{
    __asm__ volatile("pause" ::: "memory");
}

void cpu_wait(void)
{
    __asm__ volatile("sti; hlt; cli" ::: "memory");
}

void irq_enable(void)
{
    __asm__ volatile("sti; nop" ::: "memory"); /* Taken from the second instruction on. */
}

void irq_disable(void)
{
    __asm__ volatile("cli" ::: "memory");
}

/* --- Traps. --- */

[[gnu::noreturn]] static void trap_unexpected(const struct frame *frame)
{
    report_failure();
    print("FAIL no unexpected exception: vector %lu, error 0x%lx, rip 0x%lx:0x%lx, cr2 0x%lx\n",
          frame->vector, frame->error, frame->cs, frame->rip, CR_READ(2));
    report_end();
}

static void exception_taken(struct frame *frame)
{
    struct cpu *cpu = &cpus[cpu_id()];

    if (exception_hook != NULL && exception_hook(frame))
        return;
    if (cpu->probe_stack == 0)
        trap_unexpected(frame);
    probe_error = frame->error;
    probe_address = CR_READ(2);
    frame->rax = frame->vector;
    frame->rip = (uint64_t)probe_resume;
    frame->rsp = cpu->probe_stack;
    frame->cs = SEL_CODE64;
    frame->ss = SEL_DATA;
    frame->rflags &= ~(uint64_t)(FLAG_TF | FLAG_DF);
}

void trap_taken(struct frame *frame)
{
    unsigned vector = (unsigned)frame->vector;

    if (vector < 32) {
        exception_taken(frame);
        return;
    }
    if (vector == SPURIOUS_IRQ)
        return; /* Without an end. [SDM 3, 11.9] */
    if (irq_raw != NULL) {
        irq_raw();
        return;
    }
    if (vector != TIMER_IRQ || timer_taken_here())
        irq_handler(vector);
    lapic_end();
    if (vector == TIMER_IRQ)
        timer_again();
}

unsigned probe(void (*fn)(void *arg), void *arg)
{
    return probe_run(fn, arg);
}

/* All of them, on a stack that does not run out. */
void vectors_set(uint64_t address)
{
    for (unsigned vector = 0; vector < 256; vector++)
        gate_set(vector, (const void *)address, 1, 0);
}

/* --- Other CPUs. --- */

void cpu_expect(unsigned cpu)
{
    STORE(secondary_cpu, cpu);
}

void cpu_init_ipi(unsigned cpu)
{
    lapic_send(apic_id_of(cpu), ICR_INIT | ICR_ASSERT);
}

void cpu_startup_ipi(unsigned cpu, unsigned page)
{
    lapic_send(apic_id_of(cpu), ICR_STARTUP | ICR_ASSERT | page);
}

/* Twice: the second is ignored where the first was taken. [SDM 3, 9.4.4] */
bool cpu_start(unsigned cpu)
{
    cpu_expect(cpu);
    cpu_init_ipi(cpu);
    delay_us(10000);
    for (unsigned i = 0; i < 2; i++) {
        cpu_startup_ipi(cpu, LOW_BASE / PAGE);
        delay_us(200);
    }
    return true;
}

/* --- Calls of the hypervisor. --- */

void hypercall(void)
{
    if (is_caisson)
        hypercall_number(0);
}

bool watchdog_feed(uint64_t ms)
{
    return is_caisson && hypercall_one(HYPERCALL_WATCHDOG, ms) == 0;
}

bool hypervisor_ready(void)
{
    return is_caisson && hypercall_one(HYPERCALL_READY, 0) == 0;
}

void cpu_yield(void)
{
    if (is_caisson)
        hypercall_number(HYPERCALL_YIELD);
}
