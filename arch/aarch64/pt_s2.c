/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage-2 entries (VMSAv8-64), in the sizes of guest-physical addresses that hardware can have.
 * Where the lookup starts at level 1, up to 16 tables are joined to one root. Pure. [Arm ARM D8.2
 * start level and concatenated tables, D8.3 descriptor formats, D8.4 permissions, D8.6 memory
 * attributes without FEAT_S2FWB, D8.4.7 and D8.5.2 hardware management of dirty state]
 */
#include "arch/aarch64/pt_aarch64.h"
#include "kernel/bits.h"

#define S2_VALID         BIT(0)
#define S2_TABLE         BIT(1)     /* Levels above 0: points to a table. Level 0: must be 1. */
#define S2_ATTR          BITS(5, 2) /* MemAttr. */
#define S2_READ          BIT(6)     /* S2AP[0] */
#define S2_WRITE         BIT(7)     /* S2AP[1] */
#define S2_SH            BITS(9, 8) /* 3: inner shareable. */
#define S2_AF            BIT(10)    /* Accessed; 0 would fault. */
#define S2_XN            BIT(54)    /* With bit 53 at 0: no execution, FEAT_XNX or not. */
#define S2_DBM           BIT(51)    /* FEAT_HAFDBS: the first write sets S2AP[1], no fault. */
#define S2_WRITABLE      BIT(55)    /* Ours: hardware ignores it. */
#define S2_ADDR          BITS(47, 12)

#define S2_SH_INNER      3u

/* MemAttr: bits 3:2 outer, 1:0 inner; 0b00 in the upper ones is a device. */
#define S2_ATTR_NORMAL   15u
#define S2_ATTR_DEVICE   1u /* Device-nGnRE */
#define S2_ATTR_UNCACHED 5u

static uint64_t s2_memattr(enum pt_memory memory)
{
    switch (memory) {
    case PT_NORMAL:
        return field_put(S2_ATTR, S2_ATTR_NORMAL);
    case PT_DEVICE:
        return field_put(S2_ATTR, S2_ATTR_DEVICE);
    case PT_UNCACHED:
        break;
    }
    return field_put(S2_ATTR, S2_ATTR_UNCACHED);
}

static uint64_t s2_leaf_bits(unsigned level, struct pt_attr attr)
{
    uint64_t bits = S2_VALID | S2_AF | field_put(S2_SH, S2_SH_INNER) | s2_memattr(attr.memory);

    if (level == 0)
        bits |= S2_TABLE;
    if (attr.read)
        bits |= S2_READ;
    if (attr.write)
        bits |= S2_WRITE | S2_WRITABLE;
    if (!attr.execute)
        bits |= S2_XN;
    return bits;
}

static uint64_t s2_leaf_bits_dbm(unsigned level, struct pt_attr attr)
{
    return s2_leaf_bits(level, attr) | (attr.write ? S2_DBM : 0);
}

static struct pt_attr s2_leaf_attr(unsigned, uint64_t pte)
{
    uint64_t memory = field_get(S2_ATTR, pte);

    return (struct pt_attr){
        .read = pte & S2_READ,
        .write = pte & S2_WRITE,
        .execute = !(pte & S2_XN),
        .memory = memory == S2_ATTR_NORMAL   ? PT_NORMAL
                  : memory == S2_ATTR_DEVICE ? PT_DEVICE
                                             : PT_UNCACHED,
    };
}

/* 0b01 at level 0 is reserved and faults like a hole; so does a leaf above level 2. */
static enum pte_kind s2_kind(uint64_t pte, unsigned level)
{
    if (!(pte & S2_VALID))
        return PTE_HOLE;
    if (pte & S2_TABLE)
        return level == 0 ? PTE_LEAF : PTE_TABLE;
    return level == 1 || level == 2 ? PTE_LEAF : PTE_HOLE;
}

/* Index bits of the root are what the levels below leave over. */
#define S2_FORMAT(bits_, levels_, suffix, leaf_bits_)                                              \
    const struct pt_format pt_format_s2_##bits_##suffix = {                                        \
        .name = "aarch64 stage 2, " #bits_ #suffix " bits",                                        \
        .levels = (levels_),                                                                       \
        .leaf_level_max = 2,                                                                       \
        .root_bits = (bits_)-PAGE_SHIFT - 9 * ((levels_)-1),                                       \
        .addr_mask = S2_ADDR,                                                                      \
        .table_bits = S2_VALID | S2_TABLE,                                                         \
        .dirty = S2_WRITE,                                                                         \
        .writable = S2_WRITABLE,                                                                   \
        .break_before_make = true,                                                                 \
        .leaf_bits = (leaf_bits_),                                                                 \
        .leaf_attr = s2_leaf_attr,                                                                 \
        .kind = s2_kind,                                                                           \
    }

#define S2_FORMATS(bits_, levels_)                                                                 \
    S2_FORMAT(bits_, levels_, , s2_leaf_bits);                                                     \
    S2_FORMAT(bits_, levels_, _dbm, s2_leaf_bits_dbm)

S2_FORMATS(32, 3);
S2_FORMATS(36, 3);
S2_FORMATS(39, 3);
S2_FORMATS(40, 3); /* 2 tables joined. */
S2_FORMATS(42, 3); /* 8 tables joined. */
S2_FORMATS(44, 4);
S2_FORMATS(48, 4);

#define S2_VARIANT(bits_, sl0)                                                                     \
    {                                                                                              \
        &pt_format_s2_##bits_, &pt_format_s2_##bits_##_dbm, (bits_), 64 - (bits_), (sl0)           \
    }

const struct pt_s2_variant pt_s2_variants[PT_S2_VARIANTS] = {
    S2_VARIANT(32, 1), S2_VARIANT(36, 1), S2_VARIANT(39, 1), S2_VARIANT(40, 1),
    S2_VARIANT(42, 1), S2_VARIANT(44, 2), S2_VARIANT(48, 2),
};
