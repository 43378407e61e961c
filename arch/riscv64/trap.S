/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traps. sscratch tells whose: while a guest runs it holds the vCPU, else 0. From a guest they end
 * vcpu_enter() (vcpu_entry.S); from our own code they are fatal, for we run with interrupts
 * masked.
 */
#include "asm.h"
#include "arch/riscv64/regs.inc"

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
        regs    sd, a0
        csrr    t0, sscratch
        sd      t0, 80(a0)
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
