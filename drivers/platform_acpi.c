/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform out of ACPI's fixed tables: MADT (processors, interrupt controller), GTDT (timers),
 * FADT (PSCI), RHCT (what harts can; platform_acpi_riscv.c) and SPCR (console); x86's are in
 * platform_acpi_x86.c. Another architecture's structures are more rows of the tables here.
 * [ACPI 6.5: 5.2.9 FADT, 5.2.12 MADT, 5.2.25 GTDT; Microsoft: Serial Port Console Redirection]
 *
 * All reads are bounded by drivers/acpi.c; a structure is looked at only if it is as long as we
 * need. Boot only, no locks.
 */
#include "drivers/acpi.h"
#include "drivers/platform.h"

#include "drivers/platform_acpi.h"
#include "kernel/arch.h"
#include "kernel/bits.h"
#include "kernel/log.h"
#include "mm/hostmap.h"

/* --- MADT: its structures begin at offset 44. --- */

#define MADT_ITEMS   44u

#define GICC_ENABLED BIT(0)

/* GIC CPU interface: one per processor [5.2.12.14]. Parking is not used: PSCI starts processors. */
static enum err take_gicc(struct acpi_table *madt, const struct acpi_item *item)
{
    size_t at = item->offset;
    uint32_t maintenance = (uint32_t)acpi_read(madt, at + 56, 4);

    if (!(acpi_read(madt, at + 12, 4) & GICC_ENABLED))
        return OK;
    if (platform.cpu_count > 0 && maintenance != platform.gic_maintenance_irq)
        return acpi_wrong(madt, "processors differ in the GIC maintenance interrupt");
    platform.gic_maintenance_irq = maintenance;
    platform.gicc = acpi_read(madt, at + 32, 8);
    platform.gicv = acpi_read(madt, at + 40, 8);
    platform.gich = acpi_read(madt, at + 48, 8);
    return platform_add_cpu(acpi_read(madt, at + 68, 8), acpi_read(madt, at + 60, 8));
}

/* GIC distributor [5.2.12.15]. Version 0: find out yourself, see take_madt(). */
static enum err take_gicd(struct acpi_table *madt, const struct acpi_item *item)
{
    uint64_t version = acpi_read(madt, item->offset + 20, 1);

    if (platform.gicd != 0)
        return acpi_wrong(madt, "two GIC distributors");
    platform.gicd = acpi_read(madt, item->offset + 8, 8);
    if (version == 1)
        return acpi_wrong(madt, "GICv1 cannot run guests");
    if (version == 2)
        platform.irqchip = IRQCHIP_GICV2;
    else if (version >= 3)
        platform.irqchip = IRQCHIP_GICV3;
    return OK;
}

/* GIC redistributor region [5.2.12.17]. */
static enum err take_gicr(struct acpi_table *madt, const struct acpi_item *item)
{
    return platform_add_gicr(acpi_read(madt, item->offset + 4, 8),
                             acpi_read(madt, item->offset + 12, 4));
}

static const struct madt_kind {
    uint8_t type, size_min;
    enum err (*take)(struct acpi_table *madt, const struct acpi_item *item);
} madt_kinds[] = {
    {0x0b, 76, take_gicc},
    {0x0c, 24, take_gicd},
    {0x0e, 16, take_gicr},
    {0x18, 36, ARCH_ACPI_RISCV ? acpi_take_rintc : NULL},
    {0x19, 16, ARCH_ACPI_RISCV ? acpi_take_imsic : NULL},
    {0x1a, 36, ARCH_ACPI_RISCV ? acpi_take_aplic : NULL},
    {0x1b, 36, ARCH_ACPI_RISCV ? acpi_take_plic : NULL},
    {0x00, 8, acpi_take_lapic},
    {0x01, 12, acpi_take_ioapic},
    {0x02, 10, acpi_take_override},
    {0x04, 6, acpi_take_lapic_nmi},
    {0x09, 16, acpi_take_x2apic},
    {0x0a, 12, acpi_take_x2apic_nmi},
};

