/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine of an x86_64 guest: local APICs, I/O APIC, PIT, clock, power management, PCI host
 * bridge and a UART, where vcpu/machine.h has them. Puts the models together.
 *
 * An interrupt goes into the IRR of a local APIC, by anybody on any pCPU, and from there to the
 * backend when the guest can take it: cpu_inject(), on the vCPU's own pCPU, after all that may have
 * changed the answer. The local APIC's timer is one of ours on that pCPU; the guest's TSC, which
 * drives it, is the host's since the VM's start, plus what the guest adds to it (TSC_ADJUST).
 */
#include "vcpu/machine_x86_64.h"
#include "kernel/assert.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"
#include "vcpu/hypercall.h"
#include "vcpu/intent.h"
#include "vcpu/loader.h"
#include "vcpu/machine.h"
#include "vcpu/machine_ops.h"
#include "vcpu/vm.h"

#define MSR_TSC        0x10u
#define MSR_TSC_ADJUST 0x3bu

#define UART_PORTS     8u
#define DEBUGCON_PORT  0x402u
#define SIPI_SHIFT     12 /* A SIPI's vector is a page. [SDM 3, 10.4.4] */

const struct vlapic *x86_64_lapic(const struct vcpu *vcpu)
{
    return lapic_of(vcpu);
}

/* --- Time --- */

static void cpu_timer_arm(struct x86_cpu *cpu)
{
    uint64_t now = cpu_now(cpu), wait = cpu->deadline > now ? cpu->deadline - now : 0, at;

    if (cpu->deadline == TICKS_NEVER || __builtin_add_overflow(arch_ticks(), wait, &at))
        at = TICKS_NEVER;
    timer_arm(&cpu->timer, at);
}

/* On the vCPU's pCPU, whatever the vCPU does. */
static void cpu_timer(struct timer *timer)
{
    struct x86_cpu *cpu = container_of(timer, struct x86_cpu, timer);

    cpu->deadline = TICKS_NEVER;
    vlapic_timer(cpu->lapic, cpu_now(cpu));
    vcpu_request(cpu->vcpu, VCPU_REQ_IRQ);
}

static struct vkvmclock_time cpu_clock_time(const struct x86_cpu *cpu)
{
    struct vm *vm = cpu->vcpu->vm;

    return (struct vkvmclock_time){
        .map = &vm->map,
        .tsc_hz = arch_tick_hz(),
        .tsc_zero = cpu->adjust,
        .wall_epoch = platform.wall_epoch * 1000000000 + ticks_to_ns(vm->started_ticks),
    };
}

/* A new TSC_ADJUST moves the TSC by as much. [SDM 3, 18.17.3] */
static void cpu_set_adjust(struct x86_cpu *cpu, uint64_t adjust)
{
    uint64_t delta = adjust - cpu->adjust;
    struct vkvmclock_time time;

    cpu->adjust = adjust;
    arch_vcpu_set_time(&cpu->vcpu->arch, cpu->vcpu->vm->started_ticks - adjust);
    vlapic_move_clock(lapic_of(cpu->vcpu), cpu_now(cpu), delta);
    time = cpu_clock_time(cpu);
    vkvmclock_update(&cpu->clock, &time);
}

/* --- Interrupts --- */

/* An NMI waits: the windows that it needs. */
[[gnu::noinline]] static uint64_t cpu_inject_nmi(struct vcpu *vcpu)
{
    if (!(arch_virq_empty(&vcpu->arch) & BIT(VIRQ_SLOT_NMI)))
        return BIT(VIRQ_SLOT_NMI);
    if (atomic_exchange_explicit(&cpu_of(vcpu)->nmi, false, memory_order_acquire))
        arch_virq_write(&vcpu->arch, VIRQ_SLOT_NMI, 1);
    return 0;
}

