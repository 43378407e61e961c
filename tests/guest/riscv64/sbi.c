/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The firmware of a riscv64 guest: what is there, what is refused with which error, harts that
 * start, stop and suspend. [SBI 2.0; "Binary Encoding" for what is not supported]
 */
#include "riscv.h"

#define OPAQUE 0x5a5a000000000000ul

static unsigned last_cpu, stops;
static uint64_t opaque_seen;

static uint64_t error(struct sbi_result result)
{
    return (uint64_t)result.error;
}

#define NOT_SUPPORTED   ((uint64_t)SBI_ERR_NOT_SUPPORTED)
#define INVALID_PARAM   ((uint64_t)SBI_ERR_INVALID_PARAM)
#define INVALID_ADDRESS ((uint64_t)SBI_ERR_INVALID_ADDRESS)

static uint64_t probe(uint32_t extension)
{
    return SBI3(SBI_BASE, 3, extension, 0, 0).value;
}

static void check_base(void)
{
    struct sbi_result version = SBI(SBI_BASE, 0);

    check(version.error == 0 && version.value >> 24 >= 2, "BASE: version 2 at least");
    check_eq(error(SBI(SBI_BASE, 1)), 0, "BASE: the implementation has a number");
    check_eq(error(SBI(SBI_BASE, 2)), 0, "and a version");
    check_eq(error(SBI(SBI_BASE, 4)) | error(SBI(SBI_BASE, 5)) | error(SBI(SBI_BASE, 6)), 0,
             "BASE: the hart has identities");
    check(probe(SBI_TIME) && probe(SBI_IPI) && probe(SBI_RFENCE) && probe(SBI_HSM) &&
              probe(SBI_SRST) && probe(SBI_DBCN) && probe(SBI_BASE),
          "BASE: all extensions are found");
    check_eq(probe(0x504d55), 0, "BASE: no PMU");
    check_eq(probe(0x12345), 0, "BASE: nor one that nobody knows");
    check_eq(error(SBI(SBI_BASE, 7)), NOT_SUPPORTED, "BASE: a function too many");
}

static void check_unknown(void)
{
    check_eq(error(SBI(0x12345, 0)), NOT_SUPPORTED, "an unknown extension is not supported");
    check_eq(error(SBI(0x504d55, 0)), NOT_SUPPORTED, "nor is the PMU");
    check_eq(error(SBI(0x53555350, 0)), NOT_SUPPORTED, "nor the suspend of the system");
    check_eq(error(SBI(0x0f, 0)), NOT_SUPPORTED, "nor a legacy number that is reserved");
    check_eq(error(SBI(SBI_TIME, 1)), NOT_SUPPORTED, "TIME has one function");
    check_eq(error(SBI(SBI_IPI, 1)), NOT_SUPPORTED, "IPI has one function");
    check_eq(error(SBI(SBI_SRST, 1)), NOT_SUPPORTED, "SRST has one function");
    check_eq(error(SBI(SBI_HSM, 4)), NOT_SUPPORTED, "HSM has four");
    check_eq(error(SBI(SBI_DBCN, 3)), NOT_SUPPORTED, "DBCN has three");
    check_eq(error(SBI(SBI_RFENCE, 7)), NOT_SUPPORTED, "RFENCE has seven");
    check_eq(error(SBI3(SBI_RFENCE, 3, 1, 0, 0)), NOT_SUPPORTED,
             "of which those for hypervisors are not supported");
}