static bool is_x86(uint8_t type)
{
    return type <= 0x0a;
}

static enum err take_madt_item(struct acpi_table *madt, const struct acpi_item *item)
{
    if (is_x86(item->type) && platform.irqchip == IRQCHIP_NONE)
        acpi_begin_x86(); /* Types of local APICs, I/O APICs and their wiring. */
    for (unsigned i = 0; i < ARRAY_SIZE(madt_kinds); i++) {
        if (madt_kinds[i].type != item->type || !madt_kinds[i].take)
            continue; /* Another architecture's take is NULL. */
        if (item->size < madt_kinds[i].size_min)
            return acpi_wrong(madt, "a structure is shorter than its type demands");
        return madt_kinds[i].take(madt, item);
    }
    return OK; /* Nothing that we need. */
}

static enum err take_madt(struct acpi_table *madt)
{
    struct acpi_item item = {.offset = MADT_ITEMS};
    enum err err;

    for (err = acpi_next(madt, &item); err == OK; err = acpi_next(madt, &item))
        TRY(take_madt_item(madt, &item));
    if (err != E_ABSENT)
        return err;
    if (ARCH_ACPI_RISCV && platform.psci == CONDUIT_SBI)
        return acpi_end_riscv(madt);
    if (platform.gicd != 0 && platform.irqchip == IRQCHIP_NONE)
        platform.irqchip = platform.gicr_count > 0 ? IRQCHIP_GICV3 : IRQCHIP_GICV2;
    return OK;
}

/* --- The others. --- */

static enum err take_gtdt(struct acpi_table *gtdt)
{
    platform.timer_irq_phys = (uint32_t)acpi_read(gtdt, 56, 4);
    platform.timer_irq_virt = (uint32_t)acpi_read(gtdt, 64, 4);
    platform.timer_irq_hyp = (uint32_t)acpi_read(gtdt, 72, 4);
    return gtdt->overrun ? acpi_wrong(gtdt, "it is too short") : OK;
}

#define ARM_BOOT_PSCI BIT(0)
#define ARM_BOOT_HVC  BIT(1)

/* ARM_BOOT_ARCH came with ACPI 5.1; before, it reads as 0: no PSCI [5.2.9.4]. */
static enum err take_fadt(struct acpi_table *fadt)
{
    uint64_t flags = acpi_read(fadt, 129, 2);

    if (flags & ARM_BOOT_PSCI)
        platform.psci = flags & ARM_BOOT_HVC ? CONDUIT_HVC : CONDUIT_SMC;
    return OK;
}

#define SPCR_16550     0x00u
#define SPCR_PL011     0x03u
#define SPCR_SBSA_2X   0x0du
#define SPCR_SBSA      0x0eu
#define SPCR_16550_GAS 0x12u
#define SPCR_IRQ_PIC   BIT(0)
#define SPCR_IRQ_GSIV  (BIT(1) | BIT(3) | BIT(4)) /* Of I/O APICs; a GIC; a PLIC or APLIC. */
#define GAS_DWORD      3u
#define GAS_MEMORY     0u
#define GAS_PORT       1u

static enum platform_uart spcr_kind(struct acpi_table *spcr)
{
    switch (acpi_read(spcr, 36, 1)) {
    case SPCR_PL011:
    case SPCR_SBSA_2X:
    case SPCR_SBSA:
        return UART_PL011;
    case SPCR_16550:
    case SPCR_16550_GAS:
        return UART_16550;
    default:
        return UART_NONE;
    }
}

static uint32_t spcr_irq(struct acpi_table *spcr)
{
    uint64_t kind = acpi_read(spcr, 52, 1), pic = acpi_read(spcr, 53, 1);

    if (kind & SPCR_IRQ_GSIV)
        return (uint32_t)acpi_read(spcr, 54, 4);
    if (kind & SPCR_IRQ_PIC && pic < ARRAY_SIZE(platform.isa_irqs))
        return platform.isa_irqs[pic].gsi;
    return 0;
}

