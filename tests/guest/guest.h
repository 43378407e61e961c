/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a kilobyte guest can use. A guest is one file with a guest_main(), which checks and
 * returns; the runtime prints the sum and powers the machine off. Portable guests use only this
 * page; machine.h (tests/guest/<arch>/) has what differs: addresses and interrupt numbers.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine.h"

#define CPUS_MAX 8u
#define PAGE     4096u

/* Returns when the guest's checks are done. */
void guest_main(void);

/* --- lib.c: report. Only CPU 0 prints and checks. --- */

/* %s %c %u %x; %lu and %lx for 64 bits. */
[[gnu::format(printf, 1, 2)]] void print(const char *format, ...);
/* One line: "ok <sentence>" or "FAIL <sentence>". */
void check(bool ok, const char *sentence);
/* The same, with "expected X, got Y" when they differ. */
void check_eq(uint64_t got, uint64_t expected, const char *sentence);
/* A failure that is not a check's: unexpected exceptions. */
void report_failure(void);
/* "guest done: N passed, N failed", then power off. */
[[gnu::noreturn]] void report_end(void);
uint64_t random_next(void);
void *memset(void *to, int value, size_t size);
void *memcpy(void *to, const void *from, size_t size);
/* On CPU 0, when the processor is set up and it is known what the machine has. */
[[gnu::noreturn]] void runtime_main(void);

/* Spins until condition holds; false after ms milliseconds. */
#define WAIT_FOR(condition, ms)                                                                    \
    ({                                                                                             \
        uint64_t wait_end_ = clock_read() + clock_hz() / 1000 * (ms);                              \
        bool wait_ok_ = false;                                                                     \
        while (!(wait_ok_ = (condition)) && clock_read() < wait_end_)                              \
            cpu_relax();                                                                           \
        wait_ok_;                                                                                  \
    })
#define LATE_MS 20000u /* What never takes so long, on a loaded machine either. */

/* --- What the machine tells of itself: by a device tree (fdt.c) or ACPI (<arch>/acpi.c). --- */

unsigned machine_cpu_count(void);
/* The value of "word=number" in the command line, or other. */
uint64_t machine_argument(const char *word, uint64_t other);
void machine_memory(uint64_t *base, uint64_t *size);
/*
 * Memory that whoever started us has written, beside the image: the range with this number, in
 * whole pages; false: there are no more.
 */
bool machine_loaded(unsigned number, uint64_t *start, uint64_t *end);

/* --- fdt.c: the device tree. --- */

void fdt_set(const void *tree);
/* Property of the first node whose name starts with node ("memory@"); NULL: none. */
const void *fdt_find(const char *node, const char *property, uint32_t *size);
uint64_t fdt_cells(const void *value, unsigned cells);
/* Some node has this as its first compatible string. */
bool fdt_is_compatible(const char *with);
const void *fdt_start(void);
uint64_t fdt_size(void);

/* --- lib.c: texts. --- */

bool text_starts(const char *text, const char *with);
/* The value of "word=number" in a line, or other. */
uint64_t text_argument(const char *line, const char *word, uint64_t other);

/* --- cpus.c: work for other CPUs. --- */

/* Starts CPUs 1 to count - 1; they wait for work. Returns how many run, CPU 0 included. */
unsigned cpus_start(unsigned count);
void cpu_call(unsigned cpu, void (*fn)(void));
/* Until its work is done; false when it takes too long. */
bool cpu_join(unsigned cpu);
/* fn on CPUs 0 to count - 1 at once. */
bool cpus_run(unsigned count, void (*fn)(void));
[[gnu::noreturn]] void cpu_serve(void);

/* --- <arch>/: the processor. --- */

unsigned cpu_id(void);
/* Starts at cpu_serve(); false: refused. */
bool cpu_start(unsigned cpu);
void cpu_relax(void);
/*
 * With interrupts masked: until one is pending. Where WAIT_TAKES it is taken then, for the
 * processor does not wait for what is masked.
 */
void cpu_wait(void);
/* What a null hypercall is here. */
void hypercall(void);
/* The hypervisor's watchdog: false where there is none. */
bool watchdog_feed(uint64_t ms);
/* What a crash shall lead back to, HYPERCALL_READY: false where there is no such call. */
bool hypervisor_ready(void);
/* Gives the pCPU to another vCPU. */
void cpu_yield(void);
[[gnu::noreturn]] void power_off(void);
[[gnu::noreturn]] void machine_reset(void);

void irq_enable(void);
void irq_disable(void);
void irq_line_enable(unsigned irq);
void irq_line_disable(unsigned irq);
/* Called for each interrupt, which is then ended. */
extern void (*irq_handler)(unsigned irq);
/* When set: called instead of all that; acknowledges and ends by itself. */
extern void (*irq_raw)(void);
/* IPI_IRQ on that CPU. */
void ipi_send(unsigned cpu);

