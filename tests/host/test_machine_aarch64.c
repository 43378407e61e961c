/* SPDX-License-Identifier: Apache-2.0 */
/* The aarch64 guest's machine: how devices, timers and system registers reach the vCPUs. */
#include "kernel/irq.h"
#include "tests/host/state_rig.h"
#include "tests/host/storm.h"
#include "tests/host/vm_rig.h"
#include "vcpu/machine_ops.h"

#define ISS(op0, op1, crn, crm, op2)                                                               \
    ((uint32_t)((op0) << 20 | (op2) << 17 | (op1) << 14 | (crn) << 10 | (crm) << 1))
#define ICC_SGI1R ISS(3, 0, 12, 11, 5)
#define CNTP_TVAL ISS(3, 3, 14, 2, 0)
#define CNTP_CTL  ISS(3, 3, 14, 2, 1)
#define CNTP_CVAL ISS(3, 3, 14, 2, 2)
#define PTIMER    30u

static struct vcpu_exit msr(uint32_t addr, uint64_t value)
{
    return (struct vcpu_exit){
        .kind = EXIT_SYSREG_WRITE, .advance = true, .sysreg = {.addr = addr, .value = value}};
}

/* What MRS gives, by way of x7. */
static uint64_t mrs(struct vcpu *vcpu, uint32_t addr)
{
    RIG_SCRIPT(vcpu,
               {.kind = EXIT_SYSREG_READ, .advance = true, .sysreg = {.addr = addr, .reg = 7}});
    rig_turn(vcpu->sched.cpu);
    return vcpu->arch.regs.gpr[7];
}

TEST(the_machines_devices_are_where_its_table_says)
{
    struct vm *vm = rig_running(2);

    ASSERT_EQ(rig_read(vm, 0, RIG_GICD + 0xffe8, 4) >> 4 & 0xf, 3); /* GICD_PIDR2: GICv3. */
    ASSERT_EQ(rig_read(vm, 0, RIG_GICR + 0x20000 + 8, 8) >> 32, 1); /* GICR_TYPER of vCPU 1. */
    ASSERT_EQ(rig_read(vm, 0, RIG_UART + 0xfe0, 4), 0x11);
    ASSERT_EQ(rig_read(vm, 0, 0x09010fe0, 4), 0x31);
    ASSERT_EQ(vm->bus.count, 4);
    rig_end();
}

TEST(the_physical_timer_fires_at_its_time_on_its_vcpu)
{
    struct vm *vm = rig_running(2);
    struct vcpu *vcpu = &vm->vcpus[1];

    ASSERT_OK(vcpu_power_on(vcpu, arch_entry(gpa(RIG_ENTRY), 0)));
    rig_irq_enable(vm, 1, PTIMER);
    RIG_SCRIPT(vcpu, msr(CNTP_CVAL, 5 * RIG_MS), msr(CNTP_CTL, 1), {.kind = EXIT_WFI});
    rig_turns(2);
    ASSERT_EQ(vcpu->sched.state, SCHED_BLOCKED);
    rig_advance(5 * RIG_MS - 1);
    rig_turns(2);
    ASSERT(!rig_irq_seen(vcpu, PTIMER));
    rig_advance(1);
    rig_turns(2);
    ASSERT(rig_irq_seen(vcpu, PTIMER));
    ASSERT(!rig_irq_seen(&vm->vcpus[0], PTIMER));
    ASSERT_EQ(mrs(vcpu, CNTP_CTL), 5);
    RIG_SCRIPT(vcpu, msr(CNTP_CTL, 3)); /* Masked: the line falls. */
    rig_turns(2);
    ASSERT(!rig_irq_seen(vcpu, PTIMER));
    ASSERT_EQ(mrs(vcpu, CNTP_CTL), 7);
    RIG_SCRIPT(vcpu, msr(CNTP_CTL, 1));
    rig_turns(2);
    ASSERT(rig_irq_seen(vcpu, PTIMER));
    rig_end();
}

TEST(a_stop_disarms_the_physical_timer)
{
    struct vm *vm = rig_running(2);
    struct vcpu *vcpu = &vm->vcpus[1];

    ASSERT_OK(vcpu_power_on(vcpu, arch_entry(gpa(RIG_ENTRY), 0)));
    RIG_SCRIPT(vcpu, msr(CNTP_CVAL, 5 * RIG_MS), msr(CNTP_CTL, 1), {.kind = EXIT_WFI});
    rig_turns(2);
    ASSERT_EQ(pcpus[vcpu->sched.cpu].arch.timer_deadline, 5 * RIG_MS);
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    rig_turns(3);
    ASSERT_EQ(vm->state, VM_STOPPED);
    ASSERT_EQ(pcpus[vcpu->sched.cpu].arch.timer_deadline, TICKS_NEVER);
    rig_end();
}

