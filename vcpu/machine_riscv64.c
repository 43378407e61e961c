/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine of a riscv64 guest: QEMU's "virt" as vcpu/machine.h has it. Puts together PLIC or
 * AIA, 16550, RTC, the test device, the timer and SBI. The lines of a hart are those of hvip: the
 * models say what the external one is, and only the vCPU's own pCPU writes it, before it enters the
 * guest.
 */
#include "vcpu/machine_riscv64.h"
#include "kernel/assert.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"
#include "mm/hostmap.h"
#include "vcpu/chips/vgoldfish_rtc.h"
#include "vcpu/chips/vns16550.h"
#include "vcpu/chips/vtest.h"
#include "vcpu/guest_fdt_impl.h"
#include "vcpu/guest_files.h"
#include "vcpu/intent.h"
#include "vcpu/irqchip/vaplic.h"
#include "vcpu/irqchip/vimsic.h"
#include "vcpu/irqchip/vplic.h"
#include "vcpu/loader.h"
#include "vcpu/machine.h"
#include "vcpu/machine_ops.h"
#include "vcpu/state.h"
#include "vcpu/vm.h"
#include "vcpu/vsbi.h"

#define HARTS_MAX VPLIC_HARTS_MAX

/* As CSR_STOPEI. */
#define CSR_SIREG 0x151u

#define IPRIO     0x30u /* By siselect: priorities of major interrupts. */
#define IPRIO_END 0x3fu

struct riscv64_hart {
    struct vcpu *vcpu;
    _Atomic bool ipi;    /* A software interrupt from another hart. */
    struct timer timer;  /* The emulated one. Touched on the hart's pCPU only. */
    uint64_t deadline;   /* It is armed for, in the guest's time; TICKS_NEVER: not. */
    struct vimsic imsic; /* With an AIA, unless it has a guest interrupt file: */
    struct guest_file file;
};

struct machine_riscv64 {
    struct vm *vm;
    bool aia;
    struct vplic_owner plic_owner;
    struct vplic plic;
    struct vaplic_owner aplic_owner;
    struct vaplic aplic;
    struct vdev plic_window, aplic_window, imsic_window, test;
    struct vns16550 uart;
    struct vgoldfish_rtc rtc;
    struct riscv64_hart harts[HARTS_MAX];
};

static struct machine_riscv64 *machine_of(const struct vm *vm)
{
    return vm->machine_state;
}

static struct riscv64_hart *hart_of(const struct vcpu *vcpu)
{
    return &machine_of(vcpu->vm)->harts[vcpu->index];
}

struct vns16550 *riscv64_uart(struct vm *vm)
{
    return &machine_of(vm)->uart;
}

/* --- Interrupts --- */

/* The external interrupt. On the hart's own pCPU. */
static void machine_set_external(struct machine_riscv64 *m, struct vcpu *vcpu)
{
    struct riscv64_hart *h = &m->harts[vcpu->index];

    if (!m->aia)
        arch_virq_write(&vcpu->arch, VIRQ_LINE_EXTERNAL, vplic_line(&m->plic, vcpu->index));
    else if (h->file.number == 0)
        arch_virq_write(&vcpu->arch, VIRQ_LINE_EXTERNAL, vimsic_line(&h->imsic));
}

/* The external interrupt of a hart may have changed: at once where it runs here. Any pCPU. */
static void machine_look(struct machine_riscv64 *m, struct vcpu *vcpu)
{
    if (likely(vcpu == vcpu_current()))
        machine_set_external(m, vcpu);
    else
        vcpu_request(vcpu, VCPU_REQ_IRQ);
}

static void machine_kick(struct vplic_owner *owner, unsigned hart)
{
    struct machine_riscv64 *m = container_of(owner, struct machine_riscv64, plic_owner);

    machine_look(m, &m->vm->vcpus[hart]);
}

/* To the hart's interrupt file, be it hardware or ours. */
static void machine_msi(struct machine_riscv64 *m, uint32_t hart, uint64_t identity)
{
    struct riscv64_hart *h = &m->harts[hart];

    if (hart >= m->vm->vcpu_count)
        return;
    if (h->file.number != 0)
        guest_file_msi(&h->file, (uint32_t)identity);
    else if (vimsic_msi(&h->imsic, identity))
        machine_look(m, h->vcpu);
}

static void machine_aplic_msi(struct vaplic_owner *owner, uint32_t hart, uint32_t identity)
{
    machine_msi(container_of(owner, struct machine_riscv64, aplic_owner), hart, identity);
}

/* A device's wire has a new level. */
static void machine_set_irq(struct vdev *dev, bool level)
{
    struct vm *vm = dev->owner;
    struct machine_riscv64 *m = machine_of(vm);

    if (m->aia)
        vaplic_set_wire(&m->aplic, dev->irq, level);
    else
        vplic_set_wire(&m->plic, dev->irq, level);
}

/* From the IRQ queue: an edge of a source, or an MSI to this hart. */
static void machine_take(void *arg, uint32_t irq, [[maybe_unused]] bool edge)
{
    struct vcpu *vcpu = arg;
    struct machine_riscv64 *m = machine_of(vcpu->vm);

    if (m->aia)
        machine_msi(m, vcpu->index, irq);
    else
        vplic_edge(&m->plic, irq);
}

static void machine_accept(struct vcpu *vcpu)
{
    virq_drain(&vcpu->virq, machine_take, vcpu);
}

static uint64_t machine_deadline(struct vcpu *vcpu)
{
    return arch_vcpu_timer_deadline(&vcpu->arch); /* The emulated timer wakes by itself. */
}

static void machine_refresh(struct vcpu *vcpu)
{
    struct machine_riscv64 *m = machine_of(vcpu->vm);
    struct riscv64_hart *h = hart_of(vcpu);

    machine_accept(vcpu);
    machine_set_external(m, vcpu);
    if (atomic_load_explicit(&h->ipi, memory_order_relaxed) &&
        atomic_exchange_explicit(&h->ipi, false, memory_order_acquire))
        arch_virq_write(&vcpu->arch, VIRQ_LINE_SOFTWARE, 1);
}

static bool machine_pending(struct vcpu *vcpu)
{
    return arch_vcpu_irq_pending(&vcpu->arch);
}

static void machine_bound(struct vcpu *vcpu)
{
    guest_file_watch(&hart_of(vcpu)->file, false);
    machine_refresh(vcpu);
}

static void machine_unbinding(struct vcpu *vcpu)
{
    guest_file_watch(&hart_of(vcpu)->file, true);
}

/* --- The registers of the interrupt controllers on the bus --- */

static uint64_t plic_read(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                          unsigned width)
{
    struct vm *vm = dev->owner;

    return vplic_read(&machine_of(vm)->plic, offset, width);
}

static void plic_write(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                       unsigned width, uint64_t value)
{
    struct vm *vm = dev->owner;

    vplic_write(&machine_of(vm)->plic, offset, width, value);
}

static uint64_t aplic_read(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                           unsigned width)
{
    struct vm *vm = dev->owner;

    return vaplic_read(&machine_of(vm)->aplic, offset, width);
}

static void aplic_write(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                        unsigned width, uint64_t value)
{
    struct vm *vm = dev->owner;

    vaplic_write(&machine_of(vm)->aplic, offset, width, value);
}

/* Pages of interrupt files: nothing to read. */
static uint64_t imsic_read([[maybe_unused]] struct vdev *dev, [[maybe_unused]] unsigned vcpu,
                           [[maybe_unused]] uint64_t offset, [[maybe_unused]] unsigned width)
{
    return 0;
}

static void imsic_write(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                        unsigned width, uint64_t value)
{
    struct vm *vm = dev->owner;
    unsigned hart = (unsigned)(offset / VIMSIC_PAGE_SIZE);
    struct riscv64_hart *h = &machine_of(vm)->harts[hart];

    if (hart >= vm->vcpu_count ||
        !vimsic_page_write(&h->imsic, offset % VIMSIC_PAGE_SIZE, width, value))
        return;
    machine_look(machine_of(vm), h->vcpu);
}

static void window_reset([[maybe_unused]] struct vdev *dev)
{
    /* machine_reset() resets the models. */
}

static const struct vdev_ops plic_ops = {
    .name = "PLIC", .read = plic_read, .write = plic_write, .reset = window_reset};
static const struct vdev_ops aplic_ops = {
    .name = "APLIC", .read = aplic_read, .write = aplic_write, .reset = window_reset};
static const struct vdev_ops imsic_ops = {
    .name = "IMSIC", .read = imsic_read, .write = imsic_write, .reset = window_reset};

