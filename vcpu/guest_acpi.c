/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables; see guest_acpi.h. [ACPI 6.5, chapter 5.2; PCI Firmware Specification 3.2, 4.1.2;
 * Microsoft: Serial Port Console Redirection Table]
 */
#include "vcpu/guest_acpi.h"

#include "guest_acpi.hex"
#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/string.h"
#include "vcpu/machine.h"

#define HEADER_SIZE     36u
#define HEADER_LENGTH   4u /* Offsets. */
#define HEADER_CHECKSUM 9u
#define TABLES          4u /* Of the XSDT. */
#define TABLE_ALIGN     64u
#define OTHERS_SIZE_MAX 1280u /* Of all but the DSDT and the MADT's processors, aligned. */
#define MADT_CPU_SIZE   8u

/* Where I/O goes, in "generic addresses". */
#define SPACE_PORTS     1u

/* FADT: offsets and values. */
#define FADT_SIZE       276u
#define PM_EVENTS       0u /* From the base of the power management ports. */
#define PM_CONTROL      4u
#define PM_TIMER        8u
#define RESET_PORT      0xcf9u
#define RESET_VALUE     0x06u
#define CENTURY         0x32u             /* Where the clock has it. */
#define BOOT_ARCH       (BIT(0) | BIT(2)) /* Legacy devices; no VGA. No 8042. */
/* WBINVD, C1, no fixed power or sleep button, no fixed RTC wake, 32-bit timer, reset register. */
#define FADT_FLAGS      (BIT(0) | BIT(2) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(10))

/* MADT: flags of an override. */
#define ISA_TIMER       0u
#define LEVEL_HIGH      0x0du
#define ALL_PROCESSORS  0xffu

struct writer {
    uint8_t *buf;
    uint64_t base;
    size_t room, used;
};

static void put(uint8_t *table, unsigned offset, uint64_t value, unsigned bytes)
{
    memcpy(table + offset, &value, bytes);
}

/* Zeroed room. */
static uint8_t *take(struct writer *w, size_t size, uint64_t *address)
{
    size_t at = ALIGN_UP(w->used, TABLE_ALIGN);

    assert(at <= w->room && size <= w->room - at);
    memset(w->buf + w->used, 0, at + size - w->used);
    w->used = at + size;
    *address = w->base + at;
    return w->buf + at;
}

/* The byte that makes the sum of all 0. */
static void seal(uint8_t *bytes, size_t size, unsigned checksum)
{
    uint8_t sum = 0;

    bytes[checksum] = 0;
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + bytes[i]);
    bytes[checksum] = (uint8_t)-sum;
}

static uint8_t *begin(struct writer *w, const char *signature, uint8_t revision, size_t size,
                      uint64_t *address)
{
    uint8_t *table = take(w, size, address);

    memcpy(table, signature, 4);
    put(table, HEADER_LENGTH, size, 4);
    table[8] = revision;
    memcpy(table + 10, "CAISSNCAISSON ", 14);
    put(table, 24, 1, 4);
    memcpy(table + 28, "CSSN", 4);
    put(table, 32, 1, 4);
    return table;
}

static void generic_port(uint8_t *table, unsigned offset, unsigned bits, uint64_t port)
{
    put(table, offset, SPACE_PORTS, 1);
    put(table, offset + 1, bits, 1);
    put(table, offset + 3, bits == 8 ? 1 : bits == 16 ? 2 : 3, 1);
    put(table, offset + 4, port, 8);
}

static uint64_t write_fadt(struct writer *w, const struct machine_layout *machine, uint64_t dsdt,
                           uint64_t facs)
{
    const struct machine_device *pm = machine_device(machine, "pm");
    uint64_t address;
    uint8_t *t = begin(w, "FACP", 6, FADT_SIZE, &address);

    put(t, 36, facs, 4);
    put(t, 40, dsdt, 4);
    put(t, 46, pm->irq, 2);
    put(t, 56, pm->base + PM_EVENTS, 4);
    put(t, 64, pm->base + PM_CONTROL, 4);
    put(t, 76, pm->base + PM_TIMER, 4);
    put(t, 88, 4, 1);     /* Bytes of the events, */
    put(t, 89, 2, 1);     /* of the control register, */
    put(t, 91, 4, 1);     /* of the timer. */
    put(t, 96, 0xfff, 2); /* No C2, no C3. */
    put(t, 98, 0xffff, 2);
    put(t, 108, CENTURY, 1);
    put(t, 109, BOOT_ARCH, 2);
    put(t, 112, FADT_FLAGS, 4);
    generic_port(t, 116, 8, RESET_PORT);
    put(t, 128, RESET_VALUE, 1);
    put(t, 140, dsdt, 8);
    generic_port(t, 148, 32, pm->base + PM_EVENTS);
    generic_port(t, 172, 16, pm->base + PM_CONTROL);
    generic_port(t, 208, 32, pm->base + PM_TIMER);
    memcpy(t + 268, "CAISSON", 8);
    seal(t, FADT_SIZE, HEADER_CHECKSUM);
    return address;
}

