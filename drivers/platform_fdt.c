/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform out of a device tree, and the memory that the tree tells of.
 * [Devicetree Specification 0.4; Linux's bindings arm,gic, arm,gic-v3, arm,arch_timer, arm,psci,
 * pl011, 8250]
 *
 * Reads through kernel/fdt.h, which checks every offset; the tree is trusted no further. Boot only.
 */
#include "drivers/platform.h"

#include "drivers/platform_fdt.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "mm/memmap.h"

#define PATH_MAX_ 64u

enum err platform_node_wrong(const struct fdt *fdt, int node, const char *what)
{
    char path[PATH_MAX_];

    log_error("device tree: %s: %s", fdt_path(fdt, node, path, sizeof(path)), what);
    return E_INVALID;
}

/*
 * What the interrupt controller calls an interrupt; 0 when there is none. Of PLIC and APLIC the
 * first cell is the source; of a GIC it is the kind, 0 an SPI, 1 a PPI [arm,gic: #interrupt-cells].
 */
static uint32_t node_irq(const struct fdt_walk *at, int gic, unsigned index)
{
    uint32_t cells[4] = {0};
    unsigned count = fdt_walk_interrupt(at, gic, index, cells);

    if (platform.irqchip == IRQCHIP_PLIC || platform.irqchip == IRQCHIP_AIA)
        return count == 1 || count == 2 ? cells[0] : 0;
    if (count < 3)
        return 0;
    if (cells[0] == 0 && cells[1] < 988)
        return cells[1] + 32;
    if (cells[0] == 1 && cells[1] < 16)
        return cells[1] + 16;
    return 0;
}

int platform_next_compatible(const struct fdt *fdt, int node, const char *const *strings)
{
    struct fdt_walk walk = {.fdt = fdt};

    while (fdt_walk_next(&walk))
        if (fdt_walk_node(&walk) > node &&
            fdt_compatible(fdt, fdt_walk_node(&walk), strings) >= 0 &&
            fdt_is_enabled(fdt, fdt_walk_node(&walk)))
            return fdt_walk_node(&walk);
    return -1;
}

enum device { GICV3, GICV2, TIMER, PSCI, DEVICE_COUNT };

static const char *const device_names[] = {
    "arm,gic-v3",        "arm,gic-400",     "arm,cortex-a15-gic",
    "arm,cortex-a7-gic", "arm,armv8-timer", "arm,psci-1.0",
    "arm,psci-0.2",      "arm,psci",        NULL};
static const enum device device_of_name[] = {GICV3, GICV2, GICV2, GICV2, TIMER, PSCI, PSCI, PSCI};

/* Where they are; depth 0: nowhere. */
struct devices {
    struct fdt_walk at[DEVICE_COUNT];
    int gic; /* The node of the one we use; < 0: none. */
};

/* In one walk, for trees are long. The first of its kind that is enabled counts. */
static void find_devices(const struct fdt *fdt, struct devices *found)
{
    struct fdt_walk walk = {.fdt = fdt};

    *found = (struct devices){.gic = -1};
    while (fdt_walk_next(&walk)) {
        int node = fdt_walk_node(&walk), name = fdt_compatible(fdt, node, device_names);

        if (name >= 0 && found->at[device_of_name[name]].depth == 0 && fdt_is_enabled(fdt, node))
            found->at[device_of_name[name]] = walk;
    }
    for (enum device gic = GICV3; gic <= GICV2 && found->gic < 0; gic++)
        if (found->at[gic].depth > 0)
            found->gic = fdt_walk_node(&found->at[gic]);
}

static enum err take_cpus(const struct fdt *fdt)
{
    int cpus = fdt_node(fdt, "/cpus");

    if (cpus < 0)
        return OK; /* platform_end() says what is missing. */
    for (int node = fdt_first_child(fdt, cpus); node >= 0; node = fdt_next_child(fdt, node)) {
        const char *type = fdt_str(fdt, node, "device_type");
        uint64_t hw_id;

        if (type == NULL || strcmp(type, "cpu") != 0 || !fdt_is_enabled(fdt, node))
            continue;
        if (fdt_u64(fdt, node, "reg", &hw_id) != OK)
            return platform_node_wrong(fdt, node, "'reg' is not the processor's id");
        TRY(platform_add_cpu(hw_id, 0));
    }
    return OK;
}

static enum err take_gicv3(const struct fdt_walk *at)
{
    const struct fdt *fdt = at->fdt;
    uint64_t base, size;
    uint32_t count = 1;
    int node = fdt_walk_node(at);

    if (fdt_has(fdt, node, "#redistributor-regions") &&
        fdt_u32(fdt, node, "#redistributor-regions", 0, &count) != OK)
        return platform_node_wrong(fdt, node, "'#redistributor-regions' is not a number");
    if (fdt_walk_reg(at, 0, &platform.gicd, &size) != OK)
        return platform_node_wrong(fdt, node, "'reg' has no distributor");
    for (uint32_t i = 0; i < count; i++) {
        if (fdt_walk_reg(at, 1 + i, &base, &size) != OK)
            return platform_node_wrong(fdt, node, "'reg' has too few redistributor regions");
        TRY(platform_add_gicr(base, size));
    }
    platform.irqchip = IRQCHIP_GICV3;
    return OK;
}