/* --- System registers: those of a software interrupt file, and priorities --- */

/* The array of priorities, by siselect: none can be set [AIA: Configuring priorities of major
 * interrupts at VS level]. Of 64 bits, so odd ones are none. */
static bool machine_priority(struct vcpu_exit *exit)
{
    if (exit->sysreg.select < IPRIO || exit->sysreg.select > IPRIO_END ||
        exit->sysreg.select % 2 != 0)
        return false;
    exit->sysreg.value = 0;
    return true;
}

/* Any write claims; and what reads as well reads what it claims. */
static void machine_stopei(struct machine_riscv64 *m, struct vcpu *vcpu, struct vcpu_exit *exit)
{
    struct vimsic *imsic = &m->harts[vcpu->index].imsic;

    if (exit->kind == EXIT_SYSREG_READ && !exit->sysreg.both) {
        exit->sysreg.value = vimsic_top_read(imsic);
        return;
    }
    exit->sysreg.value = vimsic_top_claim(imsic);
    exit->sysreg.both = false;
    machine_set_external(m, vcpu);
}

/* Out of the way of stopei, so that this needs few registers. */
[[gnu::noinline]] static bool machine_sireg(struct machine_riscv64 *m, struct vcpu *vcpu,
                                            struct vcpu_exit *exit)
{
    struct riscv64_hart *h = &m->harts[vcpu->index];
    uint32_t select = exit->sysreg.select;
    bool known;

    if (exit->sysreg.addr != CSR_SIREG)
        return false;
    if (machine_priority(exit))
        return true;
    if (h->file.number != 0)
        return false;
    if (exit->kind == EXIT_SYSREG_READ)
        return vimsic_read(&h->imsic, select, exit->sysreg.both, &exit->sysreg.value);
    known = vimsic_write(&h->imsic, select, exit->sysreg.both, exit->sysreg.value);
    machine_set_external(m, vcpu);
    return known;
}

static bool machine_sysreg(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    struct machine_riscv64 *m = machine_of(vcpu->vm);

    if (!m->aia)
        return false;
    if (exit->sysreg.addr != CSR_STOPEI || m->harts[vcpu->index].file.number != 0)
        return machine_sireg(m, vcpu, exit);
    machine_stopei(m, vcpu, exit);
    return true;
}

/* --- Timer and software interrupts --- */

/* On the vCPU's pCPU, whatever the vCPU does. */
static void hart_timer(struct timer *timer)
{
    struct riscv64_hart *h = container_of(timer, struct riscv64_hart, timer);

    h->deadline = TICKS_NEVER;
    arch_virq_write(&h->vcpu->arch, VIRQ_LINE_TIMER, 1);
    if (h->vcpu != vcpu_current()) /* The line is all that a running one needs. */
        vcpu_request(h->vcpu, VCPU_REQ_IRQ);
}

static void hart_timer_arm(struct riscv64_hart *h, uint64_t now)
{
    timer_arm(&h->timer, h->deadline == TICKS_NEVER ? TICKS_NEVER : ticks_until(now, h->deadline));
}

void riscv64_timer_set(struct vcpu *vcpu, uint64_t guest_time)
{
    struct riscv64_hart *h = hart_of(vcpu);
    uint64_t now;

    if (likely(arch_vcpu_timer_set(&vcpu->arch, guest_time)))
        return;
    now = arch_vcpu_time(&vcpu->arch);
    arch_virq_write(&vcpu->arch, VIRQ_LINE_TIMER, guest_time <= now);
    h->deadline = guest_time <= now ? TICKS_NEVER : guest_time;
    hart_timer_arm(h, now);
}

void riscv64_ipi_send(struct vcpu *self, uint64_t targets)
{
    struct machine_riscv64 *m = machine_of(self->vm);

    if (targets & BIT(self->index))
        arch_virq_write(&self->arch, VIRQ_LINE_SOFTWARE, 1);
    for (targets &= ~BIT(self->index); targets != 0; targets &= targets - 1) {
        struct riscv64_hart *h = &m->harts[bit_lowest(targets)];

        if (atomic_load(&h->vcpu->power) == VCPU_OFF)
            continue;
        atomic_store_explicit(&h->ipi, true, memory_order_release);
        vcpu_request(h->vcpu, VCPU_REQ_IRQ);
    }
}

