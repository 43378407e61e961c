/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold between the properties of a VM, the machine, and the other VMs; see config_read.h.
 */
#include "kernel/fmt.h"
#include "kernel/string.h"
#include "vcpu/config_read.h"
#include "vcpu/image.h"
#include "vcpu/machine.h"

#define ull(x)   ((unsigned long long)(x))
#define HOST_END ((uint64_t)1 << 52) /* No host has longer physical addresses. */

/* --- Affinity --- */

/* A decimal number below CPUS_MAX at *s, which is moved behind it; CPUS_MAX: none. */
static unsigned cpu_number(const char **s)
{
    unsigned v = 0;

    if (**s < '0' || **s > '9')
        return CPUS_MAX;
    for (; **s >= '0' && **s <= '9'; (*s)++)
        v = MIN(v * 10 + (unsigned)(**s - '0'), CPUS_MAX);
    return v;
}

/* "0-1,3" to a mask; NULL or what is wrong with it. */
static const char *cpu_list(const char *s, uint64_t *mask)
{
    unsigned next = 0; /* Lowest that may follow. */

    *mask = 0;
    for (;; s++) {
        bool digits = *s >= '0' && *s <= '9';
        unsigned first = cpu_number(&s), last = first;

        if (*s == '-' && digits) {
            s++;
            digits = *s >= '0' && *s <= '9';
            last = cpu_number(&s);
        }
        if (!digits || (*s != ',' && *s != '\0'))
            return "it must be pCPUs such as \"0-1,3\"";
        if (first >= CPUS_MAX || last >= CPUS_MAX)
            return "pCPUs go from 0 to 63";
        if (first < next || last < first)
            return "its pCPUs must be in ascending order, each once";
        for (unsigned cpu = first; cpu <= last; cpu++)
            *mask |= (uint64_t)1 << cpu;
        next = last + 1;
        if (*s == '\0')
            return NULL;
    }
}

static bool affinity_at(struct config_reader *r, const struct config_vm *vm, unsigned index,
                        uint64_t *mask)
{
    const char *s = fdt_str_at(r->fdt, vm->node, "affinity", index);
    const char *wrong = cpu_list(s, mask);
    unsigned host = r->context->cpu_count;

    if (wrong) {
        config_mistake(r, vm->node, "affinity", "'affinity' is \"%s\"; %s", s, wrong);
        return false;
    }
    if (host && host < CPUS_MAX && *mask >> host) {
        config_mistake(r, vm->node, "affinity",
                       "'affinity' is \"%s\", but this machine has pCPUs 0 to %u only", s,
                       host - 1);
        return false;
    }
    return true;
}

/* One list for all vCPUs of an exclusive VM: the first vCPU gets the first pCPU, and so on. */
static void affinity_deal(struct config_reader *r, struct config_vm *vm, uint64_t mask)
{
    if ((unsigned)__builtin_popcountll(mask) != vm->cpu_count) {
        config_mistake(r, vm->node, "affinity",
                       "'affinity' names %d pCPUs; an exclusive VM with %u vCPUs needs as many",
                       __builtin_popcountll(mask), vm->cpu_count);
        mask = 0;
    }
    for (unsigned i = 0; i < vm->cpu_count; i++) {
        vm->affinity[i] = mask & -mask;
        mask &= mask - 1;
    }
}

void config_affinity(struct config_reader *r, struct config_vm *vm)
{
    unsigned count = 0;
    uint64_t mask = 0;

    if (!fdt_has(r->fdt, vm->node, "affinity")) {
        if (vm->exclusive)
            config_mistake(r, vm->node, "exclusive", "'exclusive' needs an 'affinity'");
        return;
    }
    if (!config_strings(r, vm->node, "affinity")) {
        config_mistake(r, vm->node, "affinity",
                       "'affinity' must be a string with pCPUs, such as \"0-1,3\"");
        return;
    }
    while (fdt_str_at(r->fdt, vm->node, "affinity", count))
        count++;
    if (count > 1 && count != vm->cpu_count) {
        config_mistake(r, vm->node, "affinity",
                       "'affinity' has %u strings; it must have one, or one for each of %u vCPUs",
                       count, vm->cpu_count);
        return;
    }
    for (unsigned i = 0; i < vm->cpu_count; i++) {
        if ((i == 0 || count > 1) && !affinity_at(r, vm, i, &mask))
            return;
        vm->affinity[i] = mask;
        if (vm->exclusive && count > 1 && (mask & (mask - 1)))
            config_mistake(r, vm->node, "affinity",
                           "vCPU %u has several pCPUs; of an exclusive VM it has one", i);
    }
    if (vm->exclusive && count <= 1)
        affinity_deal(r, vm, mask);
}

/* --- Ranges --- */

struct range {
    const char *name;
    uint64_t base, size;
    bool shared; /* May lie over others that may, too. */
};

static bool ranges_overlap(const struct range *a, const struct range *b)
{
    return a->size && b->size && a->base < b->base + b->size && b->base < a->base + a->size;
}