/* The same for a vector; the hardware takes all that wait. */
static uint64_t cpu_inject_vector(struct vcpu *vcpu, unsigned vector)
{
    struct x86_cpu *cpu = cpu_of(vcpu);
    bool tick;

    if (unlikely(cpu->hardware)) {
        tick = vlapic_hand_on(cpu->lapic, &vcpu->arch);
    } else if (arch_virq_empty(&vcpu->arch) & BIT(VIRQ_SLOT_VECTOR)) {
        tick = vlapic_accept(cpu->lapic, vector);
        arch_virq_write(&vcpu->arch, VIRQ_SLOT_VECTOR, vector);
    } else {
        return BIT(VIRQ_SLOT_VECTOR);
    }
    if (tick)
        vlapic_timer_taken(cpu->lapic, cpu_now(cpu));
    return 0;
}

/*
 * Gives the backend what the guest can take now, or asks for a window. Bound. An NMI first; both at
 * once do not fit into the hardware's one place for them.
 */
static void cpu_inject(struct vcpu *vcpu)
{
    struct x86_cpu *cpu = cpu_of(vcpu);
    unsigned vector = vlapic_highest(cpu->lapic);
    uint64_t wait = 0;

    if (unlikely(atomic_load_explicit(&cpu->nmi, memory_order_relaxed)))
        wait = cpu_inject_nmi(vcpu);
    if (vector != 0)
        wait |= cpu_inject_vector(vcpu, vector);
    if (likely(wait == 0 && !cpu->window))
        return;
    arch_virq_set_control(&vcpu->arch, wait);
    cpu->window = wait != 0;
}

static void machine_kick(struct vlapic_owner *owner, unsigned index)
{
    struct machine_x86_64 *m = container_of(owner, struct machine_x86_64, owner);

    vcpu_request(&m->vm->vcpus[index], VCPU_REQ_IRQ);
}

static void machine_nmi(struct vlapic_owner *owner, unsigned index)
{
    struct machine_x86_64 *m = container_of(owner, struct machine_x86_64, owner);

    atomic_store_explicit(&m->cpus[index].nmi, true, memory_order_release);
    vcpu_request(&m->vm->vcpus[index], VCPU_REQ_IRQ);
}

static void machine_init_cpu(struct vlapic_owner *owner, unsigned index)
{
    struct machine_x86_64 *m = container_of(owner, struct machine_x86_64, owner);

    vcpu_init_signal(&m->vm->vcpus[index]);
}

static void machine_startup(struct vlapic_owner *owner, unsigned index, uint8_t page)
{
    struct machine_x86_64 *m = container_of(owner, struct machine_x86_64, owner);
    const struct arch_entry entry = {
        .pc = gpa((uint64_t)page << SIPI_SHIFT),
        .mode = ARCH_MODE_REAL,
    };

    vcpu_startup_signal(&m->vm->vcpus[index], entry);
}

static void machine_timer(struct vlapic_owner *owner, unsigned index, uint64_t deadline)
{
    struct machine_x86_64 *m = container_of(owner, struct machine_x86_64, owner);

    m->cpus[index].deadline = deadline;
    cpu_timer_arm(&m->cpus[index]);
}

static void machine_eoi(struct vlapic_owner *owner, uint8_t vector)
{
    struct machine_x86_64 *m = container_of(owner, struct machine_x86_64, owner);

    vioapic_eoi(&m->ioapic, vector);
}

/* A device's wire has a new level. */
static void machine_set_irq(struct vdev *dev, bool level)
{
    struct vm *vm = dev->owner;

    vioapic_set_wire(&machine_of(vm)->ioapic, dev->irq, level);
}

/* From the IRQ queue: a vector for this processor alone. Devices' go straight to the IRR. */
static void machine_take(void *arg, uint32_t irq, [[maybe_unused]] bool edge)
{
    assert(irq <= UINT8_MAX);
    vlapic_post(lapic_of(arg), (uint8_t)irq, false);
}

static void machine_accept(struct vcpu *vcpu)
{
    virq_drain(&vcpu->virq, machine_take, vcpu);
}

