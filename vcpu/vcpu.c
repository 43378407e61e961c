/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a vCPU between the scheduler and the run loop. Its entity runs while it has something
 * to do; a vCPU that is off, waits for an interrupt or is stopped is a blocked entity and costs
 * nothing.
 */
#include "vcpu/vcpu.h"

#include "kernel/assert.h"
#include "kernel/ipi.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "vcpu/machine_ops.h"
#include "vcpu/vm.h"

void vcpu_bind(struct vcpu *vcpu)
{
    assert(!vcpu_current());
    arch_vcpu_bind(&vcpu->arch);
    this_cpu()->guest = vcpu;
    vcpu->vm->machine->bound(vcpu);
}

void vcpu_unbind(struct vcpu *vcpu)
{
    assert(vcpu_current() == vcpu);
    vcpu->vm->machine->unbinding(vcpu);
    this_cpu()->guest = NULL;
    arch_vcpu_unbind(&vcpu->arch);
}

static enum err vcpu_read_entry(void *arg, gpa_t addr, uint64_t *entry)
{
    return guest_read(arg, addr, entry, sizeof(*entry)) == OK ? OK : E_ABSENT;
}

enum err vcpu_translate(const struct vcpu *vcpu, gva_t addr, gpa_t *result)
{
    return arch_vcpu_translate(&vcpu->arch, addr, vcpu_read_entry, &vcpu->vm->map, result);
}

void vcpu_request(struct vcpu *vcpu, uint32_t requests)
{
    /* Release: what was written for the vCPU to see is visible with the bit. */
    uint32_t before = atomic_fetch_or_explicit(&vcpu->requests, requests, memory_order_acq_rel);

    if ((before & requests) == requests)
        return; /* Who set the bit has kicked, and the vCPU has not looked yet. */
    if (vcpu == vcpu_current())
        return; /* Looked at before the next entry. */
    sched_wake(&vcpu->sched);
    if (vcpu->sched.cpu != this_cpu()->id)
        ipi_kick(vcpu->sched.cpu); /* It may be in the guest. */
}

void vcpu_interrupt(struct vcpu *vcpu, uint32_t irq, bool edge)
{
    virq_post(&vcpu->virq, irq, edge);
    vcpu_request(vcpu, VCPU_REQ_IRQ);
}

enum err vcpu_power_on(struct vcpu *vcpu, gpa_t entry, uint64_t arg)
{
    struct vm *vm = vcpu->vm;
    enum err err = OK;

    /*
     * Under the lock: so a stop finds the request, or has come before and no vCPU is left behind.
     */
    lock_take(&vm->lock);
    if (vm->state != VM_RUNNING) {
        err = E_STATE;
    } else if (vcpu->power == VCPU_OFF) {
        vcpu->entry = entry;
        vcpu->arg = arg;
        vcpu->power = VCPU_ON_PENDING;
        vcpu_request(vcpu, VCPU_REQ_START);
    } else {
        err = vcpu->power == VCPU_ON ? E_EXISTS : E_BUSY;
    }
    lock_drop(&vm->lock);
    return err;
}

/* Whether there is a reason not to sleep. Unbound. */
static bool vcpu_has_reason(struct vcpu *vcpu)
{
    if (atomic_load(&vcpu->requests) != 0)
        return true;
    return vcpu->power == VCPU_ON && (!vcpu->waiting || vcpu->vm->machine->pending(vcpu));
}

/* Unbound: block until something is asked of it, or a timer of the guest is due. */
static void vcpu_block(struct vcpu *vcpu)
{
    uint64_t deadline = vcpu->power == VCPU_ON ? vcpu->vm->machine->deadline(vcpu) : TICKS_NEVER;

    if (deadline != TICKS_NEVER)
        timer_arm(&vcpu->wake, deadline);
    /* A wake from before we looked may be left over: look again, and then block for good. */
    while (!vcpu_has_reason(vcpu))
        if (sched_block(&vcpu->sched))
            return;
}

static void vcpu_park(struct vcpu *vcpu)
{
    atomic_store(&vcpu->requests, 0);
    vcpu->power = VCPU_OFF;
    vcpu->waiting = false;
    vcpu->resume = false;
    if (vcpu->vm->machine->parked)
        vcpu->vm->machine->parked(vcpu);
    vcpu->parked = true;
    vm_vcpu_parked(vcpu->vm);
    vcpu_block(vcpu);
}

static void vcpu_power_up(struct vcpu *vcpu)
{
    atomic_fetch_and(&vcpu->requests, (uint32_t)~VCPU_REQ_START);
    arch_vcpu_start(&vcpu->arch, vcpu->entry, vcpu->arg);
    vcpu->waiting = false;
    vcpu->power = VCPU_ON;
}

static void vcpu_wake_timer(struct timer *timer)
{
    struct vcpu *vcpu = container_of(timer, struct vcpu, wake);

    vcpu->waiting = false; /* Its own timer's interrupt follows when it is bound. */
    sched_wake(&vcpu->sched);
}

static void vcpu_run(struct sched_entity *entity)
{
    struct vcpu *vcpu = container_of(entity, struct vcpu, sched);
    uint32_t requests = atomic_load_explicit(&vcpu->requests, memory_order_acquire);

    timer_disarm(&vcpu->wake);
    if (requests & VCPU_REQ_STOP) {
        vcpu_park(vcpu);
        return;
    }
    if (requests & VCPU_REQ_START)
        vcpu_power_up(vcpu);
    if (vcpu->power != VCPU_ON) {
        /* Off, but its interrupts still go where the guest routes them, or wait for it. */
        atomic_fetch_and(&vcpu->requests, (uint32_t)~VCPU_REQ_IRQ);
        vcpu->vm->machine->accept(vcpu);
        vcpu_block(vcpu);
        return;
    }
    vcpu->waiting = false;
    if (vcpu->resume) {
        vcpu->resume = false;
        arch_vcpu_start(&vcpu->arch, vcpu->entry, vcpu->arg);
    }
    vcpu_bind(vcpu);
    while (vcpu_turn(vcpu))
        ;
    vcpu_unbind(vcpu);
    if (vcpu->waiting || vcpu->power != VCPU_ON)
        vcpu_block(vcpu);
}

enum err vcpu_init(struct vcpu *vcpu, struct vm *vm, unsigned index, unsigned cpu, uint8_t priority,
                   bool trap_wait)
{
    const struct arch_vcpu_config config = {
        .vmid = vm->map.vmid,
        .index = index,
        .stage2_root = pt_root(&vm->map.pt),
        .trap_wait = trap_wait,
    };

    memset(vcpu, 0, sizeof(*vcpu));
    vcpu->vm = vm;
    vcpu->index = index;
    vcpu->parked = true;
    timer_init(&vcpu->wake, vcpu_wake_timer);
    vcpu->sched.run = vcpu_run;
    sched_add(&vcpu->sched, cpu, priority);
    return arch_vcpu_init(&vcpu->arch, &config);
}
