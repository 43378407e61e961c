/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VM consists of, but its memory, on its way to a snapshot, or from one: its shape, which
 * must be the same; its time; each vCPU with its registers, power, waits, and interrupts that it
 * has yet to look at; then what the machine has. All vCPUs are held.
 */
#include "kernel/platform.h"
#include "kernel/string.h"
#include "vcpu/machine_ops.h"
#include "vcpu/snapshot_impl.h"
#include "vcpu/vm_impl.h"

/* Of what is asked of a vCPU, what its guest or its machine asked. */
#define REQUESTS_KEPT        (VCPU_REQ_IRQ | VCPU_REQ_START | VCPU_REQ_INIT | VCPU_REQ_SIPI)
#define WATCHDOG_LEFT_MAX_NS (24ull * 3600 * 1000000000)

/* --- Its shape --- */

static void shape_number(struct state *s, uint64_t own, const char *why)
{
    uint64_t number = own;

    STATE(s, number);
    state_require(s, number == own, why);
}

/* Cut to STATE_NAME_MAX. NULL: there is none. */
static void shape_text(struct state *s, const char *own, const char *why)
{
    char text[STATE_NAME_MAX] = "", given[STATE_NAME_MAX];

    str_copy(text, sizeof(text), own ? own : "");
    memcpy(given, text, sizeof(given));
    state_bytes(s, given, sizeof(given));
    state_require(s, memcmp(given, text, sizeof(text)) == 0, why);
}

static void shape_memory(const struct guestmap *map, struct state *s)
{
    static const char other[] = "the VM has other regions of memory";

    shape_number(s, guestmap_ram_size(map), "the VM has another size of memory");
    shape_number(s, map->region_count, other);
    for (unsigned i = 0; i < map->region_count; i++) {
        shape_number(s, map->regions[i].base.v, other);
        shape_number(s, map->regions[i].size, other);
        shape_number(s, map->regions[i].kind, other);
    }
}

static void shape_bus(const struct bus *bus, struct state *s)
{
    static const char other[] = "the VM has other devices";

    shape_number(s, bus->count, other);
    for (unsigned i = 0; i < bus->count; i++) {
        shape_text(s, bus->devices[i]->ops->name, other);
        shape_number(s, bus->devices[i]->base, other);
        shape_number(s, bus->devices[i]->size, other);
    }
}

static void shape_state(struct vm *vm, struct state *s)
{
    static const char other[] = "this machine's processors have other features";

    state_section(s, "shape", 1);
    shape_number(s, vm->vcpu_count, "the VM has another number of vCPUs");
    shape_memory(&vm->map, s);
    shape_bus(&vm->bus, s);
    shape_bus(&vm->ports, s);
    shape_number(s, virt_caps.gic_version, other);
    shape_number(s, virt_caps.guest_timer, other);
    shape_number(s, virt_caps.guest_msi, other);
    shape_number(s, virt_caps.isa ? strlen(virt_caps.isa) : 0, other);
    if (virt_caps.isa)
        for (const char *at = virt_caps.isa; *at; at += strnlen(at, STATE_NAME_MAX - 1))
            shape_text(s, at, other);
}

const char *snapshot_fits(const struct snapshot *snapshot, struct vm *vm)
{
    struct snapshot_reader r;

    snapshot_reader_init(&r, snapshot, 0);
    shape_state(vm, &r.state);
    return state_ok(&r.state) ? NULL : r.state.why;
}

/* --- Its vCPUs --- */

/* What was stolen counts on from what the guest was told, on whatever pCPU it runs now. */
static void steal_state(struct vcpu *vcpu, struct state *s)
{
    struct vsteal *steal = &vcpu->steal;

    STATE(s, steal->on);
    STATE(s, steal->begun);
    STATE(s, steal->sequence);
    STATE(s, steal->place);
    STATE(s, steal->told_ns);
    state_require(s, IS_ALIGNED(steal->place, VSTEAL_SIZE), "stolen time has a misaligned place");
    if (state_loading(s))
        steal->base_ns = ticks_to_ns(sched_waited_ticks(&vcpu->sched)) - steal->told_ns;
}

static void entry_state(struct arch_entry *entry, struct state *s)
{
    STATE(s, entry->pc.v);
    STATE(s, entry->arg);
    STATE(s, entry->mode);
    state_require(s, entry->mode <= ARCH_MODE_LONG, "there is no such mode to begin in");
}

static void vcpu_state_save_or_load(struct vcpu *vcpu, struct state *s)
{
    uint32_t requests = atomic_load(&vcpu->requests) & (uint32_t)REQUESTS_KEPT;
    enum vcpu_power power = vcpu->power;

    state_section(s, "vcpu", 1);
    STATE(s, power);
    STATE(s, requests);
    STATE(s, vcpu->resume);
    STATE(s, vcpu->suspended);
    STATE(s, vcpu->waiting);
    entry_state(&vcpu->entry, s);
    STATE_ARRAY(s, vcpu->virq.look);
    STATE_ARRAY(s, vcpu->virq.edge);
    steal_state(vcpu, s);
    state_require(s, power <= VCPU_ON, "there is no such power state");
    state_require(s, (power == VCPU_ON_PENDING) == ((requests & VCPU_REQ_START) != 0),
                  "its power and what is asked of it do not agree");
    if (!state_loading(s) || !state_ok(s))
        return;
    vcpu->power = power;
    atomic_store(&vcpu->requests, (requests & (uint32_t)REQUESTS_KEPT) | VCPU_REQ_HOLD);
}

static void registers_state(struct vcpu *vcpu, struct state *s, struct arch_regs *regs)
{
    state_section(s, "registers", 1);
    if (!state_loading(s))
        arch_vcpu_get_regs(&vcpu->arch, regs);
    state_bytes(s, regs, sizeof(*regs));
    if (state_loading(s) && state_ok(s))
        state_require(s, arch_vcpu_set_regs(&vcpu->arch, regs) == OK,
                      "the hardware could not be given these registers");
}

static void vcpus_state(struct vm *vm, struct state *s)
{
    struct arch_regs *regs = vm_alloc(sizeof(*regs));

    if (!regs)
        state_refuse(s, E_NOMEM, "there is no memory left for it");
    for (unsigned i = 0; regs && i < vm->vcpu_count; i++) {
        struct vcpu *vcpu = &vm->vcpus[i];

        if (state_loading(s))
            arch_vcpu_set_time(&vcpu->arch, vm->started_ticks);
        vcpu_state_save_or_load(vcpu, s);
        registers_state(vcpu, s, regs);
        vm->machine->cpu_state(vcpu, s);
    }
    vm_free(regs, sizeof(*regs));
}

/* --- All of it --- */

static void time_state(struct vm *vm, struct state *s)
{
    state_section(s, "vm", 1);
    state_ticks(s, &vm->started_ticks);
    STATE(s, vm->watchdog_left);
    state_require(s,
                  vm->watchdog_left == TICKS_NEVER ||
                      vm->watchdog_left <= ticks_from_ns(WATCHDOG_LEFT_MAX_NS),
                  "its watchdog is too far away");
}

static void devices_state(const struct bus *bus, struct state *s)
{
    for (unsigned i = 0; i < bus->count; i++)
        if (bus->devices[i]->ops->state)
            bus->devices[i]->ops->state(bus->devices[i], s);
}

void snapshot_vm_state(struct vm *vm, struct state *s)
{
    shape_state(vm, s);
    time_state(vm, s);
    vcpus_state(vm, s);
    vm->machine->state(vm, s);
    devices_state(&vm->bus, s);
    devices_state(&vm->ports, s);
}