static uint64_t write_madt(struct writer *w, const struct machine_layout *machine,
                           unsigned cpu_count)
{
    const struct machine_device *pm = machine_device(machine, "pm");
    size_t size = HEADER_SIZE + 8 + MADT_CPU_SIZE * cpu_count + 12 + 2 * 10 + 6;
    uint64_t address;
    uint8_t *t = begin(w, "APIC", 5, size, &address), *item = t + HEADER_SIZE + 8;

    put(t, 36, machine_device(machine, "lapic")->base, 4);
    put(t, 40, 1, 4); /* There are 8259s, too. */
    for (unsigned i = 0; i < cpu_count; i++, item += MADT_CPU_SIZE) {
        const uint8_t cpu[MADT_CPU_SIZE] = {0, 8, (uint8_t)i, (uint8_t)i, 1}; /* Enabled. */

        memcpy(item, cpu, sizeof(cpu));
    }
    put(item, 0, 1 | 12 << 8, 4); /* I/O APIC 0, from interrupt 0 on. */
    put(item, 4, machine_device(machine, "ioapic")->base, 8);
    item += 12;
    put(item, 0, 2 | 10 << 8 | ISA_TIMER << 24, 4);
    put(item, 4, machine_device(machine, "pit")->irq, 6);
    item += 10;
    put(item, 0, 2 | 10 << 8 | pm->irq << 24, 4);
    put(item, 4, pm->irq | (uint64_t)LEVEL_HIGH << 32, 6);
    item += 10;
    put(item, 0, 4 | 6 << 8 | ALL_PROCESSORS << 16 | 1ull << 40, 6); /* NMI: LINT1. */
    seal(t, size, HEADER_CHECKSUM);
    return address;
}

static uint64_t write_mcfg(struct writer *w, const struct machine_layout *machine)
{
    const struct machine_device *ecam = machine_device(machine, "pcie-ecam");
    uint64_t address;
    uint8_t *t = begin(w, "MCFG", 1, 60, &address);

    put(t, 44, ecam->base, 8);
    put(t, 55, ecam->size / MIB - 1, 1); /* The last bus: each has 1 MiB. */
    seal(t, 60, HEADER_CHECKSUM);
    return address;
}

static uint64_t write_spcr(struct writer *w, const struct machine_layout *machine)
{
    const struct machine_device *uart = machine_device(machine, "ns16550");
    uint64_t address;
    uint8_t *t = begin(w, "SPCR", 2, 80, &address);

    generic_port(t, 40, 8, uart->base); /* Type 0 at 36: a 16550. */
    put(t, 52, BIT(1), 1);              /* Its interrupt goes to the I/O APIC. */
    put(t, 53, uart->irq, 1);
    put(t, 54, uart->irq, 4);
    put(t, 58, 7, 1);          /* 115200 baud, no parity, */
    put(t, 60, 1, 1);          /* one stop bit. */
    put(t, 64, 0xffffffff, 4); /* Not on PCI. */
    seal(t, 80, HEADER_CHECKSUM);
    return address;
}

static uint64_t write_dsdt(struct writer *w)
{
    uint64_t address;

    memcpy(take(w, sizeof(guest_acpi_aml_code), &address), guest_acpi_aml_code,
           sizeof(guest_acpi_aml_code));
    return address;
}

static uint64_t write_facs(struct writer *w)
{
    uint64_t address;
    uint8_t *t = take(w, 64, &address);

    memcpy(t, "FACS", 4);
    put(t, HEADER_LENGTH, 64, 4);
    t[32] = 2;
    return address;
}

enum err guest_acpi_write(const struct machine_layout *machine, unsigned cpu_count, uint64_t base,
                          void *buf, size_t room, size_t *size)
{
    struct writer w = {.buf = buf, .base = base, .room = room};
    uint64_t xsdt_address, root_address, dsdt, tables[TABLES];
    uint8_t *root, *xsdt;

    if (room < OTHERS_SIZE_MAX + sizeof(guest_acpi_aml_code) + MADT_CPU_SIZE * cpu_count)
        return E_NOMEM;
    root = take(&w, HEADER_SIZE, &root_address);
    xsdt = begin(&w, "XSDT", 1, HEADER_SIZE + sizeof(tables), &xsdt_address);
    dsdt = write_dsdt(&w);
    tables[0] = write_fadt(&w, machine, dsdt, write_facs(&w));
    tables[1] = write_madt(&w, machine, cpu_count);
    tables[2] = write_mcfg(&w, machine);
    tables[3] = write_spcr(&w, machine);
    memcpy(xsdt + HEADER_SIZE, tables, sizeof(tables));
    seal(xsdt, HEADER_SIZE + sizeof(tables), HEADER_CHECKSUM);
    memcpy(root, "RSD PTR ", 8);
    memcpy(root + 9, "CAISSN", 6);
    root[15] = 2;
    put(root, 20, HEADER_SIZE, 4);
    put(root, 24, xsdt_address, 8);
    seal(root, 20, 8);
    seal(root, HEADER_SIZE, 32);
    *size = w.used;
    return OK;
}
