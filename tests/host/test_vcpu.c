/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU between the scheduler and the run loop: binding, power, requests, sleep. */
#include "tests/host/vm_rig.h"

static const struct vcpu_exit wfi = {.kind = EXIT_WFI};

TEST(a_vcpu_starts_off_parked_and_blocked)
{
    struct vm *vm;
    struct vcpu *vcpu;

    rig_start();
    vm = rig_vm("web", 2, 1);
    vcpu = &vm->vcpus[1];
    ASSERT_EQ(vcpu->power, VCPU_OFF);
    ASSERT_EQ(vcpu->sched.state, SCHED_BLOCKED);
    ASSERT_EQ(vcpu->sched.cpu, 2);
    ASSERT_EQ(vcpu->sched.priority, CONFIG_PRIORITY_DEFAULT);
    ASSERT_EQ(vcpu->index, 1);
    ASSERT_EQ(vcpu->arch.vmid, 1);
    ASSERT_EQ(vcpu->arch.stage2_root.v, pt_root(&vm->map.pt).v);
    ASSERT(vcpu->arch.trap_wait);
    rig_end();
}

TEST(only_vcpus_of_shared_pcpus_trap_their_waits)
{
    struct config_vm *config;

    rig_start();
    config = rig_config("web", 1, 0);
    config->exclusive = true;
    ASSERT(!rig_vm_of(config)->vcpus[0].arch.trap_wait);
    rig_end();
}

TEST(the_current_vcpu_is_the_one_that_is_bound_here)
{
    struct vm *vm = rig_running(2);

    fake_be_cpu(1);
    ASSERT(!vcpu_current());
    ASSERT_OK(rig_bind(&vm->vcpus[1]));
    ASSERT_EQ(vcpu_current(), &vm->vcpus[1]);
    fake_be_cpu(0);
    ASSERT(!vcpu_current());
    fake_be_cpu(1);
    ASSERT_OK(vcpu_unbind(&vm->vcpus[1]));
    ASSERT(!vcpu_current());
    rig_end();
}

TEST(a_pcpu_has_one_vcpu_bound_at_most)
{
    struct vm *vm = rig_running(2);

    fake_be_cpu(1);
    ASSERT_OK(rig_bind(&vm->vcpus[1]));
    ASSERT_ERR(E_BUSY, vcpu_bind(&vm->vcpus[0]));
    ASSERT_ERR(E_STATE, vcpu_unbind(&vm->vcpus[0]));
    ASSERT_OK(vcpu_unbind(&vm->vcpus[1]));
    ASSERT_ERR(E_STATE, vcpu_unbind(&vm->vcpus[1]));
    rig_end();
}

TEST(power_on_is_refused_for_a_vcpu_that_is_on_or_about_to_be)
{
    struct vm *vm = rig_running(2);
    struct vcpu *vcpu = &vm->vcpus[1];

    ASSERT_OK(vcpu_power_on(vcpu, arch_entry(gpa(RIG_ENTRY), 1)));
    ASSERT_ERR(E_BUSY, vcpu_power_on(vcpu, arch_entry(gpa(RIG_ENTRY + 8), 2)));
    rig_turns(2);
    ASSERT_ERR(E_EXISTS, vcpu_power_on(vcpu, arch_entry(gpa(RIG_ENTRY + 8), 2)));
    ASSERT_EQ(vcpu->arch.regs.pc, RIG_ENTRY);
    ASSERT_EQ(vcpu->arch.regs.gpr[0], 1);
    ASSERT_EQ(vcpu->arch.starts, 1);
    rig_end();
}

TEST(power_on_needs_a_running_vm)
{
    struct vm *vm;

    rig_start();
    vm = rig_vm("web", 1, 0);
    ASSERT_ERR(E_STATE, vcpu_power_on(&vm->vcpus[0], arch_entry(gpa(RIG_ENTRY), 0)));
    rig_turns(2);
    ASSERT_EQ(vm->vcpus[0].arch.runs, 0);
    rig_end();
}