static bool range_check(struct config_reader *r, int node, const char *property,
                        const struct range *range, uint64_t end)
{
    if (range->base < end && range->size <= end - range->base)
        return true;
    config_mistake(r, node, property, "%s at 0x%llx with 0x%llx bytes ends beyond 0x%llx",
                   range->name, ull(range->base), ull(range->size), ull(end));
    return false;
}

static void overlap_report(struct config_reader *r, int node, const char *property,
                           const struct range *a, const struct range *b, const char *whose)
{
    config_mistake(r, node, property, "%s at 0x%llx-0x%llx overlaps %s%s at 0x%llx-0x%llx", a->name,
                   ull(a->base), ull(a->base + a->size - 1), whose, b->name, ull(b->base),
                   ull(b->base + b->size - 1));
}

static int region_node(struct config_reader *r, const struct config_vm *vm, unsigned index)
{
    int regions = fdt_child(r->fdt, vm->node, "regions");

    return fdt_child(r->fdt, regions, vm->regions[index].name);
}

static struct range ram_range(const struct machine_layout *machine, const struct config_vm *vm,
                              unsigned piece)
{
    struct machine_ram ram = machine_ram(machine, vm->memory_size, piece);

    return (struct range){"RAM", ram.base, ram.size, false};
}

/* In the guest's address space: RAM, regions before this one, and the machine's devices. */
static void region_check(struct config_reader *r, const struct config_vm *vm, unsigned index)
{
    const struct machine_layout *machine = r->context->machine;
    const struct config_region *region = &vm->regions[index];
    struct range self = {"the region", region->address, region->size, false};
    int node = region_node(r, vm, index);

    if (self.size == 0 || !range_check(r, node, "address", &self, machine->gpa_end))
        return;
    for (unsigned i = 0; i < MACHINE_RAM_PIECES; i++) {
        struct range ram = ram_range(machine, vm, i);

        if (ranges_overlap(&self, &ram))
            overlap_report(r, node, "address", &self, &ram, "the VM's ");
    }
    for (unsigned i = 0; i < index; i++) {
        struct range other = {vm->regions[i].name, vm->regions[i].address, vm->regions[i].size,
                              false};

        if (ranges_overlap(&self, &other))
            overlap_report(r, node, "address", &self, &other, "the region ");
    }
    for (unsigned i = 0; i < machine->device_count; i++) {
        const struct machine_device *device = &machine->devices[i];
        struct range other = {device->name, device->base, device->size, false};

        if (!device->ports && ranges_overlap(&self, &other))
            overlap_report(r, node, "address", &self, &other, "the machine's ");
    }
}

/* The index'th host range of a VM: its RAM, then its regions; with size 0 when it is not pinned. */
static struct range host_range(const struct config_vm *vm, unsigned index)
{
    struct range range = {"RAM", vm->memory_host, vm->memory_size, false};

    if (index > 0) {
        const struct config_region *region = &vm->regions[index - 1];

        range =
            (struct range){region->name, region->host, region->size, region->kind == CONFIG_SHARED};
    }
    if (range.base == 0)
        range.size = 0;
    return range;
}

static bool host_overlap(const struct range *a, const struct range *b)
{
    return !(a->shared && b->shared) && ranges_overlap(a, b);
}

/* The index'th host range of vm against those of other (all, or those before it, when other is the
 * same). */
static void host_check(struct config_reader *r, const struct config_vm *vm, unsigned index,
                       const struct config_vm *other)
{
    const struct range self = host_range(vm, index);
    unsigned count = other == vm ? index : other->region_count + 1;
    int node = index ? region_node(r, vm, index - 1) : vm->node;
    const char *property = index ? "host" : "memory-host";
    char whose[CONFIG_NAME_MAX + 8];

    fmt_buf(whose, sizeof(whose), "/vms/%s's ", other->name);
    for (unsigned i = 0; i < count; i++) {
        const struct range theirs = host_range(other, i);

        if (host_overlap(&self, &theirs))
            overlap_report(r, node, property, &self, &theirs, whose);
    }
}

static void host_ranges_check(struct config_reader *r, const struct config_vm *vm)
{
    for (unsigned i = 0; i <= vm->region_count; i++) {
        const struct range self = host_range(vm, i);
        int node = i ? region_node(r, vm, i - 1) : vm->node;

        if (self.size && !range_check(r, node, i ? "host" : "memory-host", &self, HOST_END))
            continue;
        host_check(r, vm, i, vm);
        for (unsigned j = 0; j < r->config->vm_count; j++)
            host_check(r, vm, i, &r->config->vms[j]);
    }
}

/* --- Sums --- */

static uint64_t vm_memory(const struct config_vm *vm)
{
    uint64_t sum = vm->memory_size;

    for (unsigned i = 0; i < vm->region_count; i++)
        if (vm->regions[i].kind == CONFIG_RAM || vm->regions[i].kind == CONFIG_ROM)
            sum += vm->regions[i].size;
    return sum;
}

