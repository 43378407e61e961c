/* SPDX-License-Identifier: Apache-2.0 */
/* Whole VMs on the fake architecture; see vm_rig.h. */
#include "tests/host/vm_rig.h"

#include "kernel/ipi.h"
#include "kernel/log.h"
#include "kernel/platform.h"
#include "vcpu/console.h"
#include "vcpu/machine_ops.h"
#include "vcpu/snapshot.h"

#define SCRIPT_MAX 24u
#define GUESTS_MAX 16u

char rig_log[32768];
static size_t rig_log_size;
static struct config_vm configs[CONFIG_VMS_MAX];
static unsigned config_count;
static char names[CONFIG_VMS_MAX][CONFIG_NAME_MAX];

/* What a vCPU's guest does and has seen. */
struct rig_guest {
    struct vcpu_exit script[SCRIPT_MAX];
    uint64_t seen[VIRQ_WORDS];
    unsigned taken[VIRQ_MAX];
    bool takes;
};

static struct rig_guest guests[GUESTS_MAX];
static unsigned guest_count;
static const char image[] = "a guest's program";

static void rig_log_put(const char *text, size_t size)
{
    size = MIN(size, sizeof(rig_log) - 1 - rig_log_size);
    memcpy(rig_log + rig_log_size, text, size);
    rig_log_size += size;
    rig_log[rig_log_size] = 0;
}

void rig_log_clear(void)
{
    rig_log_size = 0;
    rig_log[0] = 0;
}

unsigned rig_logged_count(const char *text)
{
    unsigned count = 0;

    log_flush();
    for (const char *at = rig_log; *at; at++)
        count += strncmp(at, text, strlen(text)) == 0;
    return count;
}

bool rig_logged(const char *text)
{
    return rig_logged_count(text) > 0;
}

static void rig_cpus_init(void)
{
    for (unsigned i = pcpu_count; i-- > 0;) {
        fake_be_cpu(i);
        atomic_store(&pcpu(i)->online, true);
        atomic_store(&pcpu(i)->work, NULL); /* Of VMs that are gone. */
        timer_init_cpu();
        sched_init_cpu();
    }
}

void rig_end(void)
{
    rig_cpus_init();
    snapshot_reset();
    console_init(NULL); /* Their consoles are in its list. */
    memset(vms, 0, sizeof(vms));
    vm_count = 0;
    log_attach(NULL);
}

void rig_start(void)
{
    rig_end(); /* After a test that failed. */
    fake_ram(RIG_RAM);
    config_count = 0;
    guest_count = 0;
    platform.timer_irq_virt = RIG_VTIMER_IRQ;
    platform.gic_maintenance_irq = RIG_VTIMER_IRQ - 2;
    log_attach(rig_log_put);
    rig_log_clear();
}

struct config_vm *rig_config(const char *name, unsigned vcpus, unsigned first_cpu)
{
    struct config_vm *config = &configs[config_count];

    str_copy(names[config_count], sizeof(names[0]), name);
    *config = (struct config_vm){
        .name = names[config_count],
        .index = config_count,
        .cpu_count = vcpus,
        .memory_size = RIG_GUEST_RAM,
        .priority = CONFIG_PRIORITY_DEFAULT,
        .weight = CONFIG_WEIGHT_DEFAULT,
        .autostart = true,
        .on_reset = ACTION_RESTART,
        .kernel = {"image", image, sizeof(image)},
        .cmdline = "",
        .raw = true,
    };
    for (unsigned i = 0; i < vcpus; i++)
        config->affinity[i] = BIT(first_cpu + i);
    config_count++;
    return config;
}

/* What a guest finds in its list registers: state in bits 63:62, INTID in 31:0 [IHI 0069, 12.4]. */
static void rig_look(struct arch_vcpu *vcpu, struct rig_guest *guest)
{
    memset(guest->seen, 0, sizeof(guest->seen));
    for (unsigned i = 0; i < virt_caps.virq_slots; i++) {
        uint32_t irq = (uint32_t)vcpu->slots[i];

        if (vcpu->slots[i] >> 62 == 0)
            continue;
        guest->seen[irq / 64] |= BIT(irq % 64);
        if (!guest->takes)
            continue;
        guest->taken[irq]++;
        vcpu->slots[i] &= ~BITS(63, 62);
    }
}

/* As hardware: an IPI ends the run. Behind the script the guest leaves, so that others go on. */
static bool rig_run(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    struct pcpu *cpu = this_cpu();

    exit->kind = EXIT_INTERRUPT;
    if (atomic_load(&cpu->ipi_under_way)) {
        ipi_taken();
        return true;
    }
    rig_look(vcpu, vcpu->test);
    if (vcpu->script_next < vcpu->script_count)
        return false;
    atomic_store(&cpu->sched.leave, true);
    return true;
}

struct vm *rig_vm_of(const struct config_vm *config)
{
    struct vm *vm = NULL;

    ASSERT_OK(vm_create(config, &vm));
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        ASSERT(guest_count < GUESTS_MAX);
        guests[guest_count] = (struct rig_guest){0};
        vm->vcpus[i].arch.test = &guests[guest_count++];
        vm->vcpus[i].arch.on_run = rig_run;
    }
    return vm;
}

