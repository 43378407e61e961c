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
static uint32_t node_irq(const struct fdt *fdt, int node, unsigned index)
{
    uint32_t cells[4] = {0};
    unsigned count = fdt_interrupt(fdt, node, index, cells);

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

int platform_find_compatible(const struct fdt *fdt, const char *const *strings)
{
    for (; *strings != NULL; strings++) {
        int node = fdt_next_compatible(fdt, -1, *strings);

        while (node >= 0 && !fdt_is_enabled(fdt, node))
            node = fdt_next_compatible(fdt, node, *strings);
        if (node >= 0)
            return node;
    }
    return -1;
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

static enum err take_gicv3(const struct fdt *fdt, int node)
{
    uint64_t base, size;
    uint32_t count = 1;

    if (fdt_has(fdt, node, "#redistributor-regions") &&
        fdt_u32(fdt, node, "#redistributor-regions", 0, &count) != OK)
        return platform_node_wrong(fdt, node, "'#redistributor-regions' is not a number");
    if (fdt_reg(fdt, node, 0, &platform.gicd, &size) != OK)
        return platform_node_wrong(fdt, node, "'reg' has no distributor");
    for (uint32_t i = 0; i < count; i++) {
        if (fdt_reg(fdt, node, 1 + i, &base, &size) != OK)
            return platform_node_wrong(fdt, node, "'reg' has too few redistributor regions");
        TRY(platform_add_gicr(base, size));
    }
    platform.irqchip = IRQCHIP_GICV3;
    return OK;
}

static enum err take_gicv2(const struct fdt *fdt, int node)
{
    uint64_t *const bases[4] = {&platform.gicd, &platform.gicc, &platform.gich, &platform.gicv};
    uint64_t size;

    for (unsigned i = 0; i < ARRAY_SIZE(bases); i++) {
        if (fdt_reg(fdt, node, i, bases[i], &size) != OK)
            return platform_node_wrong(fdt, node, "'reg' lacks the virtualization interface");
    }
    platform.irqchip = IRQCHIP_GICV2;
    return OK;
}

static enum err take_gic(const struct fdt *fdt)
{
    static const char *const v3[] = {"arm,gic-v3", NULL};
    static const char *const v2[] = {"arm,gic-400", "arm,cortex-a15-gic", "arm,cortex-a7-gic",
                                     NULL};
    int node = platform_find_compatible(fdt, v3);

    if (node >= 0) {
        TRY(take_gicv3(fdt, node));
    } else {
        node = platform_find_compatible(fdt, v2);
        if (node < 0)
            return OK;
        TRY(take_gicv2(fdt, node));
    }
    platform.gic_maintenance_irq = node_irq(fdt, node, 0);
    return OK;
}

/* Interrupts: secure physical, physical, virtual, hypervisor [arm,arch_timer]. */
static void take_timer(const struct fdt *fdt)
{
    static const char *const names[] = {"arm,armv8-timer", NULL};
    int node = platform_find_compatible(fdt, names);

    if (node < 0)
        return;
    platform.timer_irq_phys = node_irq(fdt, node, 1);
    platform.timer_irq_virt = node_irq(fdt, node, 2);
    platform.timer_irq_hyp = node_irq(fdt, node, 3);
}

static enum err take_psci(const struct fdt *fdt)
{
    static const char *const names[] = {"arm,psci-1.0", "arm,psci-0.2", "arm,psci", NULL};
    int node = platform_find_compatible(fdt, names);
    const char *method = node < 0 ? NULL : fdt_str(fdt, node, "method");

    if (node < 0)
        return OK;
    if (method != NULL && strcmp(method, "smc") == 0)
        platform.psci = CONDUIT_SMC;
    else if (method != NULL && strcmp(method, "hvc") == 0)
        platform.psci = CONDUIT_HVC;
    else
        return platform_node_wrong(fdt, node, "'method' is neither \"smc\" nor \"hvc\"");
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

/* A console that we cannot use is no error: the machine runs without. */
static void take_uart(const struct fdt *fdt)
{
    int chosen = fdt_node(fdt, "/chosen");
    const char *name = chosen < 0 ? NULL : fdt_str(fdt, chosen, "stdout-path");
    int node = name == NULL ? -1 : named_node(fdt, name);
    enum platform_uart kind = UART_NONE;
    uint64_t size;

    if (node >= 0 && fdt_is_compatible(fdt, node, "arm,pl011"))
        kind = UART_PL011;
    else if (node >= 0 && (fdt_is_compatible(fdt, node, "ns16550a") ||
                           fdt_is_compatible(fdt, node, "snps,dw-apb-uart")))
        kind = UART_16550;
    if (kind == UART_NONE || fdt_reg(fdt, node, 0, &platform.uart_base, &size) != OK) {
        log_warn("device tree: /chosen/stdout-path: no UART that we know");
        return;
    }
    platform.uart = kind;
    platform.uart_irq = node_irq(fdt, node, 0);
    if (fdt_u32(fdt, node, "reg-shift", 0, &platform.uart_reg_shift) != OK ||
        platform.uart_reg_shift > 4)
        platform.uart_reg_shift = 0;
}

enum err platform_from_fdt(const struct fdt *fdt)
{
    platform_begin("device tree");
    if (platform_fdt_is_riscv(fdt)) {
        TRY(platform_fdt_riscv(fdt));
    } else {
        TRY(take_cpus(fdt));
        TRY(take_gic(fdt));
        take_timer(fdt);
        TRY(take_psci(fdt));
    }
    take_uart(fdt);
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
static enum err set_node(const struct fdt *fdt, int node, struct memmap *map, enum mem_kind kind)
{
    uint64_t base, size;
    unsigned i = 0;

    for (; fdt_reg(fdt, node, i, &base, &size) == OK; i++) {
        if (set_range(map, base, size, kind) != OK)
            return platform_node_wrong(fdt, node, "'reg' wraps, or there are too many ranges");
    }
    return OK;
}

static enum err set_memory_nodes(const struct fdt *fdt, struct memmap *map)
{
    int root = fdt_node(fdt, "/");

    for (int node = fdt_first_child(fdt, root); node >= 0; node = fdt_next_child(fdt, node)) {
        const char *type = fdt_str(fdt, node, "device_type");

        if (type == NULL || strcmp(type, "memory") != 0 || !fdt_is_enabled(fdt, node))
            continue;
        if (!fdt_has(fdt, node, "reg"))
            return platform_node_wrong(fdt, node, "memory without 'reg'");
        TRY(set_node(fdt, node, map, MEM_FREE));
    }
    if (map->count > 0)
        return OK;
    log_error("device tree: no memory node");
    return E_ABSENT;
}

enum err platform_fdt_memory(const struct fdt *fdt, struct memmap *map)
{
    int reserved = fdt_node(fdt, "/reserved-memory");
    uint64_t base, size;

    TRY(set_memory_nodes(fdt, map));
    for (unsigned i = 0; fdt_reservation(fdt, i, &base, &size); i++)
        TRY(set_range(map, base, size, MEM_RESERVED));
    if (reserved < 0)
        return OK;
    /* Nodes with "size" and no "reg" ask for memory anywhere: not ours to give. */
    for (int node = fdt_first_child(fdt, reserved); node >= 0; node = fdt_next_child(fdt, node)) {
        if (fdt_is_enabled(fdt, node))
            TRY(set_node(fdt, node, map, MEM_RESERVED));
    }
    return OK;
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
