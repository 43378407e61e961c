/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine of an aarch64 guest: QEMU's "virt" as vcpu/machine.h has it. Puts together the GIC
 * model, PL011, PL031, the timers and PSCI. The GIC is of the host's version: with a GICv2 the
 * guest's CPU interface is the hardware's (GICV), mapped where the guest looks for GICC. The
 * virtual timer is the hardware's: its interrupt is left active for the guest to end. The EL1
 * physical timer traps and is emulated by a timer of ours.
 */
#include "vcpu/machine_aarch64.h"
#include "kernel/assert.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"
#include "vcpu/chips/vpl011.h"
#include "vcpu/chips/vpl031.h"
#include "vcpu/guest_fdt_impl.h"
#include "vcpu/intent.h"
#include "vcpu/irqchip/vgic.h"
#include "vcpu/loader.h"
#include "vcpu/machine.h"
#include "vcpu/machine_ops.h"
#include "vcpu/state.h"
#include "vcpu/vm.h"
#include "vcpu/vpsci.h"

#define SPIS             64u /* As many as the machine's devices need, with room for virtio. */
#define PPI_VTIMER       27u /* [Server Base System Architecture; QEMU's "virt"] */
#define PPI_PTIMER       30u

#define GICR_STRIDE      0x20000u
#define GICV_SIZE        0x2000u /* [IHI 0048B, 5.5] */

#define CNTP_TVAL_EL0    SYS_ISS(3, 3, 14, 2, 0)
#define CNTP_CTL_EL0     SYS_ISS(3, 3, 14, 2, 1)
#define CNTP_CVAL_EL0    SYS_ISS(3, 3, 14, 2, 2)
#define CNTP_CTL_ENABLE  BIT(0)
#define CNTP_CTL_IMASK   BIT(1)
#define CNTP_CTL_ISTATUS BIT(2)

/* The EL1 physical timer of a vCPU; touched on its pCPU only. */
struct vptimer {
    uint64_t ctl, cval;
    struct timer timer;
    struct vcpu *vcpu;
};

struct gic_window {
    struct vdev vdev;
};

struct machine_aarch64 {
    struct vm *vm;
    struct vgic_owner owner;
    struct vgic vgic;
    struct gic_window dist, redist;
    struct vpl011 uart;
    struct vpl031 rtc;
    _Atomic uint64_t spi_lines[VGIC_IRQS_MAX / 64 + 1]; /* Levels on the wires of the SPIs. */
    struct vptimer ptimers[VGIC_CPUS_MAX];
};

static struct machine_aarch64 *machine_of(const struct vm *vm)
{
    return vm->machine_state;
}

/* --- Interrupts --- */

static void machine_kick(struct vgic_owner *owner, unsigned cpu)
{
    struct machine_aarch64 *m = container_of(owner, struct machine_aarch64, owner);

    vcpu_request(&m->vm->vcpus[cpu], VCPU_REQ_IRQ);
}

static bool vptimer_level(const struct vptimer *t)
{
    return (t->ctl & CNTP_CTL_ENABLE) && !(t->ctl & CNTP_CTL_IMASK) && arch_ticks() >= t->cval;
}

static bool machine_line(struct vgic_owner *owner, unsigned cpu, uint32_t irq)
{
    struct machine_aarch64 *m = container_of(owner, struct machine_aarch64, owner);

    if (irq == PPI_PTIMER)
        return vptimer_level(&m->ptimers[cpu]);
    if (irq < VGIC_PRIVATE)
        return false;
    return atomic_load_explicit(&m->spi_lines[irq / 64], memory_order_acquire) >> irq % 64 & 1;
}

static void machine_hw_end([[maybe_unused]] struct vgic_owner *owner, [[maybe_unused]] unsigned cpu,
                           [[maybe_unused]] uint32_t irq, uint32_t physical_irq)
{
    arch_irq_set_active(physical_irq, false);
}

