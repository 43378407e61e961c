/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest does to cause each exit, in VS-mode, without translation. s0: HOLE. */
        .macro act name
        .globl  act_\name
        .hidden act_\name
act_\name:
        .endm
        .macro done reg
        mv      a0, \reg
        li      a7, 0x77                /* CALL_DONE */
        ecall
        j       .
        .endm
        .macro sbi extension, function
        li      a7, \extension
        li      a6, \function
        ecall
        done    a0
        .endm

        .section .rodata
        .globl  actions_start, actions_end
        .hidden actions_start, actions_end
        .option norvc
        .option norelax
        .balign 8
actions_start:
        j       start
        .org    actions_start + 8
        .long   0, 0                    /* Where to go; whether there is an AIA. */
start:  lla     t0, actions_start
        lwu     t1, 8(t0)
        add     t0, t0, t1
        lla     t1, trap
        csrw    stvec, t1
        li      s0, 0x10001000
        jr      t0

        act hypercall
        li      a7, 0x1234
        li      a0, 1
        li      a1, 2
        li      a2, 3
        li      a3, 4
        li      a4, 5
        li      a5, 6
        ecall
        done    a0
        act mmio_read
        lh      t3, 0(s0)
        done    t3
        act mmio_write
        li      t3, 0x11223344
        sw      t3, 0(s0)
        done    t3
        act sysreg_read
        csrr    t3, 0x15c               /* stopei */
        done    t3
        act sysreg_write
        li      t3, 0x70                /* eidelivery */
        csrw    0x150, t3               /* siselect */
        li      t3, 0x11223344
        csrw    0x151, t3               /* sireg */
        done    t3
        act fetch
        jr      s0
        act wfi
        wfi
        li      t3, 1
        done    t3
        act wfe
        .insn   0x00d00073              /* wrs.nto */
        li      t3, 1
        done    t3
        act idle
        li      a0, 0
        sbi     0x48534d, 3
        act cpu_up
        li      a0, 1
        li      a1, 0x80200000
        li      a2, 9
        sbi     0x48534d, 0
        act cpu_down
        sbi     0x48534d, 1
        act system_down
        li      a0, 0
        li      a1, 0
        sbi     0x53525354, 0
        act system_reset
        li      a0, 1
        li      a1, 0
        sbi     0x53525354, 0
        act send_ipi
        li      a0, 2
        li      a1, 0
        sbi     0x735049, 0
        act debug
        li      t3, 1
        ebreak
        done    t3
        act end
        csrw    0x15c, zero             /* stopei */
        li      t3, 1
        done    t3
        act nothing
        .insn   0x22000073              /* hfence.vvma: hidden, so it is illegal. */
        j       .
        act spin
        j       .
        act count
        li      t3, 0x80020000          /* RAM's base + COUNTER */
0:      ld      t4, 0(t3)
        addi    t4, t4, 1
        sd      t4, 0(t3)
        j       0b
        act undefined
        .long   0                       /* An instruction that is none. */
        j       .
        /* INJECT of an AIA's interrupt file, or of a PLIC, and what counts. t2: an AIA? */
        .macro interrupts
        lla     t0, actions_start
        lwu     t2, 12(t0)
        beqz    t2, 7f
        li      t0, 0x70                /* eidelivery */
        csrw    0x150, t0
        li      t0, 1
        csrw    0x151, t0
        li      t0, 0x72                /* eithreshold */
        csrw    0x150, t0
        csrw    0x151, zero
        li      t0, 0xc0                /* eie0 */
        csrw    0x150, t0
        li      t0, 1 << 40
        csrw    0x151, t0
        j       8f
7:      li      t0, 0x0c000000          /* Priority, enable and threshold of context 1. */
        li      t1, 1
        sw      t1, 4 * 40(t0)
        li      t0, 0x0c002080
        li      t1, 1 << (40 - 32)
        sw      t1, 4(t0)
        li      t0, 0x0c201000
        sw      zero, 0(t0)
8:      li      t3, 0x80020000          /* RAM's base + COUNTER */
        li      t0, 1 << 9
        csrs    sie, t0
        csrsi   sstatus, 2
        .endm
        act interrupts
        interrupts
0:      ld      t4, 0(t3)
        addi    t4, t4, 1
        sd      t4, 0(t3)
        j       0b
        act wait
        interrupts
0:      wfi
        ld      t4, 0(t3)
        addi    t4, t4, 1
        sd      t4, 0(t3)
        j       0b
        act break
        li      t3, 0x20000000
        lw      t4, 0(t3)
        j       .

        /* Any exception of its own: what it was is told. */
        .balign 4
trap:   csrr    t5, scause
        bltz    t5, 0f
        mv      t3, t5
        done    t3
0:      beqz    t2, 1f
        csrrw   t5, 0x15c, zero         /* stopei: claims. */
        j       2f
1:      li      t6, 0x0c201004          /* Claims, and completes. */
        lw      t5, 0(t6)
        sw      t5, 0(t6)
2:      ld      t5, 8(t3)               /* TAKEN */
        addi    t5, t5, 1
        sd      t5, 8(t3)
        sret
        .balign 8
actions_end:
