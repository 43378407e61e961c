/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PC out of ACPI: processors and I/O APICs of the MADT, registers for power and time of the FADT,
 * the HPET's address. [ACPI 6.5: 5.2.9 FADT, 5.2.12 MADT; IA-PC HPET 1.0a, 3.2.4]
 *
 * There is no AML here, and what powers off is in it: \_S5 of the DSDT is looked for as bytes, see
 * acpi_find_sleep5(). Boot only.
 */
#include "drivers/platform_acpi.h"

#include "drivers/platform.h"
#include "kernel/bits.h"
#include "kernel/log.h"
#include "kernel/string.h"

#define APIC_ENABLED  BIT(0)
#define INTI_POLARITY BITS(1, 0) /* Of interrupt sources: 0 as the bus has it, 1 high, 3 low. */
#define INTI_TRIGGER  BITS(3, 2) /* 0 as the bus has it, 1 edge, 3 level. */

#define GAS_MEMORY    0u
#define GAS_PORT      1u
#define NO_CMOS_RTC   BIT(5) /* Of IAPC_BOOT_ARCH. [5.2.9.3] */

/* --- MADT --- */

void acpi_begin_x86(void)
{
    platform.irqchip = IRQCHIP_APIC;
    platform.rtc = RTC_CMOS;
    for (unsigned i = 0; i < ARRAY_SIZE(platform.isa_irqs); i++)
        platform.isa_irqs[i] = (struct platform_isa_irq){.gsi = i};
}

static enum err take_processor(uint64_t id, uint64_t flags)
{
    return flags & APIC_ENABLED ? platform_add_cpu(id, 0) : OK;
}

enum err acpi_take_lapic(struct acpi_table *madt, const struct acpi_item *item)
{
    return take_processor(acpi_read(madt, item->offset + 3, 1),
                          acpi_read(madt, item->offset + 4, 4));
}

/* Those whose id has more than eight bits; firmware may list the others here too [5.2.12.12]. */
enum err acpi_take_x2apic(struct acpi_table *madt, const struct acpi_item *item)
{
    uint64_t id = acpi_read(madt, item->offset + 4, 4);

    for (unsigned i = 0; i < platform.cpu_count; i++)
        if (platform.cpus[i].hw_id == id)
            return OK;
    return take_processor(id, acpi_read(madt, item->offset + 8, 4));
}

enum err acpi_take_ioapic(struct acpi_table *madt, const struct acpi_item *item)
{
    if (platform.ioapic_count == PLATFORM_REGIONS_MAX) {
        log_warn("ACPI: table APIC: more than %u I/O APICs", PLATFORM_REGIONS_MAX);
        return OK;
    }
    platform.ioapics[platform.ioapic_count++] =
        (struct platform_ioapic){.base = acpi_read(madt, item->offset + 4, 4),
                                 .gsi = (uint32_t)acpi_read(madt, item->offset + 8, 4)};
    return OK;
}

/* An interrupt of the ISA bus that is not where it would be, or not as it would be [5.2.12.5]. */
enum err acpi_take_override(struct acpi_table *madt, const struct acpi_item *item)
{
    uint64_t irq = acpi_read(madt, item->offset + 3, 1);
    uint64_t flags = acpi_read(madt, item->offset + 8, 2);

    if (irq >= ARRAY_SIZE(platform.isa_irqs))
        return acpi_wrong(madt, "an interrupt of the ISA bus has a number above 15");
    platform.isa_irqs[irq] = (struct platform_isa_irq){
        .gsi = (uint32_t)acpi_read(madt, item->offset + 4, 4),
        .level = field_get(INTI_TRIGGER, flags) == 3,
        .low = field_get(INTI_POLARITY, flags) == 3,
    };
    return OK;
}

/* Which local interrupt pin carries NMIs; all processors are wired alike [5.2.12.7]. */
enum err acpi_take_lapic_nmi(struct acpi_table *madt, const struct acpi_item *item)
{
    platform.nmi_lints |= (uint8_t)(1u << (acpi_read(madt, item->offset + 5, 1) & 1));
    return OK;
}

/* The same for processors with long ids [5.2.12.13]. */
enum err acpi_take_x2apic_nmi(struct acpi_table *madt, const struct acpi_item *item)
{
    platform.nmi_lints |= (uint8_t)(1u << (acpi_read(madt, item->offset + 8, 1) & 1));
    return OK;
}

