/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU's states, the manual way to run one, and cancel. */
#include "tests/host/vm_rig.h"

static const struct vcpu_exit power_off = {.kind = EXIT_SYSTEM_DOWN};
static const struct vcpu_exit wfi = {.kind = EXIT_WFI};

/* --- States of a vCPU --- */

TEST(a_vcpu_goes_through_its_states)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    ASSERT_EQ(vcpu->state, VCPU_FREE);
    ASSERT_OK(rig_bind(vcpu));
    ASSERT_EQ(vcpu->state, VCPU_READY);
    ASSERT_OK(vcpu_unbind(vcpu));
    rig_irq_enable(vm, 0, 20);
    RIG_SCRIPT(vcpu, wfi);
    rig_turns(2);
    ASSERT_EQ(vcpu->state, VCPU_BLOCKED);
    vcpu_interrupt(vcpu, 20, true);
    rig_turns(1);
    ASSERT_EQ(vcpu->state, VCPU_FREE); /* An interrupt ends it. */
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    rig_turns(2);
    ASSERT_OK(vm_destroy(vm));
    ASSERT_EQ(fake.vcpus_freed, 1);
    rig_end();
}

TEST(a_wait_ends_with_the_vm_too)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    RIG_SCRIPT(vcpu, wfi);
    rig_turns(2);
    ASSERT_EQ(vcpu->state, VCPU_BLOCKED);
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    rig_turns(2);
    ASSERT_EQ(vcpu->state, VCPU_FREE);
    rig_end();
}

TEST(each_step_of_a_vcpus_state_is_allowed_or_refused_by_name)
{
    static const char *const next[] = {"1", "20", "350", "24", "3", "230"};
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    log_set_level(LOG_DEBUG);
    for (unsigned from = 0; from < ARRAY_SIZE(next); from++)
        for (unsigned to = 0; to < ARRAY_SIZE(next); to++) {
            bool legal = false;
            char text[96];

            for (const char *c = next[from]; *c; c++)
                legal |= (unsigned)(*c - '0') == to;
            vcpu->state = (enum vcpu_state)from;
            rig_log_clear();
            ASSERT_ERR(legal ? OK : E_STATE, vcpu_set_state(vcpu, (enum vcpu_state)to));
            ASSERT_EQ(vcpu->state, legal ? to : from);
            fmt_buf(text, sizeof(text), "web: vCPU 0 is %s and cannot become %s\n",
                    vcpu_state_text((enum vcpu_state)from), vcpu_state_text((enum vcpu_state)to));
            ASSERT_EQ(rig_logged(text), !legal);
        }
    log_set_level(LOG_INFO);
    rig_end();
}

/* --- By hand --- */

/* Loaded, and vCPU 0 ready to run where it is placed. */
static struct vm *by_hand(unsigned vcpus)
{
    struct arch_entry entry;
    struct vm *vm;

    rig_start();
    vm = rig_vm("web", vcpus, 0);
    ASSERT_OK(vm_load(vm, &entry));
    ASSERT_EQ(entry.pc.v, RIG_ENTRY);
    ASSERT_OK(vcpu_set_entry(&vm->vcpus[0], entry));
    ASSERT_EQ(vm->vcpus[0].arch.regs.pc, RIG_ENTRY);
    ASSERT_EQ(vm->vcpus[0].power, VCPU_ON);
    return vm;
}

