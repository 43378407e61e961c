/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of x86_64 guests where the hardware takes vectors by itself. */
#include "tests/host/machine_x86_64_rig.h"
#include "vcpu/machine_x86_64.h"

static bool in_hardware(unsigned vector)
{
    return vcpus[0].arch.apic_irr[vector / 64] & BIT(vector % 64);
}

TEST(hardware_that_takes_vectors_gets_them_in_x2apic_mode_alone)
{
    virt_caps.apic = true;
    start();
    write_msr(SVR, 0x1ff);
    ASSERT(!vcpus[0].arch.apic_loaded);
    enable_lapic();
    ASSERT(vcpus[0].arch.apic_loaded);
    write_msr(ICR, VECTOR | 1 << 18);
    ASSERT(in_hardware(VECTOR));
    ASSERT_EQ(slot(0, VIRQ_SLOT_VECTOR), 0);
    ASSERT(machine_x86_64.pending(&vcpus[0]));
    ASSERT(!write_msr(ARCH_SYSREG_CR8, 0xf0)); /* No exit is made by CR8 then. */
    ASSERT(write_msr(BASE, read_msr(BASE) & ~(BIT(10) | BIT(11)))); /* Off: it is software's. */
    ASSERT(!vcpus[0].arch.apic_loaded);
    virt_caps.apic = false;
    finish();
}

/* With a vector that waits, one in service above it, and a TPR that the guest has written. */
static void start_loaded(void)
{
    virt_caps.apic = true;
    start();
    enable_lapic();
    write_msr(ICR, VECTOR | 1 << 18);
    vcpus[0].arch.apic_isr[1] = BIT(VECTOR - 64 + 32);
    vcpus[0].arch.apic_tpr = 0x20;
}

static void finish_loaded(void)
{
    virt_caps.apic = false;
    finish();
}

TEST(hardware_keeps_vectors_while_their_vcpu_is_unbound)
{
    start_loaded();
    ASSERT_OK(vcpu_unbind(&vcpus[0]));
    ASSERT(vcpus[0].arch.apic_loaded);
    ASSERT(!machine_x86_64.pending(&vcpus[0])); /* The one in service is above it, */
    vlapic_post(&machine_of(&vm)->lapics.cpu[0], VECTOR + 1, false);
    ASSERT(!machine_x86_64.pending(&vcpus[0])); /* and above one that comes now, */
    vlapic_post(&machine_of(&vm)->lapics.cpu[0], VECTOR + 64, false);
    ASSERT(machine_x86_64.pending(&vcpus[0])); /* but not above this. */
    ASSERT(!in_hardware(VECTOR + 64));
    ASSERT_OK(rig_bind(&vcpus[0]));
    ASSERT(in_hardware(VECTOR) && in_hardware(VECTOR + 1) && in_hardware(VECTOR + 64));
    ASSERT_EQ(vcpus[0].arch.apic_tpr, 0x20);
    vcpus[0].arch.apic_isr[1] = 0;
    ASSERT_OK(vcpu_unbind(&vcpus[0]));
    ASSERT(machine_x86_64.pending(&vcpus[0]));
    finish_loaded();
}

static struct state_rig saved;

TEST(who_asks_for_vectors_gets_them_back_from_hardware)
{
    start_loaded();
    ASSERT_OK(vcpu_unbind(&vcpus[0]));
    state_rig_save(&saved, arch_ticks());
    machine_x86_64.cpu_state(&vcpus[0], &saved.state);
    ASSERT_OK(state_rig_end(&saved));
    ASSERT(!vcpus[0].arch.apic_loaded);
    ASSERT_OK(rig_bind(&vcpus[0])); /* It has them again, as they were. */
    ASSERT(in_hardware(VECTOR));
    ASSERT_EQ(vcpus[0].arch.apic_isr[1], BIT(VECTOR - 64 + 32));
    ASSERT_EQ(vcpus[0].arch.apic_tpr, 0x20);
    vcpus[0].arch.apic_irr[VECTOR / 64] = vcpus[0].arch.apic_isr[1] = 0;
    ASSERT_OK(vcpu_unbind(&vcpus[0]));
    state_rig_load(&saved, arch_ticks());
    machine_x86_64.cpu_state(&vcpus[0], &saved.state);
    ASSERT_OK(state_rig_end(&saved));
    ASSERT_OK(rig_bind(&vcpus[0])); /* And what was restored, not what it had left. */
    ASSERT(in_hardware(VECTOR));
    ASSERT_EQ(vcpus[0].arch.apic_isr[1], BIT(VECTOR - 64 + 32));
    finish_loaded();
}

