/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host memory that the configuration names by address. It is taken before anything is allocated for
 * a guest, so that nothing else comes to lie there: pinned RAM and ROM until their VM is created,
 * memory that VMs share for good.
 */
#pragma once

#include "kernel/types.h"

struct config_vm;
struct memmap;

/*
 * Checks and takes what the VM pins; false: something cannot be had, which is logged with its node.
 * Boot.
 */
bool pinned_claim(const struct config_vm *vm, const struct memmap *map);
/* Gives its RAM and ROM back, for vm_create() to take at once. */
void pinned_release(const struct config_vm *vm);