uint64_t clock_read(void);
uint64_t clock_hz(void);
/* TIMER_IRQ of this CPU, at or after the deadline. Level: timer_off() ends it. */
void timer_set(uint64_t deadline);
void timer_off(void);
/* The deadline has passed, the line is high. */
bool timer_due(void);

/* Exceptions: while expected, the instruction is stepped over and noted. Per CPU. */
struct fault {
    unsigned count;
    uint64_t cause, address;
};
void fault_expect(void);
/* What came since fault_expect(). */
struct fault fault_taken(void);

/* Where exceptions go from now on. */
void vectors_set(uint64_t address);

void uart_put(char c);
/* -1: nothing typed. */
int uart_get(void);
/* UART_IRQ while something typed waits. */
void uart_irq_enable(void);
/* A clock that goes on over a reset, in seconds. */
uint32_t rtc_read(void);
void rtc_write(uint32_t seconds);

static inline uint32_t mmio_read(uint64_t address)
{
    return *(volatile uint32_t *)address;
}

static inline void mmio_write(uint64_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

#define LOAD(x)     __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)
#define ADD(x, v)   __atomic_add_fetch(&(x), (v), __ATOMIC_SEQ_CST)

/* --- <arch>/fp_*: FP registers, which C here does not use. --- */

void fp_enable(void);
/* All registers, modes and flags from a number; how many of them differ from that; all or-ed. */
void fp_fill(uint64_t seed);
uint64_t fp_compare(uint64_t seed);
uint64_t fp_or(void);
/* The architecture's own checks: turned off, it traps. */
void fp_check(void);

/* --- <arch>/bench_*: for the benchmark. Times are in ticks where a tick is an instruction. --- */

/*
 * The time behind and before what is measured; the difference with nothing between is the cost of
 * measuring.
 */
uint64_t bench_start(void);
uint64_t bench_stop(void);
/* The machine's own time, since its reset, at the guest's first instruction. */
extern uint64_t start_clock;
/* A null hypercall, from bench_start() to bench_stop(). */
uint64_t bench_hypercall(void);
/* From the deadline to the first instruction of the timer's handler; interrupts are enabled. */
uint64_t bench_spin_until(uint64_t deadline);
uint64_t bench_wait_until(uint64_t deadline);
/* From the instruction that sends an IPI to oneself to the handler's first. */
uint64_t bench_ipi(void);

/* What else this machine has to measure, by name; the last has none. */
struct bench_row {
    const char *name;
    uint64_t (*measure)(uint64_t argument); /* From bench_start() to bench_stop(). */
    uint64_t argument;
};
const struct bench_row *bench_rows(void);

static inline uint64_t bench_read(uint64_t address)
{
    uint64_t start = bench_start();

    mmio_read(address);
    return bench_stop() - start;
}

/* --- lib.c: a CPU that sleeps from tick to tick of its timer. --- */

#define TICK_MS 10u

struct ticks {
    unsigned count, early;
    uint64_t start, last; /* When it began, and took the last one. */
    volatile bool end;    /* To be set by another CPU. */
};
extern struct ticks ticker;
/* For irq_handler: takes a tick if that is what came. */
void ticks_take(unsigned irq);
/* Until ticker.end. */
void ticks_sleep(void);

/* --- <arch>/hostile_attacks.c: for the guest hostile. --- */

struct hostile_attack {
    void (*run)(void); /* The last has none. */
    unsigned weight;
};
/* Of the architecture alone. */
const struct hostile_attack *hostile_attacks(void);
/* Runs it; a fault of its own ends it, or is stepped over. */
void hostile_attempt(void (*run)(void));
/* A window of a device, any number for it. */
void hostile_window(uint64_t number, uint64_t *base, uint64_t *size);
/* A CPU that is off, or wherever it was sent, starts again. */
void hostile_restart(unsigned cpu);
/* This CPU's registers and controller as the runtime needs them. */
void hostile_repair(void);

/* --- hostile_numbers.c --- */

void hostile_seed(uint64_t seed);
uint64_t hostile_random(void);
/* What waits from here on comes back soon, for a CPU that sleeps attacks nobody. */
void hostile_wake(void);
/* One of the first count numbers. */
unsigned hostile_below(unsigned count);
/*
 * Command line: counted=1. Vectors that cannot be fetched are exceptions without end: where an
 * emulator counts instructions, time stands still then, for everybody.
 */
extern bool hostile_counted;
/* For what is the end of the VM: a life is thousands of attacks. */
bool hostile_seldom(void);
/* Of the kinds that programs forget. */
uint64_t hostile_number(void);
/* Within a device. */
uint64_t hostile_address(void);