static void machine_refresh(struct vcpu *vcpu)
{
    if (unlikely(virq_waits(&vcpu->virq)))
        machine_accept(vcpu);
    cpu_inject(vcpu);
}

static bool machine_pending(struct vcpu *vcpu)
{
    struct x86_cpu *cpu = cpu_of(vcpu);
    uint32_t ppr;

    if (atomic_load(&cpu->nmi))
        return true;
    if (vcpu != vcpu_current())
        return cpu->can_take && (cpu->waits || vlapic_highest(cpu->lapic) != 0);
    if (cpu->hardware ? !arch_apic_pending(&vcpu->arch, &ppr) : vlapic_highest(cpu->lapic) == 0)
        return false;
    return arch_virq_empty(&vcpu->arch) & BIT(VIRQ_SLOT_VECTOR);
}

static uint64_t machine_deadline([[maybe_unused]] struct vcpu *vcpu)
{
    return TICKS_NEVER; /* The timer wakes by itself. */
}

static void machine_bound(struct vcpu *vcpu)
{
    struct x86_cpu *cpu = cpu_of(vcpu);

    if (cpu->hardware && likely(vcpu->vm->state == VM_RUNNING))
        vlapic_bound(cpu->lapic, &vcpu->arch);
    else
        x86_64_load_apic(vcpu);
    cpu_inject(vcpu);
}

static void machine_unbinding(struct vcpu *vcpu)
{
    struct x86_cpu *cpu = cpu_of(vcpu);

    if (cpu->hardware)
        cpu->waits = vlapic_unbinding(cpu->lapic, &vcpu->arch);
    cpu->can_take = arch_virq_empty(&vcpu->arch) & BIT(VIRQ_SLOT_VECTOR);
}

static void machine_held(struct vcpu *vcpu)
{
    timer_disarm(&cpu_of(vcpu)->timer);
}

static void machine_let_go(struct vcpu *vcpu)
{
    struct x86_cpu *cpu = cpu_of(vcpu);

    arch_vcpu_set_time(&vcpu->arch, vcpu->vm->started_ticks - cpu->adjust);
    cpu_timer_arm(cpu);
}

/* A guest compares its TSC with these. */
[[gnu::cold]] static void machine_set_paused(struct vm *vm, bool paused)
{
    struct machine_x86_64 *m = machine_of(vm);

    vpit_set_paused(&m->pit, paused, vm->paused_ticks);
    vpm_set_paused(&m->pm, paused, vm->paused_ticks);
}

[[gnu::cold]] static void machine_cpu_reset(struct vcpu *vcpu)
{
    x86_64_store_apic(vcpu);
    vlapic_init_reset(lapic_of(vcpu));
    atomic_store(&cpu_of(vcpu)->nmi, false);
}

/* The guest has changed its local APIC. */
static void lapic_changed(struct vcpu *vcpu)
{
    arch_virq_write(&vcpu->arch, VIRQ_SLOT_TPR, lapic_of(vcpu)->state.tpr);
    cpu_inject(vcpu);
}

/* --- Registers --- */

static uint64_t lapic_read(struct vdev *dev, unsigned vcpu, uint64_t offset, unsigned width)
{
    struct vm *vm = dev->owner;
    struct x86_cpu *cpu = cpu_of(&vm->vcpus[vcpu]);
    bool loaded = x86_64_is_loaded(cpu->vcpu, offset / 16);
    uint64_t value;

    if (loaded)
        x86_64_store_apic(cpu->vcpu);
    value = vlapic_read(cpu->lapic, cpu_now(cpu), offset, width);
    if (loaded)
        x86_64_load_apic(cpu->vcpu);
    return value;
}

