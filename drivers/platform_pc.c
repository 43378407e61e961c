/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PC whose firmware has no ACPI tables: processors that the boot loader found, local APICs, and
 * what every PC has; whether the I/O APIC is there, arch/ finds out. Boot only.
 */
#include "drivers/platform.h"

#include "drivers/platform_acpi.h"
#include "kernel/arch.h"
#include "kernel/bits.h"

/* Where the first one is when nobody says otherwise; ISA's interrupts are at the pins of their
 * number, but for the timer's. [Intel MultiProcessor Specification 1.4, 3.6.5 and D.3] */
#define IOAPIC_BASE   0xfec00000u

#define COM1          0x3f8u
#define COM1_IRQ      4u
#define REG_SCRATCH   7u
#define SCRATCH_VALUE 0xa5u

/* The scratch register keeps what is written to it; where nothing is, all reads give ones. */
void platform_pc_console(void)
{
    volatile uint8_t *scratch = (volatile uint8_t *)(uintptr_t)(COM1 + REG_SCRATCH);
    uint8_t before = arch_read8(scratch);
    bool there;

    arch_write8(scratch, SCRATCH_VALUE);
    there = arch_read8(scratch) == SCRATCH_VALUE;
    arch_write8(scratch, before);
    if (!there)
        return;
    platform.uart = UART_16550;
    platform.uart_base = COM1;
    platform.uart_irq = platform.ioapic_count > 0 ? platform.isa_irqs[COM1_IRQ].gsi : 0;
}

enum err platform_pc(const uint64_t *cpu_ids, unsigned cpu_count)
{
    platform_begin("the boot loader");
    acpi_begin_x86();
    platform.nmi_lints =
        BIT(1); /* As PCs are wired [Intel MultiProcessor Specification 1.4, 3.6.2]. */
    for (unsigned i = 0; i < cpu_count; i++)
        TRY(platform_add_cpu(cpu_ids[i], 0));
    platform.ioapics[0].base = IOAPIC_BASE;
    platform.ioapic_count = 1;
    platform_pc_console();
    return platform_end();
}