/* A device's wire has a new level. */
static void machine_set_irq(struct vdev *dev, bool level)
{
    struct vm *vm = dev->owner;
    struct machine_aarch64 *m = machine_of(vm);
    _Atomic uint64_t *lines = &m->spi_lines[dev->irq / 64];

    if (level)
        atomic_fetch_or(lines, BIT(dev->irq % 64));
    else
        atomic_fetch_and(lines, ~BIT(dev->irq % 64));
    vcpu_interrupt(&vm->vcpus[vgic_spi_target(&m->vgic, dev->irq)], dev->irq, false);
}

static void machine_look(void *arg, uint32_t irq, bool edge)
{
    struct vcpu *vcpu = arg;

    vgic_accept(&machine_of(vcpu->vm)->vgic, vcpu->index, irq, edge);
}

static void machine_accept(struct vcpu *vcpu)
{
    virq_drain(&vcpu->virq, machine_look, vcpu);
}

static void machine_refresh(struct vcpu *vcpu)
{
    machine_accept(vcpu);
    vgic_fill(&machine_of(vcpu->vm)->vgic, vcpu->index);
}

/* A timer whose interrupt the guest has already, but does not take, wakes nobody. */
static uint64_t machine_deadline(struct vcpu *vcpu)
{
    if (vgic_hw_in_flight(&machine_of(vcpu->vm)->vgic, vcpu->index, PPI_VTIMER))
        return TICKS_NEVER;
    return arch_vcpu_timer_deadline(&vcpu->arch);
}

static bool machine_pending(struct vcpu *vcpu)
{
    return vgic_has_pending(&machine_of(vcpu->vm)->vgic, vcpu->index);
}

static void machine_bound(struct vcpu *vcpu)
{
    struct machine_aarch64 *m = machine_of(vcpu->vm);

    if (vgic_hw_in_flight(&m->vgic, vcpu->index, PPI_VTIMER))
        arch_irq_set_active(platform.timer_irq_virt, true);
    vgic_fill(&m->vgic, vcpu->index); /* The IRQ queue has its own request bit. */
}

static void machine_unbinding(struct vcpu *vcpu)
{
    struct machine_aarch64 *m = machine_of(vcpu->vm);

    vgic_sync(&m->vgic, vcpu->index);
    if (vgic_hw_in_flight(&m->vgic, vcpu->index, PPI_VTIMER))
        arch_irq_set_active(platform.timer_irq_virt, false);
}

/* The virtual timer of the vCPU that is bound here. */
static enum irq_result machine_vtimer_irq(uint32_t irq, [[maybe_unused]] void *arg)
{
    struct vcpu *vcpu = vcpu_current();

    if (!vcpu)
        return IRQ_DONE; /* It fired while the vCPU was being unbound: at its next bind again. */
    vgic_accept_hw(&machine_of(vcpu->vm)->vgic, vcpu->index, PPI_VTIMER, irq);
    return IRQ_KEEP;
}

/* List registers ran empty, or an end that we asked to hear of. */
static enum irq_result machine_maintenance_irq([[maybe_unused]] uint32_t irq,
                                               [[maybe_unused]] void *arg)
{
    struct vcpu *vcpu = vcpu_current();

    if (vcpu) {
        vgic_sync(&machine_of(vcpu->vm)->vgic, vcpu->index);
        vgic_fill(&machine_of(vcpu->vm)->vgic, vcpu->index);
    }
    return IRQ_DONE;
}

static enum err machine_init(void)
{
    TRY(irq_attach(platform.timer_irq_virt, IRQ_LEVEL, machine_vtimer_irq, NULL));
    return irq_attach(platform.gic_maintenance_irq, IRQ_LEVEL, machine_maintenance_irq, NULL);
}

/* --- The GIC's registers on the bus --- */

static uint64_t dist_read(struct vdev *dev, unsigned vcpu, uint64_t offset, unsigned width)
{
    struct vm *vm = dev->owner;
    uint64_t value = 0;

    if (!vgic_dist_read(&machine_of(vm)->vgic, vcpu, (uint32_t)offset, width, &value))
        return 0;
    return value;
}

static void dist_write(struct vdev *dev, unsigned vcpu, uint64_t offset, unsigned width,
                       uint64_t value)
{
    struct vm *vm = dev->owner;

    vgic_dist_write(&machine_of(vm)->vgic, vcpu, (uint32_t)offset, width, value);
    vgic_fill(&machine_of(vm)->vgic, vcpu);
}