struct vm *rig_vm(const char *name, unsigned vcpus, unsigned first_cpu)
{
    return rig_vm_of(rig_config(name, vcpus, first_cpu));
}

struct vm *rig_running(unsigned vcpus)
{
    struct vm *vm;

    rig_start();
    vm = rig_vm("web", vcpus, 0);
    ASSERT_OK(vm_start(vm));
    rig_turns(2);
    ASSERT_EQ(vm->vcpus[0].power, VCPU_ON);
    return vm;
}

enum err rig_bind(struct vcpu *vcpu)
{
    TRY(vcpu_set_state(vcpu, VCPU_READY));
    arch_vcpu_bind(&vcpu->arch);
    this_cpu()->guest = vcpu;
    vcpu->vm->machine->bound(vcpu);
    return OK;
}

void rig_script(struct vcpu *vcpu, const struct vcpu_exit *exits, unsigned count)
{
    struct rig_guest *guest = vcpu->arch.test;

    ASSERT(count <= SCRIPT_MAX);
    memcpy(guest->script, exits, count * sizeof(*exits));
    vcpu->arch.script = guest->script;
    vcpu->arch.script_count = count;
    vcpu->arch.script_next = 0;
}

void rig_turn(unsigned cpu)
{
    fake_be_cpu(cpu);
    if (atomic_load(&this_cpu()->ipi_under_way))
        ipi_taken();
    sched_turn();
    ASSERT_EQ(this_cpu()->ranks_held, 0);
    fake_be_cpu(0);
}

void rig_turns(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        for (unsigned cpu = 0; cpu < pcpu_count; cpu++)
            rig_turn(cpu);
}

void rig_advance(uint64_t ns)
{
    fake_advance(ns);
    for (unsigned cpu = 0; cpu < pcpu_count; cpu++) {
        fake_be_cpu(cpu);
        if (this_cpu()->arch.timer_deadline <= arch_ticks())
            timer_expire();
    }
    fake_be_cpu(0);
}

/* By the vCPU, bound on its pCPU as when it exits for an access. */
static uint64_t rig_access(struct vm *vm, unsigned vcpu, const struct vcpu_exit *exit)
{
    uint64_t addr = exit->mmio.gpa.v, value = 0;
    struct bus_hint hint = {};
    struct vdev *dev = bus_find(&vm->bus, addr, exit->mmio.width, &hint);

    ASSERT(dev);
    fake_be_cpu(vm->vcpus[vcpu].sched.cpu);
    ASSERT_OK(rig_bind(&vm->vcpus[vcpu]));
    if (exit->kind == EXIT_MMIO_READ)
        value = dev->ops->read(dev, vcpu, addr - dev->base, exit->mmio.width);
    else
        dev->ops->write(dev, vcpu, addr - dev->base, exit->mmio.width, exit->mmio.data);
    ASSERT_OK(vcpu_unbind(&vm->vcpus[vcpu]));
    fake_be_cpu(0);
    return value;
}

void rig_write(struct vm *vm, unsigned vcpu, uint64_t addr, unsigned width, uint64_t value)
{
    const struct vcpu_exit exit = {
        .kind = EXIT_MMIO_WRITE,
        .mmio = {.gpa = {addr}, .width = (uint8_t)width, .data = value},
    };

    rig_access(vm, vcpu, &exit);
}

uint64_t rig_read(struct vm *vm, unsigned vcpu, uint64_t addr, unsigned width)
{
    const struct vcpu_exit exit = {
        .kind = EXIT_MMIO_READ,
        .mmio = {.gpa = {addr}, .width = (uint8_t)width},
    };

    return rig_access(vm, vcpu, &exit);
}

/* [IHI 0069, 12.9 and 12.11] */
void rig_irq_enable(struct vm *vm, unsigned vcpu, uint32_t irq)
{
    uint64_t base = irq < 32 ? RIG_GICR + vcpu * 0x20000 + 0x10000 : RIG_GICD;

    rig_write(vm, vcpu, RIG_GICD, 4, 2);                                   /* EnableGrp1 */
    rig_write(vm, vcpu, RIG_GICR + vcpu * 0x20000 + 0x14, 4, 0);           /* GICR_WAKER */
    rig_write(vm, vcpu, base + 0x80 + irq / 32 * 4, 4, ~0u);               /* IGROUPR */
    rig_write(vm, vcpu, base + 0x400 + irq, 1, 0xa0);                      /* IPRIORITYR */
    rig_write(vm, vcpu, base + 0x100 + irq / 32 * 4, 4, 1u << (irq % 32)); /* ISENABLER */
}

static struct rig_guest *rig_guest(const struct vcpu *vcpu)
{
    return vcpu->arch.test;
}

bool rig_irq_seen(const struct vcpu *vcpu, uint32_t irq)
{
    return rig_guest(vcpu)->seen[irq / 64] >> irq % 64 & 1;
}

void rig_irq_take(struct vcpu *vcpu)
{
    rig_guest(vcpu)->takes = true;
}

unsigned rig_irq_taken(const struct vcpu *vcpu, uint32_t irq)
{
    return rig_guest(vcpu)->taken[irq];
}

void rig_type(struct vm *vm, char c)
{
    struct console_port *port = vm_console(vm);

    port->input(port, c);
}
