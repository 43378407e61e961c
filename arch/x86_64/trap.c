/* SPDX-License-Identifier: Apache-2.0 */
/* Exceptions in our own code: fatal but for a probe's; and backtraces by frame pointers. */
#include "arch/x86_64/trap.h"

#include "arch/x86_64/x86.h"
#include "kernel/fmt.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"

/* Called by trap.S on a stack for traps. What it changes in the frame takes effect. */
void trap_handle(struct arch_trap_frame *frame);

extern const char msr_probe_access[], msr_probe_fault[];

static const char *trap_text(const struct arch_trap_frame *frame)
{
    static const char *const texts[] = {
        [0] = "division error",
        [1] = "debug exception",
        [2] = "NMI",
        [3] = "breakpoint instruction",
        [4] = "overflow",
        [5] = "bound exceeded",
        [6] = "invalid opcode",
        [7] = "floating-point instruction",
        [8] = "double fault",
        [10] = "invalid TSS",
        [11] = "segment not present",
        [12] = "stack segment fault",
        [13] = "general protection",
        [14] = "page fault",
        [16] = "x87 error",
        [17] = "misaligned access",
        [18] = "machine check",
        [19] = "SIMD error",
        [21] = "control protection",
    };
    const char *text = frame->vector < ARRAY_SIZE(texts) ? texts[frame->vector] : NULL;

    return text ? text : "unexpected exception";
}

static bool trap_is_stack_overflow(const struct arch_trap_frame *frame)
{
    uintptr_t stack = (uintptr_t)this_cpu()->stack_top;

    return (frame->vector == TRAP_PF || frame->vector == TRAP_DF) && stack && frame->cr2 < stack &&
           stack - frame->cr2 > 16 * KIB && stack - frame->cr2 <= 20 * KIB;
}

/* What the first bank with an error says of it. */
[[gnu::noreturn]] static void trap_machine_check(const struct arch_trap_frame *frame)
{
    uint64_t count = field_get(MCG_CAP_COUNT, msr_read(MSR_MCG_CAP));

    for (uint32_t bank = 0; bank < count; bank++) {
        uint64_t status = msr_read(MSR_MC0_STATUS + 4 * bank), addr = 0;

        if (!(status & MC_STATUS_VALID))
            continue;
        if (status & MC_STATUS_ADDRV)
            addr = msr_read(MSR_MC0_ADDR + 4 * bank);
        panic_trap(frame, "machine check: bank %u, status %016llx, address %#llx", bank,
                   (unsigned long long)status, (unsigned long long)addr);
    }
    panic_trap(frame, "machine check, of which no bank says anything");
}

void trap_handle(struct arch_trap_frame *frame)
{
    if (frame->vector == TRAP_GP && frame->rip == (uintptr_t)msr_probe_access) {
        frame->rip = (uintptr_t)msr_probe_fault;
        return;
    }
    if (trap_is_stack_overflow(frame))
        panic_trap(frame, "stack overflow in the hypervisor");
    if (frame->vector == TRAP_NMI)
        panic_trap(frame, "NMI: the hardware reports an error, or somebody asked for it");
    if (frame->vector == TRAP_MC)
        trap_machine_check(frame);
    panic_trap(frame, "%s in the hypervisor", trap_text(frame));
}

void arch_trap_print(const struct arch_trap_frame *frame, struct fmt_sink *sink)
{
    static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

    for (unsigned i = 0; i < 16; i++)
        fmt_print(sink, "  %-3s %016llx%s", names[i], (unsigned long long)frame->gpr[i],
                  i % 4 == 3 ? "\n" : "");
    fmt_print(sink, "  rip %016llx  rflags %08llx  cs %04llx  ss %04llx\n",
              (unsigned long long)frame->rip, (unsigned long long)frame->rflags,
              (unsigned long long)frame->cs, (unsigned long long)frame->ss);
    fmt_print(sink, "  cr2 %016llx  vector %llu  error %llx  cr3 %016llx\n",
              (unsigned long long)frame->cr2, (unsigned long long)frame->vector,
              (unsigned long long)frame->error, (unsigned long long)cr3_read());
}

/* Whether a frame record may be read there: above the last one, on the same stack. */
static bool trap_frame_ok(uintptr_t fp, uintptr_t low)
{
    return fp > low && fp - low <= 32 * KIB && IS_ALIGNED(fp, 8);
}

/* rbp points at the caller's rbp; the return address is above it. */
unsigned arch_backtrace(const struct arch_trap_frame *frame, uintptr_t *addrs, unsigned max)
{
    uintptr_t fp = frame ? frame->gpr[5] : (uintptr_t)__builtin_frame_address(0);
    uintptr_t low = frame ? frame->rsp - 1 : fp - 1;
    unsigned count = 0;

    if (frame && max)
        addrs[count++] = frame->rip;
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
