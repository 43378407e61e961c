/* SPDX-License-Identifier: Apache-2.0 */
/* Each kind of exit, caused by a guest, by hand. */
#include "tests/conform/conform.h"

#include "kernel/ipi.h"
#include "kernel/string.h"

/* By the architecture, and by this processor. */
static bool possible(enum action action)
{
    const struct action_info *info = &actions[action];

    c.impossible = !info->code ? info->why : info->lacks ? info->lacks() : NULL;
    return !c.impossible;
}

/* The guest does it; its exit is of this kind, or the case has its outcome. */
static bool caused(enum action action, enum exit_kind kind, struct vcpu_exit *exit)
{
    const struct action_info *info = &actions[action];

    if (!possible(action))
        return false;
    if (conform_by_hand(action) != OK) {
        c.failed = "a guest is made for it";
        return false;
    }
    if (info->before)
        info->before(&c.vcpu->arch);
    do
        if (conform_step(exit) != OK)
            c.failed = "a guest is run by hand";
    while (!c.failed && exit->kind == EXIT_NOTHING && kind != EXIT_NOTHING);
    if (exit->kind != kind && info->unseen && info->asked(&c.vcpu->arch))
        c.impossible = info->unseen;
    else if (exit->kind != kind && !c.failed)
        c.failed = exit_kind_text(exit->kind);
    if (info->after)
        info->after(&c.vcpu->arch);
    return exit->kind == kind && !c.failed;
}

/* It is finished with what was answered; the guest tells what it got. */
static void finish(enum action action, struct vcpu_exit *exit)
{
    uint64_t result;

    if (!actions[action].resumes)
        return;
    CHECK(conform_resumes(exit, &result));
    CHECK(result == actions[action].result);
}

static void simple(enum action action, enum exit_kind kind)
{
    struct vcpu_exit exit;

    if (caused(action, kind, &exit))
        finish(action, &exit);
}

/* --- What the hardware says --- */

void case_exit_nothing(void)
{
    struct vcpu_exit exit;

    if (!caused(ACT_NOTHING, EXIT_NOTHING, &exit))
        return;
    while (exit.kind == EXIT_NOTHING) /* It is answered, or it is the guest's own exception. */
        CHECK_OK(conform_step(&exit));
    CHECK(exit.kind == EXIT_HYPERCALL && exit.call.nr == CALL_DONE);
}

/* Spins already: what it did to come there is over. */
static bool spins(void)
{
    if (conform_by_hand(ACT_SPIN) == OK && conform_runs_on())
        return true;
    c.failed = "a guest spins";
    return false;
}

static bool timer_fired;

static void fired(struct timer *)
{
    timer_fired = true;
}

void case_exit_interrupt(void)
{
    static struct timer timer;
    struct vcpu_exit exit;

    timer_fired = false;
    if (!spins())
        return;
    timer_init(&timer, fired);
    timer_arm(&timer, arch_ticks() + ticks_from_ns(20000000));
    for (unsigned i = 0; i < 100 && !timer_fired; i++) {
        CHECK_OK(vcpu_step(c.vcpu, &exit));
        CHECK(exit.kind == EXIT_INTERRUPT);
        CHECK_OK(vcpu_step(c.vcpu, &exit)); /* It was not taken, and comes again. */
        CHECK(exit.kind == EXIT_INTERRUPT);
        irq_handle();
    }
    CHECK(timer_fired);
}

void case_exit_hypercall(void)
{
    struct vcpu_exit exit;
    uint64_t result;

    if (!caused(ACT_HYPERCALL, EXIT_HYPERCALL, &exit))
        return;
    CHECK(exit.call.nr == CALL_TEST);
    for (unsigned i = 0; i < ARRAY_SIZE(exit.call.args); i++)
        CHECK(exit.call.args[i] == i + 1);
    CHECK(actions[ACT_HYPERCALL].expect == 0 || exit.call.imm == actions[ACT_HYPERCALL].expect);
    arch_vcpu_set_return(&c.vcpu->arch, 0, ANSWER);
    CHECK(conform_resumes(&exit, &result));
    CHECK(result == ANSWER);
}

void case_exit_mmio_read(void)
{
    struct vcpu_exit exit;

    if (!caused(ACT_MMIO_READ, EXIT_MMIO_READ, &exit))
        return;
    CHECK(exit.mmio.gpa.v == HOLE && exit.mmio.width == 2);
    CHECK(exit.mmio.reg == actions[ACT_MMIO_READ].expect && exit.advance);
    exit.mmio.data = ANSWER;
    finish(ACT_MMIO_READ, &exit);
}

