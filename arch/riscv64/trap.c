/* SPDX-License-Identifier: Apache-2.0 */
/* Traps of our own code: always fatal; and backtraces by frame pointers. */
#include "arch/riscv64/csr.h"
#include "kernel/arch.h"
#include "kernel/fmt.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"

[[gnu::noreturn]] void trap_fatal(const struct arch_trap_frame *frame);

const char *trap_text(uint64_t cause)
{
    switch (cause) {
    case CAUSE_FETCH_MISALIGNED:
        return "misaligned pc";
    case CAUSE_FETCH_ACCESS:
    case CAUSE_FETCH_PAGE:
        return "instruction fetch fault";
    case CAUSE_ILLEGAL:
        return "illegal instruction";
    case CAUSE_BREAKPOINT:
        return "breakpoint instruction";
    case CAUSE_LOAD_MISALIGNED:
    case CAUSE_STORE_MISALIGNED:
        return "misaligned access";
    case CAUSE_LOAD_ACCESS:
    case CAUSE_STORE_ACCESS:
        return "access fault";
    case CAUSE_LOAD_PAGE:
        return "load page fault";
    case CAUSE_STORE_PAGE:
        return "store page fault";
    case CAUSE_ECALL_U:
    case CAUSE_ECALL_S:
    case CAUSE_ECALL_VS:
        return "environment call";
    case CAUSE_SOFTWARE_CHECK:
        return "software check";
    case CAUSE_FETCH_GUEST_PAGE:
        return "guest-page fault by a fetch";
    case CAUSE_LOAD_GUEST_PAGE:
        return "guest-page fault by a load";
    case CAUSE_STORE_GUEST_PAGE:
        return "guest-page fault by a store";
    case CAUSE_VIRTUAL:
        return "virtual instruction";
    }
    return cause & SCAUSE_INTERRUPT ? "interrupt" : "unknown exception";
}

/* Called by trap.S on the emergency stack. */
void trap_fatal(const struct arch_trap_frame *frame)
{
    static const char text[] = "Caisson: a trap before anything was set up\r\n";
    const struct pcpu *cpu = this_cpu();
    uintptr_t stack = (uintptr_t)(cpu ? cpu->stack_top : NULL);

    if (!cpu) {
        (void)(arch_console_write(text, sizeof(text) - 1) == OK);
        arch_halt();
    }
    if (frame->scause == CAUSE_STORE_PAGE && stack && frame->stval < stack &&
        stack - frame->stval > 16 * KIB && stack - frame->stval <= 20 * KIB)
        panic_trap(frame, "stack overflow in the hypervisor");
    panic_trap(frame, "%s in the hypervisor", trap_text(frame->scause));
}

void arch_trap_print(const struct arch_trap_frame *frame, struct fmt_sink *sink)
{
    for (unsigned i = 1; i < 31; i += 3)
        fmt_print(sink, "  x%-2u %016llx  x%-2u %016llx  x%-2u %016llx\n", i,
                  (unsigned long long)frame->x[i], i + 1, (unsigned long long)frame->x[i + 1],
                  i + 2, (unsigned long long)frame->x[i + 2]);
    fmt_print(sink, "  x31 %016llx  pc  %016llx  scause %016llx\n",
              (unsigned long long)frame->x[31], (unsigned long long)frame->sepc,
              (unsigned long long)frame->scause);
    fmt_print(sink, "  stval %016llx  sstatus %016llx  hstatus %016llx  htval %llx\n",
              (unsigned long long)frame->stval, (unsigned long long)frame->sstatus,
              (unsigned long long)frame->hstatus, (unsigned long long)frame->htval);
}

/* Whether a frame record may lie there: above the last one, on the same stack. */
static bool trap_frame_ok(uintptr_t fp, uintptr_t low)
{
    return fp > low && fp - low <= 32 * KIB && IS_ALIGNED(fp, 8);
}

/* The frame pointer s0 points above the record: return address at -8, the caller's s0 at -16
 * [psABI]. */
unsigned arch_backtrace(const struct arch_trap_frame *frame, uintptr_t *addrs, unsigned max)
{
    uintptr_t fp = frame ? frame->x[8] : (uintptr_t)__builtin_frame_address(0);
    uintptr_t low = frame ? frame->x[2] - 1 : fp - 1;
    unsigned count = 0;

    if (frame && max)
        addrs[count++] = frame->sepc;
    while (count < max && fp && trap_frame_ok(fp, low)) {
        const uintptr_t *record = (const uintptr_t *)fp;

        if (record[-1] == 0)
            break;
        addrs[count++] = record[-1];
        low = fp;
        fp = record[-2];
    }
    return count;
}
