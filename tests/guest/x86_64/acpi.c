/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loader and ACPI tell of an x86_64 machine. They are trusted: they are ours, or QEMU's.
 * [Xen: x86/HVM direct boot ABI; ACPI 6.5, chapter 5]
 */
#include "x86.h"

#define MADT_ENTRIES  44u
#define MADT_LAPIC    0u
#define MADT_OVERRIDE 2u
#define MADT_X2APIC   9u

#define FADT_DSDT     40u
#define FADT_PM1A     64u
#define FADT_RESET    120u
#define FADT_VALUE    128u

#define SLEEP         (1u << 13)
#define MIB           0x100000ull

static char cmdline[2048];
static const uint8_t *xsdt;
static unsigned cpu_count, ids[CPUS_MAX], pins[16];

struct pvh_memory memory_map[MEMORY_MAX];
unsigned memory_count;
bool is_caisson;

uint32_t acpi_get(const void *at, unsigned bytes)
{
    const uint8_t *b = at;
    uint32_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint32_t)b[i] << 8 * i;
    return value;
}

static const uint8_t *at_address(uint32_t address)
{
    return (const uint8_t *)(uint64_t)address;
}

/* By the XSDT or the RSDT; tables are below 4 GiB. */
const uint8_t *acpi_find(const char *signature)
{
    unsigned width = xsdt[0] == 'X' ? 8 : 4;

    for (unsigned at = 36; at + width <= acpi_get(xsdt + 4, 4); at += width) {
        const uint8_t *table = at_address(acpi_get(xsdt + at, 4));

        if (text_starts((const char *)table, signature))
            return table;
    }
    return NULL;
}

static void take_entry(const uint8_t *entry)
{
    bool x2 = entry[0] == MADT_X2APIC;

    if ((entry[0] == MADT_LAPIC || x2) && (acpi_get(entry + (x2 ? 8 : 4), 4) & 1) &&
        cpu_count < CPUS_MAX)
        ids[cpu_count++] = x2 ? acpi_get(entry + 4, 4) : entry[3];
    if (entry[0] == MADT_OVERRIDE && entry[3] < 16)
        pins[entry[3]] = acpi_get(entry + 4, 4);
}

static void take_madt(void)
{
    const uint8_t *madt = acpi_find("APIC");

    for (unsigned i = 0; i < 16; i++)
        pins[i] = i;
    for (unsigned at = MADT_ENTRIES; at < acpi_get(madt + 4, 4); at += madt[at + 1])
        take_entry(madt + at);
}

void machine_find(const struct pvh_start *start)
{
    const struct pvh_memory *map = (const void *)start->memory_map;
    const char *line = (const char *)start->cmdline;
    const uint8_t *rsdp = (const uint8_t *)start->rsdp;
    struct cpuid id = cpuid(0x40000000, 0);

    for (unsigned i = 0; line != NULL && line[i] && i < sizeof(cmdline) - 1; i++)
        cmdline[i] = line[i];
    memory_count = start->memory_count < MEMORY_MAX ? start->memory_count : MEMORY_MAX;
    for (unsigned i = 0; i < memory_count; i++)
        memory_map[i] = map[i];
    is_caisson = cpuid(1, 0).ecx >> 31 && text_starts((const char *)&id.ebx, "CaissonCaiss");
    xsdt = at_address(acpi_get(rsdp + (rsdp[15] >= 2 ? 24 : 16), 4));
    take_madt();
}

unsigned machine_cpu_count(void)
{
    return cpu_count;
}

unsigned apic_id_of(unsigned cpu)
{
    return ids[cpu];
}

unsigned isa_pin(unsigned irq)
{
    return pins[irq];
}

uint64_t machine_argument(const char *word, uint64_t other)
{
    return text_argument(cmdline, word, other);
}

/* From 0 to the end of the RAM at 1 MiB; a PC has something else between. */
void machine_memory(uint64_t *base, uint64_t *size)
{
    *base = *size = 0;
    for (unsigned i = 0; i < memory_count; i++)
        if (memory_map[i].type == 1 && memory_map[i].base <= MIB &&
            memory_map[i].base + memory_map[i].size > MIB)
            *size = memory_map[i].base + memory_map[i].size;
}

/* The first megabyte: what the loader tells, tables of ACPI, our own code in real mode. */
bool machine_loaded(unsigned number, uint64_t *start, uint64_t *end)
{
    *start = 0;
    *end = MIB;
    return number == 0;
}

/* --- Power. --- */

/* The first element of the package \_S5, a byte, or a constant. [ACPI 6.5, 7.4.2, 20.2] */
static unsigned sleep_type(const uint8_t *fadt)
{
    const uint8_t *dsdt = at_address(acpi_get(fadt + FADT_DSDT, 4));

    for (unsigned at = 36; at + 8 < acpi_get(dsdt + 4, 4); at++)
        if (text_starts((const char *)dsdt + at, "_S5_"))
            return dsdt[at + 7] == 0x0a ? dsdt[at + 8] : dsdt[at + 7];
    return 0;
}

void power_off(void)
{
    const uint8_t *fadt = acpi_find("FACP");
    uint16_t port = (uint16_t)acpi_get(fadt + FADT_PM1A, 4);

    out16(port, (uint16_t)(sleep_type(fadt) << 10 | SLEEP));
    for (;;)
        __asm__ volatile("cli; hlt");
}

void machine_reset(void)
{
    const uint8_t *fadt = acpi_find("FACP");

    out8((uint16_t)acpi_get(fadt + FADT_RESET, 4), fadt[FADT_VALUE]);
    for (;;)
        __asm__ volatile("cli; hlt");
}