TEST(hardware_forgets_vectors_by_an_init)
{
    start_loaded();
    ASSERT_OK(vcpu_unbind(&vcpus[0]));
    machine_x86_64.cpu_reset(&vcpus[0]);
    ASSERT_OK(rig_bind(&vcpus[0]));
    ASSERT(vcpus[0].arch.apic_loaded);
    ASSERT(!in_hardware(VECTOR));
    ASSERT_EQ(vcpus[0].arch.apic_isr[1], 0);
    ASSERT_EQ(vcpus[0].arch.apic_tpr, 0);
    finish_loaded();
}

TEST(who_steps_a_vcpu_by_hand_has_its_vectors_in_software)
{
    start_loaded();
    ASSERT_OK(vcpu_unbind(&vcpus[0]));
    vm.state = VM_FAILED;
    ASSERT_OK(rig_bind(&vcpus[0]));
    ASSERT(!vcpus[0].arch.apic_loaded);
    ASSERT_EQ(slot(0, VIRQ_SLOT_VECTOR), 0);
    write_msr(X2APIC_EOI, 0);
    ASSERT_EQ(slot(0, VIRQ_SLOT_VECTOR), VECTOR);
    vm.state = VM_RUNNING;
    finish_loaded();
}

static bool posted(unsigned vector)
{
    return vcpus[0].arch.apic_posted[vector / 64] & BIT(vector % 64);
}

/* By the I/O APIC, which tells the vCPU of an edge. */
static void raise_edge(void)
{
    port(true, 0x3f9, 1, 0);
    port(true, 0x3f9, 1, 2);
}

static void start_posted(unsigned trigger)
{
    virt_caps.apic = virt_caps.apic_posted = true;
    start();
    enable_lapic();
    mmio_write(IOAPIC, 0x10 + 2 * UART_PIN);
    mmio_write(IOAPIC + 0x10, VECTOR | trigger);
    vcpus[0].sched.cpu = 1; /* As if it ran there. */
    fake.apic_notifies = 0;
}

static void finish_posted(void)
{
    vcpus[0].sched.cpu = 0;
    virt_caps.apic = virt_caps.apic_posted = false;
    finish();
}

TEST(a_vector_for_a_guest_that_runs_elsewhere_is_posted_to_its_hardware)
{
    start_posted(0);
    raise_edge();
    ASSERT(posted(VECTOR));
    ASSERT_EQ(fake.apic_notifies, 1);
    ASSERT(!(atomic_load(&vcpus[0].requests) & VCPU_REQ_IRQ));
    raise_edge(); /* The hardware has been told. */
    ASSERT_EQ(fake.apic_notifies, 1);
    vcpus[0].sched.cpu = 0;
    ASSERT_OK(vcpu_unbind(&vcpus[0])); /* Before it has taken it. */
    ASSERT(!posted(VECTOR));
    ASSERT(machine_x86_64.pending(&vcpus[0]));
    vcpus[0].arch.apic_irr[VECTOR / 64] = 0;
    raise_edge(); /* Unbound: the IRR of the model. */
    ASSERT(!posted(VECTOR) && !in_hardware(VECTOR));
    arch_apic_send(&vcpus[0].arch, VECTOR + 1); /* By one who saw it bound. */
    ASSERT_OK(rig_bind(&vcpus[0]));
    ASSERT(in_hardware(VECTOR) && in_hardware(VECTOR + 1));
    finish_posted();
}

TEST(a_vector_is_not_posted_where_it_would_not_be_seen)
{
    start_posted(BIT(15)); /* A level: its end is to be told. */
    raise_edge();
    ASSERT(!posted(VECTOR));
    ASSERT(atomic_load(&vcpus[0].requests) & VCPU_REQ_IRQ);
    finish_posted();
    start_posted(0);
    vcpus[0].sched.cpu = 0; /* Here: the guest does not run. */
    atomic_store(&vcpus[0].requests, 0);
    raise_edge();
    ASSERT(!posted(VECTOR));
    ASSERT_EQ(fake.apic_notifies, 0);
    ASSERT(atomic_load(&vcpus[0].requests) & VCPU_REQ_IRQ);
    machine_x86_64.refresh(&vcpus[0]);
    ASSERT(in_hardware(VECTOR));
    finish_posted();
}