static void lapic_write(struct vdev *dev, unsigned vcpu, uint64_t offset, unsigned width,
                        uint64_t value)
{
    struct vm *vm = dev->owner;
    struct x86_cpu *cpu = cpu_of(&vm->vcpus[vcpu]);
    bool loaded = x86_64_is_loaded(cpu->vcpu, offset / 16);

    if (loaded)
        x86_64_store_apic(cpu->vcpu);
    vlapic_write(cpu->lapic, cpu_now(cpu), offset, width, value);
    if (loaded)
        x86_64_load_apic(cpu->vcpu);
    lapic_changed(cpu->vcpu);
}

static uint64_t ioapic_read(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                            unsigned width)
{
    return vioapic_read(&machine_of(dev->owner)->ioapic, offset, width);
}

static void ioapic_write(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                         unsigned width, uint64_t value)
{
    vioapic_write(&machine_of(dev->owner)->ioapic, offset, width, value);
}

static void window_reset([[maybe_unused]] struct vdev *dev)
{
    /* machine_reset() resets the models. */
}

static const struct vdev_ops lapic_ops = {
    .name = "local APIC", .read = lapic_read, .write = lapic_write, .reset = window_reset};
static const struct vdev_ops ioapic_ops = {
    .name = "I/O APIC", .read = ioapic_read, .write = ioapic_write, .reset = window_reset};

static bool is_lapic_msr(uint32_t msr)
{
    return (msr >= VLAPIC_MSR_X2APIC && msr <= VLAPIC_MSR_LAST) || msr == VLAPIC_MSR_DEADLINE;
}

static bool machine_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
    struct x86_cpu *cpu = cpu_of(vcpu);

    if (x86_64_is_loaded(vcpu, msr - VLAPIC_MSR_X2APIC))
        return x86_64_read_loaded(vcpu, msr, value);
    if (is_lapic_msr(msr) || msr == VLAPIC_MSR_BASE)
        return vlapic_read_msr(lapic_of(vcpu), cpu_now(cpu), msr, value);
    if (msr == MSR_TSC)
        *value = cpu_now(cpu);
    else if (msr == MSR_TSC_ADJUST)
        *value = cpu->adjust;
    else if (msr == VSTEAL_MSR)
        *value = vsteal_msr_read(vcpu);
    else
        return vkvmclock_read(&cpu->clock, msr, value);
    return true;
}

/* Its mode changes, perhaps: meanwhile software has the vectors. */
[[gnu::cold]] static bool machine_write_base(struct vcpu *vcpu, uint64_t value)
{
    bool done;

    x86_64_store_apic(vcpu);
    done = vlapic_write_msr(lapic_of(vcpu), cpu_now(cpu_of(vcpu)), VLAPIC_MSR_BASE, value);
    if (done)
        arch_vcpu_set_apic(&vcpu->arch, value & VLAPIC_BASE_ENABLED);
    x86_64_load_apic(vcpu);
    cpu_inject(vcpu);
    return done;
}

static bool machine_msr_write(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    struct x86_cpu *cpu = cpu_of(vcpu);
    uint32_t msr = exit->sysreg.addr;
    uint64_t value = exit->sysreg.value;

    if (likely(is_lapic_msr(msr))) {
        if (!vlapic_write_msr(lapic_of(vcpu), cpu_now(cpu), msr, value))
            return false;
        lapic_changed(vcpu);
    } else if (msr == VLAPIC_MSR_BASE) {
        return machine_write_base(vcpu, value);
    } else if (msr == ARCH_SYSREG_CR8 && !cpu->hardware) {
        vlapic_write_cr8(lapic_of(vcpu), value >> 4);
        lapic_changed(vcpu);
    } else if (msr == ARCH_SYSREG_APIC_END && !exit->advance) { /* Not by WRMSR. */
        vlapic_level_end(lapic_of(vcpu), (unsigned)value);
        cpu_inject(vcpu);
    } else if (msr == MSR_TSC) {
        cpu_set_adjust(cpu, cpu->adjust + value - cpu_now(cpu));
        lapic_changed(vcpu);
    } else if (msr == MSR_TSC_ADJUST) {
        cpu_set_adjust(cpu, value);
        lapic_changed(vcpu);
    } else if (msr == VSTEAL_MSR) {
        return vsteal_msr_write(vcpu, value);
    } else {
        const struct vkvmclock_time time = cpu_clock_time(cpu);

        return vkvmclock_write(&cpu->clock, &time, msr, value);
    }
    return true;
}

