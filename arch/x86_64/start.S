/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first instructions. The flat image is entered in two ways:
 *
 *   at its beginning  in 64-bit mode on the tables of the firmware, rdi = struct handoff: by our
 *                     EFI program, boot/efi.c
 *   at DIRECT_ENTRY   in 32-bit mode without paging, ebx = start_info of PVH or multiboot2
 *                     information (eax = MULTIBOOT2_LOADER): by a boot loader that was given the
 *                     ELF file boot/elf_x86_64.S, which has the image loaded at DIRECT_BASE
 *
 * [Multiboot2 specification 2.0; Xen: x86/HVM direct boot ABI]
 */
#include "asm.h"

        .section .head.text, "ax"
        .code64
        .global _head
_head:
        jmp     start64
        .balign 8
        .ascii  "CAISSON\0"
        .long   _image_end - _head, 0   /* At 16, for boot/efi_x86_64.h and the Makefile; */
        .long   DIRECT_ENTRY, DIRECT_BASE /* at 24, for the ELF file. */

        .balign 8
multiboot2:                             /* In the first 32 KiB of the file, on 8 bytes. */
        .long   MULTIBOOT2_MAGIC
        .long   0                       /* i386, 32-bit protected mode. */
        .long   multiboot2_end - multiboot2
        .long   0x100000000 - MULTIBOOT2_MAGIC - (multiboot2_end - multiboot2)
        .short  6, 0                    /* Modules are to begin on pages. */
        .long   8
        .short  0, 0                    /* No more tags. */
        .long   8
multiboot2_end:

        .org    _head + DIRECT_ENTRY
        .code32
start32:
        cli
        cld
        movl    %eax, %esi
        movl    $DIRECT_BASE, %ebp
        /* Clear the end of .bss here: the tables and the stack below lie there. */
        movl    start32_tables - _head(%ebp), %edi
        movl    start32_bss_end - _head(%ebp), %ecx
        subl    %edi, %ecx
        addl    %ebp, %edi
        shrl    $2, %ecx                /* Whole pages: linker/hypervisor.lds.S. */
        xorl    %eax, %eax
        rep stosl

        /* 4 GiB one to one: a level-4 and a level-3 table, four of level 2 with leaves of 2 MiB. */
        movl    start32_tables - _head(%ebp), %edi
        addl    %ebp, %edi
        leal    0x1003(%edi), %eax      /* Present, writable. */
        movl    %eax, (%edi)
        leal    0x1000(%edi), %edx
        movl    $4, %ecx
1:      addl    $0x1000, %eax
        movl    %eax, (%edx)
        addl    $8, %edx
        loop    1b
        leal    0x2000(%edi), %edx
        movl    $0x83, %eax             /* Present, writable, large. */
        movl    $2048, %ecx
2:      movl    %eax, (%edx)
        addl    $0x200000, %eax
        addl    $8, %edx
        loop    2b

        movl    %cr4, %eax
        orl     $0x20, %eax             /* PAE */
        movl    %eax, %cr4
        movl    %edi, %cr3
        movl    $0xc0000080, %ecx       /* EFER */
        rdmsr
        orl     $0x100, %eax            /* LME */
        wrmsr
        movl    %cr0, %eax
        orl     $0x80000001, %eax       /* PG, PE */
        movl    %eax, %cr0

        movl    start32_stack - _head(%ebp), %esp
        addl    %ebp, %esp
        leal    start_gdt - _head(%ebp), %eax
        pushl   %eax
        pushw   $start_gdt_end - start_gdt - 1
        lgdt    (%esp)
        addl    $6, %esp
        pushl   $SEL_CODE
        leal    start64_direct - _head(%ebp), %eax
        pushl   %eax
        lret

        .balign 4
start32_bss_end:
        .long   _bss_end - _head
start32_tables:
        .long   start_tables - _head
start32_stack:
        .long   boot_stack_top - _head

        .balign 8
start_gdt:
        .quad   0
        .quad   0x00af9b000000ffff      /* Code of 64 bits, */
        .quad   0x00cf93000000ffff      /* data. */