TEST(an_interrupt_for_a_vcpu_that_is_off_waits_until_it_is_on)
{
    struct vm *vm = rig_running(2);
    struct vcpu *vcpu = &vm->vcpus[1];

    rig_irq_enable(vm, 1, 20);
    rig_write(vm, 1, RIG_GICR + 0x30c04, 4, 2u << 8); /* GICR_ICFGR1: 20 is an edge. */
    vcpu_interrupt(vcpu, 20, true);
    rig_turns(3);
    ASSERT_EQ(vcpu->arch.runs, 0);
    ASSERT_EQ(vcpu->sched.state, SCHED_BLOCKED);
    ASSERT_OK(vcpu_power_on(vcpu, arch_entry(gpa(RIG_ENTRY), 0)));
    rig_turns(2);
    ASSERT(rig_irq_seen(vcpu, 20));
    rig_end();
}

TEST(a_request_to_a_sleeping_vcpu_on_another_pcpu_sends_one_ipi)
{
    struct vm *vm = rig_running(2);
    struct vcpu *vcpu = &vm->vcpus[1];
    unsigned before = pcpu(1)->arch.ipis;

    fake_be_cpu(0);
    vcpu_request(vcpu, VCPU_REQ_IRQ);
    vcpu_request(vcpu, VCPU_REQ_IRQ);
    vcpu_interrupt(vcpu, 40, true);
    ASSERT_EQ(pcpu(1)->arch.ipis, before + 1);
    rig_turns(1);
    ASSERT_EQ(vcpu->requests, 0);
    vcpu_request(vcpu, VCPU_REQ_IRQ);
    ASSERT_EQ(pcpu(1)->arch.ipis, before + 2);
    rig_end();
}

TEST(a_vcpu_that_asks_something_of_itself_sends_no_ipi)
{
    struct vm *vm = rig_running(1);

    fake_be_cpu(0);
    ASSERT_OK(rig_bind(&vm->vcpus[0]));
    vcpu_request(&vm->vcpus[0], VCPU_REQ_IRQ);
    ASSERT_OK(vcpu_unbind(&vm->vcpus[0]));
    ASSERT_EQ(fake.ipis, 0);
    ASSERT_EQ(vm->vcpus[0].requests, VCPU_REQ_IRQ);
    rig_end();
}

TEST(an_interrupt_between_the_wait_and_the_sleep_is_not_slept_through)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    rig_irq_enable(vm, 0, 20);
    rig_write(vm, 0, RIG_GICR + 0x10c04, 4, 2u << 8);
    for (unsigned at = 0; at < 3; at++) {
        fake_be_cpu(0);
        RIG_SCRIPT(vcpu, wfi);
        if (at == 0)
            vcpu_interrupt(vcpu, 20, true); /* Before the run. */
        rig_turn(0);
        if (at == 1)
            vcpu_interrupt(vcpu, 20, true); /* After its run() returned. */
        if (at == 2) {
            rig_turns(2);
            vcpu_interrupt(vcpu, 20, true); /* Asleep. */
        }
        rig_turns(1);
        ASSERT_EQ(vcpu->arch.script_next, 1);
        ASSERT(vcpu->sched.state != SCHED_BLOCKED);
        rig_irq_take(vcpu);
        rig_turns(1);
        ASSERT_EQ(rig_irq_taken(vcpu, 20), at + 1);
    }
    rig_end();
}

TEST(a_deadline_in_the_past_wakes_at_once)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    unsigned runs;

    fake_advance(100);
    vcpu->arch.timer_deadline = 50;
    RIG_SCRIPT(vcpu, wfi);
    rig_turns(2);
    runs = vcpu->arch.runs;
    ASSERT_EQ(vcpu->sched.state, SCHED_BLOCKED);
    ASSERT_EQ(pcpu(0)->arch.timer_deadline, 50);
    rig_advance(0);
    rig_turn(0);
    ASSERT(vcpu->arch.runs > runs);
    rig_end();
}

TEST(a_stop_ends_every_sleep_and_disarms_its_timer)
{
    struct vm *vm = rig_running(2);

    vm->vcpus[0].arch.timer_deadline = RIG_MS;
    RIG_SCRIPT(&vm->vcpus[0], wfi);
    rig_turns(2);
    ASSERT(vm->vcpus[0].wake.armed);
    fake_be_cpu(3);
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    rig_turns(2);
    ASSERT_EQ(vm->state, VM_STOPPED);
    ASSERT(!vm->vcpus[0].wake.armed);
    ASSERT_EQ(vm->vcpus[0].sched.state, SCHED_BLOCKED);
    rig_end();
}
