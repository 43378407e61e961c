/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own few calls. On Arm they are fast SMCCC calls of the range of a vendor-specific hypervisor
 * service [DEN0028F 6, owner 6].
 */
#pragma once

#include "vcpu/exit.h"

struct vcpu;

#define HYPERCALL_COUNT        0x8600ff00u /* Number of our calls. */
#define HYPERCALL_UID          0x8600ff01u /* Four words: 7c65e5d2-9c3b-4a1e-8d0f-c4155017a1b2. */
#define HYPERCALL_REVISION     0x8600ff03u /* Major, minor. */
#define HYPERCALL_YIELD        0xc6000001u /* Let others of the same priority run. Returns 0. */
/*
 * Unless it calls again within so many milliseconds (the one argument), the VM has crashed. 0: no
 * more, or, where the configuration has a watchdog, so much as that says. Returns 0; all ones for
 * more than HYPERCALL_WATCHDOG_MAX, and nothing is changed.
 */
#define HYPERCALL_WATCHDOG     0xc6000002u
#define HYPERCALL_WATCHDOG_MAX 3600000u

/*
 * The guest is what a crash shall lead back to: where its on-crash is "restore" and it has no
 * golden snapshot, one is taken before the call returns; it returns again whenever the VM goes back
 * to it. Returns 0, also where nothing was done.
 */
#define HYPERCALL_READY        0xc6000003u

/*
 * On RISC-V they are an SBI extension of the range of an implementation's own, with the low 16
 * bits as function.
 */
#define HYPERCALL_SBI          0x0a434149u

/*
 * On x86 they are VMMCALL or VMCALL from CPL 0 with the same number in RAX; an argument is in
 * RBX; results are in RAX, RBX, RCX, RDX. RAX is all ones after a number that there is not.
 */

/* False: not one of ours. Bound. */
bool hypercall(struct vcpu *vcpu, uint64_t function, uint64_t arg);
/* Feeds the VM's watchdog; what HYPERCALL_WATCHDOG returns. */
uint64_t hypercall_watchdog(struct vcpu *vcpu, uint64_t ms);
