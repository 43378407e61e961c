/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A register file in a VMCB: all of it that is there, and not in struct arch_vcpu. Pure, tested on
 * the host.
 */
#pragma once

#include "arch/x86_64/regs.h"
#include "arch/x86_64/vmcb.h"

void svm_get_regs(const struct vmcb *vmcb, struct x86_regs *regs);
/* Whether NMIs are blocked is not in the block: the caller's. */
void svm_put_regs(struct vmcb *vmcb, const struct x86_regs *regs);
/* Why there is no place for it; NULL: there is. */
const char *svm_refuses(const struct x86_regs *regs);
