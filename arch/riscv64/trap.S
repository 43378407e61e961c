/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traps. sscratch tells whose: while a guest runs it holds the vCPU, else 0. From a guest they end
 * vcpu_enter() (vcpu_entry.S); from our own code they are fatal, for we run with interrupts
 * masked.
 */
#include "asm.h"

        .text
/*
 * Reached from trap_entry with a0 = 0, sscratch = our a0. Goes on the emergency stack: sp may be
 * what failed.
 */
        .global own_trap
own_trap:
        mv      a0, sp
        beqz    tp, 1f                  /* Before arch_cpu_init(). */
        ld      a0, PCPU_TRAP_STACK(tp)
        bnez    a0, 1f
        mv      a0, sp
1:      addi    a0, a0, -TRAP_FRAME_SIZE
        sd      ra, 8(a0)
        sd      sp, 16(a0)
        sd      gp, 24(a0)
        sd      tp, 32(a0)
        sd      t0, 40(a0)
        sd      t1, 48(a0)
        sd      t2, 56(a0)
        sd      s0, 64(a0)
        sd      s1, 72(a0)
        csrr    t0, sscratch
        sd      t0, 80(a0)
        sd      a1, 88(a0)
        sd      a2, 96(a0)
        sd      a3, 104(a0)
        sd      a4, 112(a0)
        sd      a5, 120(a0)
        sd      a6, 128(a0)
        sd      a7, 136(a0)
        sd      s2, 144(a0)
        sd      s3, 152(a0)
        sd      s4, 160(a0)
        sd      s5, 168(a0)
        sd      s6, 176(a0)
        sd      s7, 184(a0)
        sd      s8, 192(a0)
        sd      s9, 200(a0)
        sd      s10, 208(a0)
        sd      s11, 216(a0)
        sd      t3, 224(a0)
        sd      t4, 232(a0)
        sd      t5, 240(a0)
        sd      t6, 248(a0)
        csrr    t0, sepc
        sd      t0, 256(a0)
        csrr    t0, sstatus
        sd      t0, 264(a0)
        csrr    t0, scause
        sd      t0, 272(a0)
        csrr    t0, stval
        sd      t0, 280(a0)
        csrr    t0, hstatus
        sd      t0, 288(a0)
        csrr    t0, htval
        sd      t0, 296(a0)
        csrw    sscratch, zero
        mv      sp, a0
        call    trap_fatal
