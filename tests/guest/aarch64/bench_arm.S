/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the benchmark measures to the instruction. Interrupts come with the clock of their vector's
 * first instruction in x18; the handler's other instructions do not count.
 */
#define PSCI_VERSION 0x84000000

    .text
    .global bench_start
    .global bench_stop
bench_start:
bench_stop:
    mrs     x0, cntvct_el0
    ret

/* A null hypercall: the clock after less the clock before. */
    .global bench_hypercall
bench_hypercall:
    mov     x9, x30
    bl      bench_start
    mov     x10, x0
    mov     x0, #PSCI_VERSION
    hvc     #0
    bl      bench_stop
    sub     x0, x0, x10
    sub     x0, x0, #1              /* The HVC's argument. */
    ret     x9

/* x0: deadline. Spins until the timer's handler has run; returns its distance. */
    .global bench_spin_until
bench_spin_until:
    mov     x9, x30
    mov     x18, #0
    msr     cntv_cval_el0, x0
    mov     x1, #1
    msr     cntv_ctl_el0, x1
    isb
1:  cbz     x18, 1b
    sub     x0, x18, x0
    ret     x9

/* The same, waiting. Masked until it waits: the interrupt is taken right behind the WFI. */
    .global bench_wait_until
bench_wait_until:
    mov     x18, #0
    msr     cntv_cval_el0, x0
    mov     x1, #1
    msr     cntv_ctl_el0, x1
    isb
    wfi
1:  cbz     x18, 1b
    sub     x0, x18, x0
    ret

/* An SGI to this CPU: from the instruction that sends it to the handler's first. */
    .global bench_ipi
bench_ipi:
    mrs     x2, mpidr_el1
    and     x2, x2, #0xf
    mov     x1, #1
    lsl     x1, x1, x2              /* SGI 0 to oneself. */
    mov     x18, #0
    mrs     x10, cntvct_el0
    msr     s3_0_c12_c11_5, x1
    isb
1:  cbz     x18, 1b
    sub     x0, x18, x10
    sub     x0, x0, #1              /* From the sending instruction on. */
    ret