static bool machine_sysreg(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    if (exit->kind == EXIT_SYSREG_WRITE)
        return machine_msr_write(vcpu, exit);
    return machine_msr_read(vcpu, exit->sysreg.addr, &exit->sysreg.value);
}

static void machine_call(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    if (!hypercall(vcpu, exit->call.nr, arch_vcpu_gpr(&vcpu->arch, 3 /* RBX */)))
        arch_vcpu_set_return(&vcpu->arch, 0, UINT64_MAX);
}

/* --- Power --- */

static void machine_power_off(struct vpm *pm)
{
    vm_stop_by_guest(pm->vdev.owner, VM_STOP_POWEROFF);
}

static void machine_reset_register(struct vpci_host *pci)
{
    vm_stop_by_guest(pci->ports.owner, VM_STOP_RESET);
}

/* --- Making one --- */

static enum err machine_add(struct vm *vm, struct bus *bus, struct vdev *dev)
{
    dev->owner = vm;
    dev->set_irq = machine_set_irq;
    return bus_add(bus, dev);
}

[[gnu::cold]] static enum err machine_add_window(struct vm *vm, struct vdev *dev,
                                                 const struct vdev_ops *ops, const char *name)
{
    const struct machine_device *device = machine_device(vm->layout, name);

    *dev = (struct vdev){.ops = ops, .base = device->base, .size = device->size};
    return machine_add(vm, &vm->bus, dev);
}

[[gnu::cold]] static void machine_init_models(struct vm *vm, struct machine_x86_64 *m)
{
    const struct machine_device *pit = machine_device(vm->layout, "pit");
    const struct machine_device *gate = machine_device(vm->layout, "pit-gate");
    const struct machine_device *cmos = machine_device(vm->layout, "cmos");
    const struct machine_device *pm = machine_device(vm->layout, "pm");
    const struct machine_device *ecam = machine_device(vm->layout, "pcie-ecam");
    const struct machine_device *pci = machine_device(vm->layout, "pci-config");
    const struct machine_device *uart = machine_device(vm->layout, "ns16550");
    unsigned home = vm->vcpus[0].sched.cpu;

    vlapics_init(&m->lapics, vm->vcpu_count, &m->owner);
    vioapic_init(&m->ioapic, &m->lapics);
    vpic_init(&m->pic[0], machine_device(vm->layout, "pic")->base);
    vpic_init(&m->pic[1], machine_device(vm->layout, "pic-second")->base);
    vpit_init(&m->pit, pit->base, gate->base, pit->irq, home);
    vcmos_init(&m->cmos, cmos->base, cmos->irq, platform.wall_epoch, home);
    vpm_init(&m->pm, pm->base, pm->irq, home);
    vpci_host_init(&m->pci, pci->base, ecam->base, (unsigned)(ecam->size / VPCI_ECAM_BUS));
    vns16550_init(&m->uart, uart->base, uart->irq);
    m->uart.vdev.size = UART_PORTS;
    m->pm.power_off = machine_power_off;
    m->pci.reset_machine = machine_reset_register;
}