static enum err take_gicv2(const struct fdt_walk *at)
{
    uint64_t *const bases[4] = {&platform.gicd, &platform.gicc, &platform.gich, &platform.gicv};
    uint64_t size;

    for (unsigned i = 0; i < ARRAY_SIZE(bases); i++) {
        if (fdt_walk_reg(at, i, bases[i], &size) != OK)
            return platform_node_wrong(at->fdt, fdt_walk_node(at),
                                       "'reg' lacks the virtualization interface");
    }
    platform.irqchip = IRQCHIP_GICV2;
    return OK;
}

static enum err take_gic(const struct devices *found)
{
    bool v3 = found->at[GICV3].depth > 0;
    const struct fdt_walk *at = &found->at[v3 ? GICV3 : GICV2];

    if (found->gic < 0)
        return OK;
    TRY(v3 ? take_gicv3(at) : take_gicv2(at));
    platform.gic_maintenance_irq = node_irq(at, found->gic, 0);
    return OK;
}

/* Interrupts: secure physical, physical, virtual, hypervisor [arm,arch_timer]. */
static void take_timer(const struct devices *found)
{
    const struct fdt_walk *at = &found->at[TIMER];

    if (at->depth == 0)
        return;
    platform.timer_irq_phys = node_irq(at, found->gic, 1);
    platform.timer_irq_virt = node_irq(at, found->gic, 2);
    platform.timer_irq_hyp = node_irq(at, found->gic, 3);
}

static enum err take_psci(const struct fdt_walk *at)
{
    const char *method;

    if (at->depth == 0)
        return OK;
    method = fdt_str(at->fdt, fdt_walk_node(at), "method");
    if (method != NULL && strcmp(method, "smc") == 0)
        platform.psci = CONDUIT_SMC;
    else if (method != NULL && strcmp(method, "hvc") == 0)
        platform.psci = CONDUIT_HVC;
    else
        return platform_node_wrong(at->fdt, fdt_walk_node(at),
                                   "'method' is neither \"smc\" nor \"hvc\"");
    return OK;
}

/* The node that a path or an alias names, with options behind a colon cut off; < 0: none. */
static int named_node(const struct fdt *fdt, const char *name)
{
    char path[128];
    char *options;

    if (!str_copy(path, sizeof(path), name))
        return -1;
    options = strchr(path, ':');
    if (options != NULL)
        *options = 0;
    if (path[0] != '/') {
        int aliases = fdt_node(fdt, "/aliases");
        const char *target = aliases < 0 ? NULL : fdt_str(fdt, aliases, path);

        return target == NULL ? -1 : fdt_node(fdt, target);
    }
    return fdt_node(fdt, path);
}

/* The kind of UART that the node is. One that the firmware keeps for itself is not enabled. */
static enum platform_uart uart_kind(const struct fdt *fdt, int node)
{
    static const char *const uarts[] = {"arm,pl011", "ns16550a", "ns16550", "snps,dw-apb-uart",
                                        NULL};
    int name = node < 0 || !fdt_is_enabled(fdt, node) ? -1 : fdt_compatible(fdt, node, uarts);

    return name < 0 ? UART_NONE : name == 0 ? UART_PL011 : UART_16550;
}

/* A console that we cannot use is no error: the machine runs without, or with the firmware's. */
static void take_uart(const struct fdt *fdt, int gic)
{
    int chosen = fdt_node(fdt, "/chosen");
    const char *name = chosen < 0 ? NULL : fdt_str(fdt, chosen, "stdout-path");
    int node = name == NULL ? -1 : named_node(fdt, name);
    enum platform_uart kind = uart_kind(fdt, node);
    struct fdt_walk at;
    uint64_t size;

    if (kind == UART_NONE || !fdt_walk_to(&at, fdt, node) ||
        fdt_walk_reg(&at, 0, &platform.uart_base, &size) != OK) {
        log_warn("device tree: /chosen/stdout-path: no UART that we know");
        return;
    }
    platform.uart = kind;
    platform.uart_irq = node_irq(&at, gic, 0);
    if (fdt_u32(fdt, node, "reg-shift", 0, &platform.uart_reg_shift) != OK ||
        platform.uart_reg_shift > 4)
        platform.uart_reg_shift = 0;
}

static void take_rtc(const struct fdt *fdt)
{
    static const char *const rtcs[] = {"arm,pl031", "google,goldfish-rtc", NULL};
    int node = platform_next_compatible(fdt, -1, rtcs);
    struct fdt_walk at;
    uint64_t size;

    if (node < 0 || !fdt_walk_to(&at, fdt, node) ||
        fdt_walk_reg(&at, 0, &platform.rtc_base, &size) != OK)
        return; /* The machine runs without. */
    platform.rtc = fdt_compatible(fdt, node, rtcs) == 0 ? RTC_PL031 : RTC_GOLDFISH;
}

static enum err take_arm(const struct devices *found, const struct fdt *fdt)
{
    TRY(take_cpus(fdt));
    TRY(take_gic(found));
    take_timer(found);
    return take_psci(&found->at[PSCI]);
}

enum err platform_from_fdt(const struct fdt *fdt)
{
    struct devices found;
    enum err err;

    platform_begin("device tree");
    find_devices(fdt, &found);
    err = platform_fdt_is_riscv(fdt) ? platform_fdt_riscv(fdt) : take_arm(&found, fdt);
    take_rtc(fdt);
    take_uart(fdt, found.gic); /* An error is to be seen. */
    TRY(err);
    return platform_end();
}

/* --- Memory. --- */

/* Whole pages: RAM is cut, what is reserved is extended. */
static enum err set_range(struct memmap *map, uint64_t base, uint64_t size, enum mem_kind kind)
{
    uint64_t end = base + size;

    if (end < base)
        return E_RANGE;
    if (kind == MEM_FREE) {
        base = ALIGN_UP(base, PAGE_SIZE);
        end = ALIGN_DOWN(end, PAGE_SIZE);
    } else {
        base = ALIGN_DOWN(base, PAGE_SIZE);
        end = ALIGN_UP(end, PAGE_SIZE);
    }
    return base < end ? memmap_set(map, base, end - base, kind) : OK;
}

/* All of a node's "reg". */
static enum err set_node(const struct fdt_walk *at, struct memmap *map, enum mem_kind kind)
{
    uint64_t base, size;

    for (unsigned i = 0; fdt_walk_reg(at, i, &base, &size) == OK; i++) {
        if (set_range(map, base, size, kind) != OK)
            return platform_node_wrong(at->fdt, fdt_walk_node(at),
                                       "'reg' wraps, or there are too many ranges");
    }
    return OK;
}

/* A node right below the root that is RAM. */
static bool is_memory(const struct fdt_walk *at)
{
    const char *type = at->depth == 2 ? fdt_str(at->fdt, at->path[1], "device_type") : NULL;

    return type != NULL && strcmp(type, "memory") == 0 && fdt_is_enabled(at->fdt, at->path[1]);
}

static enum err set_memory_nodes(const struct fdt *fdt, struct memmap *map)
{
    struct fdt_walk walk = {.fdt = fdt};

    while (fdt_walk_next(&walk)) {
        if (!is_memory(&walk))
            continue;
        if (!fdt_has(fdt, fdt_walk_node(&walk), "reg"))
            return platform_node_wrong(fdt, fdt_walk_node(&walk), "memory without 'reg'");
        TRY(set_node(&walk, map, MEM_FREE));
    }
    if (map->count > 0)
        return OK;
    log_error("device tree: no memory node");
    return E_ABSENT;
}

/* Nodes with "size" and no "reg" ask for memory anywhere: not ours to give. */
static enum err set_reserved_nodes(const struct fdt *fdt, struct memmap *map)
{
    struct fdt_walk walk;

    if (!fdt_walk_to(&walk, fdt, fdt_node(fdt, "/reserved-memory")))
        return OK;
    while (fdt_walk_next(&walk) && walk.depth > 2)
        if (walk.depth == 3 && fdt_is_enabled(fdt, fdt_walk_node(&walk)))
            TRY(set_node(&walk, map, MEM_RESERVED));
    return OK;
}

enum err platform_fdt_memory(const struct fdt *fdt, struct memmap *map)
{
    uint64_t base, size;

    TRY(set_memory_nodes(fdt, map));
    for (unsigned i = 0; fdt_reservation(fdt, i, &base, &size); i++)
        TRY(set_range(map, base, size, MEM_RESERVED));
    return set_reserved_nodes(fdt, map);
}

enum err platform_fdt_chosen(const struct fdt *fdt, struct platform_chosen *chosen)
{
    int node = fdt_node(fdt, "/chosen");
    uint64_t start, end;
    const char *bootargs;

    *chosen = (struct platform_chosen){.bootargs = ""};
    if (node < 0)
        return OK;
    bootargs = fdt_str(fdt, node, "bootargs");
    if (bootargs != NULL)
        chosen->bootargs = bootargs;
    if (fdt_u64(fdt, node, "linux,initrd-start", &start) != OK ||
        fdt_u64(fdt, node, "linux,initrd-end", &end) != OK)
        return OK;
    if (end < start)
        return platform_node_wrong(fdt, node,
                                   "'linux,initrd-end' lies before 'linux,initrd-start'");
    chosen->initrd_base = end > start ? start : 0;
    chosen->initrd_size = end - start;
    return OK;
}
