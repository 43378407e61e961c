/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O APICs: pins to vectors, all masked until somebody attaches to one. And the two 8259, which
 * the firmware may have left on: masked for good. [Intel 82093AA data sheet, 1996; ACPI 6.5,
 * 5.2.12.3 and 5.2.12.5]
 *
 * No lock: the boot processor alone attaches interrupts.
 */
#include "arch/x86_64/apic.h"
#include "arch/x86_64/trap.h"
#include "kernel/arch.h"
#include "kernel/bits.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"
#include "mm/hostmap.h"

#define IOAPIC_SELECT    0x00u
#define IOAPIC_WINDOW    0x10u

#define REG_VERSION      0x01u
#define REG_PIN          0x10u /* Two for each. */

#define VERSION_MAX_PIN  BITS(23, 16)
#define VERSION_RESERVED (BITS(31, 24) | BITS(14, 8))
#define PIN_LOW_ACTIVE   BIT(13)
#define PIN_LEVEL        BIT(15)
#define PIN_MASKED       BIT(16)

static struct ioapic {
    volatile char *regs;
    uint32_t gsi, pins;
} ioapics[PLATFORM_REGIONS_MAX];
static unsigned ioapic_count;

static uint32_t ioapic_read(const struct ioapic *ioapic, uint32_t reg)
{
    arch_write32(ioapic->regs + IOAPIC_SELECT, reg);
    return arch_read32(ioapic->regs + IOAPIC_WINDOW);
}

static void ioapic_write(const struct ioapic *ioapic, uint32_t reg, uint32_t value)
{
    arch_write32(ioapic->regs + IOAPIC_SELECT, reg);
    arch_write32(ioapic->regs + IOAPIC_WINDOW, value);
}

/* Both begin anew with vectors that nobody waits for, and mask all pins [8259A data sheet]. */
static void ioapic_mask_pics(void)
{
    static const uint16_t ports[] = {0x20, 0xa0};

    for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
        volatile char *command = (volatile char *)(uintptr_t)ports[i], *data = command + 1;

        arch_write8(command, 0x11);                       /* ICW1: edges, cascade, ICW4. */
        arch_write8(data, (uint8_t)(VECTOR_PIC + 8 * i)); /* ICW2 */
        arch_write8(data, i == 0 ? BIT(2) : 2);           /* ICW3: the other is at pin 2. */
        arch_write8(data, 0x01);                          /* ICW4: of a PC. */
        arch_write8(data, 0xff);
    }
}

/* Where there are no tables it is only supposed to be there: its select register keeps what is
 * written, and no version has those bits. */
static bool ioapic_answers(const struct ioapic *ioapic)
{
    uint32_t version = ioapic_read(ioapic, REG_VERSION);

    return (arch_read32(ioapic->regs + IOAPIC_SELECT) & 0xff) == REG_VERSION && version != 0 &&
           !(version & VERSION_RESERVED);
}

enum err ioapic_init(const struct platform *platform)
{
    volatile void *regs;

    ioapic_mask_pics();
    for (unsigned i = 0; i < platform->ioapic_count; i++) {
        struct ioapic *ioapic = &ioapics[ioapic_count];

        TRY(hostmap_device(platform->ioapics[i].base, PAGE_SIZE, &regs));
        ioapic->regs = regs;
        if (!ioapic_answers(ioapic))
            continue;
        ioapic->gsi = platform->ioapics[i].gsi;
        ioapic->pins = (uint32_t)field_get(VERSION_MAX_PIN, ioapic_read(ioapic, REG_VERSION)) + 1;
        for (uint32_t pin = 0; pin < ioapic->pins; pin++)
            ioapic_write(ioapic, REG_PIN + 2 * pin, PIN_MASKED);
        ioapic_count++;
    }
    return OK;
}

/* ISA's are edges, active high, others levels, active low, if the MADT does not say otherwise. */
static uint32_t ioapic_signal(uint32_t gsi, enum irq_trigger trigger)
{
    for (unsigned i = 0; i < ARRAY_SIZE(platform.isa_irqs); i++) {
        const struct platform_isa_irq *isa = &platform.isa_irqs[i];

        if (isa->gsi == gsi)
            return (isa->level ? PIN_LEVEL : 0) | (isa->low ? PIN_LOW_ACTIVE : 0);
    }
    return trigger == IRQ_LEVEL ? PIN_LEVEL | PIN_LOW_ACTIVE : 0;
}

enum err ioapic_enable(uint32_t gsi, enum irq_trigger trigger, uint8_t vector)
{
    for (unsigned i = 0; i < ioapic_count; i++) {
        const struct ioapic *ioapic = &ioapics[i];
        uint32_t reg = REG_PIN + 2 * (gsi - ioapic->gsi);

        if (gsi < ioapic->gsi || gsi - ioapic->gsi >= ioapic->pins)
            continue;
        if (this_cpu()->hw_id > 0xff)
            return E_UNSUPPORTED; /* Its field for the destination has eight bits. */
        ioapic_write(ioapic, reg, PIN_MASKED);
        ioapic_write(ioapic, reg + 1, (uint32_t)this_cpu()->hw_id << 24);
        ioapic_write(ioapic, reg, ioapic_signal(gsi, trigger) | vector);
        return OK;
    }
    return E_ABSENT;
}