bool riscv64_ipi_clear(struct vcpu *vcpu)
{
    bool was = arch_virq_read(&vcpu->arch, VIRQ_LINE_SOFTWARE);

    was |= atomic_exchange(&hart_of(vcpu)->ipi, false);
    arch_virq_write(&vcpu->arch, VIRQ_LINE_SOFTWARE, 0);
    return was;
}

static void machine_held(struct vcpu *vcpu)
{
    timer_disarm(&hart_of(vcpu)->timer);
}

static void machine_let_go(struct vcpu *vcpu)
{
    arch_vcpu_set_time(&vcpu->arch, vcpu->vm->started_ticks);
    hart_timer_arm(hart_of(vcpu), arch_vcpu_time(&vcpu->arch));
}

/* No timer and no software interrupt is left. */
static void machine_cpu_reset(struct vcpu *vcpu)
{
    struct riscv64_hart *h = hart_of(vcpu);

    h->deadline = TICKS_NEVER;
    timer_disarm(&h->timer);
    atomic_store(&h->ipi, false);
    arch_virq_write(&vcpu->arch, VIRQ_LINE_TIMER, 0);
    arch_virq_write(&vcpu->arch, VIRQ_LINE_SOFTWARE, 0);
    vcpu->steal.on = false;
}

/* --- Making one --- */

static enum err machine_add(struct vm *vm, struct vdev *dev)
{
    dev->owner = vm;
    dev->set_irq = machine_set_irq;
    return bus_add(&vm->bus, dev);
}

/* A window of the layout; per vCPU where the layout says so. */
static enum err machine_add_window(struct vm *vm, struct vdev *dev, const struct vdev_ops *ops,
                                   const char *name)
{
    const struct machine_device *device = machine_device(vm->layout, name);

    *dev = (struct vdev){
        .ops = ops,
        .base = device->base,
        .size = device->per_vcpu ? device->per_vcpu * vm->vcpu_count : device->size,
    };
    return machine_add(vm, dev);
}

/* Hardware interrupt files as long as there are some; what is mapped straight never exits. */
static void machine_take_files(struct vm *vm, struct machine_riscv64 *m)
{
    const struct machine_device *imsic = machine_device(vm->layout, "imsic");

    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        struct guest_file *file = &m->harts[i].file;

        if (!guest_file_take(file, &vm->vcpus[i]))
            continue;
        if (guestmap_add(&vm->map, gpa(imsic->base + i * imsic->per_vcpu), PAGE_SIZE, REGION_DEVICE,
                         hpa(file->page)) != OK) {
            guest_file_give(file);
            continue;
        }
        arch_vcpu_set_guest_file(&vm->vcpus[i].arch, file->number);
        vm->vcpus[i].sched.affinity = 0; /* The file is of this pCPU. */
    }
}

static enum err machine_create_irqchip(struct vm *vm, struct machine_riscv64 *m)
{
    m->aia = vm->config->irqchip == CONFIG_AIA;
    m->plic_owner.kick = machine_kick;
    m->aplic_owner.msi = machine_aplic_msi;
    if (!m->aia) {
        vplic_init(&m->plic, vm->vcpu_count, &m->plic_owner);
        return machine_add_window(vm, &m->plic_window, &plic_ops, "plic");
    }
    if (!virt_caps.guest_msi) {
        log_error(
            "/vms/%s: interrupt-controller = \"aia\" needs harts with the AIA; this host has none",
            vm->config->name);
        return E_UNSUPPORTED;
    }
    vaplic_init(&m->aplic, &m->aplic_owner);
    machine_take_files(vm, m);
    TRY(machine_add_window(vm, &m->aplic_window, &aplic_ops, "aplic"));
    return machine_add_window(vm, &m->imsic_window, &imsic_ops, "imsic");
}

static enum err machine_create(struct vm *vm)
{
    struct machine_riscv64 *m = machine_of(vm);
    const struct machine_device *uart = machine_device(vm->layout, "ns16550");
    const struct machine_device *rtc = machine_device(vm->layout, "goldfish-rtc");

