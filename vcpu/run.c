/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run loop: enters the guest and answers its exits. vcpu_turn() is the hot path; its budgets
 * are in design numbers (make bench): a hypercall round trip in 150 instructions, a device register
 * in 220.
 */
#include "kernel/bits.h"
#include "kernel/irq.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "vcpu/machine.h"
#include "vcpu/machine_ops.h"
#include "vcpu/vm.h"

static void run_interrupts(struct vcpu *vcpu)
{
    /* Cleared before the look: what comes after sets it again. */
    atomic_fetch_and_explicit(&vcpu->requests, (uint32_t)~VCPU_REQ_IRQ, memory_order_acq_rel);
    vcpu->vm->machine->refresh(vcpu);
}

/* Looks at what others asked; false: leave the loop. */
static bool run_requests(struct vcpu *vcpu)
{
    uint32_t requests = atomic_load_explicit(&vcpu->requests, memory_order_acquire);

    if (requests & ~(uint32_t)VCPU_REQ_IRQ)
        return false; /* vcpu_run() sees to it, unbound. */
    if (requests != 0)
        run_interrupts(vcpu);
    return !sched_leave(&this_cpu()->sched);
}

[[gnu::always_inline]] static inline bool run_mmio(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    struct vdev *dev =
        bus_find(&vcpu->vm->bus, exit->mmio.gpa.v, exit->mmio.width, &vcpu->bus_hint);
    uint64_t offset;

    if (unlikely(!dev))
        return false;
    offset = exit->mmio.gpa.v - dev->base;
    if (exit->kind == EXIT_MMIO_READ)
        exit->mmio.data = dev->ops->read(dev, vcpu->index, offset, exit->mmio.width);
    else
        dev->ops->write(dev, vcpu->index, offset, exit->mmio.width, exit->mmio.data);
    arch_vcpu_finish(&vcpu->arch, exit);
    return true;
}

/* Accesses of an instruction that also touches a device (x86: a string instruction). */
static bool run_ram(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    struct guestmap *map = &vcpu->vm->map;
    enum err err;

    if (exit->kind == EXIT_MMIO_WRITE) {
        err = guest_write(map, exit->mmio.gpa, &exit->mmio.data, exit->mmio.width);
    } else {
        exit->mmio.data = 0;
        err = guest_read(map, exit->mmio.gpa, &exit->mmio.data, exit->mmio.width);
    }
    if (err == OK)
        arch_vcpu_finish(&vcpu->arch, exit);
    return err == OK;
}

/* Ports where nothing is read as ones, and take no writes, as a PC's bus does. */
static void run_pio(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    struct vdev *dev =
        bus_find(&vcpu->vm->ports, exit->pio.port, exit->pio.width, &vcpu->ports_hint);

    if (exit->kind == EXIT_PIO_OUT && dev)
        dev->ops->write(dev, vcpu->index, exit->pio.port - dev->base, exit->pio.width,
                        exit->pio.data);
    else if (exit->kind == EXIT_PIO_IN)
        exit->pio.data =
            dev ? dev->ops->read(dev, vcpu->index, exit->pio.port - dev->base, exit->pio.width)
                : UINT64_MAX;
    arch_vcpu_finish(&vcpu->arch, exit);
}

/*
 * A PC's bus answers for what is not there with ones, and kernels and firmware look for devices so.
 * Told once for each start of the VM, for it may also be a mistake.
 */
static bool run_hole(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct machine_layout *layout = vcpu->vm->layout;
    uint64_t addr = exit->mmio.gpa.v;

    if (addr < layout->hole_base || addr >= layout->hole_end)
        return false;
    if (!atomic_exchange(&vcpu->vm->hole_told, true))
        log_info("%s: vCPU %u %s %#llx, where nothing is: as on a PC reads there give ones, and "
                 "writes go nowhere",
                 vcpu->vm->config->name, vcpu->index,
                 exit->kind == EXIT_MMIO_READ ? "reads from" : "writes to",
                 (unsigned long long)addr);
    exit->mmio.data = BITS(8 * exit->mmio.width - 1, 0);
    arch_vcpu_finish(&vcpu->arch, exit);
    return true;
}

