/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of x86_64 guests, over a VM made by hand on the fake architecture. */
#include "kernel/platform.h"
#include "tests/host/machine_x86_64_rig.h"
#include "tests/host/state_rig.h"
#include "tests/host/storm.h"
#include "vcpu/hypercall.h"
#include "vcpu/vkvmclock.h"

static void turn(unsigned cpu)
{
    fake_be_cpu(cpu);
    sched_turn();
    ASSERT_EQ(this_cpu()->ranks_held, 0);
    fake_be_cpu(0);
}

/* What the hardware does with what is in the slot. */
static void take_vector(void)
{
    vcpus[0].arch.slots[VIRQ_SLOT_VECTOR] = 0;
}

TEST(a_vector_is_injected_when_the_guest_can_take_it)
{
    start();
    enable_lapic();
    write_msr(ICR, VECTOR | 1 << 18); /* To itself. */
    ASSERT_EQ(slot(0, VIRQ_SLOT_VECTOR), VECTOR);
    ASSERT_EQ(vcpus[0].arch.control, 0);
    take_vector();
    write_msr(ICR, VECTOR | 1 << 18); /* In service: it waits for the end. */
    ASSERT_EQ(slot(0, VIRQ_SLOT_VECTOR), 0);
    write_msr(X2APIC_EOI, 0);
    ASSERT_EQ(slot(0, VIRQ_SLOT_VECTOR), VECTOR);
    take_vector();
    write_msr(X2APIC_EOI, 0);
    finish();
}

TEST(a_window_is_asked_for_while_the_guest_cannot_take_a_vector)
{
    start();
    enable_lapic();
    vcpus[0].arch.slots_busy = SLOT_VECTOR;
    write_msr(ICR, VECTOR | 1 << 18);
    ASSERT_EQ(slot(0, VIRQ_SLOT_VECTOR), 0);
    ASSERT_EQ(vcpus[0].arch.control, SLOT_VECTOR);
    ASSERT(!machine_x86_64.pending(&vcpus[0])); /* It would not end a HLT. */
    vcpus[0].arch.slots_busy = 0;
    ASSERT(machine_x86_64.pending(&vcpus[0]));
    machine_x86_64.refresh(&vcpus[0]);
    ASSERT_EQ(slot(0, VIRQ_SLOT_VECTOR), VECTOR);
    ASSERT_EQ(vcpus[0].arch.control, 0);
    finish();
}

TEST(cr8_holds_vectors_back)
{
    start();
    enable_lapic();
    write_msr(ARCH_SYSREG_CR8, 0x50);
    ASSERT_EQ(read_msr(TPR), 0x50);
    ASSERT_EQ(slot(0, VIRQ_SLOT_TPR), 0x50);
    write_msr(ICR, VECTOR | 1 << 18);
    ASSERT_EQ(slot(0, VIRQ_SLOT_VECTOR), 0);
    ASSERT_EQ(vcpus[0].arch.control, 0); /* No window: lowering the TPR exits. */
    write_msr(TPR, 0x40);
    ASSERT_EQ(slot(0, VIRQ_SLOT_VECTOR), VECTOR);
    ASSERT_EQ(slot(0, VIRQ_SLOT_TPR), 0x40);
    finish();
}

TEST(a_device_reaches_the_processor_that_its_pin_names)
{
    start();
    enable_lapic();
    mmio_write(IOAPIC, 0x10 + 2 * UART_PIN);
    mmio_write(IOAPIC + 0x10, VECTOR);
    port(true, 0x3f9, 1, 2); /* Interrupt when the transmitter is empty, as it is. */
    ASSERT(atomic_load(&vcpus[0].requests) & VCPU_REQ_IRQ);
    machine_x86_64.refresh(&vcpus[0]);
    ASSERT_EQ(slot(0, VIRQ_SLOT_VECTOR), VECTOR);
    finish();
}

