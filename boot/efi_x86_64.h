/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the EFI loader must know of the processor (x86_64). Included behind <efilib.h>. [UEFI 2.10,
 * 2.3.4 x64 Platforms; Intel SDM 3, 4.5]
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define EFI_TABLES_MAX 4

static uint64_t efi_tables[1 + EFI_TABLES_MAX][512] __attribute__((aligned(4096)));

static inline uint64_t efi_cr4(void)
{
    uint64_t cr4;

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    return cr4;
}

struct efi_cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct efi_cpuid efi_cpuid(uint32_t leaf)
{
    struct efi_cpuid r = {.eax = leaf};

    __asm__ volatile("cpuid" : "+a"(r.eax), "=b"(r.ebx), "+c"(r.ecx), "=d"(r.edx));
    return r;
}

/*
 * Why Caisson cannot run on this processor, or in the mode that firmware gave us, as a sentence;
 * NULL: it can, as far as can be seen from here.
 */
static inline const char *efi_arch_refusal(void)
{
    struct efi_cpuid basic = efi_cpuid(1), extended = efi_cpuid(0x80000001);

    if (!(basic.ecx >> 5 & 1) && !(extended.ecx >> 2 & 1))
        return "Caisson needs a processor with hardware virtualization, Intel's VMX or AMD's SVM, "
               "which this one lacks or its firmware hides (QEMU: -cpu EPYC-v4,+svm,+npt).";
    if (!(extended.edx >> 26 & 1))
        return "Caisson needs a processor with pages of 1 GiB, as all have that can run its "
               "guests (QEMU: -cpu EPYC-v4,+svm,+npt).";
    if (efi_cr4() >> 12 & 1) /* LA57 cannot be turned off in 64-bit mode. */
        return "Caisson cannot run on the five-level page tables of this firmware.";
    return NULL;
}

/* Bytes that the image takes in memory; see arch/x86_64/start.S. */
static inline uint64_t efi_arch_image_size(const void *image)
{
    return ((const uint64_t *)image)[2];
}

/* Caches are coherent. Before efi_arch_enter. */
static inline void efi_arch_clean(uint64_t base, uint64_t size)
{
    (void)base, (void)size;
}

/* The 512 GiB around an address, one to one and executable. */
static inline void efi_map_around(uint64_t addr)
{
    static unsigned used;
    uint64_t slot = addr >> 39 & 511, *table = efi_tables[1 + used];

    if (efi_tables[0][slot] || used == EFI_TABLES_MAX)
        return;
    used++;
    for (uint64_t i = 0; i < 512; i++)
        table[i] = slot << 39 | i << 30 | 0x83; /* Present, writable, large. */
    efi_tables[0][slot] = (uintptr_t)table | 3;
}

/*
 * Leave for the image, with its handoff's address in rdi. The firmware may map the image's memory
 * as not executable, so it is entered on tables of our own; global pages and control-flow checks,
 * which could be on, go off before.
 */
[[gnu::noreturn]] static inline void efi_arch_enter(uint64_t entry, uint64_t handoff)
{
    uint64_t cr4 = efi_cr4() & ~((uint64_t)1 << 7 | (uint64_t)1 << 23); /* PGE, CET */

    efi_map_around((uintptr_t)efi_arch_enter);
    efi_map_around((uintptr_t)&cr4);
    efi_map_around(entry);
    efi_map_around(handoff);
    __asm__ volatile("cli\n"
                     "mov %0, %%cr4\n"
                     "mov %1, %%cr3\n"
                     "jmp *%2\n"
                     :
                     : "r"(cr4), "r"(efi_tables), "r"(entry), "D"(handoff)
                     : "memory");
    __builtin_unreachable();
}
