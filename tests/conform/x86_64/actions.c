/* SPDX-License-Identifier: Apache-2.0 */
/* What the actions of an x86 guest are to cause. */
#include "tests/conform/conform.h"

static void window_before(struct arch_vcpu *vcpu)
{
    arch_virq_set_control(vcpu, BIT(VIRQ_SLOT_VECTOR));
}

static const char arm_only[] = "the architecture has no such instruction, but HLT";

const struct action_info actions[ACTIONS] = {
    [ACT_HYPERCALL] = {act_hypercall, .resumes = true, .expect = 6, .result = ANSWER},
    [ACT_MMIO_READ] = {act_mmio_read, .resumes = true, .expect = 3, .result = ANSWER},
    [ACT_MMIO_WRITE] = {act_mmio_write, .resumes = true, .result = VALUE},
    [ACT_PIO_IN] = {act_pio_in, .resumes = true, .expect = 0x1f0, .result = ANSWER},
    [ACT_PIO_OUT] = {act_pio_out, .resumes = true, .expect = 0x1f0, .result = VALUE},
    [ACT_SYSREG_READ] = {act_sysreg_read, .resumes = true, .expect = 0x1b, .result = ANSWER},
    [ACT_SYSREG_WRITE] = {act_sysreg_write, .resumes = true, .expect = 0x6e0, .result = VALUE},
    [ACT_FETCH] = {act_fetch},
    [ACT_HALT] = {act_halt, .resumes = true, .result = 1},
    [ACT_IDLE] = {.why = "a PC has no firmware call for that, and MWAIT is hidden"},
    [ACT_WFI] = {.why = arm_only},
    [ACT_WFE] = {act_wfe, .unseen = "this processor notices no loop of PAUSE"},
    [ACT_CPU_UP] = {act_cpu_up, .resumes = true, .expect = 0x8000, .result = 1},
    [ACT_CPU_DOWN] = {act_cpu_down},
    [ACT_SEND_IPI] = {act_send_ipi, .resumes = true, .expect = 0x41, .result = 1},
    [ACT_SYSTEM_DOWN] = {act_system_down},
    [ACT_SYSTEM_RESET] = {act_system_reset},
    [ACT_SHUTDOWN] = {act_shutdown},
    [ACT_DEBUG] = {act_debug, .resumes = true, .result = 1,
                   .unseen = "QEMU's INT3 looks at the intercept of INT n in place of that of #BP"},
    [ACT_WINDOW] = {act_window, .before = window_before},
    [ACT_TIMER] = {.why = "a guest's timer is its local APIC's, a timer of the hypervisor's"},
    [ACT_END] = {act_end, .resumes = true, .expect = UINT32_MAX, .result = 1},
    [ACT_FAIL] = {act_spin, .entry = (uint64_t)1 << 63,
                  .unseen =
                      "an entry at an address that is none is taken; what is refused is refused "
                      "before, by arch_vcpu_set_regs()"},
    [ACT_NOTHING] = {act_nothing, .resumes = true, .result = 1},
    [ACT_SPIN] = {act_spin},
    [ACT_COUNT] = {act_count},
    [ACT_BREAK] = {act_break},
};