TEST(the_physical_timers_value_counts_down_and_is_signed)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    fake_advance(1000);
    RIG_SCRIPT(vcpu, msr(CNTP_TVAL, 500));
    rig_turn(0);
    ASSERT_EQ(mrs(vcpu, CNTP_CVAL), 1500);
    fake_advance(100);
    ASSERT_EQ(mrs(vcpu, CNTP_TVAL), 400);
    fake_advance(500);
    ASSERT_EQ(mrs(vcpu, CNTP_TVAL), 0xffffff9c);
    RIG_SCRIPT(vcpu, msr(CNTP_TVAL, 0xffffffff));
    rig_turn(0);
    ASSERT_EQ(mrs(vcpu, CNTP_CVAL), 1599);
    rig_end();
}

TEST(a_timer_that_was_turned_off_does_not_fire)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    rig_irq_enable(vm, 0, PTIMER);
    RIG_SCRIPT(vcpu, msr(CNTP_CVAL, RIG_MS), msr(CNTP_CTL, 1), msr(CNTP_CTL, 0));
    rig_turn(0);
    ASSERT_EQ(pcpu(0)->arch.timer_deadline, TICKS_NEVER);
    rig_advance(2 * RIG_MS);
    rig_turns(2);
    ASSERT(!rig_irq_seen(vcpu, PTIMER));
    rig_end();
}

TEST(a_reset_turns_the_physical_timer_off)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    RIG_SCRIPT(vcpu, msr(CNTP_CVAL, RIG_MS), msr(CNTP_CTL, 1), {.kind = EXIT_SYSTEM_RESET});
    rig_turns(3);
    ASSERT_EQ(vm->start_count, 2);
    rig_irq_enable(vm, 0, PTIMER);
    rig_advance(2 * RIG_MS);
    rig_turns(2);
    ASSERT(!rig_irq_seen(vcpu, PTIMER));
    ASSERT_EQ(mrs(vcpu, CNTP_CTL), 0);
    rig_end();
}

TEST(an_sgi_reaches_the_other_vcpu_that_waits)
{
    struct vm *vm = rig_running(2);
    struct vcpu *to = &vm->vcpus[1];

    ASSERT_OK(vcpu_power_on(to, arch_entry(gpa(RIG_ENTRY), 0)));
    rig_irq_enable(vm, 1, 5);
    RIG_SCRIPT(to, {.kind = EXIT_WFI});
    rig_turns(2);
    ASSERT_EQ(to->sched.state, SCHED_BLOCKED);
    RIG_SCRIPT(&vm->vcpus[0], msr(ICC_SGI1R, 5u << 24 | 2));
    rig_turns(2);
    ASSERT(rig_irq_seen(to, 5));
    ASSERT(!rig_irq_seen(&vm->vcpus[0], 5));
    rig_end();
}

TEST(registers_that_can_only_be_written_are_not_read)
{
    struct vm *vm = rig_running(1);

    RIG_SCRIPT(&vm->vcpus[0], {.kind = EXIT_SYSREG_READ, .sysreg.addr = ICC_SGI1R});
    rig_turn(0);
    ASSERT_EQ(vm->vcpus[0].arch.faults, 1);
    rig_end();
}

/* Once in the life of the program: handlers stay. */
static void attach(void)
{
    static bool attached;

    if (!attached)
        ASSERT_OK(machine_aarch64.init());
    attached = true;
}

TEST(the_virtual_timers_interrupt_is_the_guests_to_end)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    attach();
    rig_irq_enable(vm, 0, RIG_VTIMER_IRQ);
    fake_irq_raise(RIG_VTIMER_IRQ);
    RIG_SCRIPT(vcpu, {.kind = EXIT_INTERRUPT}, {.kind = EXIT_NOTHING});
    rig_turn(0);
    ASSERT(rig_irq_seen(vcpu, RIG_VTIMER_IRQ));
    ASSERT_EQ(fake.irq_keeps, 1);
    fake_be_cpu(0);
    ASSERT_OK(rig_bind(vcpu));
    ASSERT(fake.irq_active[RIG_VTIMER_IRQ]); /* It does not come again until the guest ends it, */
    ASSERT_OK(vcpu_unbind(vcpu));
    ASSERT(!fake.irq_active[RIG_VTIMER_IRQ]); /* and is free for the vCPU that runs next. */
    rig_irq_take(vcpu);
    rig_turn(0);
    ASSERT_EQ(rig_irq_taken(vcpu, RIG_VTIMER_IRQ), 1);
    rig_end();
}

TEST(a_virtual_timer_that_fires_without_a_guest_is_done_with)
{
    rig_start();
    attach();
    fake_irq_raise(RIG_VTIMER_IRQ);
    irq_handle();
    ASSERT_EQ(fake.irq_keeps, 0);
    ASSERT_EQ(fake.irq_ends, 1);
    rig_end();
}