/*
 * RAM that only dirty tracking keeps from being accessed. Whether hardware described the access or
 * not, the guest makes it again, so that what is written is written as a whole.
 */
static bool run_retry(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    struct guestmap *map = &vcpu->vm->map;

    if (exit->kind == EXIT_STAGE2_FAULT)
        return guestmap_retry(map, exit->fault.gpa, exit->fault.write || exit->fault.table_walk);
    return (exit->kind == EXIT_MMIO_READ || exit->kind == EXIT_MMIO_WRITE) &&
           !arch_vcpu_midway(&vcpu->arch) &&
           guestmap_retry(map, exit->mmio.gpa, exit->kind == EXIT_MMIO_WRITE);
}

/* Its first or its last byte is in ROM, or in RAM that is protected. */
static bool run_is_read_only(struct guestmap *map, const struct vcpu_exit *exit)
{
    gpa_t first = exit->mmio.gpa, last = gpa(first.v + exit->mmio.width - 1);

    return (guest_has(map, first, 1) && !guest_may_write(map, first)) ||
           (guest_has(map, last, 1) && !guest_may_write(map, last));
}

/*
 * An access that no device answers. What is read-only ignores writes; a device refuses what is
 * misaligned or reaches beyond it; where nothing is, but in a PC's hole, it is the guest's end.
 */
static void run_no_device(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    struct bus_hint hint = {};

    if (run_retry(vcpu, exit))
        return;
    if (exit->kind == EXIT_MMIO_WRITE && run_is_read_only(&vcpu->vm->map, exit))
        arch_vcpu_finish(&vcpu->arch, exit);
    else if (bus_find(&vcpu->vm->bus, exit->mmio.gpa.v, 1, &hint))
        arch_vcpu_inject_fault(&vcpu->arch, FAULT_DATA_ABORT, exit);
    else if (!run_ram(vcpu, exit) && !run_hole(vcpu, exit))
        vm_fault(vcpu, "access to an address where nothing is", exit);
}

/* The instruction at the guest's pc, read through its own tables: how many bytes there are. */
static unsigned run_fetch(struct vcpu *vcpu, uint8_t insn[ARCH_INSN_MAX])
{
    uint64_t pc = arch_vcpu_pc(&vcpu->arch);
    unsigned done = 0;
    gpa_t addr;

    while (done < ARCH_INSN_MAX) { /* Over the border of a page, at most once. */
        unsigned size = (unsigned)MIN(ARCH_INSN_MAX - done, PAGE_SIZE - (pc + done) % PAGE_SIZE);

        if (vcpu_translate(vcpu, gva(pc + done), ACCESS_FETCH, &addr) != OK ||
            guest_read(&vcpu->vm->map, addr, insn + done, size) != OK)
            break;
        done += size;
    }
    return done;
}

/* The first access of an instruction; more of them follow as exits. */
static void run_decoded(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    switch (exit->kind) {
    case EXIT_NOTHING: /* It has none, or its fault was injected. */
        return;
    case EXIT_PIO_IN:
    case EXIT_PIO_OUT:
        run_pio(vcpu, exit);
        return;
    default:
        if (!run_mmio(vcpu, exit))
            run_no_device(vcpu, exit);
        return;
    }
}

