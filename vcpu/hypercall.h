/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own few calls. On Arm they are fast SMCCC calls of the range of a vendor-specific hypervisor
 * service [DEN0028F 6, owner 6].
 */
#pragma once

#include "vcpu/exit.h"

struct vcpu;

#define HYPERCALL_COUNT    0x8600ff00u /* Number of our calls. */
#define HYPERCALL_UID      0x8600ff01u /* Four words: 7c65e5d2-9c3b-4a1e-8d0f-c4155017a1b2. */
#define HYPERCALL_REVISION 0x8600ff03u /* Major, minor. */
#define HYPERCALL_YIELD    0xc6000001u /* Let others of the same priority run. Returns 0. */

/*
 * On RISC-V they are an SBI extension of the range of an implementation's own, with the low 16
 * bits as function.
 */
#define HYPERCALL_SBI      0x0a434149u

/*
 * On x86 they are VMMCALL or VMCALL from CPL 0 with the same number in RAX; results are in RAX,
 * RBX, RCX, RDX. RAX is all ones after a number that there is not.
 */

/* False: not one of ours. Bound. */
bool hypercall(struct vcpu *vcpu, struct vcpu_exit *exit, uint64_t function);
