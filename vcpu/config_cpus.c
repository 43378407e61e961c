/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How pCPUs are shared: the node "cpus" with a policy for each pCPU, and what VMs say of their
 * share; see config_read.h. A pCPU whose node has mistakes is shared as if there were no node.
 */
#include "kernel/string.h"
#include "vcpu/config_read.h"

#define LIST(...)     ((const char *const[]){__VA_ARGS__, NULL})
#define WEIGHT_MAX    100u
#define BUDGET_MIN_US 100u
#define PERIOD_MIN_US 1000u
#define PERIOD_MAX_US 1000000u
#define SLICE_MIN_US  1000u
#define SLICE_MAX_US  1000000u
#define SLOT_MIN_US   100u
#define CYCLE_MIN_US  1000u
#define CYCLE_MAX_US  10000000u

static const char *const policy_words[] = {"shared", "exclusive", "table", NULL};

/* --- VMs --- */

static bool number32(struct config_reader *r, int node, const char *name, uint32_t min,
                     uint32_t max, uint32_t *value)
{
    uint64_t number;

    if (!config_number(r, node, name, min, max, &number))
        return false;
    *value = (uint32_t)number;
    return true;
}

static void budget_read(struct config_reader *r, struct config_vm *vm)
{
    bool budget = number32(r, vm->node, "budget-us", BUDGET_MIN_US, PERIOD_MAX_US, &vm->budget_us);
    bool period = number32(r, vm->node, "period-us", PERIOD_MIN_US, PERIOD_MAX_US, &vm->period_us);

    if (budget && period && vm->budget_us > vm->period_us)
        config_mistake(r, vm->node, "budget-us", "'budget-us' is %u, more than 'period-us', %u",
                       vm->budget_us, vm->period_us);
    if (budget && !fdt_has(r->fdt, vm->node, "period-us"))
        config_mistake(r, vm->node, "budget-us", "'budget-us' needs a 'period-us'");
    if (period && !fdt_has(r->fdt, vm->node, "budget-us"))
        config_mistake(r, vm->node, "period-us", "'period-us' needs a 'budget-us'");
}

void config_share(struct config_reader *r, struct config_vm *vm)
{
    static const char *const words[] = {"weight", "budget-us", "period-us", "balance", NULL};
    uint32_t weight;

    for (const char *const *word = words; vm->exclusive && *word; word++) {
        if (!fdt_has(r->fdt, vm->node, *word))
            continue;
        config_mistake(r, vm->node, *word, "'%s' means nothing to an exclusive VM", *word);
        return;
    }
    if (number32(r, vm->node, "weight", 1, WEIGHT_MAX, &weight))
        vm->weight = (uint8_t)weight;
    budget_read(r, vm);
}

/* --- Time tables --- */

/* NULL: it is in the tree, but was left out. */
static struct config_vm *slot_vm(struct config_reader *r, const struct config_slot *slot)
{
    for (unsigned i = 0; i < r->config->vm_count; i++)
        if (strcmp(r->config->vms[i].name, slot->vm) == 0)
            return &r->config->vms[i];
    return NULL;
}

static void slot_vm_check(struct config_reader *r, int node, unsigned cpu,
                          const struct config_slot *slot)
{
    int vms = fdt_node(r->fdt, "/vms");
    const struct config_vm *vm = slot_vm(r, slot);

    if (vms < 0 || fdt_child(r->fdt, vms, slot->vm) < 0)
        config_mistake(r, node, "vm", "there is no VM '%s'", slot->vm);
    if (!vm)
        return;
    if (slot->vcpu >= vm->cpu_count) {
        config_mistake(r, node, "vcpu", "/vms/%s has %u vCPUs only, from 0 on", vm->name,
                       vm->cpu_count);
        return;
    }
    if (vm->exclusive)
        config_mistake(r, node, "vm", "/vms/%s is exclusive: it has pCPUs of its own", vm->name);
    else if (vm->budget_us)
        config_mistake(r, node, "vm", "/vms/%s has a budget; what has slots cannot", vm->name);
    else if (vm->affinity[slot->vcpu] && !(vm->affinity[slot->vcpu] >> cpu & 1))
        config_mistake(r, node, "vm", "vCPU %u of /vms/%s has an affinity without pCPU %u",
                       slot->vcpu, vm->name, cpu);
    else if (vm->table_vcpus >> slot->vcpu & 1)
        config_mistake(r, node, "vm", "vCPU %u of /vms/%s has slots on another pCPU already",
                       slot->vcpu, vm->name);
}