void case_exit_mmio_write(void)
{
    struct vcpu_exit exit;

    if (!caused(ACT_MMIO_WRITE, EXIT_MMIO_WRITE, &exit))
        return;
    CHECK(exit.mmio.gpa.v == HOLE && exit.mmio.width == 4);
    CHECK(exit.mmio.data == VALUE && exit.advance);
    finish(ACT_MMIO_WRITE, &exit);
}

void case_exit_pio_in(void)
{
    struct vcpu_exit exit;

    if (!caused(ACT_PIO_IN, EXIT_PIO_IN, &exit))
        return;
    CHECK(exit.pio.port == actions[ACT_PIO_IN].expect && exit.pio.width == 2);
    exit.pio.data = ANSWER;
    finish(ACT_PIO_IN, &exit);
}

void case_exit_pio_out(void)
{
    struct vcpu_exit exit;

    if (!caused(ACT_PIO_OUT, EXIT_PIO_OUT, &exit))
        return;
    CHECK(exit.pio.port == actions[ACT_PIO_OUT].expect && exit.pio.width == 4);
    CHECK(exit.pio.data == VALUE);
    finish(ACT_PIO_OUT, &exit);
}

/* On RISC-V those of the AIA alone exit; other hosts have none that do. */
static bool has_sysregs(void)
{
    if (strcmp(virt_caps.backend, "h") != 0 || (virt_caps.guest_msi && !virt_caps.guest_files))
        return true;
    c.impossible = "on this host no system register exits";
    return false;
}

void case_exit_sysreg_read(void)
{
    struct vcpu_exit exit;

    if (!has_sysregs() || !caused(ACT_SYSREG_READ, EXIT_SYSREG_READ, &exit))
        return;
    CHECK(exit.sysreg.addr == actions[ACT_SYSREG_READ].expect);
    exit.sysreg.value = ANSWER;
    finish(ACT_SYSREG_READ, &exit);
}

void case_exit_sysreg_write(void)
{
    struct vcpu_exit exit;

    if (!has_sysregs() || !caused(ACT_SYSREG_WRITE, EXIT_SYSREG_WRITE, &exit))
        return;
    CHECK(exit.sysreg.addr == actions[ACT_SYSREG_WRITE].expect && exit.sysreg.value == VALUE);
    finish(ACT_SYSREG_WRITE, &exit);
}

void case_exit_stage2_fault(void)
{
    struct vcpu_exit exit;

    if (!caused(ACT_FETCH, EXIT_STAGE2_FAULT, &exit))
        return;
    CHECK(exit.fault.gpa.v == HOLE && exit.fault.execute);
    CHECK(!exit.fault.write && !exit.fault.table_walk && !exit.fault.delivery);
}

void case_exit_halt(void)
{
    simple(ACT_HALT, EXIT_HALT);
}

void case_exit_wfi(void)
{
    simple(ACT_WFI, EXIT_WFI);
}

void case_exit_wfe(void)
{
    simple(ACT_WFE, EXIT_WFE);
}

void case_exit_shutdown(void)
{
    simple(ACT_SHUTDOWN, EXIT_SHUTDOWN);
}

void conform_trap_breakpoints(struct arch_vcpu *vcpu)
{
    arch_vcpu_trap_breakpoints(vcpu, true);
}

void case_exit_debug(void)
{
    struct vcpu_exit exit;
    uint64_t pc, result;

    CHECK_OK(conform_by_hand(ACT_DEBUG)); /* Its handler tells; x86: it has none. */
    do
        CHECK_OK(conform_step(&exit));
    while (exit.kind == EXIT_NOTHING);
    CHECK(exit.kind == EXIT_SHUTDOWN ||
          (exit.kind == EXIT_HYPERCALL && exit.call.nr == CALL_DONE && exit.call.args[0] != 1));
    CHECK(conform_take_apart());
    if (!caused(ACT_DEBUG, EXIT_DEBUG, &exit))
        return;
    pc = arch_vcpu_pc(&c.vcpu->arch);
    CHECK(exit.debug.pc == pc && !exit.advance);
    CHECK(exit.debug.imm == actions[ACT_DEBUG].expect);
    exit.advance = true;
    CHECK(conform_resumes(&exit, &result));
    CHECK(result == actions[ACT_DEBUG].result);
}

