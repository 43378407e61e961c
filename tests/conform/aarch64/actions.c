/* SPDX-License-Identifier: Apache-2.0 */
/* What the actions of an Arm guest are to cause. */
#include "tests/conform/conform.h"

#include "arch/aarch64/sysreg.h"

#define ISS_ID_AA64PFR0 0x300008u /* Op0 3, CRm 4. */
#define ISS_ACTLR       0x320400u /* Op0 3, Op2 1, CRn 1. */

/* A list register holds the interrupt, and asks to be told. [Arm IHI 0069H, 12.4.7] */
#define END_IRQ         40u

static void end_before(struct arch_vcpu *vcpu)
{
    arch_virq_write(vcpu, 0, BIT(62) | BIT(60) | BIT(41) | END_IRQ);
}

static void end_after(struct arch_vcpu *vcpu)
{
    arch_virq_write(vcpu, 0, 0);
    irq_handle();
}

/* A table of ours that is nowhere: the walk to HOLE meets it. */
#define NOWHERE (BITS(46, 12) | BITS(1, 0))

static void tables_break([[maybe_unused]] struct arch_vcpu *vcpu)
{
    conform_break_tables(1, NOWHERE);
}

static void tables_mend([[maybe_unused]] struct arch_vcpu *vcpu)
{
    conform_mend_tables();
}

static bool asked_wfe([[maybe_unused]] const struct arch_vcpu *vcpu)
{
    return sysreg_read("hcr_el2") & HCR_TWE;
}

/* What else is hidden depends on the processor as well. */
static const char *lacks_sve(void)
{
    return sysreg_read("id_aa64pfr0_el1") & BITS(35, 32)
               ? NULL
               : "this processor has no SVE that would have to be hidden";
}

static const char x86_only[] = "the architecture has no such instruction";

const struct action_info actions[ACTIONS] = {
    [ACT_HYPERCALL] = {act_hypercall, .resumes = true, .expect = 5, .result = ANSWER},
    [ACT_MMIO_READ] = {act_mmio_read, .resumes = true, .expect = 3,
                       .result = (uint64_t)(int16_t)ANSWER},
    [ACT_MMIO_WRITE] = {act_mmio_write, .resumes = true, .result = VALUE},
    [ACT_PIO_IN] = {.why = x86_only},
    [ACT_PIO_OUT] = {.why = x86_only},
    [ACT_SYSREG_READ] = {act_sysreg_read, .resumes = true, .expect = ISS_ID_AA64PFR0,
                         .result = ANSWER},
    [ACT_SYSREG_WRITE] = {act_sysreg_write, .resumes = true, .expect = ISS_ACTLR, .result = VALUE},
    [ACT_FETCH] = {act_fetch},
    [ACT_HALT] = {.why = x86_only},
    [ACT_IDLE] = {act_idle, .resumes = true},
    [ACT_WFI] = {act_wfi, .resumes = true, .result = 1},
    [ACT_WFE] = {act_wfe, .resumes = true, .result = 1,
                 .unseen = "QEMU's WFE ends at once and never traps; HCR_EL2.TWE is set",
                 .asked = asked_wfe},
    [ACT_CPU_UP] = {act_cpu_up, .resumes = true, .expect = 0x40000000},
    [ACT_CPU_DOWN] = {act_cpu_down},
    [ACT_SEND_IPI] = {act_send_ipi, .resumes = true, .expect = 5, .result = 1},
    [ACT_SYSTEM_DOWN] = {act_system_down},
    [ACT_SYSTEM_RESET] = {act_system_reset},
    [ACT_SHUTDOWN] = {.why = "a fault in a handler is one more fault, without end"},
    [ACT_DEBUG] = {act_debug, .before = conform_trap_breakpoints, .resumes = true, .expect = 0x42,
                   .result = 1},
    [ACT_WINDOW] = {.why = "a list register holds an interrupt until it can be taken"},
    [ACT_TIMER] = {act_timer},
    [ACT_END] = {act_end, .expect = END_IRQ, .before = end_before, .after = end_after},
    [ACT_FAIL] = {.why = "ERET to EL1 or EL0 is not refused"},
    [ACT_NOTHING] = {act_nothing, .lacks = lacks_sve},
    [ACT_INTERNAL] = {.why = "it is a SError, and nobody here can cause one"},
    [ACT_UNKNOWN] = {act_mmio_read, .before = tables_break, .after = tables_mend},
    [ACT_UNKNOWN_BY_GUEST] = {.why = "each cause that a guest can reach is known"},
    [ACT_INTERRUPTS] = {act_interrupts},
    [ACT_WAIT] = {act_wait},
    [ACT_SPIN] = {act_spin},
    [ACT_COUNT] = {act_count},
    [ACT_BREAK] = {act_break},
};