static void run_stage2_fault(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct vcpu_exit original = *exit;
    const struct arch_guest_memory memory = vcpu_memory(vcpu);
    uint8_t insn[ARCH_INSN_MAX];
    unsigned size;

    if (run_retry(vcpu, exit))
        return;
    if (exit->fault.table_walk) {
        vm_fault(vcpu, "page tables where no memory is", exit);
        return;
    }
    if (exit->fault.delivery) {
        vm_fault(vcpu, "an event is taken by tables or a stack where no memory is", exit);
        return;
    }
    if (exit->fault.execute) {
        vm_fault(vcpu, "instruction fetch where no memory is", exit);
        return;
    }
    size = run_fetch(vcpu, insn);
    if (size == 0)
        return; /* Another vCPU has unmapped it since: the guest's own fetch finds that as well. */
    if (!arch_vcpu_decode(&vcpu->arch, insn, size, &memory, exit)) {
        vm_fault(vcpu, "access by an instruction that cannot be emulated", &original);
        return;
    }
    run_decoded(vcpu, exit);
}

static void run_sysreg(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    if (vcpu->vm->machine->sysreg(vcpu, exit) || arch_vcpu_sysreg(&vcpu->arch, exit))
        arch_vcpu_finish(&vcpu->arch, exit);
    else
        arch_vcpu_inject_fault(&vcpu->arch, FAULT_UNDEFINED, exit);
}

/* Wait for an interrupt: false when the vCPU is to block. */
static bool run_wait(struct vcpu *vcpu)
{
    /* Other requests than this do not end the wait: they interrupt it. */
    if (atomic_load(&vcpu->requests) & VCPU_REQ_IRQ || vcpu->vm->machine->pending(vcpu))
        return true;
    vcpu->waiting = true;
    return false;
}

static void run_cpu_up(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    struct vm *vm = vcpu->vm;
    unsigned index;
    enum err err;

    if (!vm->machine->cpu_find(vm, exit->cpu.target, &index))
        err = E_ABSENT;
    else if (!guestmap_find(&vm->map, gpa(exit->cpu.entry)))
        err = E_RANGE;
    else
        err = vcpu_power_on(&vm->vcpus[index], arch_entry(gpa(exit->cpu.entry), exit->cpu.arg));
    arch_vcpu_set_return(&vcpu->arch, 0, vm->machine->cpu_up_result(err));
}

/* All but the hot ones. False: leave the loop. */
static bool run_rare(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    switch (exit->kind) {
    case EXIT_NOTHING:
    case EXIT_HYPERCALL: /* Answered. */
        return true;
    case EXIT_WFE:
        arch_vcpu_finish(&vcpu->arch, exit);
        sched_give_way(&vcpu->sched);
        return true;
    case EXIT_STAGE2_FAULT:
        run_stage2_fault(vcpu, exit);
        return true;
    case EXIT_CPU_UP:
        run_cpu_up(vcpu, exit);
        return true;
    case EXIT_CPU_DOWN:
        vcpu->power = VCPU_OFF;
        vcpu->vm->machine->cpu_reset(vcpu);
        return false;
    case EXIT_IDLE:
        vcpu->suspended = !run_wait(vcpu);
        return !vcpu->suspended && !vcpu->resume;
    case EXIT_SYSTEM_DOWN:
        vm_stop_by_guest(vcpu->vm, VM_STOP_POWEROFF);
        return true;
    case EXIT_SYSTEM_RESET:
        vm_stop_by_guest(vcpu->vm, VM_STOP_RESET);
        return true;
    case EXIT_FAIL_ENTRY:
        vm_fault(vcpu, "the hardware refused to enter the guest", exit);
        return true;
    case EXIT_SHUTDOWN:
        vm_fault(vcpu, "the processor shut down after a triple fault", exit);
        return true;
    case EXIT_INTERNAL_ERROR:
        vm_fault(vcpu, "a system error reached the guest", exit);
        return true;
    default:
        vm_fault(vcpu, "an exit that we do not handle", exit);
        return true;
    }
}

static void run_trace(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    struct vcpu_trace *trace = &vcpu->trace[vcpu->exit_count++ % VCPU_TRACE];

    trace->pc = arch_vcpu_pc(&vcpu->arch);
    trace->cause = (uint32_t)exit->cause[0];
    trace->kind = exit->kind;
}

