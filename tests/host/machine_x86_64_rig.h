/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of an x86_64 guest, with a VM made by hand. Only one of them in a test program's
 * file. */
#pragma once

#include "kernel/ipi.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "tests/host/hand_rig.h"
#include "tests/host/state_rig.h"
#include "tests/host/test.h"
#include "vcpu/console.h"
#include "vcpu/machine.h"
#include "vcpu/machine_ops.h"

#define VCPUS    3u
#define LAPIC    0xfee00000u
#define IOAPIC   0xfec00000u
#define VECTOR   0x51u
#define UART_PIN 4u

enum { TSC = 0x10, BASE = 0x1b, ADJUST = 0x3b, DEADLINE = 0x6e0, SVR = 0x80f, ICR = 0x830 };
enum {
    LVT_TIMER = 0x832,
    X2APIC_EOI = 0x80b,
    TPR = 0x808,
    INITIAL_COUNT = 0x838,
    TIMER_DIVIDE = 0x83e
};
enum { SLOT_VECTOR = BIT(VIRQ_SLOT_VECTOR), SLOT_NMI = BIT(VIRQ_SLOT_NMI) };
/* Modes of an IPI, in the ICR. */
enum { NMI = 4 << 8, INIT = 5 << 8, SIPI = 6 << 8, ASSERTED = 1 << 14 };

static struct vm vm;
static struct config_vm config;
static struct vcpu vcpus[VCPUS];

/* Guests run until an IPI comes, and then leave. */
static bool run_guest(struct arch_vcpu *, struct vcpu_exit *exit)
{
    exit->kind = EXIT_INTERRUPT;
    if (atomic_load(&this_cpu()->ipi_under_way))
        ipi_taken();
    else
        atomic_store(&this_cpu()->sched.leave, true);
    return true;
}

static inline void start_as(bool firmware)
{
    hand_rig_start();
    config = (struct config_vm){.name = "a", .cpu_count = VCPUS, .firmware = firmware};
    fake_advance(5000000);
    hand_rig_make(&vm, vcpus, &config, &machine_x86_64);
    for (unsigned i = 0; i < VCPUS; i++)
        vcpus[i].arch.on_run = run_guest;
    vcpus[0].power = VCPU_ON;
    vm.started_ticks = arch_ticks();
    ASSERT_OK(rig_bind(&vcpus[0]));
}

static inline void start(void)
{
    start_as(false);
}

static inline void finish(void)
{
    hand_rig_end(&vm);
}

static inline bool write_msr(uint32_t msr, uint64_t value)
{
    struct vcpu_exit exit = {.kind = EXIT_SYSREG_WRITE, .sysreg = {.addr = msr, .value = value}};

    return machine_x86_64.sysreg(vcpu_current(), &exit);
}

static inline uint64_t read_msr(uint32_t msr)
{
    struct vcpu_exit exit = {.kind = EXIT_SYSREG_READ, .sysreg = {.addr = msr}};

    ASSERT(machine_x86_64.sysreg(vcpu_current(), &exit));
    return exit.sysreg.value;
}

/* Software-enabled, in x2APIC mode. */
static inline void enable_lapic(void)
{
    ASSERT(write_msr(BASE, read_msr(BASE) | BIT(10) | BIT(11)));
    ASSERT(write_msr(SVR, 0x1ff));
}

static inline void mmio_write(uint64_t address, uint32_t value)
{
    struct bus_hint hint = {};
    struct vdev *dev = bus_find(&vm.bus, address, 4, &hint);

    ASSERT(dev != NULL);
    dev->ops->write(dev, vcpu_current()->index, address - dev->base, 4, value);
}

static inline uint64_t port(bool write, unsigned number, unsigned width, uint64_t value)
{
    struct bus_hint hint = {};
    struct vdev *dev = bus_find(&vm.ports, number, width, &hint);

    ASSERT(dev != NULL);
    if (!write)
        return dev->ops->read(dev, 0, number - dev->base, width);
    dev->ops->write(dev, 0, number - dev->base, width, value);
    return 0;
}

static inline void advance(uint64_t ns)
{
    fake_advance(ns);
    if (this_cpu()->arch.timer_deadline <= arch_ticks())
        timer_expire();
}

static inline uint64_t slot(unsigned vcpu, enum arch_virq_slot which)
{
    return vcpus[vcpu].arch.slots[which];
}