TEST(an_nmi_goes_before_a_vector_and_waits_for_its_own_window)
{
    start();
    enable_lapic();
    vcpus[0].arch.slots_busy = SLOT_NMI;
    write_msr(ICR, NMI | ASSERTED); /* To processor 0. */
    machine_x86_64.refresh(&vcpus[0]);
    ASSERT_EQ(slot(0, VIRQ_SLOT_NMI), 0);
    ASSERT_EQ(vcpus[0].arch.control, SLOT_NMI);
    ASSERT(machine_x86_64.pending(&vcpus[0]));
    vcpus[0].arch.slots_busy = 0;
    machine_x86_64.refresh(&vcpus[0]);
    ASSERT_EQ(slot(0, VIRQ_SLOT_NMI), 1);
    ASSERT(!machine_x86_64.pending(&vcpus[0]));
    finish();
}

TEST(the_tsc_deadline_timer_fires_in_the_guests_time)
{
    start();
    enable_lapic();
    advance(1000);
    ASSERT_EQ(read_msr(TSC), 1000);
    write_msr(LVT_TIMER, VECTOR | 2 << 17);
    write_msr(DEADLINE, 5000);
    ASSERT_EQ(this_cpu()->arch.timer_deadline, vm.started_ticks + 5000);
    advance(3999);
    ASSERT(!(atomic_load(&vcpus[0].requests) & VCPU_REQ_IRQ));
    advance(1);
    ASSERT(atomic_load(&vcpus[0].requests) & VCPU_REQ_IRQ);
    machine_x86_64.refresh(&vcpus[0]);
    ASSERT_EQ(slot(0, VIRQ_SLOT_VECTOR), VECTOR);
    ASSERT_EQ(read_msr(DEADLINE), 0);
    ASSERT_EQ(this_cpu()->arch.timer_deadline, TICKS_NEVER);
    finish();
}

TEST(a_guest_that_moves_its_tsc_moves_its_deadline)
{
    start();
    enable_lapic();
    advance(1000);
    write_msr(LVT_TIMER, VECTOR | 2 << 17);
    write_msr(DEADLINE, 5000);
    write_msr(ADJUST, 2000);
    ASSERT_EQ(read_msr(TSC), 3000);
    ASSERT_EQ(vcpus[0].arch.time_offset, vm.started_ticks - 2000);
    ASSERT_EQ(this_cpu()->arch.timer_deadline, vm.started_ticks + 3000);
    write_msr(TSC, 100);
    ASSERT_EQ(read_msr(ADJUST), (uint64_t)-900);
    ASSERT_EQ(this_cpu()->arch.timer_deadline, vm.started_ticks + 5900);
    write_msr(TSC, UINT64_MAX - 5);
    ASSERT_EQ(read_msr(TSC), UINT64_MAX - 5);
    machine_x86_64.reset(&vm);
    ASSERT_EQ(read_msr(ADJUST), 0);
    finish();
}

TEST(a_processor_that_is_held_has_no_timer_armed)
{
    start();
    enable_lapic();
    write_msr(LVT_TIMER, VECTOR);
    write_msr(INITIAL_COUNT, 1000);
    machine_x86_64.held(&vcpus[0]);
    machine_x86_64.reset(&vm);
    atomic_store(&vcpus[0].requests, 0);
    advance(1000000);
    ASSERT_EQ(atomic_load(&vcpus[0].requests), 0);
    finish();
}

TEST(what_is_posted_to_a_processor_is_a_vector)
{
    start();
    enable_lapic();
    vcpu_interrupt(&vcpus[0], VECTOR, true);
    machine_x86_64.refresh(&vcpus[0]);
    ASSERT_EQ(arch_virq_read(&vcpus[0].arch, VIRQ_SLOT_VECTOR), VECTOR);
    finish();
}

/* --- INIT and SIPI --- */

static void send(unsigned target, uint64_t what)
{
    write_msr(ICR, (uint64_t)target << 32 | ASSERTED | what);
}