/* before_us: where the slot before ends. */
static void slot_read(struct config_reader *r, int node, const struct config_cpu *cpu,
                      struct config_slot *slot, uint32_t before_us)
{
    uint32_t vcpu = 0;

    *slot = (struct config_slot){.start_us = before_us};
    config_known(r, node, LIST("vm", "vcpu", "start-us", "length-us"), LIST(NULL));
    if (!fdt_has(r->fdt, node, "vm"))
        config_mistake(r, node, NULL, "there is no 'vm', which has the slot");
    if (!fdt_has(r->fdt, node, "length-us"))
        config_mistake(r, node, NULL, "there is no 'length-us'");
    number32(r, node, "vcpu", 0, CONFIG_VCPUS_MAX - 1, &vcpu);
    slot->vcpu = vcpu;
    number32(r, node, "start-us", 0, CYCLE_MAX_US, &slot->start_us);
    number32(r, node, "length-us", SLOT_MIN_US, CYCLE_MAX_US, &slot->length_us);
    if (slot->start_us < before_us)
        config_mistake(r, node, "start-us",
                       "the slot starts at %u us, but the one before it ends at %u us",
                       slot->start_us, before_us);
    if (cpu->cycle_us && slot->start_us + slot->length_us > cpu->cycle_us)
        config_mistake(r, node, "length-us", "the slot ends at %u us, but the cycle has %u us",
                       slot->start_us + slot->length_us, cpu->cycle_us);
    if (config_string(r, node, "vm", &slot->vm))
        slot_vm_check(r, node, (unsigned)(cpu - r->config->cpus), slot);
}

static void slots_read(struct config_reader *r, int node, struct config_cpu *cpu)
{
    struct config *config = r->config;
    int slots = fdt_child(r->fdt, node, "slots");
    uint32_t end_us = 0;

    if (slots < 0 || fdt_first_child(r->fdt, slots) < 0) {
        config_mistake(r, slots < 0 ? node : slots, NULL,
                       "there are no slots; the node 'slots' has one node for each");
        return;
    }
    config_known(r, slots, LIST(NULL), NULL);
    for (int child = fdt_first_child(r->fdt, slots); child >= 0;
         child = fdt_next_child(r->fdt, child)) {
        struct config_slot *slot = &config->slots[cpu->slot_first + cpu->slot_count];

        if (cpu->slot_first + cpu->slot_count == CONFIG_SLOTS_MAX) {
            config_mistake(r, child, NULL, "there cannot be more than %u slots", CONFIG_SLOTS_MAX);
            return;
        }
        slot_read(r, child, cpu, slot, end_us);
        end_us = slot->start_us + slot->length_us;
        cpu->slot_count++;
    }
}

/* vCPUs that have slots are where these are; the VMs were checked. */
static void slots_apply(struct config_reader *r, const struct config_cpu *cpu)
{
    struct config *config = r->config;
    uint64_t mask = (uint64_t)1 << (cpu - config->cpus);

    config->table_cpus |= mask;
    config->slot_count += cpu->slot_count;
    for (unsigned i = 0; i < cpu->slot_count; i++) {
        const struct config_slot *slot = &config->slots[cpu->slot_first + i];
        struct config_vm *vm = slot_vm(r, slot);

        if (!vm)
            continue;
        vm->affinity[slot->vcpu] = mask;
        vm->table_vcpus |= (uint32_t)1 << slot->vcpu;
    }
}

/* --- pCPUs --- */

