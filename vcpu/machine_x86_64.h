/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine of an x86_64 guest consists of. Private to machine_x86_64*.c and
 * intent_x86_64.c.
 */
#pragma once

#include "kernel/timer.h"
#include "vcpu/chips/vcmos.h"
#include "vcpu/chips/vdebugcon.h"
#include "vcpu/chips/vns16550.h"
#include "vcpu/chips/vpci_host.h"
#include "vcpu/chips/vpic.h"
#include "vcpu/chips/vpit.h"
#include "vcpu/chips/vpm.h"
#include "vcpu/irqchip/vioapic.h"
#include "vcpu/irqchip/vlapic.h"
#include "vcpu/vkvmclock.h"

struct state;
struct vcpu;
struct vm;

struct x86_cpu {
    struct vcpu *vcpu;
    struct vlapic *lapic;
    _Atomic bool nmi; /* One waits. */
    bool can_take;    /* As of its unbinding: a vector ends its HLT. */
    bool window;      /* Asked of the backend, and perhaps not answered yet. */
    uint64_t adjust;  /* TSC_ADJUST. */
    struct vkvmclock clock;
    uint64_t deadline; /* Of the local APIC's timer, in the guest's time. Own pCPU. */
    struct timer timer;
};

struct machine_x86_64 {
    struct vm *vm;
    struct vlapic_owner owner;
    struct vlapics lapics;
    struct vioapic ioapic;
    struct vdev lapic_window, ioapic_window;
    struct vpic pic[2];
    struct vpit pit;
    struct vcmos cmos;
    struct vpm pm;
    struct vpci_host pci;
    struct vns16550 uart;
    struct vdebugcon debugcon;
    struct x86_cpu cpus[VLAPICS_MAX];
};

const struct vlapic *x86_64_lapic(const struct vcpu *vcpu);

/* machine_x86_64_state.c: of machine_ops. */
void machine_x86_64_cpu_state(struct vcpu *vcpu, struct state *s);
void machine_x86_64_state(struct vm *vm, struct state *s);
