/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A RISC-V machine out of ACPI: harts and interrupt controllers of the MADT, and the RHCT.
 * [ACPI 6.6: 5.2.12.24 RINTC, .25 IMSIC, .26 APLIC, .27 PLIC; 5.2.37 RHCT]
 *
 * One PLIC, or one APLIC at most: a second one's interrupts would have GSIs that are not its
 * sources, and no machine that we know has them. Boot only.
 */
#include "drivers/platform_acpi.h"

#include "drivers/platform.h"
#include "kernel/bits.h"
#include "kernel/isa.h"
#include "kernel/log.h"
#include "kernel/string.h"

#define RINTC_ENABLED BIT(0)
#define RINTC_CONTEXT BITS(15, 0) /* Of the external interrupt controller's id. */

static uint32_t uids[CPUS_MAX]; /* ACPI's processor ids of platform.cpus[]. */
static unsigned hart_index_bits, guest_index_bits, group_index_bits, group_index_shift;

/* One per hart. Which of the external controller's meanings holds is known when all are read. */
enum err acpi_take_rintc(struct acpi_table *madt, const struct acpi_item *item)
{
    size_t at = item->offset;
    uint32_t context = (uint32_t)acpi_read(madt, at + 20, 4) & RINTC_CONTEXT;
    struct platform_cpu *cpu;
    unsigned count = platform.cpu_count;

    platform.psci = CONDUIT_SBI;
    if (!(acpi_read(madt, at + 4, 4) & RINTC_ENABLED))
        return OK;
    TRY(platform_add_cpu(acpi_read(madt, at + 8, 8), 0));
    if (platform.cpu_count == count)
        return OK; /* More than we use. */
    cpu = &platform.cpus[count];
    uids[count] = (uint32_t)acpi_read(madt, at + 16, 4);
    cpu->plic_context = context;
    cpu->imsic = acpi_read(madt, at + 24, 8);
    return OK;
}

enum err acpi_take_imsic(struct acpi_table *madt, const struct acpi_item *item)
{
    size_t at = item->offset;

    platform.imsic_ids = (uint32_t)acpi_read(madt, at + 8, 2);
    guest_index_bits = (unsigned)acpi_read(madt, at + 12, 1);
    hart_index_bits = (unsigned)acpi_read(madt, at + 13, 1);
    group_index_bits = (unsigned)acpi_read(madt, at + 14, 1);
    group_index_shift = (unsigned)acpi_read(madt, at + 15, 1);
    if (guest_index_bits > 6 || hart_index_bits > 15 || group_index_bits > 7 ||
        group_index_shift > 55 || platform.imsic_ids < 63 || platform.imsic_ids > 2047)
        return acpi_wrong(madt, "an IMSIC that cannot be");
    return OK;
}

enum err acpi_take_aplic(struct acpi_table *madt, const struct acpi_item *item)
{
    size_t at = item->offset;

    if (platform.aplic != 0)
        return acpi_wrong(madt, "two APLICs");
    platform.aplic_sources = (uint32_t)acpi_read(madt, at + 18, 2);
    platform.aplic = acpi_read(madt, at + 24, 8);
    platform.aplic_size = acpi_read(madt, at + 32, 4);
    if (acpi_read(madt, at + 20, 4) != 0)
        return acpi_wrong(madt, "an APLIC whose interrupts do not begin at 0");
    return OK;
}

enum err acpi_take_plic(struct acpi_table *madt, const struct acpi_item *item)
{
    size_t at = item->offset;

    if (platform.plic != 0)
        return acpi_wrong(madt, "two PLICs");
    platform.plic_sources = (uint32_t)acpi_read(madt, at + 12, 2);
    platform.plic_size = acpi_read(madt, at + 20, 4);
    platform.plic = acpi_read(madt, at + 24, 8);
    if (acpi_read(madt, at + 32, 4) != 0)
        return acpi_wrong(madt, "a PLIC whose interrupts do not begin at 0");
    return OK;
}

enum err acpi_end_riscv(struct acpi_table *madt)
{
    if (platform.imsic_ids == 0) {
        platform.irqchip = platform.plic != 0 ? IRQCHIP_PLIC : IRQCHIP_NONE;
        return OK;
    }
    platform.irqchip = IRQCHIP_AIA;
    platform.imsic_guests = (1u << guest_index_bits) - 1;
    for (unsigned i = 0; i < platform.cpu_count; i++) {
        struct platform_cpu *cpu = &platform.cpus[i];
        uint64_t hart = cpu->imsic >> PAGE_SHIFT >> guest_index_bits;
        uint64_t group = group_index_bits ? cpu->imsic >> group_index_shift : 0;

        /* The APLIC finds an IMSIC by these fields of its address [AIA 4.9.1]. */
        cpu->aplic_hart = (uint32_t)((group & ((1u << group_index_bits) - 1)) << hart_index_bits |
                                     (hart & ((1u << hart_index_bits) - 1)));
        if (!IS_ALIGNED(cpu->imsic, PAGE_SIZE))
            return acpi_wrong(madt, "an IMSIC's address is not that of a page");
    }
    return OK;
}

