/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended page tables, four levels. An entry has no valid bit but its rights, so a leaf without
 * any is a hole; what may be written may be read, as everything else is a misconfiguration, and so
 * may what can be executed, as not all processors know the difference. Pure.
 *
 * Memory types are for the guest's own PAT to be combined with, as under NPT: write-back leaves it
 * the choice. The host's MTRRs do not count. Accessed and dirty bits, which are ignored unless
 * EPT_POINTER asks for them, are set from the first; without them a leaf that was not written yet
 * is one that may not be. [SDM 3, 29.3.2 and 29.3.7]
 */
#include "arch/x86_64/pt_ept.h"

#include "kernel/bits.h"

#define EPT_READ       BIT(0)
#define EPT_WRITE      BIT(1)
#define EPT_EXECUTE    BIT(2)
#define EPT_RIGHTS     (EPT_READ | EPT_WRITE | EPT_EXECUTE)
#define EPT_MEMORY     BITS(5, 3)
#define EPT_LEAF       BIT(7) /* Above level 0. */
#define EPT_ACCESSED   BIT(8)
#define EPT_DIRTY      BIT(9)
#define EPT_ADDR       BITS(51, 12)
#define EPT_WRITABLE   BIT(52) /* Ours: hardware ignores it. */

#define EPT_UNCACHED   0u /* Of EPT_MEMORY. */
#define EPT_COMBINING  1u
#define EPT_WRITE_BACK 6u

static uint64_t ept_leaf_bits(unsigned level, struct pt_attr attr)
{
    static const uint8_t memory[] = {
        [PT_NORMAL] = EPT_WRITE_BACK, [PT_DEVICE] = EPT_UNCACHED, [PT_UNCACHED] = EPT_COMBINING};
    uint64_t bits = EPT_ACCESSED | EPT_DIRTY | field_put(EPT_MEMORY, memory[attr.memory]);

    if (level > 0)
        bits |= EPT_LEAF;
    if (attr.read || attr.write || attr.execute)
        bits |= EPT_READ;
    if (attr.write)
        bits |= EPT_WRITE | EPT_WRITABLE;
    if (attr.execute)
        bits |= EPT_EXECUTE;
    return bits;
}

static struct pt_attr ept_leaf_attr(unsigned, uint64_t pte)
{
    uint64_t memory = field_get(EPT_MEMORY, pte);

    return (struct pt_attr){
        .read = pte & EPT_READ,
        .write = pte & EPT_WRITE,
        .execute = pte & EPT_EXECUTE,
        .memory = memory == EPT_WRITE_BACK  ? PT_NORMAL
                  : memory == EPT_COMBINING ? PT_UNCACHED
                                            : PT_DEVICE,
    };
}

static enum pte_kind ept_kind(uint64_t pte, unsigned level)
{
    if (!(pte & EPT_RIGHTS))
        return PTE_HOLE;
    return level == 0 || (pte & EPT_LEAF) ? PTE_LEAF : PTE_TABLE;
}

#define EPT_FORMAT(format, name_, leaf_level_max_, dirty_)                                         \
    const struct pt_format format = {                                                              \
        .name = (name_),                                                                           \
        .levels = 4,                                                                               \
        .leaf_level_max = (leaf_level_max_),                                                       \
        .root_bits = 9,                                                                            \
        .addr_mask = EPT_ADDR,                                                                     \
        .table_bits = EPT_RIGHTS | EPT_ACCESSED,                                                   \
        .dirty = (dirty_),                                                                         \
        .writable = EPT_WRITABLE,                                                                  \
        .leaf_bits = ept_leaf_bits,                                                                \
        .leaf_attr = ept_leaf_attr,                                                                \
        .kind = ept_kind,                                                                          \
    }

EPT_FORMAT(pt_format_ept, "EPT", 2, EPT_DIRTY);
EPT_FORMAT(pt_format_ept_2mib, "EPT without 1 GiB leaves", 1, EPT_DIRTY);
EPT_FORMAT(pt_format_ept_ro, "EPT without dirty bits", 2, EPT_WRITE);
EPT_FORMAT(pt_format_ept_2mib_ro, "EPT without 1 GiB leaves and dirty bits", 1, EPT_WRITE);
