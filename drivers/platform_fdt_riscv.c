/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A RISC-V machine out of a device tree: harts, time base, and the interrupt controllers of
 * supervisor level. [Linux's bindings riscv/cpus, riscv/extensions,
 * interrupt-controller/sifive,plic-1.0.0, riscv,aplic, riscv,imsics]
 *
 * Invariant: platform.cpus[] is complete before the controllers are read, which fill in what
 * belongs to each hart.
 */
#include "drivers/platform_fdt.h"

#include "drivers/platform.h"
#include "kernel/bits.h"
#include "kernel/isa.h"
#include "kernel/log.h"
#include "kernel/string.h"

#define IRQ_EXTERNAL_S 9u /* Of a hart's own interrupt controller: the cause's number. */

/* --- Harts --- */

bool platform_fdt_is_riscv(const struct fdt *fdt)
{
    int cpus = fdt_node(fdt, "/cpus");

    for (int node = cpus < 0 ? -1 : fdt_first_child(fdt, cpus); node >= 0;
         node = fdt_next_child(fdt, node))
        if (fdt_has(fdt, node, "riscv,isa") || fdt_has(fdt, node, "riscv,isa-extensions"))
            return true;
    return false;
}

/* The list of extensions is preferred: the string is older and was used loosely [riscv/extensions].
 */
static enum err hart_isa(const struct fdt *fdt, int node, char isa[PLATFORM_ISA_MAX])
{
    const char *text = fdt_str(fdt, node, "riscv,isa");
    const char *base = fdt_str(fdt, node, "riscv,isa-base"), *ext, *list;
    size_t size;

    if (base != NULL && strcmp(base, "rv64i") == 0) {
        memcpy(isa, "rv64i", 6);
        list = fdt_prop(fdt, node, "riscv,isa-extensions", &size);
        while ((ext = fdt_strings_next(&list, &size)) != NULL)
            if (isa_add(isa, PLATFORM_ISA_MAX, ext, strlen(ext)) != OK)
                return platform_node_wrong(fdt, node, "'riscv,isa-extensions' is too long");
        return OK;
    }
    if (text == NULL || isa_copy(isa, PLATFORM_ISA_MAX, text) != OK)
        return platform_node_wrong(fdt, node, "'riscv,isa' is not the ISA of an rv64 hart");
    return OK;
}

static void take_block_size(const struct fdt *fdt, int node, const char *name, uint32_t *size,
                            bool first)
{
    uint32_t v = 0;

    if (fdt_u32(fdt, node, name, 0, &v) != OK || (v & (v - 1)) != 0)
        v = 0;
    *size = first || *size == v ? v : 0; /* Different ones cannot be told to a guest. */
}

static uint32_t hart_va_bits(const struct fdt *fdt, int node)
{
    const char *type = fdt_str(fdt, node, "mmu-type");

    if (type != NULL && strcmp(type, "riscv,sv57") == 0)
        return 57;
    return type != NULL && strcmp(type, "riscv,sv48") == 0 ? 48 : 39;
}

static enum err take_hart(const struct fdt *fdt, int node)
{
    static char isa[PLATFORM_ISA_MAX];
    bool first = platform.cpu_count == 0;
    uint32_t va_bits = hart_va_bits(fdt, node);
    uint64_t id;

    if (fdt_u64(fdt, node, "reg", &id) != OK)
        return platform_node_wrong(fdt, node, "'reg' is not the hart's id");
    TRY(hart_isa(fdt, node, isa));
    if (first)
        memcpy(platform.isa, isa, sizeof(isa));
    else
        isa_common(platform.isa, isa);
    take_block_size(fdt, node, "riscv,cbom-block-size", &platform.cbom_size, first);
    take_block_size(fdt, node, "riscv,cboz-block-size", &platform.cboz_size, first);
    take_block_size(fdt, node, "riscv,cbop-block-size", &platform.cbop_size, first);
    platform.va_bits = first ? va_bits : MIN(platform.va_bits, va_bits);
    return platform_add_cpu(id, 0);
}

