/* SPDX-License-Identifier: Apache-2.0 */
/* The policies of the configuration, told to the scheduler. The contract is in vm.h. */
#include "kernel/assert.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "vcpu/vm.h"

static struct sched_slot slots[CONFIG_SLOTS_MAX]; /* As in the configuration. */
static const struct config *tables;               /* Once they have been set. */

static uint64_t ns_of(uint32_t us)
{
    return (uint64_t)us * 1000;
}

void vm_share_slices(const struct config *config)
{
    for (unsigned cpu = 0; cpu < pcpu_count; cpu++)
        if (config->cpus[cpu].slice_us)
            sched_set_slice(cpu, ns_of(config->cpus[cpu].slice_us));
}

void vm_share_vcpu(struct vcpu *vcpu)
{
    const struct config_vm *config = vcpu->vm->config;
    uint64_t affinity = config->affinity[vcpu->index];

    sched_set_weight(&vcpu->sched, config->weight);
    if (config->budget_us)
        sched_set_budget(&vcpu->sched, ns_of(config->budget_us), ns_of(config->period_us));
    if (config->balance) /* What has slots has an affinity to its pCPU alone. */
        sched_set_affinity(&vcpu->sched, affinity ? affinity : UINT64_MAX, vcpu_moving);
}

/* NULL: the VM was left out, or could not be made. */
static struct sched_entity *slot_entity(const struct config_slot *slot)
{
    struct vm *vm = vm_find(slot->vm);

    return vm ? &vm->vcpus[slot->vcpu].sched : NULL;
}

/* A time table's slots of the VM get their entity, or none. */
void vm_share_slots(struct vm *vm, bool owned)
{
    for (unsigned cpu = 0; tables && cpu < pcpu_count; cpu++) {
        const struct config_cpu *from = &tables->cpus[cpu];

        if (from->policy != CONFIG_TABLE_CPU)
            continue;
        for (unsigned i = from->slot_first; i < from->slot_first + from->slot_count; i++)
            if (strcmp(tables->slots[i].vm, vm->config->name) == 0)
                sched_set_slot(cpu, &slots[i],
                               owned ? &vm->vcpus[tables->slots[i].vcpu].sched : NULL);
    }
}

void vm_share_tables(const struct config *config)
{
    tables = config;
    for (unsigned i = 0; i < config->slot_count; i++) {
        const struct config_slot *from = &config->slots[i];

        slots[i] = (struct sched_slot){
            .start = ticks_from_ns(ns_of(from->start_us)),
            .end = ticks_from_ns(ns_of(from->start_us + from->length_us)),
            .entity = slot_entity(from),
        };
    }
    for (unsigned cpu = 0; cpu < pcpu_count; cpu++) {
        const struct config_cpu *from = &config->cpus[cpu];

        if (from->policy == CONFIG_TABLE_CPU)
            sched_set_table(cpu, &slots[from->slot_first], from->slot_count,
                            ticks_from_ns(ns_of(from->cycle_us)));
    }
}
