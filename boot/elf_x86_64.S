/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor's flat image in an ELF file, for loaders that take one: multiboot2 (GRUB), which
 * finds its header in the image and starts at the ELF entry, and PVH (QEMU's -kernel), which takes
 * the entry from a note. The Makefile gives IMAGE, and out of its header IMAGE_SIZE with .bss,
 * IMAGE_ENTRY and IMAGE_BASE, where it is linked. [Xen: x86/HVM direct boot ABI; public/elfnote.h]
 */

#define PHYS32_ENTRY 18

        .section .image, "awx", @progbits
        .globl  _start
image:
        .incbin IMAGE
image_end:
        .set    _start, image + IMAGE_ENTRY

        /* .bss of the image: what its header says, without what is in the file. */
        .section .image_bss, "aw", @nobits
        .skip   IMAGE_SIZE - (image_end - image)

        .section .note.xen, "a", @note
        .balign 4
        .long   4, 4, PHYS32_ENTRY
        .asciz  "Xen"
        .long   IMAGE_BASE + IMAGE_ENTRY

        .section .note.GNU-stack, "", @progbits