static enum err take_harts(const struct fdt *fdt)
{
    int cpus = fdt_node(fdt, "/cpus");
    uint64_t hz = 0;

    for (int node = fdt_first_child(fdt, cpus); node >= 0; node = fdt_next_child(fdt, node)) {
        const char *type = fdt_str(fdt, node, "device_type");

        if (type == NULL || strcmp(type, "cpu") != 0 || !fdt_is_enabled(fdt, node))
            continue;
        TRY(take_hart(fdt, node));
        if (hz == 0 && fdt_u64(fdt, node, "timebase-frequency", &hz) != OK)
            hz = 0;
    }
    if (fdt_has(fdt, cpus, "timebase-frequency") &&
        fdt_u64(fdt, cpus, "timebase-frequency", &hz) != OK)
        return platform_node_wrong(fdt, cpus, "'timebase-frequency' is not a number");
    platform.timer_hz = hz;
    return OK;
}

/* Our CPU that a hart's own interrupt controller belongs to; NULL: none of ours. */
static struct platform_cpu *cpu_of_intc(const struct fdt *fdt, uint32_t phandle)
{
    int cpus = fdt_node(fdt, "/cpus");
    uint32_t v;
    uint64_t id;

    for (int node = fdt_first_child(fdt, cpus); node >= 0; node = fdt_next_child(fdt, node)) {
        int intc = fdt_child(fdt, node, "interrupt-controller");

        if (intc < 0 || fdt_u32(fdt, intc, "phandle", 0, &v) != OK || v != phandle ||
            fdt_u64(fdt, node, "reg", &id) != OK)
            continue;
        for (unsigned i = 0; i < platform.cpu_count; i++)
            if (platform.cpus[i].hw_id == id)
                return &platform.cpus[i];
        return NULL;
    }
    return NULL;
}

/*
 * The index'th parent of a controller: *cpu NULL when it is none of our CPUs at supervisor level.
 * False: at the end.
 */
static bool parent_at(const struct fdt *fdt, int node, unsigned index, struct platform_cpu **cpu)
{
    uint32_t phandle, cause;

    if (fdt_u32(fdt, node, "interrupts-extended", 2 * index, &phandle) != OK ||
        fdt_u32(fdt, node, "interrupts-extended", 2 * index + 1, &cause) != OK)
        return false;
    *cpu = cause == IRQ_EXTERNAL_S ? cpu_of_intc(fdt, phandle) : NULL;
    return true;
}

/* --- PLIC --- */

static enum err take_plic(const struct fdt *fdt, int node)
{
    struct platform_cpu *cpu;
    unsigned found = 0;

    if (fdt_reg(fdt, node, 0, &platform.plic, &platform.plic_size) != OK)
        return platform_node_wrong(fdt, node, "'reg' is not where the PLIC is");
    if (fdt_u32(fdt, node, "riscv,ndev", 0, &platform.plic_sources) != OK ||
        platform.plic_sources == 0 || platform.plic_sources > 1023)
        return platform_node_wrong(fdt, node, "'riscv,ndev' is not its number of sources");
    for (unsigned i = 0; parent_at(fdt, node, i, &cpu); i++) {
        if (cpu == NULL)
            continue;
        cpu->plic_context = i;
        found++;
    }
    if (found < platform.cpu_count)
        return platform_node_wrong(fdt, node,
                                   "it does not interrupt all harts at supervisor level");
    platform.irqchip = IRQCHIP_PLIC;
    return OK;
}

/* --- AIA --- */

/* Interrupts at supervisor level are told apart from those of machine level by the first parent's
 * cause. */
static int find_supervisor_imsic(const struct fdt *fdt)
{
    static const char *const imsics[] = {"riscv,imsics", NULL};
    uint32_t cause;
    int node = -1;

    while ((node = platform_next_compatible(fdt, node, imsics)) >= 0)
        if (fdt_u32(fdt, node, "interrupts-extended", 1, &cause) == OK && cause == IRQ_EXTERNAL_S)
            return node;
    return -1;
}