static void check_refusals(void)
{
    check_eq(error(SBI3(SBI_RFENCE, 0, 1ul << (last_cpu + 1), 0, 0)), INVALID_PARAM,
             "RFENCE to a hart that there is not");
    check_eq(error(SBI3(SBI_RFENCE, 1, 1, last_cpu + 1, 0)), INVALID_PARAM, "nor by its base");
    check_eq(error(SBI3(SBI_RFENCE, 0, 0, ~0ul, 0)), 0, "RFENCE to all");
    check_eq(error(SBI3(SBI_RFENCE, 1, 0, ~0ul, 0)), 0, "of translations");
    check_eq(error(sbi_call(SBI_RFENCE, 2, 0, ~0ul, 0x80000000, 0x1000, 1)), 0, "of one ASID");
    check_eq(error(SBI3(SBI_SRST, 0, 3, 0, 0)), INVALID_PARAM, "SRST of a reserved type");
    check_eq(error(SBI3(SBI_SRST, 0, 0xf0000000, 0, 0)), INVALID_PARAM, "and of a platform's");
    check_eq(error(SBI3(SBI_SRST, 0, 0, 2, 0)), INVALID_PARAM, "and for a reserved reason");
    check_eq(error(SBI3(SBI_HSM, 3, 1, 0, 0)), INVALID_PARAM, "suspend of a reserved type");
    check_eq(error(SBI3(SBI_HSM, 3, 0x80000001, 0, 0)), INVALID_PARAM, "not retentive either");
    check_eq(error(SBI3(SBI_HSM, 3, 0x80000000, HOLE_ADDRESS, 0)), INVALID_ADDRESS,
             "suspend, to resume where no memory is");
    check_eq(error(SBI3(SBI_HSM, 0, hart_of(0), (uint64_t)secondary_entry, 0)),
             (uint64_t)SBI_ERR_ALREADY_AVAILABLE, "a hart cannot start itself");
    check_eq(error(SBI3(SBI_HSM, 0, 77, (uint64_t)secondary_entry, 0)), INVALID_PARAM,
             "nor one that there is not");
    check_eq(error(SBI3(SBI_HSM, 0, hart_of(last_cpu), HOLE_ADDRESS, 0)), INVALID_ADDRESS,
             "nor where no memory is");
    check_eq(error(SBI3(SBI_HSM, 0, hart_of(last_cpu), DEVICE_ADDRESS, 0)), INVALID_ADDRESS,
             "nor in a device");
    check_eq(error(SBI3(SBI_HSM, 0, hart_of(last_cpu), ~1ul, 0)), INVALID_ADDRESS,
             "nor at the end of all addresses");
    check_eq(error(SBI3(SBI_HSM, 2, 77, 0, 0)), INVALID_PARAM, "no status without a hart");
}

/* --- Harts --- */

static uint64_t status(unsigned cpu)
{
    return SBI3(SBI_HSM, 2, hart_of(cpu), 0, 0).value;
}

static void stop(uint64_t opaque)
{
    STORE(opaque_seen, opaque);
    ADD(stops, 1);
    SBI(SBI_HSM, 1);
    report_failure();
    print("FAIL hart_stop does not return\n");
}

static void check_start_stop(void)
{
    unsigned wrong = 0;

    check_eq(status(0), 0, "one's own hart is started");
    check_eq(status(last_cpu), 1, "one that nobody started is stopped");
    secondary_hook = stop;
    for (unsigned i = 1; i <= 100; i++) {
        uint64_t opaque = OPAQUE | (uint64_t)i << 8 | last_cpu;

        if (SBI3(SBI_HSM, 0, hart_of(last_cpu), (uint64_t)secondary_entry, opaque).error != 0 ||
            !WAIT_FOR(LOAD(stops) == i, LATE_MS) || LOAD(opaque_seen) != opaque ||
            !WAIT_FOR(status(last_cpu) == 1, LATE_MS))
            wrong++;
    }
    check_eq(wrong, 0, "a hart starts and stops 100 times, each time with its argument in a1");
    check_eq(secondary_state[3], hart_of(last_cpu), "with its own number in a0");
    check_eq(secondary_state[0] & SSTATUS_SIE, 0, "with interrupts masked");
    check_eq(secondary_state[1], 0, "with translation off");
    secondary_hook = NULL;
}

static void check_start_twice(void)
{
    uint64_t hart = hart_of(last_cpu);

    check_eq(error(SBI3(SBI_HSM, 0, hart, (uint64_t)secondary_entry, last_cpu)), 0,
             "a start of a hart that is stopped succeeds");
    check_eq(error(SBI3(SBI_HSM, 0, hart, (uint64_t)secondary_entry, last_cpu)),
             (uint64_t)SBI_ERR_ALREADY_AVAILABLE, "at once again it is refused");
    check(WAIT_FOR(status(last_cpu) == 0, LATE_MS), "then the hart is started");
    check_eq(error(SBI3(SBI_HSM, 0, hart, (uint64_t)secondary_entry, last_cpu)),
             (uint64_t)SBI_ERR_ALREADY_AVAILABLE, "and cannot be started");
}

static void woken(unsigned irq)
{
    (void)irq;
    timer_off();
}

static void check_suspend(void)
{
    uint64_t start = clock_read(), delay = clock_hz() / 500;

    irq_line_enable(TIMER_IRQ);
    timer_set(start + delay);
    check_eq(error(SBI3(SBI_HSM, 3, 0, 0, 0)), 0, "a retentive suspend returns");
    check(clock_read() - start >= delay, "when an interrupt is pending");
    timer_off();
}

/* On the last hart, which has no work left when it has resumed elsewhere. */
static void suspend_for_ever(void)
{
    irq_line_enable(IPI_IRQ);
    secondary_hook = stop;
    SBI3(SBI_HSM, 3, 0x80000000, (uint64_t)secondary_entry, OPAQUE | last_cpu);
    report_failure();
    print("FAIL a suspend that is not retentive does not return\n");
}

static void check_suspend_resume(void)
{
    unsigned before = stops;

    cpu_call(last_cpu, suspend_for_ever);
    check(WAIT_FOR(status(last_cpu) == 4, LATE_MS), "a suspended hart tells so");
    WAIT_FOR(false, 2);
    check_eq(LOAD(stops), before, "and does not run");
    ipi_send(last_cpu);
    check(WAIT_FOR(LOAD(stops) == before + 1, LATE_MS),
          "an interrupt resumes it where it asked to");
    check_eq(LOAD(opaque_seen), OPAQUE | last_cpu, "with its argument");
    check_eq(secondary_state[1] | (secondary_state[0] & SSTATUS_SIE), 0, "as a hart that starts");
    check(WAIT_FOR(status(last_cpu) == 1, LATE_MS), "and it stops");
}

/* --- Console, timer, registers --- */

static void check_console(void)
{
    static const char text[] = "# written by DBCN\n";
    uint64_t at = (uint64_t)text, base, size, written = 0;
    struct sbi_result result;

    machine_memory(&base, &size);
    while (written < sizeof(text) - 1) {
        result = SBI3(SBI_DBCN, 0, sizeof(text) - 1 - written, at + written, 0);
        if (result.error != 0)
            break;
        written += result.value;
    }
    check_eq(written, sizeof(text) - 1, "DBCN writes from memory");
    check_eq(error(SBI3(SBI_DBCN, 2, '#', 0, 0)) | error(SBI3(SBI_DBCN, 2, '\n', 0, 0)), 0,
             "and one byte");
    check_eq(error(SBI3(SBI_DBCN, 0, 8, HOLE_ADDRESS, 0)), INVALID_PARAM,
             "DBCN refuses what is no memory");
    check_eq(error(SBI3(SBI_DBCN, 0, 8, base + size, 0)), INVALID_PARAM, "and what is behind it");
    check_eq(error(SBI3(SBI_DBCN, 0, 8, at, 1)), INVALID_PARAM, "and addresses of 128 bits");
    check_eq(error(SBI3(SBI_DBCN, 1, 8, HOLE_ADDRESS, 0)), INVALID_PARAM, "for reading the same");
    result = SBI3(SBI_DBCN, 1, 8, base + size - 8, 0);
    check_eq(error(result) | result.value, 0, "a read with nothing typed reads nothing");
    check_eq(sbi_legacy(1, '#') | sbi_legacy(1, '\n'), 0, "the legacy call writes a character");
    check_eq(sbi_legacy(2, 0), ~0ul, "and reads -1 with nothing typed");
}

static void check_timer(void)
{
    uint64_t deadline = clock_read() + clock_hz() / 1000;

    irq_line_disable(TIMER_IRQ);
    check_eq(error(SBI3(SBI_TIME, 0, deadline, 0, 0)), 0, "TIME sets the timer");
    check(!timer_due() || clock_read() >= deadline, "which is not due before");
    check(WAIT_FOR(timer_due(), LATE_MS) && clock_read() >= deadline, "but then");
    SBI3(SBI_TIME, 0, ~0ul, 0, 0);
    check(!timer_due(), "a new deadline takes the old interrupt back");
    check_eq(sbi_legacy(0, clock_read()), 0, "the legacy call sets it as well");
    check(WAIT_FOR(timer_due(), LATE_MS), "and it is due");
    sbi_legacy(0, ~0ul);
    check(!timer_due(), "until it is set anew");
}

/* All but a0 and a1 must be kept ["Binary Encoding"]; legacy calls keep a1 too. */
static void check_kept(void)
{
    unsigned kept = 0;

    for (uint64_t i = 0; i < 100; i++) {
        register uint64_t a0 __asm__("a0") = 0, a1 __asm__("a1") = i, a2 __asm__("a2") = i + 2,
                             a5 __asm__("a5") = i + 5, a6 __asm__("a6") = 0,
                             a7 __asm__("a7") = i % 2 ? 3 : SBI_BASE, t0 __asm__("t0") = i + 7;

        __asm__ volatile("ecall"
                         : "+r"(a0), "+r"(a1), "+r"(a2), "+r"(a5), "+r"(a6), "+r"(a7),
                           "+r"(t0)::"memory");
        kept += a2 == i + 2 && a5 == i + 5 && a6 == 0 && a7 == (i % 2 ? 3 : SBI_BASE) &&
                t0 == i + 7 && (i % 2 == 0 || a1 == i);
    }
    check_eq(kept, 100, "a call keeps the registers that it must");
}

void guest_main(void)
{
    irq_handler = woken;
    last_cpu = machine_cpu_count() - 1;
    check(last_cpu > 0, "there are several vCPUs");
    check_base();
    check_unknown();
    check_refusals();
    check_start_stop();
    check_start_twice();
    check_suspend();
    check_suspend_resume();
    check_console();
    check_timer();
    check_kept();
}