static void check_started(unsigned vcpu, unsigned starts, uint64_t pc)
{
    ASSERT_EQ(vcpus[vcpu].arch.starts, starts);
    ASSERT_EQ(vcpus[vcpu].power, VCPU_ON);
    ASSERT_EQ(vcpus[vcpu].arch.regs.pc, pc);
    ASSERT_EQ(vcpus[vcpu].arch.mode, ARCH_MODE_REAL);
}

TEST(a_processor_starts_by_init_and_sipi_where_the_sipi_says)
{
    start();
    enable_lapic();
    send(1, INIT);
    turn(1);
    ASSERT_EQ(vcpus[1].power, VCPU_OFF);
    send(1, SIPI | 0x9a);
    ASSERT_EQ(vcpus[1].arch.starts, 0);
    turn(1);
    check_started(1, 1, 0x9a000);
    send(1, SIPI | 0x77); /* The second SIPI of the start-up sequence. */
    turn(1);
    check_started(1, 1, 0x9a000);
    ASSERT_EQ(vcpus[2].power, VCPU_OFF);
    finish();
}

TEST(init_and_sipi_are_not_lost_when_they_come_before_the_processor_looks)
{
    start();
    enable_lapic();
    send(1, SIPI | 0x10); /* Without an INIT: it waits for a SIPI since the start. */
    send(1, SIPI | 0x11); /* Ignored: the first is not seen yet. */
    turn(1);
    check_started(1, 1, 0x10000);
    send(1, INIT);
    send(1, SIPI | 0x20);
    send(1, SIPI | 0x21);
    turn(1);
    check_started(1, 2, 0x20000);
    finish();
}

TEST(an_init_stops_a_running_processor_and_drops_a_sipi_before_it)
{
    start();
    enable_lapic();
    send(1, SIPI | 0x10);
    turn(1);
    send(1, SIPI | 0x20); /* It runs: dropped at once. */
    send(1, INIT);
    turn(1);
    ASSERT_EQ(vcpus[1].power, VCPU_OFF);
    ASSERT_EQ(vcpus[1].arch.starts, 1);
    send(1, SIPI | 0x30);
    send(1, INIT); /* Before it was seen. */
    turn(1);
    ASSERT_EQ(vcpus[1].power, VCPU_OFF);
    ASSERT_EQ(vcpus[1].arch.starts, 1);
    send(1, SIPI | 0x40);
    turn(1);
    check_started(1, 2, 0x40000);
    finish();
}

TEST(no_sipi_starts_a_processor_of_a_vm_that_stops)
{
    start();
    enable_lapic();
    vm.state = VM_STOPPING;
    send(1, SIPI | 0x10);
    turn(1);
    ASSERT_EQ(vcpus[1].power, VCPU_OFF);
    vm.state = VM_RUNNING;
    send(1, SIPI | 0x10);
    vm.state = VM_STOPPING; /* Before it looks. */
    turn(1);
    ASSERT_EQ(vcpus[1].power, VCPU_OFF);
    ASSERT_EQ(vcpus[1].arch.starts, 0);
    finish();
}

TEST(an_init_resets_the_processors_own_apic)
{
    start();
    enable_lapic();
    write_msr(TPR, 0x40);
    machine_x86_64.cpu_reset(&vcpus[0]);
    ASSERT_EQ(read_msr(TPR), 0);
    ASSERT_EQ(read_msr(SVR), 0xff);
    finish();
}

/* --- Power, ports, calls --- */

TEST(a_guest_powers_off_through_its_power_management)
{
    start();
    port(true, 0x604, 2, 1 << 13 | 5 << 10);
    ASSERT_EQ(vm.state, VM_STOPPING);
    ASSERT_EQ(vm.reason, VM_STOP_POWEROFF);
    finish();
}