    m->vm = vm;
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        m->harts[i].vcpu = &vm->vcpus[i];
        m->harts[i].deadline = TICKS_NEVER;
        timer_init(&m->harts[i].timer, hart_timer);
    }
    TRY(machine_create_irqchip(vm, m));
    vns16550_init(&m->uart, uart->base, uart->irq);
    vgoldfish_rtc_init(&m->rtc, rtc->base, rtc->irq, platform.wall_epoch, vm->vcpus[0].sched.cpu);
    TRY(machine_add(vm, &m->uart.vdev));
    TRY(machine_add(vm, &m->rtc.vdev));
    TRY(machine_add_window(vm, &m->test, &vtest_ops, "test"));
    return console_add(&m->uart.port, vm->config->name);
}

static void machine_destroy(struct vm *vm)
{
    struct machine_riscv64 *m = machine_of(vm);

    for (unsigned i = 0; i < vm->vcpu_count; i++)
        guest_file_give(&m->harts[i].file);
    if (!m->uart.port.listed)
        return; /* Creation did not come that far. */
    console_remove(&m->uart.port);
    vgoldfish_rtc_stop(&m->rtc);
}

/* Devices first: their wires are down when the controllers begin anew. */
static void machine_reset(struct vm *vm)
{
    struct machine_riscv64 *m = machine_of(vm);

    for (unsigned i = 0; i < vm->bus.count; i++)
        vm->bus.devices[i]->ops->reset(vm->bus.devices[i]);
    if (m->aia)
        vaplic_reset(&m->aplic);
    else
        vplic_reset(&m->plic);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        struct riscv64_hart *h = &m->harts[i];

        vimsic_reset(&h->imsic);
        guest_file_reset(&h->file);
        h->deadline = TICKS_NEVER;
        atomic_store(&h->ipi, false);
        arch_virq_write(&h->vcpu->arch, VIRQ_LINE_TIMER, 0);
        arch_virq_write(&h->vcpu->arch, VIRQ_LINE_SOFTWARE, 0);
    }
}

/* --- Snapshots --- */

/* Whoever had it, and has it now, hardware or a model: what is in an interrupt file is the same. */
static void machine_file_state(struct machine_riscv64 *m, struct vcpu *vcpu, struct state *s)
{
    struct riscv64_hart *h = &m->harts[vcpu->index];
    uint64_t read_pending = h->imsic.read_pending;
    struct arch_guest_file contents;

    if (h->file.number != 0)
        guest_file_get(&h->file, &contents);
    else
        vimsic_get(&h->imsic, &contents);
    STATE(s, contents.delivery);
    STATE(s, contents.threshold);
    STATE_ARRAY(s, contents.pending);
    STATE_ARRAY(s, contents.enabled);
    STATE(s, read_pending);
    if (!state_loading(s) || !state_ok(s))
        return;
    if (h->file.number != 0) {
        guest_file_set(&h->file, &contents);
        arch_virq_write(&vcpu->arch, VIRQ_LINE_EXTERNAL, 0);
        return;
    }
    state_require(s, vimsic_set(&h->imsic, &contents),
                  "more in an interrupt file than one has here");
    h->imsic.read_pending = read_pending;
    machine_set_external(m, vcpu);
}

static void machine_cpu_state(struct vcpu *vcpu, struct state *s)
{
    struct machine_riscv64 *m = machine_of(vcpu->vm);
    struct riscv64_hart *h = hart_of(vcpu);
    bool aia = m->aia;

    state_section(s, "hart", 1);
    STATE(s, h->ipi);
    STATE(s, h->deadline);
    STATE(s, aia);
    state_require(s, aia == m->aia, "another interrupt controller");
    if (m->aia)
        machine_file_state(m, vcpu, s);
}

static void machine_state(struct vm *vm, struct state *s)
{
    struct machine_riscv64 *m = machine_of(vm);

    if (m->aia)
        vaplic_state(&m->aplic, s);
    else
        vplic_state(&m->plic, s);
}

static struct console_port *machine_console(struct vm *vm)
{
    return &machine_of(vm)->uart.port;
}

const struct machine_ops machine_riscv64 = {
    .layout = &machine_layout_riscv64,
    .place = loader_place_tree,
    .write_tree = guest_fdt_riscv64,
    .state_size = sizeof(struct machine_riscv64),
    .steal = &vsteal_sbi,
    .init = guest_files_init,
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
    .call = vsbi_call,
    .intent = intent_riscv64,
    .cpu_state = machine_cpu_state,
    .state = machine_state,
    .console = machine_console,
    .cpu_up_result = vsbi_cpu_up_result,
    .cpu_find = vsbi_cpu_find,
};