static void memory_check(struct config_reader *r, const struct config_vm *vm)
{
    uint64_t sum = vm_memory(vm);

    for (unsigned i = 0; i < r->config->vm_count; i++)
        sum += vm_memory(&r->config->vms[i]);
    if (r->context->ram_size && sum > r->context->ram_size)
        config_mistake(r, vm->node, "memory",
                       "up to this VM the VMs need %lluM of memory, but this machine has %lluM",
                       ull(sum / MIB), ull(r->context->ram_size / MIB));
}

/* A guest's own tree: its header, read bytewise, because in the image it is aligned to 4 only. The
 * rest is the guest's. */
static bool is_tree(const struct config_file *file)
{
    const uint8_t *h = file->data;
    uint32_t total;

    if (file->size < 40 || memcmp(h, "\xd0\x0d\xfe\xed", 4) != 0)
        return false;
    total = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
    return total >= 40 && total <= file->size;
}

/* Kernel, initrd and tree, where they are known already, must be sound and fit. */
static void boot_check(struct config_reader *r, const struct config_vm *vm)
{
    int node = fdt_child(r->fdt, vm->node, "boot");
    struct image_plan plan;
    char why[200];

    if (vm->fdt.data && !is_tree(&vm->fdt))
        config_mistake(r, node, "fdt", "'%s' is not a compiled device tree", vm->fdt.name);
    if (vm->kernel.data && vm->memory_size &&
        image_plan(vm, r->context->machine, &plan, why, sizeof(why)) != OK)
        config_mistake(r, node, "kernel", "%s", why);
}

static uint64_t vm_cpus(const struct config_vm *vm)
{
    uint64_t mask = 0;

    for (unsigned i = 0; i < vm->cpu_count; i++)
        mask |= vm->affinity[i];
    return mask;
}

/* An exclusive vCPU's pCPU belongs to no other exclusive vCPU. */
static void exclusive_check(struct config_reader *r, const struct config_vm *vm)
{
    uint64_t seen = 0;

    for (unsigned i = 0; i < vm->cpu_count; i++) {
        if (seen & vm->affinity[i])
            config_mistake(r, vm->node, "affinity", "pCPU %d is given to two exclusive vCPUs",
                           __builtin_ctzll(vm->affinity[i]));
        seen |= vm->affinity[i];
    }
    for (unsigned i = 0; i < r->config->vm_count; i++) {
        const struct config_vm *other = &r->config->vms[i];

        if (other->exclusive && (seen & vm_cpus(other)))
            config_mistake(r, vm->node, "affinity", "pCPU %d is exclusive to /vms/%s already",
                           __builtin_ctzll(seen & vm_cpus(other)), other->name);
    }
}

void config_check_vm(struct config_reader *r, const struct config_vm *vm)
{
    for (unsigned i = 0; i < MACHINE_RAM_PIECES; i++) {
        struct range ram = ram_range(r->context->machine, vm, i);

        if (ram.size)
            range_check(r, vm->node, "memory", &ram, r->context->machine->gpa_end);
    }
    for (unsigned i = 0; i < vm->region_count; i++)
        region_check(r, vm, i);
    host_ranges_check(r, vm);
    memory_check(r, vm);
    boot_check(r, vm);
    if (vm->exclusive)
        exclusive_check(r, vm);
}

/* A shared vCPU needs a pCPU that is not taken: exclusive to another, or with a time table. */
static bool shared_check(struct config_reader *r, const struct config_vm *vm, uint64_t taken)
{
    unsigned host = r->context->cpu_count;
    uint64_t all = host && host < CPUS_MAX ? ((uint64_t)1 << host) - 1 : UINT64_MAX;

    for (unsigned i = 0; i < vm->cpu_count && !vm->exclusive; i++) {
        uint64_t mask = vm->affinity[i] ? vm->affinity[i] : all;

        if (mask & ~taken || vm->table_vcpus >> i & 1)
            continue;
        config_mistake(r, vm->node, vm->affinity[i] ? "affinity" : NULL,
                       "vCPU %u has no pCPU to run on: all of its are exclusive to other VMs%s", i,
                       r->config->table_cpus ? ", or have time tables in which it has no slot"
                                             : "");
        return false;
    }
    return true;
}

/* What belongs to others is cut out of a shared VM's affinities. */
static void avoid_taken(struct config_vm *vm, uint64_t taken)
{
    for (unsigned i = 0; i < vm->cpu_count && !vm->exclusive && taken; i++)
        if (!(vm->table_vcpus >> i & 1))
            vm->affinity[i] = (vm->affinity[i] ? vm->affinity[i] : UINT64_MAX) & ~taken;
}

void config_check_all(struct config_reader *r)
{
    struct config *config = r->config;
    unsigned kept = 0;
    uint64_t taken;

    for (unsigned i = 0; i < config->vm_count; i++)
        if (config->vms[i].exclusive)
            config->exclusive_cpus |= vm_cpus(&config->vms[i]);
    taken = config->exclusive_cpus | config->table_cpus;
    for (unsigned i = 0; i < config->vm_count; i++) {
        if (!shared_check(r, &config->vms[i], taken))
            continue;
        if (kept != i)
            config->vms[kept] = config->vms[i];
        config->vms[kept].index = kept;
        avoid_taken(&config->vms[kept], taken);
        kept++;
    }
    config->vm_count = kept;
}
