/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine of an x86_64 guest where the hardware has a local APIC: given when its vCPU is bound,
 * posted to by other pCPUs while it is, and taken back when somebody wants to know: an INIT, a
 * snapshot, who steps it by hand.
 */
#include "kernel/percpu.h"
#include "vcpu/machine_x86_64.h"

_Static_assert(VLAPIC_BASE == ARCH_APIC_BASE, "the window is there");

/*
 * One vCPU in another mode closes the window for all: the others have their accesses by exits then,
 * as each kernel's first processor does to those that it starts in x2APIC mode.
 */
static void apic_window(struct vcpu *vcpu, bool open)
{
    struct machine_x86_64 *m = machine_of(vcpu->vm);
    struct guestmap *map = &vcpu->vm->map;

    lock_take(&m->apic_lock);
    if (open && m->apic_window == WINDOW_NONE &&
        guestmap_set_page(map, gpa(VLAPIC_BASE), virt_caps.apic_window) == OK) {
        m->apic_window = WINDOW_OPEN;
    } else if (!open) {
        if (m->apic_window == WINDOW_OPEN)
            guestmap_forget_page(map, gpa(VLAPIC_BASE));
        m->apic_window = WINDOW_CLOSED;
    }
    lock_drop(&m->apic_lock);
}

void x86_64_load_apic(struct vcpu *vcpu)
{
    struct x86_cpu *cpu = cpu_of(vcpu);

    x86_64_store_apic(vcpu);
    arch_virq_write(&vcpu->arch, VIRQ_SLOT_TPR, cpu->lapic->state.tpr);
    if (!virt_caps.apic)
        return;
    /* Who steps it by hand sees each end of an interrupt and each message as an exit. */
    if (vcpu->vm->state == VM_RUNNING)
        cpu->hardware = vlapic_load(cpu->lapic, &vcpu->arch, cpu_now(cpu));
    else
        arch_apic_load(&vcpu->arch, NULL);
    if (virt_caps.apic_window.v)
        apic_window(vcpu, cpu->hardware && vlapic_uses_window(cpu->lapic));
}

void x86_64_store_apic(struct vcpu *vcpu)
{
    struct x86_cpu *cpu = cpu_of(vcpu);

    if (cpu->hardware)
        vlapic_store(cpu->lapic, &vcpu->arch);
    cpu->hardware = cpu->waits = false;
}

/*
 * Where it is bound is looked up after the posting, so that who binds it later finds what was
 * posted; and again at the end, for it may have left, and come back elsewhere.
 */
void x86_64_post(struct vlapic_owner *owner, unsigned index, unsigned vector)
{
    struct machine_x86_64 *m = container_of(owner, struct machine_x86_64, owner);
    struct vcpu *vcpu = &m->vm->vcpus[index];
    struct vlapic *lapic = &m->lapics.cpu[index];
    bool tell = arch_apic_send(&vcpu->arch, vector);
    unsigned cpu = atomic_load(&vcpu->sched.cpu);

    if (tell && cpu != this_cpu()->id)
        arch_apic_notify(pcpu(cpu));
    if (likely(atomic_load(&lapic->posting) && cpu != this_cpu()->id &&
               cpu == atomic_load(&vcpu->sched.cpu)))
        return;
    vlapic_collect(lapic, &vcpu->arch);
    vcpu_request(vcpu, VCPU_REQ_IRQ);
}

bool x86_64_read_loaded(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
    bool done;

    x86_64_store_apic(vcpu);
    done = vlapic_read_msr(lapic_of(vcpu), cpu_now(cpu_of(vcpu)), msr, value);
    x86_64_load_apic(vcpu);
    return done;
}
