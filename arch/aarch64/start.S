/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first instructions of every pCPU. The flat image begins with the Linux `Image` header, so
 * that any boot loader that starts Linux starts us: at EL2, MMU off, x0 = device tree. Our own EFI
 * loader enters in the same way with x0 = struct handoff. What is in memory has been cleaned from
 * the caches. [Linux: Documentation/arch/arm64/booting.rst; Arm ARM D1.]
 */
#include "asm.h"

        .section .head.text, "ax"
        .global _head
_head:
        b       start                   /* code0 */
        .long   0                       /* code1 */
        .quad   0                       /* text_offset: anywhere that is 2 MiB aligned. */
        .long   image_size_mem, 0       /* With .bss. Half words: a .quad would be relocated. */
        .quad   0xa                     /* Little endian, 4 KiB pages, anywhere in memory. */
        .quad   0, 0, 0
        .ascii  "ARM\x64"
        .long   0

/* Turn the MMU and the data cache off, wherever we came from. */
.macro mmu_off tmp
        ldr     \tmp, =SCTLR_EL2_OFF
        msr     sctlr_el2, \tmp
        isb
.endm

start:
        msr     daifset, #0xf
        mov     x21, x0                 /* Device tree or handoff. */
        mrs     x9, CurrentEL
        lsr     x9, x9, #2
        cmp     x9, #2
        b.ne    start_wrong_el
        mov     x9, #HCR_RW_BIT
        msr     hcr_el2, x9             /* E2H off, nothing trapped. */
        isb
        mmu_off x9
start_common:
        bl      start_relocate
        bl      start_invalidate
        adrp    x9, boot_stack_top
        add     sp, x9, :lo12:boot_stack_top
        mov     x29, xzr
        mov     x30, xzr
        mrs     x9, CurrentEL
        cmp     x9, #8
        b.ne    start_refuse
        mov     x0, x21
        bl      boot_memmap             /* The memory map, found with the MMU off. */
        mov     x22, x0
        bl      early_map               /* Static tables that map RAM one to one. */
        mov     x23, x0
        bl      start_invalidate        /* What was written since went past the caches as well. */
        mov     x0, x23
        ldr     x7, =SCTLR_EL2_EARLY
        bl      start_mmu_on            /* x0 = root */
        mov     x0, x21
        mov     x1, x22
        bl      boot_main
        b       start_halt

start_refuse:
        mov     x0, x21
        lsr     x1, x9, #2
        bl      boot_wrong_level
start_halt:
        wfi
        b       start_halt

/* EL1 or EL3: turn its MMU off as well, so that we can at least say so. */
start_wrong_el:
        cmp     x9, #1
        b.ne    start_common
        ldr     x9, =SCTLR_EL1_OFF
        msr     sctlr_el1, x9
        isb
        b       start_common

/* Relocate the image to where it is (it is linked at 0) and clear .bss. Uses x0-x5. */
start_relocate:
        adrp    x0, _image_start
        adrp    x1, _rela_start
        add     x1, x1, :lo12:_rela_start
        adrp    x2, _rela_end
        add     x2, x2, :lo12:_rela_end
1:      cmp     x1, x2
        b.hs    2f
        ldp     x3, x4, [x1], #16       /* Offset, type. */
        ldr     x5, [x1], #8            /* Addend. */
        cmp     w4, #R_AARCH64_RELATIVE
        b.ne    1b
        add     x5, x5, x0
        str     x5, [x0, x3]
        b       1b
2:      adrp    x1, _bss_start
        add     x1, x1, :lo12:_bss_start
        adrp    x2, _bss_end
        add     x2, x2, :lo12:_bss_end
3:      cmp     x1, x2
        b.hs    4f
        stp     xzr, xzr, [x1], #16
        b       3b
4:      ret

/* Drop what the caches may hold of the image: with the MMU off, stores go past them. Uses x1-x4. */
start_invalidate:
        adrp    x1, _image_start
        adrp    x2, _image_end
        mrs     x3, ctr_el0
        ubfx    x3, x3, #16, #4         /* DminLine: log2 of words. */
        mov     x4, #4
        lsl     x3, x4, x3
5:      dc      ivac, x1
        add     x1, x1, x3
        cmp     x1, x2
        b.lo    5b
        dsb     sy
        ic      iallu
        dsb     sy
        isb
        ret

/*
 * Turn the MMU and caches on with the tables at x0, by x7 into SCTLR_EL2. The code here is mapped
 * one to one.
 */
start_mmu_on:
        ldr     x1, =MAIR_VALUE
        msr     mair_el2, x1
        ldr     x1, =TCR_VALUE
        mrs     x2, id_aa64mmfr0_el1
        and     x2, x2, #0xf            /* PARange, */
        mov     x3, #5                  /* at most 48 bits. */
        cmp     x2, x3
        csel    x2, x2, x3, lo
        bfi     x1, x2, #16, #3         /* PS */
        msr     tcr_el2, x1
        msr     ttbr0_el2, x0
        tlbi    alle2
        dsb     nsh
        isb
        msr     sctlr_el2, x7
        isb
        ret

/*
 * void start_switch_map(hpa_t root): move a running pCPU to other tables. Through MMU
 * off, for the new ones may map the same page with another block size [Arm ARM D8.16,
 * break-before-make].
 */
        .global start_switch_map
start_switch_map:
        ldr     x3, =SCTLR_EL2_ON
        ldr     x4, =SCTLR_EL2_OFF
        dsb     sy
        msr     sctlr_el2, x4
        isb
        msr     ttbr0_el2, x0
        tlbi    alle2
        dsb     nsh
        isb
        msr     sctlr_el2, x3
        isb
        ret

/* void arch_stack_use(void *top, void (*fn)(void)) */
        .global arch_stack_use
arch_stack_use:
        mov     sp, x0
        mov     x29, xzr
        mov     x30, xzr
        br      x1

/* Where PSCI's CPU_ON lets a pCPU start: MMU off, x0 = its struct pcpu. */
        .global start_secondary
start_secondary:
        msr     daifset, #0xf
        mov     x21, x0
        mrs     x9, CurrentEL
        cmp     x9, #8
        b.ne    start_halt
        mov     x9, #HCR_RW_BIT
        msr     hcr_el2, x9
        isb
        mmu_off x9
        adrp    x0, host_root
        ldr     x0, [x0, :lo12:host_root]
        ldr     x7, =SCTLR_EL2_ON
        bl      start_mmu_on
        ldr     x9, [x21, #PCPU_STACK_TOP]
        mov     sp, x9
        mov     x29, xzr
        mov     x30, xzr
        mov     x0, x21
        bl      secondary_main
        b       start_halt

        .section .bss.stack, "aw", %nobits
        .balign 4096
        .skip   16384                   /* Until arch_stack_use(). */
boot_stack_top:
