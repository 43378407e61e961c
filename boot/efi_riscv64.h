/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the EFI loader must know of the processor (riscv64). Included behind <efilib.h>.
 * [RISC-V UEFI Protocol Specification 1.0; RISC-V Privileged Architecture]
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* RISCV_EFI_BOOT_PROTOCOL */
struct efi_riscv_boot {
    UINT64 revision;
    EFI_STATUS(EFIAPI *get_boot_hart_id)(struct efi_riscv_boot *self, UINTN *hart);
};

static uint64_t efi_boot_hart; /* Found while there are boot services; handed over in a0. */

/* Whether hstatus is there. A trap lands behind the read; interrupts are off for so long. */
static inline BOOLEAN efi_has_h(void)
{
    uint64_t ok, value, handler, sstatus;

    __asm__ volatile("   csrrci %3, sstatus, 2\n" /* SIE */
                     "   lla  %2, 1f\n"
                     "   csrrw %2, stvec, %2\n"
                     "   li   %0, 0\n"
                     "   csrr %1, 0x600\n" /* hstatus */
                     "   li   %0, 1\n"
                     "   .balign 4\n"
                     "1: csrw stvec, %2\n"
                     "   csrw sstatus, %3\n"
                     : "=&r"(ok), "=&r"(value), "=&r"(handler), "=&r"(sstatus)
                     :
                     : "memory");
    return ok != 0;
}

/* Why Caisson cannot run in the mode that firmware gave us, as a sentence; NULL: it can. */
static inline const char *efi_arch_refusal(void)
{
    static EFI_GUID guid = {
        0xccd15fec, 0x6f73, 0x4eec, {0x83, 0x95, 0x3e, 0x69, 0xe4, 0xb9, 0x40, 0xbf}};
    struct efi_riscv_boot *boot = NULL;
    UINTN hart = 0;

    if (!efi_has_h())
        return "Caisson needs the H extension, RISC-V's hypervisor mode, which this hart lacks "
               "(QEMU: -cpu rva22s64,h=true).";
    if (EFI_ERROR(BS->LocateProtocol(&guid, NULL, (void **)&boot)) ||
        EFI_ERROR(boot->get_boot_hart_id(boot, &hart)))
        return "Caisson needs a firmware that tells on which hart it runs "
               "(RISCV_EFI_BOOT_PROTOCOL).";
    efi_boot_hart = hart;
    return NULL;
}

/* Bytes that the image takes in memory. [Linux, riscv/boot-image-header: image_size] */
static inline uint64_t efi_arch_image_size(const void *image)
{
    return ((const uint64_t *)image)[2];
}

/* Caches are coherent with a hart that translates nothing. Before efi_arch_enter. */
static inline void efi_arch_clean(uint64_t base, uint64_t size)
{
    (void)base, (void)size;
    __asm__ volatile("fence rw, rw" : : : "memory");
}

/* Leave for the image, with the hart in a0 and its handoff's address in a1. We run where we are in
 * memory. */
[[gnu::noreturn]] static inline void efi_arch_enter(uint64_t entry, uint64_t handoff)
{
    register uint64_t a0 __asm__("a0") = efi_boot_hart;
    register uint64_t a1 __asm__("a1") = handoff;

    __asm__ volatile("csrw  sie, zero\n"
                     "csrci sstatus, 2\n"
                     "csrw  satp, zero\n"
                     "sfence.vma\n"
                     "fence.i\n"
                     "jr    %2\n"
                     :
                     : "r"(a0), "r"(a1), "r"(entry)
                     : "memory");
    __builtin_unreachable();
}