TEST(a_level_that_ends_in_hardware_is_told_to_the_io_apic)
{
    struct vcpu_exit wrmsr = {.kind = EXIT_SYSREG_WRITE,
                              .advance = true,
                              .sysreg = {.addr = ARCH_SYSREG_APIC_END, .value = VECTOR}};

    virt_caps.apic = true;
    start();
    enable_lapic();
    mmio_write(IOAPIC, 0x10 + 2 * UART_PIN);
    mmio_write(IOAPIC + 0x10, VECTOR | BIT(15));
    port(true, 0x3f9, 1, 2);
    machine_x86_64.refresh(&vcpus[0]);
    ASSERT(in_hardware(VECTOR));
    ASSERT(vcpus[0].arch.apic_level[VECTOR / 64] & BIT(VECTOR % 64));
    vcpus[0].arch.apic_irr[VECTOR / 64] = 0; /* Taken, and ended with the line still high. */
    write_msr(ARCH_SYSREG_APIC_END, VECTOR);
    machine_x86_64.refresh(&vcpus[0]);
    ASSERT(in_hardware(VECTOR));
    ASSERT(!machine_x86_64.sysreg(&vcpus[0], &wrmsr)); /* A guest has no such MSR. */
    virt_caps.apic = false;
    finish();
}

TEST(a_periodic_timer_goes_on_when_hardware_has_its_tick)
{
    virt_caps.apic = true;
    start();
    enable_lapic();
    write_msr(LVT_TIMER, VECTOR | 1 << 17);
    write_msr(TIMER_DIVIDE, 11); /* By 1. */
    write_msr(INITIAL_COUNT, 1000000);
    for (unsigned i = 0; i < 3; i++) {
        advance(1000000000);
        machine_x86_64.refresh(&vcpus[0]);
        ASSERT(in_hardware(VECTOR));
        vcpus[0].arch.apic_irr[VECTOR / 64] = 0;
    }
    virt_caps.apic = false;
    finish();
}

#define WINDOW 0x800000u

static bool window_is_open(void)
{
    struct pt_leaf leaf;

    return pt_lookup(&vm.map.pt, LAPIC, &leaf) == OK && leaf.pa.v == WINDOW;
}

static void start_with_window(void)
{
    virt_caps.apic = true;
    virt_caps.apic_window = hpa(WINDOW);
    start();
}

static void finish_with_window(void)
{
    virt_caps.apic_window = hpa(0);
    finish_loaded();
}

static uint64_t lapic_register(unsigned offset)
{
    struct bus_hint hint = {};
    struct vdev *dev = bus_find(&vm.bus, LAPIC, 4, &hint);

    return dev->ops->read(dev, vcpu_current()->index, offset, 4);
}

TEST(hardware_with_a_window_has_vectors_in_xapic_mode_as_well)
{
    start_with_window();
    ASSERT(vcpus[0].arch.apic_loaded && window_is_open());
    mmio_write(LAPIC + 0xf0, 0x1ff);
    mmio_write(LAPIC + 0x300, VECTOR | 1 << 18);
    ASSERT(in_hardware(VECTOR));
    /* By exits, of what the hardware has: */
    ASSERT_EQ(lapic_register(0x200 + VECTOR / 32 * 16), 1u << VECTOR % 32);
    mmio_write(LAPIC + 0x80, 0x60);
    ASSERT_EQ(vcpus[0].arch.apic_tpr, 0x60);
    vcpus[0].arch.apic_isr[VECTOR / 64] = BIT(VECTOR % 64);
    mmio_write(LAPIC + 0xb0, 0);
    ASSERT_EQ(vcpus[0].arch.apic_isr[VECTOR / 64], 0);
    ASSERT(vcpus[0].arch.apic_loaded && in_hardware(VECTOR));
    finish_with_window();
}

TEST(the_window_is_closed_by_the_first_vcpu_that_would_find_memory_there)
{
    start_with_window();
    enable_lapic();
    ASSERT(vcpus[0].arch.apic_loaded && !window_is_open());
    ASSERT_OK(vcpu_unbind(&vcpus[0]));
    vcpus[1].sched.cpu = 0;
    ASSERT_OK(rig_bind(&vcpus[1])); /* In xAPIC mode, with an exit for each access. */
    ASSERT(vcpus[1].arch.apic_loaded && !window_is_open());
    ASSERT_OK(vcpu_unbind(&vcpus[1]));
    machine_x86_64.reset(&vm);
    ASSERT_OK(rig_bind(&vcpus[0]));
    ASSERT(window_is_open());
    ASSERT_OK(vcpu_unbind(&vcpus[0]));
    vm.state = VM_FAILED; /* By hand. */
    ASSERT_OK(rig_bind(&vcpus[0]));
    ASSERT(!vcpus[0].arch.apic_loaded && !window_is_open());
    vm.state = VM_RUNNING;
    finish_with_window();
}