void case_exit_interrupt_window(void)
{
    struct vcpu_exit exit;

    if (!caused(ACT_WINDOW, EXIT_HYPERCALL, &exit)) /* After which it is asked for. */
        return;
    if (exit.advance)
        arch_vcpu_finish(&c.vcpu->arch, &exit);
    CHECK_OK(conform_step(&exit));
    CHECK(exit.kind == EXIT_INTERRUPT_WINDOW);
}

void case_exit_preemption_timer(void)
{
    struct vcpu_exit exit;
    uint64_t deadline;

    if (!spins())
        return;
    deadline = arch_ticks() + ticks_from_ns(20000000);
    do {
        CHECK_OK(vcpu_step_until(c.vcpu, deadline, &exit));
        CHECK(exit.kind == EXIT_PREEMPTION_TIMER || exit.kind == EXIT_INTERRUPT);
        irq_handle();
    } while (exit.kind == EXIT_INTERRUPT);
    CHECK(arch_ticks() >= deadline);
}

void case_exit_guest_timer(void)
{
    uint64_t deadline = arch_ticks() + ticks_from_ns(STEP_MS * 1000000ull);
    struct vcpu_exit exit;

    if (!possible(ACT_TIMER))
        return;
    CHECK_OK(conform_by_hand(ACT_TIMER));
    do {
        CHECK_OK(vcpu_step(c.vcpu, &exit));
        CHECK(exit.kind == EXIT_PREEMPTION_TIMER || exit.kind == EXIT_INTERRUPT);
        irq_handle();
    } while (exit.kind == EXIT_INTERRUPT && arch_ticks() < deadline);
    CHECK(exit.kind == EXIT_PREEMPTION_TIMER && arch_ticks() < deadline);
}

/* No guest can cause it: so the vCPU is given a register that hardware refuses. */
void case_exit_fail_entry(void)
{
    struct vcpu_exit exit;

    if (!caused(ACT_FAIL, EXIT_FAIL_ENTRY, &exit))
        return;
    CHECK(exit.code != 0 && !exit.advance);
    CHECK(conform_runs_on()); /* Mended. */
}

void case_exit_cancelled(void)
{
    struct vcpu_exit exit;

    CHECK_OK(conform_by_hand(ACT_SPIN));
    vcpu_cancel(c.vcpu);
    CHECK_OK(vcpu_step(c.vcpu, &exit));
    CHECK(exit.kind == EXIT_CANCELLED && !exit.advance);
}

void case_exit_internal_error(void)
{
    struct vcpu_exit exit;

    if (caused(ACT_INTERNAL, EXIT_INTERNAL_ERROR, &exit))
        CHECK(exit.code != 0 && !exit.advance);
}

void case_exit_unknown(void)
{
    bool by_guest = possible(ACT_UNKNOWN_BY_GUEST);
    struct vcpu_exit exit;

    if (caused(by_guest ? ACT_UNKNOWN_BY_GUEST : ACT_UNKNOWN, EXIT_UNKNOWN, &exit))
        CHECK(exit.code != 0 && exit.code == exit.cause[0] && !exit.advance);
}

/* --- What the guest asks for --- */

void case_exit_idle(void)
{
    struct vcpu_exit exit;
    uint64_t result;

    if (!caused(ACT_IDLE, EXIT_IDLE, &exit))
        return;
    arch_vcpu_set_return(&c.vcpu->arch, 0, 0);
    CHECK(conform_resumes(&exit, &result));
    CHECK(result == 0);
}

void case_exit_cpu_up(void)
{
    struct vcpu_exit exit;
    bool x86 = virt_caps.backend[0] != 'e' && virt_caps.backend[0] != 'h';

    if (!caused(ACT_CPU_UP, EXIT_CPU_UP, &exit))
        return;
    CHECK(exit.cpu.target == 1 && exit.cpu.entry == actions[ACT_CPU_UP].expect);
    CHECK(exit.cpu.arg == (x86 ? 0 : 9));
    if (!x86)
        arch_vcpu_set_return(&c.vcpu->arch, 0, 0);
    finish(ACT_CPU_UP, &exit);
}

void case_exit_cpu_down(void)
{
    simple(ACT_CPU_DOWN, EXIT_CPU_DOWN);
}