static bool cpu_find(struct config_reader *r, int node, uint64_t *number)
{
    const char *name = fdt_name(r->fdt, node);
    unsigned host = r->context->cpu_count;

    if (strncmp(name, "cpu@", 4) != 0 || !str_to_u64(name + 4, number)) {
        config_mistake(r, node, NULL, "unknown node '%s'; pCPUs are named cpu@0, cpu@1 and so on",
                       name);
        return false;
    }
    if (*number >= (host ? MIN(host, CPUS_MAX) : CPUS_MAX)) {
        if (host)
            config_mistake(r, node, NULL, "this machine has pCPUs 0 to %u only", host - 1);
        else
            config_mistake(r, node, NULL, "pCPUs go from 0 to 63");
        return false;
    }
    return true;
}

static bool is_exclusive(const struct config *config, unsigned cpu)
{
    for (unsigned i = 0; i < config->vm_count; i++)
        for (unsigned v = 0; config->vms[i].exclusive && v < config->vms[i].cpu_count; v++)
            if (config->vms[i].affinity[v] >> cpu & 1)
                return true;
    return false;
}

/* What belongs to another policy. */
static void misplaced_check(struct config_reader *r, int node, enum config_policy policy)
{
    static const char *const properties[] = {"slice-us", "cycle-us"};
    static const enum config_policy policies[] = {CONFIG_SHARED_CPU, CONFIG_TABLE_CPU};

    for (unsigned i = 0; i < ARRAY_SIZE(properties); i++)
        if (policies[i] != policy && fdt_has(r->fdt, node, properties[i]))
            config_mistake(r, node, properties[i], "'%s' needs policy = \"%s\"", properties[i],
                           policy_words[policies[i]]);
    if (policy != CONFIG_TABLE_CPU && fdt_child(r->fdt, node, "slots") >= 0)
        config_mistake(r, fdt_child(r->fdt, node, "slots"), NULL,
                       "'slots' need policy = \"table\"");
}

/* vms_good: no VM was left out, which the pCPU may have been meant for. */
static void cpu_read(struct config_reader *r, int node, struct config_cpu *cpu, bool vms_good)
{
    bool exclusive = is_exclusive(r->config, (unsigned)(cpu - r->config->cpus));
    unsigned policy = CONFIG_SHARED_CPU;

    cpu->slot_first = r->config->slot_count;
    config_known(r, node, LIST("policy", "slice-us", "cycle-us"), LIST("slots"));
    config_choice(r, node, "policy", policy_words, &policy);
    cpu->policy = policy;
    misplaced_check(r, node, policy);
    number32(r, node, "slice-us", SLICE_MIN_US, SLICE_MAX_US, &cpu->slice_us);
    number32(r, node, "cycle-us", CYCLE_MIN_US, CYCLE_MAX_US, &cpu->cycle_us);
    if (exclusive && policy != CONFIG_EXCLUSIVE_CPU)
        config_mistake(r, node, "policy", "the pCPU is exclusive to a VM, and cannot be \"%s\"",
                       policy_words[policy]);
    if (!exclusive && policy == CONFIG_EXCLUSIVE_CPU && vms_good)
        config_mistake(r, node, "policy", "no exclusive VM has this pCPU in its 'affinity'");
    if (policy != CONFIG_TABLE_CPU)
        return;
    if (!fdt_has(r->fdt, node, "cycle-us"))
        config_mistake(r, node, NULL, "there is no 'cycle-us', after which the table repeats");
    slots_read(r, node, cpu);
}

void config_cpus(struct config_reader *r)
{
    int cpus = fdt_node(r->fdt, "/cpus");
    bool vms_good = r->report->count == 0;
    uint64_t seen = 0, number;

    if (cpus < 0)
        return;
    config_known(r, cpus, LIST("#address-cells", "#size-cells"), NULL);
    for (int node = fdt_first_child(r->fdt, cpus); node >= 0; node = fdt_next_child(r->fdt, node)) {
        unsigned mistakes = r->report->count;

        if (!cpu_find(r, node, &number))
            continue;
        if (seen >> number & 1) {
            config_mistake(r, node, NULL, "there is another node for pCPU %u", (unsigned)number);
            continue;
        }
        seen |= (uint64_t)1 << number;
        cpu_read(r, node, &r->config->cpus[number], vms_good);
        if (r->report->count != mistakes)
            r->config->cpus[number] = (struct config_cpu){};
        else if (r->config->cpus[number].policy == CONFIG_TABLE_CPU)
            slots_apply(r, &r->config->cpus[number]);
    }
}