TEST(a_guest_resets_through_port_0xcf9)
{
    start();
    port(true, 0xcf9, 1, 0x06);
    ASSERT_EQ(vm.state, VM_STOPPING);
    ASSERT_EQ(vm.reason, VM_STOP_RESET);
    finish();
}

TEST(a_local_apic_that_is_switched_off_is_hidden)
{
    start();
    ASSERT(write_msr(0x1b, 0xfee00000));
    ASSERT(vcpus[0].arch.apic_off);
    ASSERT(!write_msr(0x1b, 0xfee00000 | BIT(10))); /* Not into this mode. */
    ASSERT(vcpus[0].arch.apic_off);
    ASSERT(write_msr(0x1b, 0xfee00000 | BIT(11)));
    ASSERT(!vcpus[0].arch.apic_off);
    ASSERT(write_msr(0x1b, 0xfee00000));
    machine_x86_64.reset(&vm);
    ASSERT(!vcpus[0].arch.apic_off);
    finish();
}

TEST(a_firmware_finds_the_size_of_memory_in_cmos)
{
    start();
    config.memory_size = 512 * MIB;
    machine_x86_64.reset(&vm);
    port(true, 0x70, 1, 0x34);
    ASSERT_EQ(port(false, 0x71, 1, 0), (496 * 16) & 0xff);
    port(true, 0x70, 1, 0x35);
    ASSERT_EQ(port(false, 0x71, 1, 0), 496 * 16 >> 8);
    port(true, 0x70, 1, 0x31);
    ASSERT_EQ(port(false, 0x71, 1, 0), 0xff);
    config.memory_size = 5 * GIB;
    machine_x86_64.reset(&vm);
    port(true, 0x70, 1, 0x35);
    ASSERT_EQ(port(false, 0x71, 1, 0), (3 * GIB - 16 * MIB) / (64 * KIB) >> 8);
    port(true, 0x70, 1, 0x5c);
    ASSERT_EQ(port(false, 0x71, 1, 0), 2 * GIB / (64 * KIB) >> 8);
    finish();
}

TEST(a_firmware_has_a_port_for_what_it_says)
{
    struct bus_hint hint = {};

    start();
    ASSERT(bus_find(&vm.ports, 0x402, 1, &hint) == NULL);
    finish();
    start_as(true);
    ASSERT_EQ(port(false, 0x402, 1, 0), 0xe9);
    port(true, 0x402, 1, 'x');
    ASSERT_EQ(machine_x86_64.console(&vm)->written, 1);
    finish();
}

TEST(every_device_of_the_layout_is_on_its_bus)
{
    start();
    for (unsigned i = 0; i < vm.layout->device_count; i++) {
        const struct machine_device *d = &vm.layout->devices[i];
        struct bus_hint hint = {};
        struct bus *bus = d->ports ? &vm.ports : &vm.bus;

        ASSERT_EQ(bus_find(bus, d->base, 1, &hint) != NULL, !d->reserved);
        ASSERT_EQ(bus_find(bus, d->base + d->size - 1, 1, &hint) != NULL, !d->reserved);
    }
    finish();
}

TEST(a_call_that_there_is_not_returns_all_ones)
{
    struct vcpu_exit exit = {.kind = EXIT_HYPERCALL, .call = {.nr = HYPERCALL_UID}};

    start();
    machine_x86_64.call(&vcpus[0], &exit);
    ASSERT_EQ(vcpus[0].arch.returns[0], 0x7c65e5d2);
    exit.call.nr = 1ull << 32 | HYPERCALL_UID;
    machine_x86_64.call(&vcpus[0], &exit);
    ASSERT_EQ(vcpus[0].arch.returns[0], UINT64_MAX);
    ASSERT(!write_msr(0xc0000080, 0)); /* The backend's. */
    finish();
}

