/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI tables of an x86_64 guest: what vcpu/machine.h says is there. The DSDT is compiled of
 * guest_acpi.asl. Pure.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"

struct machine_layout;

/*
 * Writes all tables into buf, which goes to the guest-physical address base (aligned to 64); the
 * root pointer is first. E_NOMEM: buf is too small.
 */
enum err guest_acpi_write(const struct machine_layout *machine, unsigned cpu_count, uint64_t base,
                          void *buf, size_t room, size_t *size);
