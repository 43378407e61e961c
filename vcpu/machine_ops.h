/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What makes a VM of one architecture a machine: its interrupt controller, devices, timers and
 * firmware calls. One per architecture, chosen by arch_types.h (ARCH_MACHINE); the rest of vcpu/
 * does not know which.
 */
#pragma once

#include "kernel/err.h"
#include "vcpu/exit.h"

struct console_port;
struct fdt_writer;
struct guest_fdt_params;
struct loader_job;
struct loader_result;
struct machine_layout;
struct state;
struct vcpu;
struct vm;
struct vsteal_layout;

struct machine_ops {
    const struct machine_layout *layout;
    size_t state_size;                 /* Of vm->machine_state, which the VM allocates zeroed. */
    const struct vsteal_layout *steal; /* How its guests are told of stolen time. */

    /* Once, on the boot processor: host interrupts that belong to guests. */
    enum err (*init)(void);
    /* Devices and interrupt controller of a new VM, whose vCPUs exist. */
    enum err (*create)(struct vm *vm);
    /* Before the VM's memory goes away; no vCPU runs, no locks held. */
    void (*destroy)(struct vm *vm);
    /* All devices to their power-on state; no vCPU runs. */
    void (*reset)(struct vm *vm);
    /*
     * The vCPU is held: no timer of it is armed afterwards, so that its machine may be reset, or
     * freed, from any pCPU. It goes on: its clock is now arch_ticks() - vm->started_ticks, and by
     * that its timers are armed again. Unbound, own pCPU, vm->lock held; also without the lock, one
     * and then the other, where a vCPU is moved from pCPU to pCPU.
     */
    void (*held)(struct vcpu *vcpu);
    void (*let_go)(struct vcpu *vcpu);
    /*
     * The clocks of devices that count the guest's time stand still, or go on, with
     * vm->paused_ticks as let_go. All vCPUs are held, vm->lock too. NULL: there are none.
     */
    void (*set_paused)(struct vm *vm, bool paused);
    /*
     * To a snapshot, or from it (vcpu/state.h): first the vCPUs' own parts of the machine, one
     * after the other, each after its registers; then what is no device of the buses, interrupt
     * controllers above all. The devices follow, by vdev_ops.state. All vCPUs are held, and clocks
     * stand still as by set_paused; vm->lock is not held. Loading: into a machine that was reset;
     * no vCPU's timer is armed, let_go does that. What is wrong is refused there.
     */
    void (*cpu_state)(struct vcpu *vcpu, struct state *s);
    void (*state)(struct vm *vm, struct state *s);

    /* Puts what goes beside a guest's files into its memory: loader_place_tree(), or its like. */
    enum err (*place)(struct loader_job *job, struct loader_result *result);
    /* Where that is a tree: its processors, firmware, interrupt controller and devices. */
    void (*write_tree)(struct fdt_writer *w, const struct guest_fdt_params *params);

    /* The vCPU has been bound, is about to be unbound. */
    void (*bound)(struct vcpu *vcpu);
    void (*unbinding)(struct vcpu *vcpu);
    /* Bring the IRQ queue into the interrupt controller. Bound or not. */
    void (*accept)(struct vcpu *vcpu);
    /*
     * VCPU_REQ_IRQ: bring the IRQ queue into the interrupt controller and that into hardware.
     * Bound.
     */
    void (*refresh)(struct vcpu *vcpu);
    /*
     * Whether an interrupt is deliverable: wait-for-interrupt returns. Bound or not; the queue may
     * hold more.
     */
    bool (*pending)(struct vcpu *vcpu);

    /*
     * The vCPU goes off by itself, or gets an INIT (x86): its timers, and what of the interrupt
     * controller a reset of the processor clears. Own pCPU, bound or not.
     */
    void (*cpu_reset)(struct vcpu *vcpu);

    /* When a timer of the guest wakes it from a wait: as arch_vcpu_timer_deadline(). Unbound. */
    uint64_t (*deadline)(struct vcpu *vcpu);

    /*
     * A system register of the machine; false: not one of its. The caller finishes the exit. Bound.
     */
    bool (*sysreg)(struct vcpu *vcpu, struct vcpu_exit *exit);
    /*
     * A hypercall or firmware call: answers it, or turns *exit into the kind that it asks for
     * (EXIT_CPU_UP, EXIT_SYSTEM_DOWN, …). Bound.
     */
    void (*call)(struct vcpu *vcpu, struct vcpu_exit *exit);
    /* The manual way: such an exit, and others, as vcpu/intent.h says. Bound. */
    void (*intent)(const struct vcpu *vcpu, struct vcpu_exit *exit);
    /* The VM's console. */
    struct console_port *(*console)(struct vm *vm);
    /* The firmware's word for the outcome of EXIT_CPU_UP. NULL, as the next: no such exit comes. */
    uint64_t (*cpu_up_result)(enum err err);
    /* Index of the vCPU that exit->cpu.target names; false: none. */
    bool (*cpu_find)(const struct vm *vm, uint64_t target, unsigned *index);
};

/* One of these is ARCH_MACHINE. */
extern const struct machine_ops machine_aarch64, machine_riscv64, machine_x86_64;