void case_exit_send_ipi(void)
{
    struct vcpu_exit exit;

    if (!caused(ACT_SEND_IPI, EXIT_SEND_IPI, &exit))
        return;
    CHECK(exit.ipi.vector == actions[ACT_SEND_IPI].expect && !exit.ipi.to_all);
    CHECK(exit.ipi.targets == (strcmp(ARCH_NAME, "x86_64") == 0 ? 1 : 2) && !exit.ipi.group);
    if (actions[ACT_SEND_IPI].result == 0)
        arch_vcpu_set_return(&c.vcpu->arch, 0, 0);
    finish(ACT_SEND_IPI, &exit);
}

void case_exit_system_down(void)
{
    simple(ACT_SYSTEM_DOWN, EXIT_SYSTEM_DOWN);
}

void case_exit_system_reset(void)
{
    simple(ACT_SYSTEM_RESET, EXIT_SYSTEM_RESET);
}

void case_exit_interrupt_end(void)
{
    struct vcpu_exit exit;

    if (virt_caps.gic_version == 2)
        IMPOSSIBLE("by hand a guest has no way to a GICv2's CPU interface");
    if (!has_sysregs() || !caused(ACT_END, EXIT_INTERRUPT_END, &exit))
        return;
    CHECK(exit.end.vector == (uint32_t)actions[ACT_END].expect);
    finish(ACT_END, &exit);
}

void case_exits_have_names(void)
{
    for (unsigned i = 0; i < EXIT_KINDS; i++)
        CHECK(strlen(exit_kind_text((enum exit_kind)i)) > 2);
}

void case_manual_answer(void)
{
    struct vcpu_exit exit;
    bool runs;

    CHECK_ERR(OK, conform_by_hand(ACT_CPU_DOWN));
    do
        CHECK_OK(conform_step(&exit));
    while (exit.kind == EXIT_NOTHING);
    CHECK(exit.kind == EXIT_CPU_DOWN);
    CHECK_OK(vcpu_answer(c.vcpu, &runs));
    CHECK_OK(vcpu_answer(c.vcpu, &runs)); /* There is nothing left. */
    CHECK(runs);
}

/* --- Cancel --- */

void case_cancel_before(void)
{
    struct vcpu_exit exit;

    CHECK_OK(conform_by_hand(ACT_HYPERCALL));
    CHECK_OK(vcpu_unbind(c.vcpu));
    for (unsigned i = 0; i < 3; i++)
        vcpu_cancel(c.vcpu);
    CHECK_OK(vcpu_bind(c.vcpu));
    vcpu_cancel(c.vcpu);
    CHECK_OK(vcpu_step(c.vcpu, &exit));
    CHECK(exit.kind == EXIT_CANCELLED);
    CHECK_OK(conform_step(&exit));
    while (exit.kind == EXIT_NOTHING)
        CHECK_OK(conform_step(&exit));
    CHECK(exit.kind == EXIT_HYPERCALL);
}

void case_cancel_after(void)
{
    struct vcpu_exit exit;

    if (!spins())
        return;
    vcpu_cancel(c.vcpu);
    CHECK_OK(vcpu_unbind(c.vcpu));
    CHECK_OK(vcpu_bind(c.vcpu));
    CHECK_OK(vcpu_step(c.vcpu, &exit));
    CHECK(exit.kind == EXIT_CANCELLED);
}

/* On the other pCPU: when the vCPU runs, and again and again. */
static void cancel_it(struct work *)
{
    uint64_t end = arch_ticks() + ticks_from_ns(20000000);

    while (arch_ticks() < end)
        arch_relax();
    for (unsigned i = 0; i < 5; i++)
        vcpu_cancel(c.vcpu);
}

void case_cancel_during(void)
{
    static struct work work = {.fn = cancel_it};
    uint64_t end = arch_ticks() + ticks_from_ns(WAIT_MS * 1000000ull);
    struct vcpu_exit exit;

    if (pcpu_count < 2)
        IMPOSSIBLE("this machine has one processor");
    if (!spins())
        return;
    ipi_work(1, &work);
    do { /* The kick is a host interrupt; what it brings is seen before the next run. */
        CHECK_OK(vcpu_step(c.vcpu, &exit));
        CHECK(exit.kind == EXIT_INTERRUPT || exit.kind == EXIT_CANCELLED);
        irq_handle();
    } while (exit.kind != EXIT_CANCELLED && arch_ticks() < end);
    CHECK(exit.kind == EXIT_CANCELLED);
    conform_pass_time(5); /* The others of the five are of this run, or one is of the next. */
}
