/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage-1 entries: Sv39 and Sv48. Pure. A and D are always set, so that it does not matter who
 * would update them. Kinds of memory are attributes of physical addresses; the entry only remembers
 * what was asked. [supervisor.adoc, Sv39: Page-Based 39-bit Virtual-Memory System]
 */
#include "arch/riscv64/pt_riscv64.h"
#include "kernel/bits.h"

/* Write without read is reserved, and without any right the entry would point to a table: read is
 * always given. */
static uint64_t sv_leaf_bits(unsigned, struct pt_attr attr)
{
    uint64_t bits = PTE_V | PTE_R | PTE_A | PTE_D | field_put(PTE_RSW, attr.memory);

    if (attr.write)
        bits |= PTE_W;
    if (attr.execute)
        bits |= PTE_X;
    if (attr.global)
        bits |= PTE_G;
    return bits;
}

static struct pt_attr sv_leaf_attr(unsigned, uint64_t pte)
{
    return (struct pt_attr){
        .read = true,
        .write = pte & PTE_W,
        .execute = pte & PTE_X,
        .global = pte & PTE_G,
        .memory = (enum pt_memory)field_get(PTE_RSW, pte),
    };
}

/* A pointer at level 0 is no leaf and has nothing below it: it faults like a hole. */
static enum pte_kind sv_kind(uint64_t pte, unsigned level)
{
    if (!(pte & PTE_V))
        return PTE_HOLE;
    if (pte & (PTE_R | PTE_W | PTE_X))
        return PTE_LEAF;
    return level > 0 ? PTE_TABLE : PTE_HOLE;
}

#define SV_FORMAT(bits_, levels_)                                                                  \
    const struct pt_format pt_format_sv##bits_ = {                                                 \
        .name = "Sv" #bits_,                                                                       \
        .levels = (levels_),                                                                       \
        .leaf_level_max = 2,                                                                       \
        .root_bits = 8,                                                                            \
        .addr_shift = 2,                                                                           \
        .addr_mask = PTE_PPN,                                                                      \
        .table_bits = PTE_V,                                                                       \
        .leaf_bits = sv_leaf_bits,                                                                 \
        .leaf_attr = sv_leaf_attr,                                                                 \
        .kind = sv_kind,                                                                           \
    }

SV_FORMAT(39, 3);
SV_FORMAT(48, 4);
