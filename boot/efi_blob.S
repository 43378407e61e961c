/* SPDX-License-Identifier: Apache-2.0 */
/* The hypervisor's flat image inside the EFI program; boot/efi.c copies it to its place. */
    .section .rodata.image, "a"
    .globl efi_image, efi_image_end
    .hidden efi_image, efi_image_end
    .balign 4096
efi_image:
    .incbin IMAGE
efi_image_end:
    .section .note.GNU-stack, "", %progbits
