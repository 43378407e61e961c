/* SPDX-License-Identifier: Apache-2.0 */
/* Private to drivers/platform_acpi*.c. */
#pragma once

#include "drivers/acpi.h"

/* Structures of RISC-V in the MADT, by type. platform_acpi_riscv.c */
enum err acpi_take_rintc(struct acpi_table *madt, const struct acpi_item *item);
enum err acpi_take_imsic(struct acpi_table *madt, const struct acpi_item *item);
enum err acpi_take_aplic(struct acpi_table *madt, const struct acpi_item *item);
enum err acpi_take_plic(struct acpi_table *madt, const struct acpi_item *item);
/* After all of them. */
enum err acpi_end_riscv(struct acpi_table *madt);
/* What the harts can. */
enum err acpi_take_rhct(struct acpi_table *rhct);

/* The same for x86. platform_acpi_x86.c */
enum err acpi_take_lapic(struct acpi_table *madt, const struct acpi_item *item);
enum err acpi_take_x2apic(struct acpi_table *madt, const struct acpi_item *item);
enum err acpi_take_ioapic(struct acpi_table *madt, const struct acpi_item *item);
enum err acpi_take_override(struct acpi_table *madt, const struct acpi_item *item);
enum err acpi_take_lapic_nmi(struct acpi_table *madt, const struct acpi_item *item);
enum err acpi_take_x2apic_nmi(struct acpi_table *madt, const struct acpi_item *item);
/* Before all others: what a PC has by convention. */
void acpi_begin_x86(void);
enum err acpi_take_fadt_x86(struct acpi_table *fadt);
enum err acpi_take_hpet(struct acpi_table *hpet);
/* After the FADT: what powers off. */
void acpi_find_sleep5(const struct acpi *acpi);