/* --- FADT, HPET --- */

static uint64_t dsdt_addr;

/* A generic address structure [5.2.3.2]; 0: none that we can reach. */
static uint64_t take_address(struct acpi_table *table, size_t at)
{
    uint64_t space = acpi_read(table, at, 1), addr = acpi_read(table, at + 4, 8);

    if ((space == GAS_PORT && addr < PLATFORM_PORTS_END) ||
        (space == GAS_MEMORY && addr >= PLATFORM_PORTS_END))
        return addr;
    return 0;
}

/* A register block: by the structure at `wide`, or the port at `narrow` where that is not there. */
static uint64_t take_block(struct acpi_table *fadt, size_t wide, size_t narrow)
{
    uint64_t addr = wide + 12 <= fadt->size ? take_address(fadt, wide) : 0;

    return addr ? addr : acpi_read(fadt, narrow, 4) & 0xffff;
}

enum err acpi_take_fadt_x86(struct acpi_table *fadt)
{
    platform.smi_command = acpi_read(fadt, 48, 4) & 0xffff;
    platform.acpi_enable = (uint8_t)acpi_read(fadt, 52, 1);
    platform.pm1_control[0] = take_block(fadt, 172, 64);
    platform.pm1_control[1] = take_block(fadt, 184, 68);
    platform.pm_timer = take_block(fadt, 208, 76);
    platform.rtc_century = (uint8_t)acpi_read(fadt, 108, 1);
    if (acpi_read(fadt, 109, 2) & NO_CMOS_RTC)
        platform.rtc = RTC_NONE;
    dsdt_addr = acpi_read(fadt, 40, 4);
    if (fadt->overrun)
        return acpi_wrong(fadt, "it is too short");
    if (fadt->size >= 148 && acpi_read(fadt, 140, 8))
        dsdt_addr = acpi_read(fadt, 140, 8);
    if (fadt->size >= 129 && acpi_read(fadt, 112, 4) & BIT(10)) { /* RESET_REG_SUP */
        platform.reset_reg = take_address(fadt, 116);
        platform.reset_value = (uint8_t)acpi_read(fadt, 128, 1);
    }
    return OK;
}

enum err acpi_take_hpet(struct acpi_table *hpet)
{
    if (acpi_read(hpet, 40, 1) == GAS_MEMORY)
        platform.hpet = acpi_read(hpet, 44, 8);
    return hpet->overrun ? acpi_wrong(hpet, "it is too short") : OK;
}

/* --- \_S5 --- */

#define AML_ZERO    0x00u
#define AML_ONE     0x01u
#define AML_BYTE    0x0au
#define AML_PACKAGE 0x12u

/* A number of a package, moves *at behind it; false: it is not written as one of a byte. */
static bool aml_byte(struct acpi_table *dsdt, size_t *at, uint8_t *value)
{
    uint64_t code = acpi_read(dsdt, (*at)++, 1);

    if (code == AML_BYTE)
        code = acpi_read(dsdt, (*at)++, 1);
    else if (code != AML_ZERO && code != AML_ONE)
        return false;
    *value = (uint8_t)code;
    return code <= 7; /* The field has three bits. */
}

/* The package's first two elements are what the two sleep registers want [7.4.2.5, 20.2.5]. */
static bool aml_sleep(struct acpi_table *dsdt, size_t at)
{
    uint64_t lead;

    if (acpi_read(dsdt, at, 1) != AML_PACKAGE)
        return false;
    lead = acpi_read(dsdt, at + 1, 1); /* Bits 7:6: how many bytes of length follow. */
    at += 2 + (lead >> 6);
    if (acpi_read(dsdt, at++, 1) < 2)
        return false;
    return aml_byte(dsdt, &at, &platform.sleep5[0]) && aml_byte(dsdt, &at, &platform.sleep5[1]);
}

void acpi_find_sleep5(const struct acpi *acpi)
{
    struct acpi_table dsdt;

    if (!dsdt_addr || acpi_at(acpi, dsdt_addr, &dsdt) != OK)
        return;
    for (size_t at = ACPI_HEADER_SIZE; at + 8 < dsdt.size; at++) {
        if (dsdt.bytes[at] != '_' || memcmp(dsdt.bytes + at, "_S5_", 4) != 0)
            continue;
        platform.sleep5_known = aml_sleep(&dsdt, at + 4) && !dsdt.overrun;
        if (platform.sleep5_known)
            return;
    }
}