start_gdt_end:

        .code64
        .macro  clear_bss_to end        /* Whole words: linker/hypervisor.lds.S. */
        leaq    _bss_start(%rip), %rdi
        leaq    \end(%rip), %rcx
        subq    %rdi, %rcx
        shrq    $3, %rcx
        xorl    %eax, %eax
        rep stosq
        .endm

start64_direct:
        clear_bss_to start_tables       /* The rest of it. */
        movl    %ebx, %edi
        call    start_relocate
        call    start_segments
        call    boot_direct             /* (information, eax as it came) -> struct handoff */
        movq    %rax, %r12
        jmp     start_common

start64:
        cli
        cld
        movq    %rdi, %r12
        clear_bss_to _bss_end
        leaq    boot_stack_top(%rip), %rsp
        call    start_relocate
        call    start_segments
start_common:
        xorl    %ebp, %ebp              /* Backtraces end here. */
        movq    %r12, %rdi
        call    boot_memmap
        movq    %rax, %r13
        movq    %rax, %rdi
        call    early_map
        testq   %rax, %rax
        jz      start_halt
        movq    %rax, %cr3
        movq    %r12, %rdi
        movq    %r13, %rsi
        pushq   $0
        jmp     boot_main
start_halt:
        cli
        hlt
        jmp     start_halt

/*
 * Relocate the image to where it is; it is linked at 0. Keeps rdi and rsi. Most are words to add
 * the base to. In their table an even entry is the address of one; an odd one has a bit for each
 * of the 63 words after the last that it told of. [gABI, SHT_RELR]
 */
start_relocate:
        leaq    _image_start(%rip), %rax
        leaq    _rela_start(%rip), %rcx
        leaq    _rela_end(%rip), %rdx
1:      cmpq    %rdx, %rcx
        jae     2f
        movq    (%rcx), %r8             /* Offset, */
        movl    8(%rcx), %r9d           /* type, */
        movq    16(%rcx), %r10          /* addend. */
        addq    $24, %rcx
        cmpl    $R_X86_64_RELATIVE, %r9d
        jne     1b
        addq    %rax, %r10
        movq    %r10, (%rax,%r8)
        jmp     1b
2:      leaq    _relr_start(%rip), %rcx
        leaq    _relr_end(%rip), %rdx
3:      cmpq    %rdx, %rcx
        jae     7f
        movq    (%rcx), %r8
        addq    $8, %rcx
        testb   $1, %r8b
        jnz     4f
        leaq    (%rax,%r8), %r9         /* The next word. */
        addq    %rax, (%r9)
        addq    $8, %r9
        jmp     3b
4:      movq    %r9, %r10
        addq    $63 * 8, %r9
5:      shrq    $1, %r8
        jz      3b
        testb   $1, %r8b
        jz      6f
        addq    %rax, (%r10)
6:      addq    $8, %r10
        jmp     5b
7:      ret

/* Off the segments of whoever started us. */
start_segments:
        subq    $16, %rsp
        movw    $start_gdt_end - start_gdt - 1, (%rsp)
        leaq    start_gdt(%rip), %rax
        movq    %rax, 2(%rsp)
        lgdt    (%rsp)
        addq    $16, %rsp
        movl    $SEL_DATA, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        xorl    %eax, %eax
        movl    %eax, %fs
        movl    %eax, %gs
        popq    %rax
        pushq   $SEL_CODE
        pushq   %rax
        lretq

        .text
/* void arch_stack_use(void *top, void (*fn)(void)) */
        .global arch_stack_use
        .hidden arch_stack_use
arch_stack_use:
        movq    %rdi, %rsp
        xorl    %ebp, %ebp
        pushq   $0
        jmp     *%rsi

/* From smp.S, on the first tables, rdi = struct pcpu. */
        .global start_secondary
        .hidden start_secondary
start_secondary:
        movq    host_cr3(%rip), %rax
        movq    %rax, %cr3
        movq    PCPU_STACK_TOP(%rdi), %rsp
        movq    %rdi, %rbx
        call    start_segments
        movq    %rbx, %rdi
        xorl    %ebp, %ebp
        pushq   $0
        jmp     secondary_main

        .section .bss.stack, "aw", @nobits
        .balign 4096
start_tables:
        .skip   6 * 4096
        .skip   16384                   /* Until arch_stack_use(). */
boot_stack_top:

        .section .note.GNU-stack, "", @progbits