/* The page of the index'th hart: the regions' pages in order, each hart's 1 << guest_bits of them.
 */
static enum err imsic_page(const struct fdt *fdt, int node, unsigned index, unsigned guest_bits,
                           unsigned *region, uint64_t *page)
{
    uint64_t offset = (uint64_t)index << guest_bits << PAGE_SHIFT, base, size;

    for (*region = 0; fdt_reg(fdt, node, *region, &base, &size) == OK; (*region)++) {
        if (offset < size) {
            *page = base + offset;
            return OK;
        }
        offset -= size;
    }
    return platform_node_wrong(fdt, node, "'reg' has too few pages for its harts");
}

static enum err take_imsic(const struct fdt *fdt, int node)
{
    uint32_t guest_bits = 0, hart_bits = 0, ids;
    struct platform_cpu *cpu;
    unsigned found = 0, count = 0, region;

    while (parent_at(fdt, node, count, &cpu))
        count++;
    while (1u << hart_bits < count)
        hart_bits++;
    (void)(fdt_u32(fdt, node, "riscv,guest-index-bits", 0, &guest_bits) == OK); /* Absent: 0. */
    (void)(fdt_u32(fdt, node, "riscv,hart-index-bits", 0, &hart_bits) == OK);
    if (fdt_u32(fdt, node, "riscv,num-ids", 0, &ids) != OK || ids < 63 || ids > 2047 ||
        guest_bits > 6 || hart_bits > 15)
        return platform_node_wrong(fdt, node, "'riscv,num-ids' or '…-index-bits' cannot be");
    for (unsigned i = 0; i < count; i++) {
        if (!parent_at(fdt, node, i, &cpu) || cpu == NULL)
            continue;
        TRY(imsic_page(fdt, node, i, guest_bits, &region, &cpu->imsic));
        cpu->aplic_hart = region << hart_bits | (i & ((1u << hart_bits) - 1));
        found++;
    }
    if (found < platform.cpu_count)
        return platform_node_wrong(fdt, node,
                                   "it does not interrupt all harts at supervisor level");
    platform.imsic_ids = ids;
    platform.imsic_guests = (1u << guest_bits) - 1;
    platform.irqchip = IRQCHIP_AIA;
    return OK;
}

/* The APLIC whose MSIs go to those IMSICs; a machine may have none. */
static enum err take_aplic(const struct fdt *fdt, int imsic)
{
    static const char *const aplics[] = {"riscv,aplic", NULL};
    uint32_t phandle, parent;
    int node = -1;

    if (fdt_u32(fdt, imsic, "phandle", 0, &phandle) != OK)
        return OK;
    while ((node = platform_next_compatible(fdt, node, aplics)) >= 0) {
        if (fdt_u32(fdt, node, "msi-parent", 0, &parent) != OK || parent != phandle)
            continue;
        if (fdt_reg(fdt, node, 0, &platform.aplic, &platform.aplic_size) != OK)
            return platform_node_wrong(fdt, node, "'reg' is not where the APLIC is");
        if (fdt_u32(fdt, node, "riscv,num-sources", 0, &platform.aplic_sources) != OK ||
            platform.aplic_sources == 0 || platform.aplic_sources > 1023)
            return platform_node_wrong(fdt, node, "'riscv,num-sources' is not a number of sources");
        return OK;
    }
    return OK;
}

enum err platform_fdt_riscv(const struct fdt *fdt)
{
    static const char *const plics[] = {"riscv,plic0", "sifive,plic-1.0.0", "thead,c900-plic",
                                        NULL};
    int imsic, plic;

    platform.psci = CONDUIT_SBI;
    TRY(take_harts(fdt));
    imsic = find_supervisor_imsic(fdt);
    plic = imsic < 0 ? platform_next_compatible(fdt, -1, plics) : -1;
    if (imsic >= 0) {
        TRY(take_imsic(fdt, imsic));
        return take_aplic(fdt, imsic);
    }
    return plic < 0 ? OK : take_plic(fdt, plic); /* platform_end() says what is missing. */
}
