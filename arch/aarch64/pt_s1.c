/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage-1 entries of EL2 without VHE: one range of addresses, one privilege level. Pure.
 * [Arm ARM D8.3 descriptor formats, D8.4 permissions, D8.6 memory attributes]
 */
#include "arch/aarch64/pt_aarch64.h"
#include "kernel/bits.h"

#define S1_VALID    BIT(0)
#define S1_TABLE    BIT(1)     /* Levels above 0: points to a table. Level 0: must be 1. */
#define S1_ATTR     BITS(4, 2) /* Index into MAIR_EL2. */
#define S1_AP1      BIT(6)     /* Is 1 where there is one privilege level. */
#define S1_AP2      BIT(7)     /* Read-only. */
#define S1_SH       BITS(9, 8) /* 3: inner shareable. */
#define S1_AF       BIT(10)    /* Accessed; 0 would fault. */
#define S1_XN       BIT(54)
#define S1_ADDR     BITS(47, 12)

#define S1_SH_INNER 3u

/*
 * Not readable cannot be said: a mapping without rights is not made. nG is 0: there are no ASIDs.
 */
static uint64_t s1_leaf_bits(unsigned level, struct pt_attr attr)
{
    uint64_t bits = S1_VALID | S1_AP1 | S1_AF | field_put(S1_SH, S1_SH_INNER);

    if (level == 0)
        bits |= S1_TABLE;
    if (!attr.write)
        bits |= S1_AP2;
    if (!attr.execute)
        bits |= S1_XN;
    switch (attr.memory) {
    case PT_NORMAL:
        return bits | field_put(S1_ATTR, 0);
    case PT_DEVICE:
        return bits | field_put(S1_ATTR, 1);
    case PT_UNCACHED:
        break;
    }
    return bits | field_put(S1_ATTR, 2);
}

static struct pt_attr s1_leaf_attr(unsigned, uint64_t pte)
{
    static const enum pt_memory memory[8] = {PT_NORMAL, PT_DEVICE, PT_UNCACHED};

    return (struct pt_attr){
        .read = true,
        .write = !(pte & S1_AP2),
        .execute = !(pte & S1_XN),
        .global = true,
        .memory = memory[field_get(S1_ATTR, pte)],
    };
}

/* 0b01 at level 0 is reserved and faults like a hole; so does a leaf above level 2. */
static enum pte_kind s1_kind(uint64_t pte, unsigned level)
{
    if (!(pte & S1_VALID))
        return PTE_HOLE;
    if (pte & S1_TABLE)
        return level == 0 ? PTE_LEAF : PTE_TABLE;
    return level == 1 || level == 2 ? PTE_LEAF : PTE_HOLE;
}

const struct pt_format pt_format_s1 = {
    .name = "aarch64 stage 1, 48 bits",
    .levels = 4,
    .leaf_level_max = 2,
    .root_bits = 9,
    .addr_mask = S1_ADDR,
    .table_bits = S1_VALID | S1_TABLE,
    .break_before_make = true,
    .leaf_bits = s1_leaf_bits,
    .leaf_attr = s1_leaf_attr,
    .kind = s1_kind,
};