/* Ports are told from memory by their address; see kernel/platform.h. */
static bool spcr_reachable(struct acpi_table *spcr)
{
    uint64_t space = acpi_read(spcr, 40, 1), base = acpi_read(spcr, 44, 8);

    if (space == GAS_PORT)
        return platform.irqchip == IRQCHIP_APIC && base < PLATFORM_PORTS_END;
    return space == GAS_MEMORY && base >= PLATFORM_PORTS_END;
}

/* A console that we cannot use is no error: the machine runs without. */
static enum err take_spcr(struct acpi_table *spcr)
{
    enum platform_uart kind = spcr_kind(spcr);
    uint64_t width = acpi_read(spcr, 41, 1), access = acpi_read(spcr, 43, 1);
    uint64_t base = acpi_read(spcr, 44, 8);
    uint32_t irq = spcr_irq(spcr);

    if (spcr->overrun)
        return acpi_wrong(spcr, "it is too short");
    if (base == 0)
        return OK; /* Console redirection is turned off. */
    if (kind == UART_NONE || !spcr_reachable(spcr)) {
        log_warn("ACPI: table SPCR: no UART that we know");
        return OK;
    }
    platform.uart = kind;
    platform.uart_base = base;
    platform.uart_irq = irq;
    /* QEMU's RISC-V machine has byte registers that it calls 32 bits wide, accessed by bytes. */
    if (base >= PLATFORM_PORTS_END && (access == GAS_DWORD || (access == 0 && width == 32)))
        platform.uart_reg_shift = kind == UART_16550 ? 2 : 0;
    return OK;
}

enum { ALL, ARM, RISCV, X86 };

/* The MADT comes first: it tells which architecture this is. SPCR shows what went wrong before. */
static const struct acpi_taker {
    char signature[5];
    int arch;
    bool needed;
    enum err (*take)(struct acpi_table *table);
} tables[] = {
    {"APIC", ALL, true, take_madt},
    {"GTDT", ARM, true, take_gtdt},
    {"FACP", ARM, true, take_fadt},
    {"RHCT", RISCV, true, ARCH_ACPI_RISCV ? acpi_take_rhct : NULL},
    {"FACP", X86, false, acpi_take_fadt_x86},
    {"HPET", X86, false, acpi_take_hpet},
    {"SPCR", ALL, false, take_spcr},
};

static int tables_arch(void)
{
    if (platform.irqchip == IRQCHIP_APIC)
        return X86;
    return platform.psci == CONDUIT_SBI ? RISCV : ARM;
}

/* Most PCs have no SPCR. */
static void end_x86(const struct acpi *acpi)
{
    acpi_find_sleep5(acpi);
    if (platform.uart == UART_NONE)
        platform_pc_console();
}

static enum err take_table(const struct acpi *acpi, const struct acpi_taker *taker)
{
    struct acpi_table table;
    enum err err = acpi_find(acpi, taker->signature, &table);

    if (err == OK)
        return taker->take(&table);
    if (err == E_ABSENT && !taker->needed)
        return OK;
    if (err == E_ABSENT)
        log_error("ACPI: there is no table %s", taker->signature);
    return err;
}

enum err platform_from_acpi_tables(const struct acpi *acpi)
{
    enum err err = OK;

    platform_begin("ACPI");
    for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
        if (tables[i].arch != ALL && (tables[i].arch != tables_arch() || err != OK))
            continue;
        if (err == OK)
            err = take_table(acpi, &tables[i]);
        else if (take_table(acpi, &tables[i]) != OK)
            break; /* It comes last: no console then. */
    }
    if (tables_arch() == X86)
        end_x86(acpi);
    TRY(err);
    return platform_end();
}

enum err platform_from_acpi(uint64_t rsdp)
{
    struct acpi acpi;

    TRY(acpi_open(&acpi, rsdp, hostmap_readonly));
    return platform_from_acpi_tables(&acpi);
}
