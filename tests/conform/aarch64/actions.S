/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest does to cause each exit, at EL1, MMU off. x20: HOLE. */
        .macro act name
        .globl  act_\name
        .hidden act_\name
act_\name:
        .endm
        .macro done reg
        mov     x1, \reg
        mov     x0, #0x77               /* CALL_DONE */
        hvc     #0
        b       .
        .endm
        .macro psci function
        movz    x0, #:abs_g0:(\function & 0xffff)
        movk    x0, #:abs_g1_nc:\function
        hvc     #0
        done    x0
        .endm

        .section .rodata
        .globl  actions_start, actions_end
        .hidden actions_start, actions_end
        .balign 2048
actions_start:
        b       start
        .org    actions_start + 8
        .long   0, 0                    /* Where to go; RISC-V's. */
start:  adr     x9, actions_start
        ldr     w10, [x9, #8]
        add     x9, x9, x10
        adr     x11, vectors
        msr     vbar_el1, x11
        movz    x20, #0x1000
        movk    x20, #0x1000, lsl #16
        isb
        br      x9

        act hypercall
        mov     x0, #0x1234
        mov     x1, #1
        mov     x2, #2
        mov     x3, #3
        mov     x4, #4
        mov     x5, #5
        mov     x6, #6
        hvc     #5
        done    x0
        act mmio_read
        ldrsh   x3, [x20]
        done    x3
        act mmio_write
        movz    w3, #0x3344
        movk    w3, #0x1122, lsl #16
        str     w3, [x20]
        done    x3
        act sysreg_read
        mrs     x3, id_aa64pfr0_el1
        done    x3
        act sysreg_write
        movz    x3, #0x3344
        movk    x3, #0x1122, lsl #16
        msr     actlr_el1, x3
        done    x3
        act fetch
        br      x20
        act wfi
        wfi
        mov     x3, #1
        done    x3
        act wfe
        sevl
        wfe
        wfe
        mov     x3, #1
        done    x3
        act idle
        mov     x1, #0
        psci    0xc4000001
        act cpu_up
        mov     x1, #1
        mov     x2, #0x40000000
        mov     x3, #9
        psci    0xc4000003
        act cpu_down
        psci    0x84000002
        act system_down
        psci    0x84000008
        act system_reset
        psci    0x84000009
        act send_ipi
        movz    x3, #0x0002             /* SGI 5 to Aff0 = 1. */
        movk    x3, #0x0500, lsl #16
        msr     s3_0_c12_c11_5, x3      /* ICC_SGI1R_EL1 */
        mov     x3, #1
        done    x3
        act debug
        mov     x3, #1
        brk     #0x42
        done    x3
        act timer
        mrs     x3, cntvct_el0
        add     x3, x3, #1000
        msr     cntv_cval_el0, x3
        mov     x3, #1
        msr     cntv_ctl_el0, x3
        isb
        b       .
        act end
        mov     x3, #0xff
        msr     s3_0_c4_c6_0, x3        /* ICC_PMR_EL1 */
        mov     x3, #1
        msr     s3_0_c12_c12_7, x3      /* ICC_IGRPEN1_EL1 */
        isb
        mrs     x3, s3_0_c12_c12_0      /* ICC_IAR1_EL1 */
        msr     s3_0_c12_c12_1, x3      /* ICC_EOIR1_EL1 */
        isb
        b       .
        act nothing
        mov     x3, #3 << 16            /* Its own to enable, if it were there. */
        orr     x3, x3, #3 << 20
        msr     cpacr_el1, x3
        isb
        .inst   0x04e0e3e3              /* cntd x3: of SVE, which is hidden. */
        b       .
        act spin
        b       .
        act count
        movz    x3, #0x4002, lsl #16    /* RAM's base + COUNTER */
0:      ldr     x4, [x3]
        add     x4, x4, #1
        str     x4, [x3]
        b       0b
        /* An edge of an SPI to this processor, and what counts. */
        .macro interrupts
        movz    x5, #0x0800, lsl #16    /* The distributor: GICD_CTLR: groups, affinity routing. */
        mov     w6, #0x12
        str     w6, [x5]
        mov     w6, #1 << (40 - 32)     /* INJECT */
        str     w6, [x5, #0x84]         /* GICD_IGROUPR1 */
        str     w6, [x5, #0x104]        /* GICD_ISENABLER1 */
        mov     w6, #1 << (40 - 32) * 2 + 1
        str     w6, [x5, #0xc08]        /* GICD_ICFGR2: an edge. */
        mov     x6, #0xff
        msr     s3_0_c4_c6_0, x6        /* ICC_PMR_EL1 */
        mov     x6, #1
        msr     s3_0_c12_c12_7, x6      /* ICC_IGRPEN1_EL1 */
        movz    x3, #0x4002, lsl #16    /* RAM's base + COUNTER */
        isb
        msr     daifclr, #2
        .endm
        act interrupts
        interrupts
0:      ldr     x4, [x3]
        add     x4, x4, #1
        str     x4, [x3]
        b       0b
        act wait
        interrupts
0:      wfi
        ldr     x4, [x3]
        add     x4, x4, #1
        str     x4, [x3]
        b       0b
        act break
        movz    x3, #0x2000, lsl #16
        ldr     w4, [x3]
        b       .

        /* Any exception of its own: what it was is told. */
        .balign 2048
vectors:
        .rept 5
        b       trap
        .balign 128
        .endr
        mrs     x7, s3_0_c12_c12_0      /* An IRQ: ICC_IAR1_EL1 */
        ldr     x8, [x3, #8]            /* TAKEN */
        add     x8, x8, #1
        str     x8, [x3, #8]
        msr     s3_0_c12_c12_1, x7      /* ICC_EOIR1_EL1 */
        eret
        .balign 128
        .rept 10
        b       trap
        .balign 128
        .endr
trap:   mrs     x3, esr_el1
        lsr     x3, x3, #26
        done    x3
        .balign 8
actions_end:
