/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of everything. The first pCPU to come here owns the report; it stops the others with an
 * IPI (ipi_taken() sees panic_under_way() and halts), takes no locks any more, and prints. A pCPU
 * that panics at the same time halts at once. A panic within the report prints one line and halts.
 */
#include "kernel/panic.h"

#include "kernel/arch.h"
#include "kernel/assert.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/symbols.h"

#define BACKTRACE_MAX 24u

static _Atomic unsigned panic_owner; /* Id + 1 of the pCPU that panics; 0: all is well. */

bool panic_under_way(void)
{
    return atomic_load_explicit(&panic_owner, memory_order_relaxed) != 0;
}

bool panic_here(void)
{
    return atomic_load_explicit(&panic_owner, memory_order_relaxed) == this_cpu()->id + 1;
}

static void panic_stop_others(void)
{
    for (unsigned i = 0; i < pcpu_count; i++) {
        if (pcpu(i) != this_cpu() && atomic_load(&pcpu(i)->online))
            arch_ipi_send(pcpu(i)); /* Not ipi_kick(): it relies on state that may be broken. */
    }
}

static void panic_print_backtrace(const struct arch_trap_frame *frame)
{
    uintptr_t addrs[BACKTRACE_MAX];
    unsigned count = arch_backtrace(frame, addrs, BACKTRACE_MAX);
    struct fmt_sink *sink = log_open(LOG_ERROR);

    fmt_print(sink, "backtrace:\n");
    for (unsigned i = 0; i < count; i++) {
        char name[SYMBOL_NAME_MAX];
        uintptr_t offset, call = i > 0 || !frame;

        /* A return address is behind its call, maybe in the next function. */
        fmt_print(sink, "  #%u 0x%016lx", i, (unsigned long)addrs[i]);
        if (symbol_name(addrs[i] - call, name, &offset))
            fmt_print(sink, " %s+%#lx", name, (unsigned long)(offset + call));
        fmt_print(sink, "\n");
    }
    log_close();
}

[[gnu::noreturn]] static void panic_report(const struct arch_trap_frame *frame, const char *format,
                                           va_list args)
{
    unsigned none = 0;
    struct fmt_sink *sink;

    if (!atomic_compare_exchange_strong(&panic_owner, &none, this_cpu()->id + 1)) {
        /* Another pCPU's report is under way, or this one's went wrong: the message is all. */
        static _Atomic bool nested;

        if (panic_here() && !atomic_exchange(&nested, true))
            log_vat(LOG_ERROR, format, args);
        arch_halt();
    }
    log_panic_mode();
    panic_stop_others();
    sink = log_open(LOG_ERROR);
    fmt_print(sink, "panic on cpu%u: ", this_cpu()->id);
    fmt_vprint(sink, format, args);
    log_close();
    if (frame) {
        sink = log_open(LOG_ERROR);
        fmt_print(sink, "registers:\n");
        arch_trap_print(frame, sink);
        log_close();
    }
    panic_print_backtrace(frame);
    log_error("cpu%u stops; the machine is halted", this_cpu()->id);
    arch_halt();
}

void panic(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    panic_report(NULL, format, args);
}

void panic_trap(const struct arch_trap_frame *frame, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    panic_report(frame, format, args);
}

[[gnu::weak]] /* Weak: host tests have their own, which ends the test. */
[[gnu::weak]] void
assert_failed(const char *expr, const char *file, int line)
{
    panic("assertion failed: %s (%s:%d)", expr, file, line);
}
