/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor: one flat, position-independent image, linked at 0 and relocated by its own start
 * code. Borders of permission lie on pages (boot maps text RX, rodata R, the rest RW):
 *
 *   _image_start  .head.text .text                                   _text_start   _text_end
 *                 .rodata, what is constant after relocation, sets,
 *                 the relocations, the symbol table                  _rodata_start _rodata_end
 *                 .data                                              _data_start   _data_end
 *   _image_end    .bss                                               _bss_start    _bss_end
 *
 * The flat file ends with .data; .bss is in the size that the image's header asks for
 * (image_size_mem). The symbol table is the last of .rodata, padded to whole pages, so that filling
 * it in (the second link) moves no text and nothing before it.
 */
#define PAGE 4096

/* A linker set: entries gathered by section name, with borders even when it is empty. The build
   refuses a set that is not listed below. */
#define SET(name)                                          \
    . = ALIGN(8);                                          \
    HIDDEN(__start_set_##name = .);                \
    KEEP(*(set_##name))                                    \
    HIDDEN(__stop_set_##name = .);

ENTRY(_image_start)

PHDRS
{
    text PT_LOAD FLAGS(5);
    rodata PT_LOAD FLAGS(4);
    data PT_LOAD FLAGS(6);
    dynamic PT_DYNAMIC FLAGS(4);
    stack PT_GNU_STACK FLAGS(6);
}

SECTIONS
{
    . = 0;
    .text : {
        HIDDEN(_image_start = .);
        HIDDEN(_text_start = .);
        KEEP(*(.head.text))
        *(.text .text.*)
        . = ALIGN(PAGE);
        HIDDEN(_text_end = .);
    } :text

    .rodata : {
        HIDDEN(_rodata_start = .);
        *(.rodata .rodata.*)
        *(.data.rel.ro .data.rel.ro.*)
        *(.got .got.plt)
        SET(boot_option)
        SET(shell_cmd)
        SET(uart_driver)
    } :rodata
    .dynamic : { *(.dynamic) } :rodata :dynamic
    .rela.dyn : ALIGN(8) { *(.rela.*) } :rodata
    HIDDEN(_rela_start = ADDR(.rela.dyn));
    HIDDEN(_rela_end = ADDR(.rela.dyn) + SIZEOF(.rela.dyn));
    .relr.dyn : ALIGN(8) { *(.relr.dyn) } :rodata
    HIDDEN(_relr_start = ADDR(.relr.dyn));
    HIDDEN(_relr_end = ADDR(.relr.dyn) + SIZEOF(.relr.dyn));
    .dynsym : { *(.dynsym) } :rodata
    .dynstr : { *(.dynstr) } :rodata
    .hash : { *(.hash) *(.gnu.hash) } :rodata
    .symtab_caisson : ALIGN(8) {
        KEEP(*(.symtab_caisson))
        . = ALIGN(PAGE);
        HIDDEN(_rodata_end = .);
    } :rodata

    .data : ALIGN(PAGE) {
        HIDDEN(_data_start = .);
        *(.data .data.*)
        . = ALIGN(128); /* start.S clears as much at a time. */
        HIDDEN(_data_end = .);
    } :data
    .bss : {
        HIDDEN(_bss_start = .);
        *(.bss .bss.*) *(COMMON)
        . = ALIGN(PAGE);
        *(.bss.stack)
        . = ALIGN(PAGE);
        HIDDEN(_bss_end = .);
    } :data
    HIDDEN(_image_end = .);
    /* Write it as `.long image_size_mem, 0`: a .quad would be an address, and relocated. */
    HIDDEN(image_size_mem = ABSOLUTE(_image_end - _image_start));

    /DISCARD/ : { *(.interp) *(.comment) *(.note .note.*) *(.eh_frame .eh_frame.*) }
}
ASSERT(_image_start == 0, "the image is linked at 0")
