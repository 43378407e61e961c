/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the benchmark measures to the instruction, where one takes a nanosecond. The clock's ticks
 * are longer (100 ns on QEMU): a stretch begins right behind a tick, and at its end we count
 * instructions up to the next one. Nothing here touches memory while the time is taken.
 */

/* Waits for a tick, at 2 instructions a look: \now is its number. Changes t0. */
    .macro tick_wait now
    csrr    t0, time
9:  csrr    \now, time
    beq     \now, t0, 9b
    .endm

/* \at: the nanosecond of this macro's first instruction, by \scale. Changes t0, t1. */
    .macro stamp at scale
    csrr    t0, time
    li      t1, 0
9:  addi    t1, t1, 3
    csrr    \at, time
    beq     \at, t0, 9b
    mul     \at, \at, \scale
    sub     \at, \at, t1
    .endm

    .text
    .option norelax
    .global bench_start
bench_start:
    lla     t2, bench_scale
    ld      t2, 0(t2)
    tick_wait a0
    mul     a0, a0, t2
    ret

    .global bench_stop
bench_stop:
    lla     t2, bench_scale
    ld      t2, 0(t2)
    stamp   a0 t2
    ret

/* A null hypercall: the clock after less the clock before. */
    .global bench_hypercall
bench_hypercall:
    addi    sp, sp, -16
    sd      ra, 0(sp)
    sd      s0, 8(sp)
    call    bench_start
    mv      s0, a0
    li      a7, 0x10                /* BASE: sbi_get_spec_version(). */
    li      a6, 0
    ecall
    call    bench_stop
    sub     a0, a0, s0
    addi    a0, a0, -4              /* Arguments, and what keeps a0. */
    ld      ra, 0(sp)
    ld      s0, 8(sp)
    addi    sp, sp, 16
    ret

/*
 * Each of the next returns from bench_vector, with interrupts masked and in a0 the nanosecond of
 * the vector's first instruction. t3 to t6 are kept for it.
 */
    .macro trap_prepare
    csrr    t6, stvec
    lla     t5, bench_vector
    csrw    stvec, t5
    lla     t4, bench_scale
    ld      t4, 0(t4)
    .endm

    .global bench_spin
bench_spin:
    trap_prepare
    csrsi   sstatus, 2
1:  j       1b

    .global bench_wait
bench_wait:
    trap_prepare
    csrsi   sstatus, 2
    wfi
1:  j       1b

/* An IPI to this hart (a2), from the instruction that sends it; here a0 is the difference. */
    .global bench_self_ipi
bench_self_ipi:
    trap_prepare
    csrsi   sstatus, 2
    li      a7, 0x735049
    li      a6, 0
    li      a0, 1
    mv      a1, a2
    tick_wait t3
    ecall
1:  j       1b

/* Direct. */
    .balign 4
bench_vector:
    stamp   a0 t4
    csrw    stvec, t6
    mul     a1, t3, t4              /* Of bench_self_ipi. */
    ret

    .bss
    .balign 8
    .global bench_scale
bench_scale:
    .space  8                       /* Nanoseconds in a tick. */