static bool run_exit(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    switch (exit->kind) {
    case EXIT_INTERRUPT:
        irq_handle();
        return true;
    case EXIT_MMIO_READ:
    case EXIT_MMIO_WRITE:
        if (unlikely(!run_mmio(vcpu, exit)))
            run_no_device(vcpu, exit);
        return true;
    case EXIT_SYSREG_READ:
    case EXIT_SYSREG_WRITE:
        run_sysreg(vcpu, exit);
        return true;
    case EXIT_PIO_IN:
    case EXIT_PIO_OUT:
        run_pio(vcpu, exit);
        return true;
    case EXIT_INTERRUPT_WINDOW:
        vcpu->vm->machine->refresh(vcpu);
        return true;
    case EXIT_WFI:
    case EXIT_HALT:
        arch_vcpu_finish(&vcpu->arch, exit);
        return run_wait(vcpu);
    case EXIT_HYPERCALL:
        if (exit->advance)
            arch_vcpu_finish(&vcpu->arch, exit);
        vcpu->vm->machine->call(vcpu, exit);
        if (likely(exit->kind == EXIT_HYPERCALL))
            return true;
        return run_rare(vcpu, exit);
    default:
        return run_rare(vcpu, exit);
    }
}

bool vcpu_turn(struct vcpu *vcpu)
{
    uint32_t requests = atomic_load_explicit(&vcpu->requests, memory_order_relaxed);
    struct vcpu_exit exit;

    if (unlikely(requests | sched_leave(&this_cpu()->sched)) && !run_requests(vcpu))
        return false;
    arch_vcpu_run(&vcpu->arch, &exit);
    run_trace(vcpu, &exit);
    return run_exit(vcpu, &exit);
}

/* --- The manual way --- */

static void run_step(struct vcpu *vcpu)
{
    uint32_t requests = atomic_fetch_and(&vcpu->requests, (uint32_t)~VCPU_REQ_CANCEL);

    if (requests & VCPU_REQ_CANCEL) {
        vcpu->stepped = (struct vcpu_exit){.kind = EXIT_CANCELLED};
        return;
    }
    if (requests & VCPU_REQ_IRQ)
        run_interrupts(vcpu);
    arch_vcpu_run(&vcpu->arch, &vcpu->stepped);
    run_trace(vcpu, &vcpu->stepped);
    if (run_retry(vcpu, &vcpu->stepped))
        vcpu->stepped.kind = EXIT_NOTHING;
}

enum err vcpu_step(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    TRY(vcpu_leave_ready(vcpu, VCPU_RUNNING));
    run_step(vcpu);
    *exit = vcpu->stepped;
    vcpu->vm->machine->intent(vcpu, exit);
    return vcpu_set_state(vcpu, VCPU_READY);
}

enum err vcpu_step_until(struct vcpu *vcpu, uint64_t deadline, struct vcpu_exit *exit)
{
    enum err err;

    /* It fires as a host interrupt, and has nothing else to do. */
    if (vcpu_current() == vcpu && vcpu->state == VCPU_READY)
        timer_arm(&vcpu->wake, deadline);
    err = vcpu_step(vcpu, exit);
    if (err != OK)
        return err;
    timer_disarm(&vcpu->wake);
    if (exit->kind == EXIT_INTERRUPT && arch_ticks() >= deadline)
        exit->kind = EXIT_PREEMPTION_TIMER;
    return OK;
}

enum err vcpu_answer(struct vcpu *vcpu, bool *runs)
{
    TRY(vcpu_leave_ready(vcpu, VCPU_RUNNING));
    *runs = vcpu->stepped.kind == EXIT_CANCELLED || run_exit(vcpu, &vcpu->stepped);
    vcpu->stepped = (struct vcpu_exit){.kind = EXIT_NOTHING};
    return vcpu_set_state(vcpu, VCPU_READY);
}