/* --- RHCT: its nodes begin where its header says. --- */

#define RHCT_ISA  0u
#define RHCT_CMO  1u
#define RHCT_MMU  2u
#define RHCT_HART 65535u

/* Text of an ISA string node, with its NUL. */
static enum err take_isa(struct acpi_table *rhct, size_t at, size_t size, bool first)
{
    static char text[PLATFORM_ISA_MAX], isa[PLATFORM_ISA_MAX];
    size_t length = acpi_read(rhct, at + 6, 2), i;

    if (length + 8 > size || length >= sizeof(text))
        return acpi_wrong(rhct, "an ISA string is longer than its node");
    for (i = 0; i < length; i++)
        text[i] = (char)acpi_read(rhct, at + 8 + i, 1);
    text[i] = '\0';
    if (isa_copy(isa, sizeof(isa), text) != OK)
        return acpi_wrong(rhct, "an ISA string is not that of an rv64 hart");
    if (first)
        memcpy(platform.isa, isa, sizeof(isa));
    else
        isa_common(platform.isa, isa);
    return OK;
}

static uint32_t block_size(struct acpi_table *rhct, size_t at)
{
    uint64_t power = acpi_read(rhct, at, 1);

    return power == 0 || power > 20 ? 0 : 1u << power;
}

static void take_cmo(struct acpi_table *rhct, size_t at, bool first)
{
    uint32_t *const sizes[3] = {&platform.cbom_size, &platform.cbop_size, &platform.cboz_size};

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint32_t v = block_size(rhct, at + 7 + i);

        *sizes[i] = first || *sizes[i] == v ? v : 0;
    }
}

static void take_mmu(struct acpi_table *rhct, size_t at, bool first)
{
    uint64_t type = acpi_read(rhct, at + 7, 1);
    uint32_t bits = type == 2 ? 57 : type == 1 ? 48 : 39;

    platform.va_bits = first ? bits : MIN(platform.va_bits, bits);
}

/* A node that a hart refers to. */
static enum err take_hart_node(struct acpi_table *rhct, size_t at, bool first)
{
    size_t size = acpi_read(rhct, at + 2, 2);

    switch (acpi_read(rhct, at, 2)) {
    case RHCT_ISA:
        return take_isa(rhct, at, size, first);
    case RHCT_CMO:
        take_cmo(rhct, at, first);
        return OK;
    case RHCT_MMU:
        take_mmu(rhct, at, first);
        return OK;
    }
    return OK;
}

static bool is_ours(uint32_t uid)
{
    for (unsigned i = 0; i < platform.cpu_count; i++)
        if (uids[i] == uid)
            return true;
    return false;
}

static enum err take_hart(struct acpi_table *rhct, size_t at, size_t size, bool first)
{
    uint64_t count = acpi_read(rhct, at + 6, 2);

    if (size < 12 + 4 * count)
        return acpi_wrong(rhct, "a hart's node is shorter than its offsets");
    for (unsigned i = 0; i < count; i++)
        TRY(take_hart_node(rhct, acpi_read(rhct, at + 12 + 4 * i, 4), first));
    return OK;
}

enum err acpi_take_rhct(struct acpi_table *rhct)
{
    uint64_t count = acpi_read(rhct, 48, 4);
    size_t at = acpi_read(rhct, 52, 4);
    bool first = true;

    platform.timer_hz = acpi_read(rhct, 40, 8);
    for (uint64_t i = 0; i < count && !rhct->overrun; i++) {
        uint64_t type = acpi_read(rhct, at, 2), size = acpi_read(rhct, at + 2, 2);

        if (size < 6 || at + size > rhct->size)
            return acpi_wrong(rhct, "a node is longer than the table, or has no length");
        if (type == RHCT_HART && is_ours((uint32_t)acpi_read(rhct, at + 8, 4))) {
            TRY(take_hart(rhct, at, size, first));
            first = false;
        }
        at += size;
    }
    return rhct->overrun ? acpi_wrong(rhct, "it is too short") : OK;
}
