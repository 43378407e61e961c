/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk is one for all modes: a format says how many levels there are, how wide their indexes
 * and entries. Rights are gathered on the way down, looked at in the end.
 */
#include "arch/x86_64/guest_walk.h"

#include "kernel/bits.h"

#define PTE_P         BIT(0)
#define PTE_W         BIT(1)
#define PTE_U         BIT(2)
#define PTE_A         BIT(5)
#define PTE_D         BIT(6)
#define PTE_PS        BIT(7)
#define PTE_NX        BIT(63)
#define PTE_ADDR      BITS(51, 12)
#define PTE_ADDR_32   BITS(31, 12)

/* A 4 MiB entry of 32-bit tables has bits 39:32 of the address in 20:13. */
#define PDE_PSE36     BITS(20, 13)
#define PDE_PSE36_MBZ BIT(21)
/*
 * A PAE table of the third level has four entries without rights, with bits that must be 0. Bit 5
 * is one of them, but QEMU marks them as accessed with it.
 */
#define PDPTE_PAE_MBZ (BITS(2, 1) | BITS(8, 6))
#define PAE_MBZ       BITS(62, 52)

#define WALK_LEVELS   5u
/* An entry changed under our eyes: so often is it tried again. */
#define WALK_TRIES    8u

struct walk_format {
    uint8_t levels, index_bits, entry_size;
    uint64_t root; /* Bits of CR3. */
};

struct walk {
    const struct guest_paging *paging;
    const struct arch_guest_memory *memory;
    const struct walk_format *format;
    uint64_t addr;
    uint64_t rights;  /* PTE_W and PTE_U of all levels, PTE_NX of any. */
    uint64_t missing; /* Bit n: the entry of level n has no accessed bit. */
    uint64_t entries[WALK_LEVELS];
    uint64_t places[WALK_LEVELS]; /* Guest-physical, of the entries. */
    unsigned level;               /* Of the leaf, in the end. */
    uint32_t error;               /* PF_PRESENT, PF_RESERVED. */
};

static const struct walk_format formats[] = {
    {2, 10, 4, BITS(31, 12)},
    {3, 9, 8, BITS(31, 5)},
    {4, 9, 8, PTE_ADDR},
    {5, 9, 8, PTE_ADDR},
};

static const struct walk_format *walk_format(const struct guest_paging *paging)
{
    if (paging->efer & EFER_LMA)
        return &formats[paging->cr4 & CR4_LA57 ? 3 : 2];
    return &formats[paging->cr4 & CR4_PAE ? 1 : 0];
}

bool guest_walk_canonical(const struct guest_paging *paging, gva_t addr)
{
    unsigned unused = paging->cr4 & CR4_LA57 ? 7 : 16;

    return !(paging->efer & EFER_LMA) ||
           (uint64_t)((int64_t)(addr.v << unused) >> unused) == addr.v;
}

static bool walk_is_pae_root(const struct walk *walk)
{
    return walk->format->levels == 3 && walk->level == 2;
}

static bool walk_is_leaf(const struct walk *walk, uint64_t entry)
{
    if (walk->level == 0)
        return true;
    if (!(entry & PTE_PS) || walk->level > 2 || walk_is_pae_root(walk))
        return false;
    return walk->format->entry_size == 8 || (walk->paging->cr4 & CR4_PSE);
}

static unsigned walk_leaf_shift(const struct walk *walk)
{
    return PAGE_SHIFT + walk->level * walk->format->index_bits;
}

/* Bits that must be zero. Entries of 4 bytes have none but in large pages. */
static uint64_t walk_reserved(const struct walk *walk, bool leaf)
{
    const struct guest_paging *paging = walk->paging;
    uint64_t bits;

    if (walk->format->entry_size == 4)
        return leaf && walk->level > 0 ? PDE_PSE36_MBZ : 0;
    bits = BITS(51, 0) & ~BITS(paging->gpa_bits - 1u, 0);
    if (walk_is_pae_root(walk))
        return bits | PAE_MBZ | PTE_NX | PDPTE_PAE_MBZ;
    if (!(paging->efer & EFER_NXE))
        bits |= PTE_NX;
    if (walk->format->levels == 3)
        bits |= PAE_MBZ;
    if (leaf && walk->level > 0)
        bits |= BITS(walk_leaf_shift(walk) - 1, PAGE_SHIFT + 1); /* Bit 12 is PAT. */
    if (!leaf && walk->level > 2)
        bits |= PTE_PS;
    return bits;
}

static enum err walk_read(struct walk *walk, uint64_t place, uint64_t *entry)
{
    if (walk->memory->read(walk->memory->arg, gpa(place & ~(uint64_t)7), entry) != OK)
        return E_RANGE;
    if (walk->format->entry_size == 4)
        *entry = (uint32_t)(*entry >> (place & 4) * 8);
    return OK;
}

/* Down to the leaf; E_ABSENT with walk->error: there is none. */
static enum err walk_down(struct walk *walk)
{
    const struct walk_format *format = walk->format;
    uint64_t table = walk->paging->cr3 & format->root, entry;
    bool leaf;