TEST(whatever_a_guest_asks_of_the_x86_64_machine_it_goes_on)
{
    static const uint32_t msrs[] = {TSC,
                                    BASE,
                                    ADJUST,
                                    DEADLINE,
                                    SVR,
                                    ICR,
                                    LVT_TIMER,
                                    TPR,
                                    X2APIC_EOI,
                                    INITIAL_COUNT,
                                    0x83f,
                                    0x83e,
                                    0x837,
                                    0x80d,
                                    0x4b564d00,
                                    0x4b564d01,
                                    ARCH_SYSREG_CR8,
                                    ARCH_SYSREG_APIC_END};
    static const uint64_t calls[] = {HYPERCALL_COUNT};
    const struct storm storm = {msrs, ARRAY_SIZE(msrs), calls, ARRAY_SIZE(calls), 0x1000};

    for (unsigned i = 0; i < 2; i++) {
        test_random_seed(i);
        virt_caps.apic = i == 1;
        start();
        storm_run(&storm, &vcpus[0], 50000);
        machine_x86_64.held(&vcpus[0]);
        finish();
    }
    virt_caps.apic = false;
}

static struct state_rig states;

static void each_state(void)
{
    for (unsigned i = 0; i < VCPUS; i++)
        machine_x86_64.cpu_state(&vcpus[i], &states.state);
    machine_x86_64.state(&vm, &states.state);
}

/* All but the devices, through a reset, with so much of the host's time between. */
static enum err again(uint64_t pause)
{
    uint64_t clock = arch_ticks() - vm.started_ticks;

    ASSERT_OK(vcpu_unbind(&vcpus[0]));
    machine_x86_64.held(&vcpus[0]);
    state_rig_save(&states, arch_ticks());
    each_state();
    ASSERT_OK(state_rig_end(&states));
    machine_x86_64.reset(&vm);
    fake_advance(pause);
    vm.started_ticks = arch_ticks() - clock;
    state_rig_load(&states, arch_ticks());
    each_state();
    machine_x86_64.let_go(&vcpus[0]);
    ASSERT_OK(rig_bind(&vcpus[0]));
    return state_rig_end(&states);
}

TEST(a_machines_state_goes_on_by_the_guests_clock)
{
    uint64_t tsc, deadline;

    start();
    enable_lapic();
    write_msr(ADJUST, 1000000);
    write_msr(VKVMCLOCK_MSR_SYSTEM, 0x5001);
    write_msr(LVT_TIMER, VECTOR | 2 << 17);
    deadline = read_msr(TSC) + 3000;
    write_msr(DEADLINE, deadline);
    write_msr(TPR, 0x20);
    tsc = read_msr(TSC);
    ASSERT_OK(again(1000000));
    ASSERT_EQ(read_msr(TSC), tsc);
    ASSERT_EQ(read_msr(VKVMCLOCK_MSR_SYSTEM), 0x5001);
    ASSERT_EQ(read_msr(DEADLINE), deadline);
    ASSERT_EQ(read_msr(TPR), 0x20);
    advance(2999);
    ASSERT(!machine_x86_64.pending(&vcpus[0]));
    advance(1);
    machine_x86_64.refresh(&vcpus[0]);
    ASSERT_EQ(slot(0, VIRQ_SLOT_VECTOR), VECTOR);
    finish();
}

TEST(a_machines_state_has_the_nmi_that_waits_and_the_apic_that_is_off)
{
    start();
    enable_lapic();
    vcpus[0].arch.slots_busy = BIT(VIRQ_SLOT_NMI);
    write_msr(ICR, NMI | 1 << 18);
    write_msr(BASE, read_msr(BASE) & ~(uint64_t)BIT(11) & ~(uint64_t)BIT(10));
    ASSERT(vcpus[0].arch.apic_off);
    vcpus[0].arch.apic_off = false;
    ASSERT_OK(again(5));
    ASSERT(vcpus[0].arch.apic_off);
    ASSERT(machine_x86_64.pending(&vcpus[0]));
    finish();
}