TEST(what_is_typed_reaches_the_guest_and_is_gone_after_a_reset)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    rig_irq_enable(vm, 0, RIG_UART_IRQ);
    rig_write(vm, 0, RIG_UART + 0x38, 4, 0x10);
    rig_write(vm, 0, RIG_UART + 0x30, 4, 0x301);
    rig_type(vm, 'q');
    rig_turns(2);
    ASSERT(rig_irq_seen(vcpu, RIG_UART_IRQ));
    ASSERT_EQ(rig_read(vm, 0, RIG_UART, 4), 'q');
    rig_turns(2);
    ASSERT(!rig_irq_seen(vcpu, RIG_UART_IRQ));
    rig_type(vm, 'r');
    RIG_SCRIPT(vcpu, {.kind = EXIT_SYSTEM_RESET});
    rig_turns(3);
    rig_irq_enable(vm, 0, RIG_UART_IRQ);
    rig_turns(1);
    ASSERT(!rig_irq_seen(vcpu, RIG_UART_IRQ));
    ASSERT_EQ(rig_read(vm, 0, RIG_UART + 0x18, 4) & 0x10, 0x10); /* UARTFR: nothing received. */
    rig_end();
}

/* By way of the run loop: what it asks may also stop it, and start its other vCPU. */
TEST(whatever_an_arm64_guest_asks_it_goes_on_or_restarts)
{
    static const uint32_t regs[] = {ICC_SGI1R,
                                    CNTP_TVAL,
                                    CNTP_CTL,
                                    CNTP_CVAL,
                                    ISS(3, 0, 12, 11, 7),
                                    ISS(3, 0, 12, 11, 6),
                                    ISS(3, 0, 12, 11, 1)};
    static const uint64_t calls[] = {0x84000000, 0xc4000000, 0x80000000, 0x8600ff00, 0xc6000000};
    const struct storm storm = {regs, ARRAY_SIZE(regs), calls, ARRAY_SIZE(calls), RIG_ENTRY};
    struct config_vm *config;
    struct vm *vm;

    rig_start();
    config = rig_config("storm", 2, 0);
    config->on_crash = config->on_reset = config->on_poweroff = ACTION_RESTART;
    vm = rig_vm_of(config);
    ASSERT_OK(vm_start(vm));
    test_random_seed(1);
    for (unsigned i = 0; i < 20000; i++) {
        struct vcpu_exit exits[4];

        for (unsigned k = 0; k < ARRAY_SIZE(exits); k++)
            exits[k] = storm_exit(&storm, vm);
        rig_script(&vm->vcpus[i % 2], exits, ARRAY_SIZE(exits));
        if (i % 50 == 0) /* Both may be off by now, or wait for nothing. */
            (void)(vm_stop(vm, VM_STOP_RESET) == OK); /* Or it is being stopped. */
        rig_turns(3);
        rig_advance(test_random_below(vm->state == VM_RUNNING ? 100000 : 20000 * RIG_MS));
    }
    ASSERT(vm->start_count > 20);
    rig_end();
}

static enum err timer_load(struct state_rig *rig, struct vcpu *vcpu)
{
    state_rig_load(rig, arch_ticks());
    machine_aarch64.cpu_state(vcpu, &rig->state);
    return state_rig_end(rig);
}

TEST(the_physical_timer_has_as_much_time_left_after_a_restore)
{
    static struct state_rig rig;
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    rig_irq_enable(vm, 0, PTIMER);
    RIG_SCRIPT(vcpu, msr(CNTP_CVAL, arch_ticks() + 5 * RIG_MS), msr(CNTP_CTL, 1),
               {.kind = EXIT_WFI});
    rig_turns(2);
    machine_aarch64.held(vcpu);
    state_rig_save(&rig, arch_ticks());
    machine_aarch64.cpu_state(vcpu, &rig.state);
    ASSERT_OK(state_rig_end(&rig));
    rig_advance(100 * RIG_MS);
    machine_aarch64.reset(vm);
    for (rig.limit = 0; rig.limit < rig.size; rig.limit++)
        ASSERT_ERR(E_INVALID, timer_load(&rig, vcpu));
    ASSERT_OK(timer_load(&rig, vcpu));
    rig_irq_enable(vm, 0, PTIMER);
    machine_aarch64.let_go(vcpu);
    rig_advance(5 * RIG_MS - 1);
    rig_turns(2);
    ASSERT(!rig_irq_seen(vcpu, PTIMER));
    rig_advance(1);
    rig_turns(2);
    ASSERT(rig_irq_seen(vcpu, PTIMER));
    rig_end();
}

TEST(each_device_of_an_aarch64_machine_is_in_its_snapshots)
{
    state_rig_has_all(rig_running(2));
    rig_end();
}