static uint64_t dist_v2_read(struct vdev *dev, unsigned vcpu, uint64_t offset, unsigned width)
{
    struct vm *vm = dev->owner;
    uint64_t value = 0;

    if (!vgic_v2_read(&machine_of(vm)->vgic, vcpu, (uint32_t)offset, width, &value))
        return 0;
    return value;
}

static void dist_v2_write(struct vdev *dev, unsigned vcpu, uint64_t offset, unsigned width,
                          uint64_t value)
{
    struct vm *vm = dev->owner;

    vgic_v2_write(&machine_of(vm)->vgic, vcpu, (uint32_t)offset, width, value);
    vgic_fill(&machine_of(vm)->vgic, vcpu);
}

static uint64_t redist_read(struct vdev *dev, unsigned vcpu, uint64_t offset, unsigned width)
{
    struct vm *vm = dev->owner;
    uint64_t value = 0;

    if (!vgic_redist_read(&machine_of(vm)->vgic, vcpu, (unsigned)(offset / GICR_STRIDE),
                          (uint32_t)(offset % GICR_STRIDE), width, &value))
        return 0;
    return value;
}

static void redist_write(struct vdev *dev, unsigned vcpu, uint64_t offset, unsigned width,
                         uint64_t value)
{
    struct vm *vm = dev->owner;

    vgic_redist_write(&machine_of(vm)->vgic, vcpu, (unsigned)(offset / GICR_STRIDE),
                      (uint32_t)(offset % GICR_STRIDE), width, value);
    vgic_fill(&machine_of(vm)->vgic, vcpu);
}

static void gic_window_reset([[maybe_unused]] struct vdev *dev)
{
    /* vgic_reset() resets the whole controller at once. */
}

static const struct vdev_ops dist_ops = {
    .name = "GICv3 distributor",
    .read = dist_read,
    .write = dist_write,
    .reset = gic_window_reset,
};
static const struct vdev_ops dist_v2_ops = {
    .name = "GICv2 distributor",
    .read = dist_v2_read,
    .write = dist_v2_write,
    .reset = gic_window_reset,
};
static const struct vdev_ops redist_ops = {
    .name = "GICv3 redistributors",
    .read = redist_read,
    .write = redist_write,
    .reset = gic_window_reset,
};

/* --- The EL1 physical timer --- */

static void vptimer_fired(struct timer *timer)
{
    struct vptimer *t = container_of(timer, struct vptimer, timer);

    vcpu_interrupt(t->vcpu, PPI_PTIMER, false);
}

static void vptimer_update(struct vptimer *t)
{
    timer_disarm(&t->timer);
    if ((t->ctl & (CNTP_CTL_ENABLE | CNTP_CTL_IMASK)) == CNTP_CTL_ENABLE && !vptimer_level(t))
        timer_arm(&t->timer, t->cval);
    vcpu_interrupt(t->vcpu, PPI_PTIMER, false);
}

static uint64_t vptimer_read(const struct vptimer *t, uint32_t reg)
{
    switch (reg) {
    case CNTP_CTL_EL0:
        return t->ctl |
               ((t->ctl & CNTP_CTL_ENABLE) && arch_ticks() >= t->cval ? CNTP_CTL_ISTATUS : 0);
    case CNTP_TVAL_EL0:
        return (t->cval - arch_ticks()) & BITS(31, 0);
    default:
        return t->cval;
    }
}

static void vptimer_write(struct vptimer *t, uint32_t reg, uint64_t value)
{
    switch (reg) {
    case CNTP_CTL_EL0:
        t->ctl = value & (CNTP_CTL_ENABLE | CNTP_CTL_IMASK);
        break;
    case CNTP_TVAL_EL0:
        t->cval = arch_ticks() + (uint64_t)(int64_t)(int32_t)value;
        break;
    default:
        t->cval = value;
    }
    vptimer_update(t);
}

static void machine_held(struct vcpu *vcpu)
{
    timer_disarm(&machine_of(vcpu->vm)->ptimers[vcpu->index].timer);
}

