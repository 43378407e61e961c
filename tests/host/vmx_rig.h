/* SPDX-License-Identifier: Apache-2.0 */
/* A processor with VMX, as vmx_check() is told of it. */
#pragma once

#include "arch/x86_64/guest_regs.h"
#include "arch/x86_64/vmx_check.h"
#include "arch/x86_64/vmx_fields.h"

static const struct vmx_limits vmx_rig_limits = {
    .cr0_ones = CR0_PE | CR0_NE | CR0_PG,
    .cr0_may = UINT32_MAX,
    .cr4_ones = CR4_VMXE,
    .cr4_may = BITS(23, 0),
    .efer = BIT(0) | EFER_LME | EFER_LMA | EFER_NXE,
    .physical_bits = 40,
};
