/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM made by hand, of any architecture's machine on the fake processor: for machines that are not
 * the fake's own, which vm_rig.h has.
 */
#pragma once

#include "tests/host/vm_rig.h"

struct machine_ops;

/* Fresh memory and four pCPUs, of which we are the first. */
void hand_rig_start(void);
/*
 * Runs, with 2 MiB of RAM and so many vCPUs (of config, too), off, let go, one on each pCPU; its
 * machine made and reset.
 */
void hand_rig_make(struct vm *vm, struct vcpu *vcpus, const struct config_vm *config,
                   const struct machine_ops *machine);
/* Whichever vCPU is bound is unbound; all goes back. */
void hand_rig_end(struct vm *vm);
