/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first instructions of every pCPU. The flat image begins with the Linux `Image` header, so
 * that any boot loader that starts Linux starts us: in HS-mode, satp = 0, a0 = hart id, a1 =
 * device tree. Our own EFI loader enters in the same way with a1 = struct handoff. [Linux:
 * Documentation/arch/riscv/boot.rst, boot-image-header.rst]
 *
 * We go on without translation until hostmap_init() has made the tables: caches and atomics do not
 * depend on it, so there are no early ones.
 */
#include "asm.h"

        .section .head.text, "ax"
        .global _head
        .option push
        .option norvc
        .option norelax
_head:
        j       start                   /* code0 */
        nop                             /* code1 */
        .quad   0x200000                /* text_offset: the firmware is below. */
        .quad   _image_end - _head      /* With .bss. Not image_size_mem: it would be relocated. */
        .quad   0                       /* Little endian. */
        .long   2, 0                    /* Version 0.2. */
        .quad   0
        .ascii  "RISCV\0\0\0"
        .ascii  "RSC\x05"
        .long   0
        .option pop

start:
        csrw    sie, zero
        csrw    satp, zero
        mv      s0, a0
        mv      s1, a1
        lla     sp, boot_stack_top
        mv      tp, zero
        call    start_relocate
        lla     t0, boot_hart
        sd      s0, 0(t0)
        lla     t0, trap_entry
        csrw    stvec, t0
        csrw    sscratch, zero          /* We are the host: see trap_entry. */
        mv      s0, zero                /* Frame pointer: backtraces end here. */
        mv      a0, s1
        call    boot_memmap
        mv      a1, a0
        mv      a0, s1
        mv      ra, zero
        call    boot_main
start_halt:
        wfi
        j       start_halt

/* Relocate the image to where it is (it is linked at 0) and clear .bss. Uses t0-t6. */
start_relocate:
        lla     t0, _image_start
        lla     t1, _rela_start
        lla     t2, _rela_end
        li      t6, R_RISCV_RELATIVE
1:      bgeu    t1, t2, 2f
        ld      t3, 0(t1)               /* Offset, */
        lwu     t4, 8(t1)               /* type, */
        ld      t5, 16(t1)              /* addend. */
        addi    t1, t1, 24
        bne     t4, t6, 1b
        add     t5, t5, t0
        add     t3, t3, t0
        sd      t5, 0(t3)
        j       1b
2:      lla     t1, _bss_start
        lla     t2, _bss_end
3:      .irp    at, 0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120
        sd      zero, \at(t1)           /* Both ends are aligned to 128. */
        .endr
        addi    t1, t1, 128
        bltu    t1, t2, 3b
        fence.i
        ret

/* void arch_stack_use(void *top, void (*fn)(void)) */
        .global arch_stack_use
arch_stack_use:
        mv      sp, a0
        mv      s0, zero
        mv      ra, zero
        jr      a1

/* Where SBI's hart start lets a pCPU begin: satp = 0, a1 = its struct pcpu. */
        .balign 4
        .global start_secondary
start_secondary:
        csrw    sie, zero
        csrw    sscratch, zero
        mv      tp, a1
        lla     t0, trap_entry
        csrw    stvec, t0
        lla     t0, host_satp
        ld      t0, 0(t0)
        sfence.vma
        csrw    satp, t0                /* One to one: the next instruction is where it was. */
        sfence.vma
        ld      sp, PCPU_STACK_TOP(tp)
        mv      s0, zero
        mv      ra, zero
        mv      a0, a1
        call    secondary_main
        j       start_halt

        .section .bss.stack, "aw", %nobits
        .balign 4096
        .skip   16384                   /* Until arch_stack_use(). */
boot_stack_top:
