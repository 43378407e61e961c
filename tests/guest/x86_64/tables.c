/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loader and ACPI tell: the memory map, tables with right sums, processors, the I/O APIC
 * and its overrides, the fixed hardware. [ACPI 6.5, chapter 5]
 */
#include "x86.h"

#define GIB         (1ull << 30)
#define PDPTE_LARGE 0x083u

static uint8_t sum_of(const uint8_t *table, uint32_t size)
{
    uint8_t sum = 0;

    for (uint32_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + table[i]);
    return sum;
}

extern uint64_t pdpt[512];

/* A word of memory anywhere, by a page of 1 GiB; true: it keeps what is written. */
static bool is_memory(uint64_t address)
{
    uint64_t *entry = &pdpt[address / GIB], old = *entry;
    bool good;

    *entry = (address & ~(GIB - 1)) | PDPTE_LARGE;
    __asm__ volatile("invlpg (%0)" ::"r"(address) : "memory");
    *(volatile uint64_t *)address = ~address;
    good = *(volatile uint64_t *)address == ~address;
    *entry = old;
    __asm__ volatile("invlpg (%0)" ::"r"(address) : "memory");
    return good;
}

/* RAM that our own tables do not reach, as much as the command line says. */
static void check_behind_hole(void)
{
    uint64_t size = 0;
    unsigned wrong = 0;

    for (unsigned i = 0; i < memory_count; i++) {
        const struct pvh_memory *m = &memory_map[i];

        if (m->type != 1 || m->base < 4 * GIB)
            continue;
        size += m->size;
        wrong += !is_memory(m->base) || !is_memory(m->base + m->size - 8);
    }
    check_eq(size, machine_argument("behind", 0) << 20, "memory behind 4 GiB is as configured");
    check_eq(wrong, 0, "and is there from end to end");
}

static void check_map(void)
{
    uint64_t base, size, overlaps = 0;
    unsigned low = 0;

    machine_memory(&base, &size);
    for (unsigned i = 0; i < memory_count; i++) {
        const struct pvh_memory *m = &memory_map[i];

        print("# 0x%lx-0x%lx type %u\n", m->base, m->base + m->size - 1, m->type);
        low += m->type == 1 && m->base == 0 && m->size >= 0x80000;
        for (unsigned k = 0; k < i; k++)
            overlaps += m->base < memory_map[k].base + memory_map[k].size &&
                        memory_map[k].base < m->base + m->size;
    }
    check_eq(low, 1, "there is memory at 0");
    check_eq(overlaps, 0, "no two ranges overlap");
    check(size > 0x200000, "and from 1 MiB");
    for (uint64_t at = 0x1000; at < 0x7000; at += 8)
        *(volatile uint64_t *)at = at;
    check_eq(*(volatile uint64_t *)0x6ff8, 0x6ff8, "which is memory");
}

static void check_tables(void)
{
    static const char *const names[] = {"FACP", "APIC", "MCFG"};
    unsigned wrong = 0;

    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *table = acpi_find(names[i]);

        wrong += table == NULL || sum_of(table, acpi_get(table + 4, 4)) != 0;
    }
    check_eq(wrong, 0, "FADT, MADT and MCFG are there, with right sums");
}

static void check_madt(void)
{
    const uint8_t *madt = acpi_find("APIC");
    unsigned wrong = 0;

    check_eq(acpi_get(madt + 36, 4), LAPIC_BASE, "the MADT tells where local APICs are");
    for (unsigned cpu = 1; cpu < machine_cpu_count(); cpu++)
        wrong += apic_id_of(cpu) == apic_id_of(cpu - 1);
    check_eq(wrong, 0, "each processor has an id of its own");
    check_eq(apic_id_of(0), lapic_x2 ? lapic_read(LAPIC_ID) : lapic_read(LAPIC_ID) >> 24,
             "the first is this one");
    check_eq(isa_pin(0), 2, "the PIT's interrupt is at pin 2");
    check_eq(isa_pin(4), 4, "the UART's at pin 4");
    check_eq((ioapic_read(1) >> 16 & 0xff) + 1, IRQ_PINS, "the I/O APIC has 24 pins");
}

static void check_fadt(void)
{
    const uint8_t *fadt = acpi_find("FACP"), *dsdt;

    check_eq(acpi_get(fadt + 76, 4), PM_TIMER_PORT, "the FADT tells where the PM timer is");
    check(acpi_get(fadt + 112, 4) & 1 << 10, "and that there is a reset register");
    if (is_caisson)
        check_eq(in16((uint16_t)acpi_get(fadt + 64, 4)) & 1, 1, "ACPI is on");
    dsdt = (const uint8_t *)(uint64_t)acpi_get(fadt + 40, 4);
    check(text_starts((const char *)dsdt, "DSDT"), "there is a DSDT");
    check_eq(sum_of(dsdt, acpi_get(dsdt + 4, 4)), 0, "with a right sum");
}

void guest_main(void)
{
    check_map();
    check_behind_hole();
    check_tables();
    check_madt();
    check_fadt();
}