/* The physical counter has gone on; it is the host's. */
static void machine_let_go(struct vcpu *vcpu)
{
    struct vptimer *t = &machine_of(vcpu->vm)->ptimers[vcpu->index];

    arch_vcpu_set_time(&vcpu->arch, vcpu->vm->started_ticks);
    if (t->ctl & CNTP_CTL_ENABLE)
        vptimer_update(t);
}

/* Both enable bits are 0 after a reset; the other timer's register is in the register file. */
static void machine_cpu_reset(struct vcpu *vcpu)
{
    struct vptimer *t = &machine_of(vcpu->vm)->ptimers[vcpu->index];

    timer_disarm(&t->timer);
    t->ctl = 0;
}

/* --- System registers --- */

static bool machine_sysreg(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    struct machine_aarch64 *m = machine_of(vcpu->vm);
    bool write = exit->kind == EXIT_SYSREG_WRITE;

    switch (exit->sysreg.addr) {
    case ICC_SGI1R_EL1:
    case ICC_SGI0R_EL1:
    case ICC_ASGI1R_EL1:
        if (!write || m->vgic.v2)
            return false;
        vgic_send_sgi(&m->vgic, vcpu->index, exit->sysreg.value,
                      exit->sysreg.addr == ICC_SGI1R_EL1);
        vgic_fill(&m->vgic, vcpu->index);
        return true;
    case ICC_DIR_EL1:
        if (!write || m->vgic.v2)
            return false;
        vgic_deactivate(&m->vgic, vcpu->index, (uint32_t)exit->sysreg.value & 0xffffff);
        vgic_fill(&m->vgic, vcpu->index);
        return true;
    case CNTP_CTL_EL0:
    case CNTP_CVAL_EL0:
    case CNTP_TVAL_EL0:
        if (write)
            vptimer_write(&m->ptimers[vcpu->index], exit->sysreg.addr, exit->sysreg.value);
        else
            exit->sysreg.value = vptimer_read(&m->ptimers[vcpu->index], exit->sysreg.addr);
        return true;
    }
    return false;
}

/* --- Making one --- */

static enum err machine_add(struct vm *vm, struct vdev *dev)
{
    dev->owner = vm;
    dev->set_irq = machine_set_irq;
    return bus_add(&vm->bus, dev);
}

/* Distributor and redistributors are ours. */
static enum err machine_create_gicv3(struct vm *vm, struct machine_aarch64 *m)
{
    const struct machine_device *gicd = machine_device(vm->layout, "gicd");
    const struct machine_device *gicr = machine_device(vm->layout, "gicr");

    vgic_init(&m->vgic, vm->vcpu_count, SPIS, &m->owner);
    m->dist.vdev = (struct vdev){.ops = &dist_ops, .base = gicd->base, .size = gicd->size};
    m->redist.vdev = (struct vdev){
        .ops = &redist_ops, .base = gicr->base, .size = gicr->per_vcpu * vm->vcpu_count};
    TRY(machine_add(vm, &m->dist.vdev));
    return machine_add(vm, &m->redist.vdev);
}

/* The distributor is ours, the CPU interface hardware's. */
static enum err machine_create_gicv2(struct vm *vm, struct machine_aarch64 *m)
{
    const struct machine_device *gicd = machine_device(vm->layout, "gicd");
    const struct machine_device *gicc = machine_device(vm->layout, "gicc");

    if (vm->vcpu_count > VGIC_V2_CPUS) {
        log_error("/vms/%s: cpus = <%u>, but this host's GICv2 allows a guest %u", vm->config->name,
                  vm->vcpu_count, VGIC_V2_CPUS);
        return E_UNSUPPORTED;
    }
    vgic_v2_init(&m->vgic, vm->vcpu_count, SPIS, &m->owner);
    m->dist.vdev = (struct vdev){.ops = &dist_v2_ops, .base = gicd->base, .size = gicd->size};
    TRY(guestmap_add(&vm->map, gpa(gicc->base), GICV_SIZE, REGION_DEVICE, hpa(platform.gicv)));
    return machine_add(vm, &m->dist.vdev);
}

