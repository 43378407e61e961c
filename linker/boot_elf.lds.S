/* SPDX-License-Identifier: Apache-2.0 */
/* boot/elf_x86_64.S: the image where it is to be, its .bss behind it, the note before it. */
#include "arch/x86_64/asm.h"

ENTRY(_start)

PHDRS
{
    image PT_LOAD FLAGS(7);
    note PT_NOTE FLAGS(4);
}

SECTIONS
{
    . = DIRECT_BASE - 4096;
    .note : { *(.note.xen) } :image :note
    . = DIRECT_BASE;
    .image : { *(.image) } :image
    .image_bss : { *(.image_bss) } :image
    /DISCARD/ : { *(*) }
}
