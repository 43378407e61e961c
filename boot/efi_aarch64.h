/* SPDX-License-Identifier: Apache-2.0 */
/* What the EFI loader must know of the processor (aarch64). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Why Caisson cannot run in the mode that firmware gave us, as a sentence; NULL: it can. */
static inline const char *efi_arch_refusal(void)
{
    uint64_t current_el;

    __asm__("mrs %0, CurrentEL" : "=r"(current_el));
    if ((current_el >> 2 & 3) == 2)
        return NULL;
    return "Caisson needs EL2: this firmware runs at EL1, so switch virtualization on "
           "(QEMU: -M virt,virtualization=on).";
}

/* Bytes that the image takes in memory. [Linux, arm64/booting: image_size] */
static inline uint64_t efi_arch_image_size(const void *image)
{
    return ((const uint64_t *)image)[2];
}

/* Write memory back to where it is seen with the MMU off, and forget it. Before efi_arch_enter. */
static inline void efi_arch_clean(uint64_t base, uint64_t size)
{
    uint64_t ctr, line;

    __asm__("mrs %0, ctr_el0" : "=r"(ctr));
    line = (uint64_t)4 << (ctr >> 16 & 15); /* CTR_EL0.DminLine: log2 of words. */
    for (uint64_t at = base & ~(line - 1); at < base + size; at += line)
        __asm__ volatile("dc civac, %0" : : "r"(at) : "memory");
}

/*
 * Leave for the image, with its handoff's address in x0. The firmware may map the image's memory as
 * not executable, so the MMU goes off here; what runs then, between 1: and 2:, is written back
 * first.
 */
[[gnu::noreturn]] static inline void efi_arch_enter(uint64_t entry, uint64_t handoff)
{
    register uint64_t x0 __asm__("x0") = handoff;
    register uint64_t x1 __asm__("x1") = 0;
    register uint64_t x2 __asm__("x2") = 0;
    register uint64_t x3 __asm__("x3") = 0;

    __asm__ volatile("   msr  daifset, #15\n"
                     "   adr  x5, 1f\n"
                     "   dc   civac, x5\n"
                     "   adr  x5, 2f\n"
                     "   dc   civac, x5\n"
                     "   dsb  sy\n"
                     "   mrs  x6, sctlr_el2\n"
                     "   bic  x6, x6, #1\n" /* M: the MMU. */
                     "   bic  x6, x6, #4\n" /* C: the data cache. */
                     "1: msr  sctlr_el2, x6\n"
                     "   isb\n"
                     "   ic   iallu\n"
                     "   dsb  sy\n"
                     "   isb\n"
                     "2: br   %4\n"
                     :
                     : "r"(x0), "r"(x1), "r"(x2), "r"(x3), "r"(entry)
                     : "x5", "x6", "memory");
    __builtin_unreachable();
}
