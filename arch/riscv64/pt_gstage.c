/* SPDX-License-Identifier: Apache-2.0 */
/*
 * G-stage entries: Sv39x4 and Sv48x4, with a root of four joined tables. Pure. Every access counts
 * as one of U-mode, so leaves have U; one without U is a leaf without rights. Where D is clear a
 * write sets it, or faults: that is the hart's choice (Svadu, Svade), and both tell what was
 * written. [hypervisor.adoc, Guest Physical Address Translation]
 */
#include "arch/riscv64/pt_riscv64.h"
#include "kernel/bits.h"

static uint64_t gstage_leaf_bits(unsigned, struct pt_attr attr)
{
    uint64_t bits = PTE_V | PTE_A | PTE_D | field_put(PTE_RSW, attr.memory);

    if (!attr.read && !attr.write && !attr.execute)
        return bits | PTE_R;
    bits |= PTE_U;
    if (attr.read || attr.write) /* Write without read is reserved. */
        bits |= PTE_R;
    if (attr.write)
        bits |= PTE_W;
    if (attr.execute)
        bits |= PTE_X;
    return bits;
}

static struct pt_attr gstage_leaf_attr(unsigned, uint64_t pte)
{
    return (struct pt_attr){
        .read = (pte & PTE_U) && (pte & PTE_R),
        .write = (pte & PTE_U) && (pte & PTE_W),
        .execute = (pte & PTE_U) && (pte & PTE_X),
        .memory = (enum pt_memory)field_get(PTE_RSW, pte),
    };
}

static enum pte_kind gstage_kind(uint64_t pte, unsigned level)
{
    if (!(pte & PTE_V))
        return PTE_HOLE;
    if (pte & (PTE_R | PTE_W | PTE_X))
        return PTE_LEAF;
    return level > 0 ? PTE_TABLE : PTE_HOLE;
}

#define GSTAGE_FORMAT(bits_, levels_)                                                              \
    const struct pt_format pt_format_sv##bits_##x4 = {                                             \
        .name = "Sv" #bits_ "x4",                                                                  \
        .levels = (levels_),                                                                       \
        .leaf_level_max = 2,                                                                       \
        .root_bits = 11,                                                                           \
        .addr_shift = 2,                                                                           \
        .addr_mask = PTE_PPN,                                                                      \
        .table_bits = PTE_V,                                                                       \
        .dirty = PTE_D,                                                                            \
        .writable = PTE_W,                                                                         \
        .leaf_bits = gstage_leaf_bits,                                                             \
        .leaf_attr = gstage_leaf_attr,                                                             \
        .kind = gstage_kind,                                                                       \
    }

GSTAGE_FORMAT(39, 3);
GSTAGE_FORMAT(48, 4);