    walk->rights = PTE_W | PTE_U;
    walk->missing = 0;
    for (walk->level = format->levels - 1u;; walk->level--) {
        unsigned shift = PAGE_SHIFT + walk->level * format->index_bits;
        uint64_t index = walk->addr >> shift & (BIT(format->index_bits) - 1);
        uint64_t place = table + index * format->entry_size;

        TRY(walk_read(walk, place, &entry));
        walk->error = 0;
        if (!(entry & PTE_P))
            return E_ABSENT;
        leaf = walk_is_leaf(walk, entry);
        walk->error = PF_PRESENT | PF_RESERVED;
        if (entry & walk_reserved(walk, leaf))
            return E_ABSENT;
        walk->entries[walk->level] = entry;
        walk->places[walk->level] = place;
        if (!walk_is_pae_root(walk)) {
            walk->rights = (walk->rights & (entry | PTE_NX)) | (entry & PTE_NX);
            walk->missing |= entry & PTE_A ? 0 : BIT(walk->level);
        }
        if (leaf)
            return OK;
        table = entry & (format->entry_size == 4 ? PTE_ADDR_32 : PTE_ADDR);
    }
}

/* [AMD APM vol. 2, 5.6; Intel SDM vol. 3, 4.6.1] */
static bool walk_may(const struct walk *walk, enum arch_access access)
{
    const struct guest_paging *paging = walk->paging;
    bool user_page = walk->rights & PTE_U;

    if (access == ACCESS_NONE)
        return true;
    if (paging->user && !user_page)
        return false;
    if (access == ACCESS_FETCH)
        return !(walk->rights & PTE_NX) &&
               (paging->user || !user_page || !(paging->cr4 & CR4_SMEP));
    if (!paging->user && user_page && (paging->cr4 & CR4_SMAP) && !paging->ac)
        return false;
    return access == ACCESS_READ || (walk->rights & PTE_W) ||
           (!paging->user && !(paging->cr0 & CR0_WP));
}

static uint32_t walk_error(const struct guest_paging *paging, enum arch_access access,
                           uint32_t error)
{
    bool nx = (paging->efer & EFER_NXE) && (paging->cr4 & CR4_PAE);

    if (access == ACCESS_WRITE)
        error |= PF_WRITE;
    if (paging->user)
        error |= PF_USER;
    if (access == ACCESS_FETCH && (nx || (paging->cr4 & CR4_SMEP)))
        error |= PF_FETCH;
    return error;
}

/* E_BUSY: the guest changed the entry meanwhile. */
static enum err walk_set_bits(const struct walk *walk, unsigned level, uint64_t bits)
{
    uint64_t place = walk->places[level], words, entry;
    unsigned shift = walk->format->entry_size == 4 ? (unsigned)(place & 4) * 8 : 0;
    enum err err;

    place &= ~(uint64_t)7;
    if (walk->memory->read(walk->memory->arg, gpa(place), &words) != OK)
        return E_RANGE;
    entry = walk->format->entry_size == 4 ? (uint32_t)(words >> shift) : words;
    if (entry != walk->entries[level])
        return E_BUSY;
    err = walk->memory->update(walk->memory->arg, gpa(place), words, words | bits << shift);
    return err == OK || err == E_BUSY ? err : E_RANGE;
}

/* Accessed bits on the way, then accessed and dirty of the leaf. */
static enum err walk_update(struct walk *walk, enum arch_access access)
{
    uint64_t dirty = access == ACCESS_WRITE ? PTE_D & ~walk->entries[walk->level] : 0;

    for (unsigned level = walk->format->levels; level-- > walk->level;) {
        uint64_t bits = (walk->missing & BIT(level) ? PTE_A : 0);

        if (level == walk->level)
            bits |= dirty;
        if (bits != 0)
            TRY(walk_set_bits(walk, level, bits));
    }
    return OK;
}

static uint64_t walk_result(const struct walk *walk)
{
    uint64_t entry = walk->entries[walk->level], offset = BIT(walk_leaf_shift(walk)) - 1;

    if (walk->format->entry_size == 8)
        return (entry & PTE_ADDR & ~offset) | (walk->addr & offset);
    if (walk->level == 0)
        return (entry & PTE_ADDR_32) | (walk->addr & offset);
    return (entry & BITS(31, 22)) | field_get(PDE_PSE36, entry) << 32 | (walk->addr & offset);
}

enum err guest_walk(const struct guest_paging *paging, gva_t addr, enum arch_access access,
                    const struct arch_guest_memory *memory, gpa_t *result, uint32_t *error)
{
    struct walk walk = {.paging = paging, .memory = memory, .addr = addr.v};
    enum err err = E_BUSY;

    if (!(paging->efer & EFER_LMA))
        walk.addr = (uint32_t)addr.v;
    if (!(paging->cr0 & CR0_PG)) {
        *result = gpa(walk.addr);
        return OK;
    }
    walk.format = walk_format(paging);
    for (unsigned i = 0; i < WALK_TRIES && err == E_BUSY; i++) {
        err = walk_down(&walk);
        if (err == OK && !walk_may(&walk, access)) {
            walk.error = PF_PRESENT;
            err = E_ABSENT;
        }
        if (err == E_ABSENT)
            *error = walk_error(paging, access, walk.error);
        if (err == OK && access != ACCESS_NONE && memory->update)
            err = walk_update(&walk, access);
    }
    if (err == OK)
        *result = gpa(walk_result(&walk));
    return err;
}
