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
