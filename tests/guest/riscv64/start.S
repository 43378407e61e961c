/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First instructions of a riscv64 guest, its trap vectors, and the start of its other harts. The
 * image has the Linux header. [Linux: Documentation/arch/riscv/boot-image-header.rst] tp is the
 * CPU's number: the compiler leaves it alone.
 */
#include "machine.h"

#define R_RISCV_RELATIVE 3
#define STACK_SHIFT      14
#define FRAME_SIZE       272

    .section .head, "ax"
    .option push
    .option norvc
    .option norelax
    .global _head
_head:
    j       start
    nop
    .quad   0                       /* text_offset: from 2 MiB. */
    .quad   _end - _head            /* image_size */
    .quad   0                       /* Little endian. */
    .long   2, 0                    /* Version 0.2. */
    .quad   0
    .ascii  "RISCV\0\0\0"
    .ascii  "RSC\x05"
    .long   0
    .option pop

    .text
    .option norelax
/*
 * a0: the hart, a1: the device tree. The RTC tells the machine's own time, which a guest's clock
 * does not. FP registers are kept as found, for those who look at them.
 */
start:
    li      t0, RTC_BASE
    lwu     s2, 0(t0)               /* The lower word latches the upper one. */
    lwu     t0, 4(t0)
    slli    t0, t0, 32
    or      s2, s2, t0
    mv      s0, a0
    mv      s1, a1
    csrw    sie, zero
    lla     t0, _head
    lla     t1, _rela_start
    lla     t2, _rela_end
    li      t6, R_RISCV_RELATIVE
1:  bgeu    t1, t2, 2f
    ld      t3, 0(t1)
    ld      t4, 8(t1)
    ld      t5, 16(t1)
    addi    t1, t1, 24
    bne     t4, t6, 1b
    add     t3, t3, t0
    add     t5, t5, t0
    sd      t5, 0(t3)
    j       1b
2:  lla     t1, _bss_start
    lla     t2, _bss_end
3:  bgeu    t1, t2, 4f
    sd      zero, 0(t1)
    addi    t1, t1, 8
    j       3b
4:  lla     t0, start_clock
    sd      s2, 0(t0)
    mv      tp, zero
    call    stack_set
    mv      a0, s0
    mv      a1, s1
    call    cpu_setup_first
    tail    runtime_main

/* Sets sp for CPU tp. Changes t0, t1. */
stack_set:
    lla     t0, stacks
    addi    t1, tp, 1
    slli    t1, t1, STACK_SHIFT
    add     sp, t0, t1
    ret

/*
 * Where hart_start sends a hart. a0: the hart, a1: the argument; its low byte is the CPU's number.
 * Notes what it finds.
 */
    .balign 4
    .global secondary_entry
secondary_entry:
    lla     t0, secondary_state
    csrr    t1, sstatus
    sd      t1, 0(t0)
    csrr    t1, satp
    sd      t1, 8(t0)
    csrr    t1, sie
    sd      t1, 16(t0)
    sd      a0, 24(t0)
    mv      s1, a1
    andi    tp, a1, 0xff
    call    stack_set
    call    cpu_setup
    mv      a0, s1
    tail    secondary_main

/* --- Traps. The frame: x1 to x31 but gp and tp, at their numbers; sepc and sstatus. --- */

    .macro frame_each op
    \op     x1, 8(sp)
    .irp n, 5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    \op     x\n, \n*8(sp)
    .endr
    .endm

    .macro frame_push
    addi    sp, sp, -FRAME_SIZE
    frame_each sd
    csrr    t0, sepc
    csrr    t1, sstatus
    sd      t0, 256(sp)
    sd      t1, 264(sp)
    .endm

    .macro frame_pop
    ld      t0, 256(sp)
    ld      t1, 264(sp)
    csrw    sepc, t0
    csrw    sstatus, t1
    frame_each ld
    addi    sp, sp, FRAME_SIZE
    .endm

    .balign 4
    .global trap_vector
trap_vector:
    frame_push
    mv      a0, sp
    call    trap_taken
    frame_pop
    sret

    .bss
    .balign 16
    .global start_clock
start_clock:
    .space  16
    .global secondary_state
secondary_state:
    .space  32
    .balign 16
stacks:
    .space  8 << STACK_SHIFT        /* CPUS_MAX. */
