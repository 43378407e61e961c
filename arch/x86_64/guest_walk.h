/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's own translation, from a linear to a guest-physical address, with the rights and in
 * the way of its processor: no paging, 32-bit (with large pages and PSE-36), PAE, 4 and 5 levels.
 * Protection keys are hidden from guests and not looked at. Pure, tested on the host.
 * [AMD APM vol. 2, ch. 5; Intel SDM vol. 3, ch. 4]
 */
#pragma once

#include "arch/x86_64/control.h"
#include "vcpu/arch_vcpu.h"

/* Error code of a page fault. */
#define PF_PRESENT  BIT(0)
#define PF_WRITE    BIT(1)
#define PF_USER     BIT(2)
#define PF_RESERVED BIT(3)
#define PF_FETCH    BIT(4)

struct guest_paging {
    uint64_t cr0, cr3, cr4, efer;
    uint8_t gpa_bits; /* What CPUID tells the guest of its physical addresses; 36 to 52. */
    bool user;        /* CPL is 3. */
    bool ac;          /* RFLAGS.AC: SMAP is suspended. */
};

/*
 * E_ABSENT: the guest would take a page fault with *error. E_RANGE: its tables are in no memory.
 * E_BUSY: it changes them all the time.
 * ACCESS_NONE needs no right and changes nothing. If memory can update, accessed and dirty bits are
 * set as the access would set them; else they are left alone.
 */
enum err guest_walk(const struct guest_paging *paging, gva_t addr, enum arch_access access,
                    const struct arch_guest_memory *memory, gpa_t *result, uint32_t *error);

/* Whether addr is one in the guest's mode: its upper bits all alike in 64-bit paging. */
bool guest_walk_canonical(const struct guest_paging *paging, gva_t addr);
