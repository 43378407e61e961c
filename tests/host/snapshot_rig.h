/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of snapshots: a guest's memory, and the few steps that each takes. */
#pragma once

#include "tests/host/vm_rig.h"
#include "vcpu/snapshot_impl.h"

#define AT (RIG_RAM_BASE + MIB) /* Guest memory that nothing else uses. */

uint64_t get(struct vm *vm, uint64_t addr);
void put(struct vm *vm, uint64_t addr, uint64_t value);
/* Taken, and in use. */
struct snapshot *take(struct vm *vm, const char *name, struct snapshot *parent);
/* Restored, and running. */
void go_back(struct vm *vm, struct snapshot *s);
/* Forgets the snapshots, youngest first, and takes the VM apart (NULL: neither). */
void end(struct vm *vm, struct snapshot *const *snapshots, unsigned count);
