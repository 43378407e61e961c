/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of long mode. Pure. A and D are always set, so that the processor need not. The kind of
 * memory is an index into the PAT as PAT_VALUE sets it: 0 write-back, 1 write-combining, 3
 * uncached. [SDM 3, 4.5, 12.12 Page Attribute Table]
 */
#include "arch/x86_64/pt_x86_64.h"

static uint64_t long_leaf_bits(unsigned level, struct pt_attr attr)
{
    uint64_t bits = LONG_P | LONG_A | LONG_D;

    if (level > 0)
        bits |= LONG_PS;
    if (attr.write)
        bits |= LONG_W;
    if (!attr.execute)
        bits |= LONG_NX;
    if (attr.user)
        bits |= LONG_U;
    if (attr.global)
        bits |= LONG_G;
    if (attr.memory == PT_UNCACHED)
        bits |= LONG_PWT;
    if (attr.memory == PT_DEVICE)
        bits |= LONG_PWT | LONG_PCD;
    return bits;
}

static struct pt_attr long_leaf_attr(unsigned, uint64_t pte)
{
    return (struct pt_attr){
        .read = true,
        .write = pte & LONG_W,
        .execute = !(pte & LONG_NX),
        .user = pte & LONG_U,
        .global = pte & LONG_G,
        .memory = pte & LONG_PCD   ? PT_DEVICE
                  : pte & LONG_PWT ? PT_UNCACHED
                                   : PT_NORMAL,
    };
}

static enum pte_kind long_kind(uint64_t pte, unsigned level)
{
    if (!(pte & LONG_P))
        return PTE_HOLE;
    return level == 0 || (pte & LONG_PS) ? PTE_LEAF : PTE_TABLE;
}

const struct pt_format pt_format_long = {
    .name = "long mode, 4 levels",
    .levels = 4,
    .leaf_level_max = 2,
    .root_bits = 8,
    .addr_mask = LONG_ADDR,
    .table_bits = LONG_P | LONG_W | LONG_U,
    .leaf_bits = long_leaf_bits,
    .leaf_attr = long_leaf_attr,
    .kind = long_kind,
};
