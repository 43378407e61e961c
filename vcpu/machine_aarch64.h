/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of a guest's GIC that trap. Private to machine_aarch64*.c and intent_aarch64.c. */
#pragma once

#include "kernel/types.h"

/* ISS of a MRS or MSR without Rt and direction. */
#define SYS_ISS(op0, op1, crn, crm, op2)                                                           \
    ((uint32_t)((op0) << 20 | (op2) << 17 | (op1) << 14 | (crn) << 10 | (crm) << 1))
#define ICC_SGI1R_EL1  SYS_ISS(3, 0, 12, 11, 5)
#define ICC_ASGI1R_EL1 SYS_ISS(3, 0, 12, 11, 6)
#define ICC_SGI0R_EL1  SYS_ISS(3, 0, 12, 11, 7)
#define ICC_DIR_EL1    SYS_ISS(3, 0, 12, 11, 1)
