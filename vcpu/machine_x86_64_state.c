/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of an x86_64 machine that is no device's on a bus: its vCPUs' parts, and the I/O APIC.
 * What counts the guest's TSC (the local APIC's timer, KVM's clock) is kept in that: the TSC goes
 * on by vm->started_ticks.
 */
#include "vcpu/machine_x86_64.h"
#include "vcpu/state.h"
#include "vcpu/vm.h"

/* What it has asked of the backend is forgotten there; it asks again when it is bound. */
void machine_x86_64_cpu_state(struct vcpu *vcpu, struct state *s)
{
    struct x86_cpu *cpu = vcpu->machine_cpu;
    uint64_t deadline;

    x86_64_store_apic(vcpu);
    state_section(s, "x86_64 processor", 1);
    STATE(s, cpu->nmi);
    STATE(s, cpu->can_take);
    STATE(s, cpu->adjust);
    vkvmclock_state(&cpu->clock, s);
    deadline = vlapic_state(cpu->lapic, s);
    if (!state_loading(s))
        return;
    cpu->window = false;
    cpu->deadline = deadline;
    arch_vcpu_set_apic(&vcpu->arch, cpu->lapic->state.base & VLAPIC_BASE_ENABLED);
}

void machine_x86_64_state(struct vm *vm, struct state *s)
{
    struct machine_x86_64 *m = vm->machine_state;

    vioapic_state(&m->ioapic, s);
}
