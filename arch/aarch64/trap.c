/* SPDX-License-Identifier: Apache-2.0 */
/* Traps of our own code: always fatal; and backtraces by frame pointers. */
#include "arch/aarch64/asm.h"
#include "arch/aarch64/sysreg.h"
#include "kernel/fmt.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"

[[gnu::noreturn]] void trap_fatal(const struct arch_trap_frame *frame, unsigned vector);

static const char *trap_text(const struct arch_trap_frame *frame, unsigned vector)
{
    if (vector == VECTOR_SERROR)
        return "system error";
    if (vector != VECTOR_SYNC)
        return "interrupt while masked";
    switch (field_get(ESR_EC, frame->esr)) {
    case EC_FETCH_ABORT:
        return "instruction abort";
    case EC_DATA_ABORT:
        return "data abort";
    case EC_PC_ALIGN:
    case EC_SP_ALIGN:
        return "misaligned pc or sp";
    case EC_ILLEGAL_STATE:
        return "illegal execution state";
    case EC_BRK64:
        return "breakpoint instruction";
    }
    return "unexpected trap";
}

/* Called by trap.S on the emergency stack. */
void trap_fatal(const struct arch_trap_frame *frame, unsigned vector)
{
    const struct pcpu *cpu = this_cpu();
    uintptr_t stack = (uintptr_t)(cpu ? cpu->stack_top : NULL);

    if (vector == VECTOR_SYNC && stack && frame->far < stack && stack - frame->far > 16 * KIB &&
        stack - frame->far <= 20 * KIB)
        panic_trap(frame, "stack overflow in the hypervisor");
    panic_trap(frame, "%s in the hypervisor", trap_text(frame, vector));
}

void arch_trap_print(const struct arch_trap_frame *frame, struct fmt_sink *sink)
{
    for (unsigned i = 0; i < 30; i += 3)
        fmt_print(sink, "  x%-2u %016llx  x%-2u %016llx  x%-2u %016llx\n", i,
                  (unsigned long long)frame->x[i], i + 1, (unsigned long long)frame->x[i + 1],
                  i + 2, (unsigned long long)frame->x[i + 2]);
    fmt_print(sink, "  x30 %016llx  sp  %016llx  pc  %016llx\n", (unsigned long long)frame->x[30],
              (unsigned long long)frame->sp, (unsigned long long)frame->elr);
    fmt_print(sink, "  spsr %08llx  esr %08llx  far %016llx\n", (unsigned long long)frame->spsr,
              (unsigned long long)frame->esr, (unsigned long long)frame->far);
}

/* Whether a frame record may be read there: in our own image or on one of our stacks. */
static bool trap_frame_ok(uintptr_t fp, uintptr_t low)
{
    return fp > low && fp - low <= 32 * KIB && IS_ALIGNED(fp, 8);
}

unsigned arch_backtrace(const struct arch_trap_frame *frame, uintptr_t *addrs, unsigned max)
{
    uintptr_t fp = frame ? frame->x[29] : (uintptr_t)__builtin_frame_address(0);
    uintptr_t low = frame ? frame->sp - 1 : fp - 1;
    unsigned count = 0;

    if (frame && max)
        addrs[count++] = frame->elr;
    while (count < max && fp && trap_frame_ok(fp, low)) {
        const uintptr_t *record = (const uintptr_t *)fp;

        if (record[1] == 0)
            break;
        addrs[count++] = record[1];
        low = fp;
        fp = record[0];
    }
    return count;
}