static enum err machine_create_gic(struct vm *vm, struct machine_aarch64 *m)
{
    m->owner = (struct vgic_owner){
        .kick = machine_kick,
        .line = machine_line,
        .hw_end = machine_hw_end,
    };
    if (virt_caps.gic_version == 2)
        TRY(machine_create_gicv2(vm, m));
    else
        TRY(machine_create_gicv3(vm, m));
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        vgic_cpu_init(&m->vgic, i, &vm->vcpus[i].arch, machine_mpidr(i), virt_caps.virq_slots);
        m->ptimers[i].vcpu = &vm->vcpus[i];
        timer_init(&m->ptimers[i].timer, vptimer_fired);
    }
    return OK;
}

static enum err machine_create(struct vm *vm)
{
    struct machine_aarch64 *m = machine_of(vm);
    const struct machine_device *uart = machine_device(vm->layout, "pl011");
    const struct machine_device *rtc = machine_device(vm->layout, "pl031");

    m->vm = vm;
    TRY(machine_create_gic(vm, m));
    TRY(guestmap_add(&vm->map, gpa(machine_device(vm->layout, "pvtime")->base), PAGE_SIZE,
                     REGION_ROM, hpa(0)));
    vpl011_init(&m->uart, uart->base, uart->irq);
    vpl031_init(&m->rtc, rtc->base, rtc->irq, platform.wall_epoch, vm->vcpus[0].sched.cpu);
    TRY(machine_add(vm, &m->uart.vdev));
    TRY(machine_add(vm, &m->rtc.vdev));
    return console_add(&m->uart.port, vm->config->name);
}

static void machine_destroy(struct vm *vm)
{
    struct machine_aarch64 *m = machine_of(vm);

    if (!m->uart.port.listed)
        return; /* Creation did not come that far. */
    console_remove(&m->uart.port);
    vpl031_stop(&m->rtc);
}

static void machine_reset(struct vm *vm)
{
    struct machine_aarch64 *m = machine_of(vm);

    vgic_reset(&m->vgic);
    for (unsigned i = 0; i < vm->bus.count; i++)
        vm->bus.devices[i]->ops->reset(vm->bus.devices[i]);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        m->ptimers[i].ctl = 0;
        m->ptimers[i].cval = 0;
    }
}

/* --- Snapshots --- */

/* One that is off keeps its number; one that is on, the time that is left. */
static void machine_cpu_state(struct vcpu *vcpu, struct state *s)
{
    struct vptimer *t = &machine_of(vcpu->vm)->ptimers[vcpu->index];

    state_section(s, "cntp", 1);
    STATE(s, t->ctl);
    if (t->ctl & CNTP_CTL_ENABLE)
        state_ticks(s, &t->cval);
    else
        STATE(s, t->cval);
    state_require(s, !(t->ctl & ~(CNTP_CTL_ENABLE | CNTP_CTL_IMASK)), "no such timer control");
    if (state_loading(s) && !state_ok(s))
        t->ctl = 0;
}

/* The wires of the devices are theirs: they raise them again. */
static void machine_state(struct vm *vm, struct state *s)
{
    vgic_state(&machine_of(vm)->vgic, s, PPI_VTIMER, platform.timer_irq_virt);
}

static struct console_port *machine_console(struct vm *vm)
{
    return &machine_of(vm)->uart.port;
}

const struct machine_ops machine_aarch64 = {
    .layout = &machine_layout_aarch64,
    .place = loader_place_tree,
    .write_tree = guest_fdt_aarch64,
    .state_size = sizeof(struct machine_aarch64),
    .steal = &vsteal_arm,
    .init = machine_init,
    .create = machine_create,
    .destroy = machine_destroy,
    .reset = machine_reset,
    .held = machine_held,
    .let_go = machine_let_go,
    .cpu_reset = machine_cpu_reset,
    .bound = machine_bound,
    .unbinding = machine_unbinding,
    .accept = machine_accept,
    .refresh = machine_refresh,
    .pending = machine_pending,
    .deadline = machine_deadline,
    .sysreg = machine_sysreg,
    .call = vpsci_call,
    .intent = intent_aarch64,
    .cpu_state = machine_cpu_state,
    .state = machine_state,
    .console = machine_console,
    .cpu_up_result = vpsci_cpu_up_result,
    .cpu_find = vpsci_cpu_find,
};
