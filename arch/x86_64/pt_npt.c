/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nested page tables: those of long mode, four levels; NX needs the host's EFER.NXE. Pure. Every
 * access counts as one of user mode, so leaves have U; one without U is a leaf without rights.
 * Memory types are chosen by the PAT of the host, as in pt_long.c, and are then combined with the
 * guest's own. [AMD APM 2, 15.25.5 and 15.25.8]
 */
#include "arch/x86_64/pt_npt.h"

#include "arch/x86_64/pt_x86_64.h"

static uint64_t npt_leaf_bits(unsigned level, struct pt_attr attr)
{
    uint64_t bits = LONG_P | LONG_A | LONG_D | (level > 0 ? LONG_PS : 0);

    if (attr.memory == PT_UNCACHED)
        bits |= LONG_PWT;
    if (attr.memory == PT_DEVICE)
        bits |= LONG_PWT | LONG_PCD;
    if (attr.read || attr.write || attr.execute)
        bits |= LONG_U;
    if (attr.write)
        bits |= LONG_W;
    if (!attr.execute)
        bits |= LONG_NX;
    return bits;
}

static struct pt_attr npt_leaf_attr(unsigned, uint64_t pte)
{
    return (struct pt_attr){
        .read = pte & LONG_U,
        .write = (pte & LONG_U) && (pte & LONG_W),
        .execute = (pte & LONG_U) && !(pte & LONG_NX),
        .memory = pte & LONG_PCD   ? PT_DEVICE
                  : pte & LONG_PWT ? PT_UNCACHED
                                   : PT_NORMAL,
    };
}

static enum pte_kind npt_kind(uint64_t pte, unsigned level)
{
    if (!(pte & LONG_P))
        return PTE_HOLE;
    return level == 0 || (pte & LONG_PS) ? PTE_LEAF : PTE_TABLE;
}

#define NPT_FORMAT(format, name_, leaf_level_max_)                                                 \
    const struct pt_format format = {                                                              \
        .name = (name_),                                                                           \
        .levels = 4,                                                                               \
        .leaf_level_max = (leaf_level_max_),                                                       \
        .root_bits = 9,                                                                            \
        .addr_mask = LONG_ADDR,                                                                    \
        .table_bits = LONG_P | LONG_W | LONG_U | LONG_A,                                           \
        .dirty = LONG_D,                                                                           \
        .writable = LONG_W,                                                                        \
        .leaf_bits = npt_leaf_bits,                                                                \
        .leaf_attr = npt_leaf_attr,                                                                \
        .kind = npt_kind,                                                                          \
    }

NPT_FORMAT(pt_format_npt, "NPT", 2);
NPT_FORMAT(pt_format_npt_2mib, "NPT without 1 GiB leaves", 1);
