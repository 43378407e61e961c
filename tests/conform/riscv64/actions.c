/* SPDX-License-Identifier: Apache-2.0 */
/* What the actions of a RISC-V guest are to cause. */
#include "tests/conform/conform.h"

#include "arch/riscv64/csr.h"
#include "kernel/platform.h"
#include "kernel/string.h"

/* The hypervisor gets what is the guest's own. */
static void undefined_exits([[maybe_unused]] struct arch_vcpu *vcpu)
{
    csr_clear("hedeleg", BIT(CAUSE_ILLEGAL));
}

static void undefined_is_the_guests([[maybe_unused]] struct arch_vcpu *vcpu)
{
    csr_set("hedeleg", BIT(CAUSE_ILLEGAL));
}

static const char *lacks_wrs(void)
{
    for (const char *isa = platform.isa; *isa; isa++)
        if (strncmp(isa, "_zawrs", 6) == 0)
            return NULL;
    return "this hart has no WRS";
}

static const char x86_only[] = "the architecture has no such instruction";

const struct action_info actions[ACTIONS] = {
    [ACT_HYPERCALL] = {act_hypercall, .resumes = true, .result = ANSWER},
    [ACT_MMIO_READ] = {act_mmio_read, .resumes = true, .expect = 28,
                       .result = (uint64_t)(int16_t)ANSWER},
    [ACT_MMIO_WRITE] = {act_mmio_write, .resumes = true, .result = VALUE},
    [ACT_PIO_IN] = {.why = x86_only},
    [ACT_PIO_OUT] = {.why = x86_only},
    [ACT_SYSREG_READ] = {act_sysreg_read, .resumes = true, .expect = 0x15c, .result = ANSWER},
    [ACT_SYSREG_WRITE] = {act_sysreg_write, .resumes = true, .expect = 0x151, .result = VALUE},
    [ACT_FETCH] = {act_fetch},
    [ACT_HALT] = {.why = x86_only},
    [ACT_IDLE] = {act_idle, .resumes = true},
    [ACT_WFI] = {act_wfi, .resumes = true, .result = 1},
    [ACT_WFE] = {act_wfe, .resumes = true, .result = 1, .lacks = lacks_wrs},
    [ACT_CPU_UP] = {act_cpu_up, .resumes = true, .expect = 0x80200000},
    [ACT_CPU_DOWN] = {act_cpu_down},
    [ACT_SEND_IPI] = {act_send_ipi, .resumes = true},
    [ACT_SYSTEM_DOWN] = {act_system_down},
    [ACT_SYSTEM_RESET] = {act_system_reset},
    [ACT_SHUTDOWN] = {.why = "a fault in a handler is one more fault, without end"},
    [ACT_DEBUG] = {act_debug, .before = conform_trap_breakpoints, .resumes = true, .result = 1},
    [ACT_WINDOW] = {.why = "a line in hvip stays high until the interrupt can be taken"},
    [ACT_TIMER] = {.why = "with Sstc it raises a line in hvip by itself, without an exit; without, "
                          "it is a timer of the hypervisor's"},
    [ACT_END] = {act_end, .resumes = true, .expect = UINT32_MAX, .result = 1},
    [ACT_FAIL] = {.why = "SRET to VS-mode or VU-mode is not refused"},
    [ACT_NOTHING] = {act_nothing},
    [ACT_INTERNAL] = {.why = "a hart has no such cause"},
    [ACT_UNKNOWN] = {act_undefined, .before = undefined_exits, .after = undefined_is_the_guests},
    [ACT_UNKNOWN_BY_GUEST] = {.why = "each cause that is not delegated is known"},
    [ACT_INTERRUPTS] = {act_interrupts},
    [ACT_WAIT] = {act_wait},
    [ACT_SPIN] = {act_spin},
    [ACT_COUNT] = {act_count},
    [ACT_BREAK] = {act_break},
};