[[gnu::cold]] static enum err machine_create(struct vm *vm)
{
    struct machine_x86_64 *m = machine_of(vm);
    struct vdev *const ports[] = {&m->pic[0].vdev, &m->pic[1].vdev, &m->pit.vdev,  &m->pit.speaker,
                                  &m->cmos.vdev,   &m->pm.vdev,     &m->pci.ports, &m->uart.vdev};

    m->vm = vm;
    lock_init(&m->apic_lock, RANK_IRQCHIP, "apic window");
    m->owner = (struct vlapic_owner){
        .kick = machine_kick,
        .post = x86_64_post,
        .nmi = machine_nmi,
        .init = machine_init_cpu,
        .startup = machine_startup,
        .timer = machine_timer,
        .eoi = machine_eoi,
    };
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        m->cpus[i].vcpu = &vm->vcpus[i];
        m->cpus[i].lapic = &m->lapics.cpu[i];
        vm->vcpus[i].machine_cpu = &m->cpus[i];
        m->cpus[i].deadline = TICKS_NEVER;
        timer_init(&m->cpus[i].timer, cpu_timer);
    }
    machine_init_models(vm, m);
    TRY(machine_add_window(vm, &m->lapic_window, &lapic_ops, "lapic"));
    TRY(machine_add_window(vm, &m->ioapic_window, &ioapic_ops, "ioapic"));
    TRY(machine_add(vm, &vm->bus, &m->pci.ecam));
    for (unsigned i = 0; i < ARRAY_SIZE(ports); i++)
        TRY(machine_add(vm, &vm->ports, ports[i]));
    if (vm->config->firmware) {
        vdebugcon_init(&m->debugcon, DEBUGCON_PORT, &m->uart.port);
        TRY(machine_add(vm, &vm->ports, &m->debugcon.vdev));
    }
    return console_add(&m->uart.port, vm->config->name);
}

[[gnu::cold]] static void machine_destroy(struct vm *vm)
{
    struct machine_x86_64 *m = machine_of(vm);

    if (!m->uart.port.listed)
        return; /* Creation did not come that far. */
    console_remove(&m->uart.port);
    vpit_stop(&m->pit);
    vcmos_stop(&m->cmos);
    vpm_stop(&m->pm);
}

static void bus_reset(struct bus *bus)
{
    for (unsigned i = 0; i < bus->count; i++)
        bus->devices[i]->ops->reset(bus->devices[i]);
}

/* Devices first: their wires are down when the controllers begin anew. */
[[gnu::cold]] static void machine_reset(struct vm *vm)
{
    struct machine_x86_64 *m = machine_of(vm);

    bus_reset(&vm->bus);
    bus_reset(&vm->ports);
    vcmos_set_memory(&m->cmos, machine_ram(vm->layout, vm->config->memory_size, 0).size,
                     machine_ram(vm->layout, vm->config->memory_size, 1).size);
    vioapic_reset(&m->ioapic);
    if (m->apic_window == WINDOW_CLOSED)
        m->apic_window = WINDOW_NONE;
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        x86_64_store_apic(&vm->vcpus[i]);
        vlapic_reset(&m->lapics.cpu[i]);
        arch_vcpu_set_apic(&vm->vcpus[i].arch, true);
        m->cpus[i].adjust = 0;
        m->cpus[i].deadline = TICKS_NEVER;
        m->cpus[i].clock = (struct vkvmclock){};
        atomic_store(&m->cpus[i].nmi, false);
    }
}

static struct console_port *machine_console(struct vm *vm)
{
    return &machine_of(vm)->uart.port;
}

static enum err machine_init(void)
{
    return OK; /* No host interrupt belongs to guests. */
}

const struct machine_ops machine_x86_64 = {
    .layout = &machine_layout_x86_64,
    .place = loader_place_x86,
    .state_size = sizeof(struct machine_x86_64),
    .steal = &vsteal_kvm,
    .init = machine_init,
    .create = machine_create,
    .destroy = machine_destroy,
    .reset = machine_reset,
    .held = machine_held,
    .let_go = machine_let_go,
    .set_paused = machine_set_paused,
    .cpu_state = machine_x86_64_cpu_state,
    .state = machine_x86_64_state,
    .bound = machine_bound,
    .unbinding = machine_unbinding,
    .accept = machine_accept,
    .refresh = machine_refresh,
    .cpu_reset = machine_cpu_reset,
    .pending = machine_pending,
    .deadline = machine_deadline,
    .sysreg = machine_sysreg,
    .call = machine_call,
    .intent = intent_x86_64,
    .console = machine_console,
};
