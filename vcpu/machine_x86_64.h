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
#include "vcpu/vm.h"

struct state;

const struct vlapic *x86_64_lapic(const struct vcpu *vcpu);

struct x86_cpu {
    struct vcpu *vcpu;
    struct vlapic *lapic;
    _Atomic bool nmi; /* One waits. */
    bool can_take;    /* As of its unbinding: a vector ends its HLT, */
    bool waits;       /* and the hardware has one. */
    bool window;      /* Asked of the backend, and perhaps not answered yet. */
    bool hardware;    /* It has the vectors, bound or not: arch_apic_load(). */
    uint64_t adjust;  /* TSC_ADJUST. */
    struct vkvmclock clock;
    uint64_t deadline; /* Of the local APIC's timer, in the guest's time. Own pCPU. */
    struct timer timer;
};

/* What stage 2 has where local APICs are. */
enum x86_window {
    WINDOW_NONE,
    WINDOW_OPEN,   /* virt_caps.apic_window. */
    WINDOW_CLOSED, /* Nothing, for a vCPU would find memory there; until the VM is reset. */
};

struct machine_x86_64 {
    struct vm *vm;
    struct vlapic_owner owner;
    struct vlapics lapics;
    struct vioapic ioapic;
    struct lock apic_lock;
    enum x86_window apic_window;
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

static inline struct machine_x86_64 *machine_of(const struct vm *vm)
{
    return vm->machine_state;
}

static inline struct x86_cpu *cpu_of(const struct vcpu *vcpu)
{
    return vcpu->machine_cpu;
}

static inline struct vlapic *lapic_of(const struct vcpu *vcpu)
{
    return cpu_of(vcpu)->lapic;
}

/* The guest's TSC. */
static inline uint64_t cpu_now(const struct x86_cpu *cpu)
{
    return arch_ticks() - cpu->vcpu->vm->started_ticks + cpu->adjust;
}

/* machine_x86_64_apic.c: a local APIC in hardware. Bound, own pCPU: the hardware has its vectors
 * after this, if it can. */
void x86_64_load_apic(struct vcpu *vcpu);
/* The model has them, and all that is to be known of it. Bound: until the next entry; or unbound,
 * any pCPU. */
void x86_64_store_apic(struct vcpu *vcpu);
/* Whether a register of the model is to be accessed between x86_64_store_apic() and
 * x86_64_load_apic(); as vlapic_is_loaded(). */
static inline bool x86_64_is_loaded(const struct vcpu *vcpu, uint64_t reg)
{
    return unlikely(cpu_of(vcpu)->hardware) && vlapic_is_loaded(reg);
}
/* Of IRR, ISR, PPR, where the hardware has them and does not tell. */
bool x86_64_read_loaded(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
/* See struct vlapic_owner. */
void x86_64_post(struct vlapic_owner *owner, unsigned index, unsigned vector);

/* machine_x86_64_state.c: of machine_ops. */
void machine_x86_64_cpu_state(struct vcpu *vcpu, struct state *s);
void machine_x86_64_state(struct vm *vm, struct state *s);