TEST(a_vcpu_is_run_by_hand_from_ready_only)
{
    struct vm *vm = by_hand(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    struct vcpu_exit exit;

    ASSERT_ERR(E_STATE, vcpu_step(vcpu, &exit));
    ASSERT_OK(vcpu_bind(vcpu));
    ASSERT_ERR(E_STATE, vcpu_bind(vcpu));
    RIG_SCRIPT(vcpu, power_off, wfi);
    ASSERT_OK(vcpu_step(vcpu, &exit));
    ASSERT_EQ(exit.kind, EXIT_SYSTEM_DOWN); /* Nobody else answers it. */
    ASSERT_EQ(vm->state, VM_CREATED);
    ASSERT_EQ(vcpu->state, VCPU_READY);
    ASSERT_OK(vcpu_step(vcpu, &exit));
    ASSERT_EQ(exit.kind, EXIT_WFI);
    ASSERT_OK(vcpu_unbind(vcpu));
    rig_end();
}

TEST(what_is_run_by_hand_is_not_started_loaded_or_destroyed)
{
    struct vm *vm = by_hand(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    struct arch_entry entry;

    log_set_level(LOG_DEBUG);
    ASSERT_OK(vcpu_bind(vcpu));
    ASSERT_ERR(E_STATE, vcpu_set_entry(vcpu, arch_entry(gpa(RIG_ENTRY), 0)));
    ASSERT(rig_logged("web: vCPU 0 is ready, and cannot be bound or given an entry"));
    ASSERT_ERR(E_STATE, vm_load(vm, &entry));
    ASSERT_ERR(E_STATE, vm_start(vm));
    ASSERT_ERR(E_STATE, vm_destroy(vm));
    ASSERT(rig_logged("web: is created, and vCPU 0 is run by hand"));
    ASSERT_EQ(vm->state, VM_CREATED);
    ASSERT_OK(vcpu_unbind(vcpu));
    ASSERT_OK(vm_start(vm)); /* From now on it is managed. */
    ASSERT_ERR(E_STATE, vcpu_bind(vcpu));
    ASSERT(rig_logged("web: is running, and vCPU 0 cannot be run by hand"));
    ASSERT_ERR(E_STATE, vcpu_set_entry(vcpu, entry));
    ASSERT_ERR(E_STATE, vm_load(vm, &entry));
    log_set_level(LOG_INFO);
    rig_end();
}

TEST(a_vcpu_is_run_by_hand_on_its_own_pcpu_only_and_alone)
{
    struct vm *vm = by_hand(2), *other = rig_vm("other", 1, 0);

    ASSERT_ERR(E_BUSY, vcpu_bind(&vm->vcpus[1]));
    ASSERT_ERR(E_BUSY, vcpu_set_entry(&vm->vcpus[1], arch_entry(gpa(RIG_ENTRY), 0)));
    ASSERT_OK(vcpu_bind(&vm->vcpus[0]));
    ASSERT_ERR(E_BUSY, vcpu_bind(&other->vcpus[0]));
    ASSERT_ERR(E_STATE, vcpu_bind(&vm->vcpus[0]));
    ASSERT_OK(vcpu_unbind(&vm->vcpus[0]));
    ASSERT_ERR(E_STATE, vcpu_unbind(&vm->vcpus[0]));
    rig_end();
}

TEST(a_vcpu_that_is_bound_elsewhere_is_not_stepped_answered_or_unbound)
{
    struct vm *vm = by_hand(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    struct vcpu_exit exit;
    bool runs;

    log_set_level(LOG_DEBUG);
    ASSERT_OK(vcpu_bind(vcpu));
    fake_be_cpu(1);
    ASSERT_ERR(E_BUSY, vcpu_step(vcpu, &exit));
    ASSERT(rig_logged("web: vCPU 0 is ready, not bound to cpu1, and cannot become running here"));
    ASSERT_ERR(E_BUSY, vcpu_step_until(vcpu, arch_ticks() + 1, &exit));
    ASSERT(!vcpu->wake.armed); /* On this pCPU. */
    ASSERT_ERR(E_BUSY, vcpu_answer(vcpu, &runs));
    ASSERT_ERR(E_BUSY, vcpu_unbind(vcpu));
    ASSERT_EQ(vcpu->state, VCPU_READY);
    ASSERT_EQ(vcpu->arch.runs, 0);
    fake_be_cpu(0);
    ASSERT_OK(vcpu_unbind(vcpu));
    vcpu->state = VCPU_BLOCKED; /* May become free, but not so. */
    ASSERT_ERR(E_STATE, vcpu_unbind(vcpu));
    ASSERT_EQ(vcpu->state, VCPU_BLOCKED);
    vcpu->state = VCPU_FREE;
    log_set_level(LOG_INFO);
    rig_end();
}

static bool spins(struct arch_vcpu *, struct vcpu_exit *exit)
{
    fake_advance(RIG_MS);
    exit->kind = EXIT_INTERRUPT;
    return true;
}

TEST(a_step_ends_when_its_time_is_over)
{
    struct vm *vm = by_hand(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    uint64_t deadline = arch_ticks() + ticks_from_ns(2 * RIG_MS);
    struct vcpu_exit exit;

    ASSERT_ERR(E_STATE, vcpu_step_until(vcpu, deadline, &exit));
    ASSERT_OK(vcpu_bind(vcpu));
    vcpu->arch.on_run = spins;
    ASSERT_OK(vcpu_step_until(vcpu, deadline, &exit));
    ASSERT_EQ(exit.kind, EXIT_INTERRUPT); /* Another one. */
    ASSERT_OK(vcpu_step_until(vcpu, deadline, &exit));
    ASSERT_EQ(exit.kind, EXIT_PREEMPTION_TIMER);
    ASSERT_OK(vcpu_step(vcpu, &exit));
    ASSERT_EQ(exit.kind, EXIT_INTERRUPT);
    ASSERT_OK(vcpu_unbind(vcpu));
    rig_end();
}

TEST(an_exit_by_hand_is_answered_as_in_the_managed_way_once)
{
    static const struct vcpu_exit store = {
        .kind = EXIT_MMIO_WRITE, .advance = true, .mmio = {{RIG_UART}, 'x', .width = 4}};
    static const struct vcpu_exit off = {.kind = EXIT_HYPERCALL,
                                         .call = {.nr = 0x84000002}}; /* CPU_OFF */
    struct vm *vm = by_hand(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    struct vcpu_exit exit;
    bool runs;

    ASSERT_ERR(E_STATE, vcpu_answer(vcpu, &runs));
    ASSERT_OK(vcpu_bind(vcpu));
    RIG_SCRIPT(vcpu, store, wfi, off);
    ASSERT_OK(vcpu_step(vcpu, &exit));
    ASSERT_EQ(exit.kind, EXIT_MMIO_WRITE);
    ASSERT_OK(vcpu_answer(vcpu, &runs));
    ASSERT(runs);
    ASSERT_EQ(vcpu->arch.finishes, 1);
    ASSERT_OK(vcpu_answer(vcpu, &runs)); /* There is nothing left to be answered. */
    ASSERT_EQ(vcpu->arch.finishes, 1);
    ASSERT_OK(vcpu_step(vcpu, &exit));
    ASSERT_OK(vcpu_answer(vcpu, &runs));
    ASSERT(!runs); /* It waits for an interrupt. */
    ASSERT_OK(vcpu_step(vcpu, &exit));
    ASSERT_EQ(exit.kind, EXIT_CPU_DOWN); /* What it asks for, */
    ASSERT_OK(vcpu_answer(vcpu, &runs)); /* answered from how it asked. */
    ASSERT(!runs);
    ASSERT_EQ(vcpu->power, VCPU_OFF);
    ASSERT_OK(vcpu_unbind(vcpu));
    rig_end();
}

/* --- Cancel --- */

static struct vcpu *to_cancel;

static bool cancelled_while_it_runs(struct arch_vcpu *, struct vcpu_exit *exit)
{
    fake_be_cpu(3);
    vcpu_cancel(to_cancel);
    vcpu_cancel(to_cancel);
    fake_be_cpu(0);
    exit->kind = EXIT_INTERRUPT; /* The kick. */
    return true;
}

TEST(a_cancel_before_during_or_after_a_run_ends_one_run)
{
    struct vm *vm = by_hand(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    bool (*on_run)(struct arch_vcpu *, struct vcpu_exit *) = vcpu->arch.on_run;
    struct vcpu_exit exit;

    to_cancel = vcpu;
    fake_be_cpu(3);
    vcpu_cancel(vcpu); /* Before it is even bound; any number of times. */
    vcpu_cancel(vcpu);
    fake_be_cpu(0);
    ASSERT_OK(vcpu_bind(vcpu));
    RIG_SCRIPT(vcpu, wfi, wfi);
    ASSERT_OK(vcpu_step(vcpu, &exit));
    ASSERT_EQ(exit.kind, EXIT_CANCELLED);
    ipi_taken();
    ASSERT_OK(vcpu_step(vcpu, &exit));
    ASSERT_EQ(exit.kind, EXIT_WFI);
    vcpu->arch.on_run = cancelled_while_it_runs;
    ASSERT_OK(vcpu_step(vcpu, &exit));
    ASSERT(atomic_load(&this_cpu()->ipi_under_way)); /* It was kicked. */
    ipi_taken();
    vcpu->arch.on_run = on_run;
    ASSERT_OK(vcpu_step(vcpu, &exit));
    ASSERT_EQ(exit.kind, EXIT_CANCELLED);
    ASSERT_OK(vcpu_step(vcpu, &exit));
    ASSERT_EQ(exit.kind, EXIT_WFI);
    vcpu_cancel(vcpu); /* After. */
    ASSERT_OK(vcpu_unbind(vcpu));
    ASSERT_OK(vcpu_bind(vcpu));
    ASSERT_OK(vcpu_step(vcpu, &exit));
    ASSERT_EQ(exit.kind, EXIT_CANCELLED);
    ASSERT_OK(vcpu_unbind(vcpu));
    rig_end();
}

TEST(a_managed_vcpu_goes_on_after_a_cancel)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    unsigned runs;

    vcpu_cancel(vcpu);
    rig_turns(2);
    runs = vcpu->arch.runs;
    rig_turns(1);
    ASSERT(vcpu->arch.runs > runs);
    ASSERT_EQ(vcpu->requests, 0);
    RIG_SCRIPT(vcpu, wfi);
    rig_turns(2);
    runs = vcpu->arch.runs;
    vcpu_cancel(vcpu); /* A wait is not ended by it. */
    rig_turns(2);
    ASSERT_EQ(vcpu->arch.runs, runs);
    ASSERT_EQ(vcpu->state, VCPU_BLOCKED);
    ASSERT_EQ(vcpu->requests, 0);
    rig_end();
}
