/* SPDX-License-Identifier: Apache-2.0 */
/* What the actions of an x86 guest are to cause. */
#include "tests/conform/conform.h"

#include "arch/x86_64/backend.h"

static void window_ask(struct arch_vcpu *vcpu)
{
    arch_virq_set_control(vcpu, BIT(VIRQ_SLOT_VECTOR));
}

/* --- What only we can do wrong --- */

/* What a refused VMRUN leaves of the guest's state is nobody's promise. */
static struct arch_regs kept;

static void dr7_break(struct arch_vcpu *vcpu)
{
    if (vcpu_unbind(c.vcpu) == OK)
        arch_vcpu_get_regs(vcpu, &kept);
    if (vcpu_bind(c.vcpu) != OK)
        c.failed = "the registers are kept";
    virt_backend->set_reg(vcpu, REG_DR7, BIT(32) | DR7_RESET);
}

static void dr7_mend(struct arch_vcpu *vcpu)
{
    if (vcpu_unbind(c.vcpu) != OK || arch_vcpu_set_regs(vcpu, &kept) != OK ||
        vcpu_bind(c.vcpu) != OK)
        c.failed = "the registers are put back";
}

/* EPT: a page that may be written and not read. [SDM 3, 29.3.3.1] */
#define WRITE_ONLY 2u

static void tables_break([[maybe_unused]] struct arch_vcpu *vcpu)
{
    conform_break_tables(0, WRITE_ONLY);
}

static void tables_mend([[maybe_unused]] struct arch_vcpu *vcpu)
{
    conform_mend_tables();
}

static const char *lacks_misconfiguration(void)
{
    return virt_is_vmx ? NULL
                       : "to nested paging a mistake in our tables is a fault of the guest's";
}

/* SVM: the guest's #UD, which nobody wants. */
static void undefined_exits(struct arch_vcpu *vcpu)
{
    svm_vmcb(vcpu)->control.intercept_exceptions |= (uint32_t)BIT(VECTOR_UD);
    svm_dirty(svm_vmcb(vcpu), VMCB_CLEAN_INTERCEPTS);
}

static void undefined_is_the_guests(struct arch_vcpu *vcpu)
{
    svm_vmcb(vcpu)->control.intercept_exceptions &= ~(uint32_t)BIT(VECTOR_UD);
    svm_dirty(svm_vmcb(vcpu), VMCB_CLEAN_INTERCEPTS);
}

/* VMX: there is no task switch that does not exit. [SDM 3, 26.1.2] */
static const char *lacks_task_switch(void)
{
    return virt_is_vmx ? NULL : "each cause that a guest can reach is known";
}

/* Of VMX it is not known that one does without. */
static bool asked_breakpoints(const struct arch_vcpu *vcpu)
{
    return !virt_is_vmx && svm_vmcb(vcpu)->control.intercept_exceptions & (uint32_t)BIT(VECTOR_BP);
}

static const char arm_only[] = "the architecture has no such instruction, but HLT";

const struct action_info actions[ACTIONS] = {
    [ACT_HYPERCALL] = {act_hypercall, .resumes = true, .result = ANSWER},
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
    [ACT_WFE] = {act_wfe},
    [ACT_CPU_UP] = {act_cpu_up, .resumes = true, .expect = 0x8000, .result = 1},
    [ACT_CPU_DOWN] = {act_cpu_down},
    [ACT_SEND_IPI] = {act_send_ipi, .resumes = true, .expect = 0x41, .result = 1},
    [ACT_SYSTEM_DOWN] = {act_system_down},
    [ACT_SYSTEM_RESET] = {act_system_reset},
    [ACT_SHUTDOWN] = {act_shutdown},
    [ACT_DEBUG] = {act_debug, .before = conform_trap_breakpoints, .resumes = true, .result = 1,
                   .unseen = "QEMU's INT3 looks at the intercept of INT n, though #BP's is set",
                   .asked = asked_breakpoints},
    [ACT_WINDOW] = {act_window, .after = window_ask},
    [ACT_TIMER] = {.why = "a guest's timer is its local APIC's, a timer of the hypervisor's"},
    [ACT_END] = {act_end, .resumes = true, .expect = UINT32_MAX, .result = 1},
    [ACT_FAIL] = {act_spin, .before = dr7_break, .after = dr7_mend},
    [ACT_NOTHING] = {act_nothing, .resumes = true, .result = 1},
    [ACT_INTERNAL] = {act_mmio_read, .lacks = lacks_misconfiguration, .before = tables_break,
                      .after = tables_mend},
    [ACT_UNKNOWN] = {act_shutdown, .before = undefined_exits, .after = undefined_is_the_guests},
    [ACT_UNKNOWN_BY_GUEST] = {act_task_switch, .lacks = lacks_task_switch,
                              .mode = ARCH_MODE_PROTECTED},
    [ACT_INTERRUPTS] = {act_interrupts},
    [ACT_WAIT] = {act_wait},
    [ACT_SPIN] = {act_spin},
    [ACT_COUNT] = {act_count},
    [ACT_BREAK] = {act_break},
};
