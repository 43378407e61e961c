/* SPDX-License-Identifier: Apache-2.0 */
/*
 * List registers of a GICv2 (32 bits), and the same in the GICv3's layout (64 bits), which the rest
 * of us uses; there the sender of an SGI has the bits of the physical interrupt. [IHI
 * 0048B, 5.3.10; IHI 0069, 12.4]
 */
#pragma once

#include "kernel/bits.h"

/* GICH_LR<n>. */
#define LR2_VID      BITS(9, 0)
#define LR2_PID      BITS(19, 10) /* HW = 1. */
#define LR2_SENDER   BITS(12, 10) /* HW = 0: of an SGI. */
#define LR2_EOI      BIT(19)      /* HW = 0: notice of the end. */
#define LR2_PRIORITY BITS(27, 23)
#define LR2_STATE    BITS(29, 28)
#define LR2_GROUP1   BIT(30)
#define LR2_HW       BIT(31)

/* ICH_LR<n>_EL2. */
#define LR3_VID      BITS(31, 0)
#define LR3_PID      BITS(44, 32)
#define LR3_SENDER   BITS(34, 32)
#define LR3_EOI      BIT(41)
#define LR3_PRIORITY BITS(55, 48)
#define LR3_GROUP1   BIT(60)
#define LR3_HW       BIT(61)
#define LR3_STATE    BITS(63, 62)

static inline uint64_t gicv2_lr_to_v3(uint32_t lr)
{
    uint64_t v = field_put(LR3_VID, field_get(LR2_VID, lr)) |
                 field_put(LR3_PRIORITY, field_get(LR2_PRIORITY, lr) << 3) |
                 field_put(LR3_STATE, field_get(LR2_STATE, lr)) |
                 (lr & LR2_GROUP1 ? LR3_GROUP1 : 0);

    if (lr & LR2_HW)
        return v | LR3_HW | field_put(LR3_PID, field_get(LR2_PID, lr));
    return v | (lr & LR2_EOI ? LR3_EOI : 0) | field_put(LR3_SENDER, field_get(LR2_SENDER, lr));
}

static inline uint32_t gicv2_lr_from_v3(uint64_t v)
{
    uint64_t lr = field_put(LR2_VID, v) | field_put(LR2_PRIORITY, field_get(LR3_PRIORITY, v) >> 3) |
                  field_put(LR2_STATE, field_get(LR3_STATE, v)) | (v & LR3_GROUP1 ? LR2_GROUP1 : 0);

    if (v & LR3_HW)
        lr |= LR2_HW | field_put(LR2_PID, field_get(LR3_PID, v));
    else
        lr |= (v & LR3_EOI ? LR2_EOI : 0) | field_put(LR2_SENDER, field_get(LR3_SENDER, v));
    return (uint32_t)lr;
}
