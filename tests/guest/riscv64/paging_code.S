/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code that paging.c copies to pages of its own: nothing in it depends on where it is, and each
 * piece begins at a multiple of 64. In U-mode `ecall` goes on in S-mode, where it was called.
 */
    .option norelax
    .text

    .macro piece
    .balign 64
    .endm

    .balign 64
    .global paging_code
paging_code:
    lw      a0, 0(a0)               /* 0: by four bytes. */
    ret
    piece
    c.lw    a0, 0(a0)               /* 1: by two. */
    ret
    piece
    sw      a1, 0(a0)               /* 2 */
    ret
    piece
    wfi                             /* 3 */
    ret
    piece
    csrrw   a0, 0x15c, zero         /* 4: stopei. */
    ret
    piece
    lw      a0, 0(a0)               /* 5: from here on for U-mode. */
    ecall
    piece
    sw      a1, 0(a0)               /* 6 */
    ecall
    piece
    csrr    a0, time                /* 7 */
    ecall
    piece
    wfi                             /* 8 */
    ecall
    piece
    csrr    a0, sscratch            /* 9 */
    ecall
    piece
    li      a0, 1                   /* 10: changed by the guest to return 2. */
    ret
    piece
    .global paging_code_end
paging_code_end:

/* uint64_t user_run(entry a0, a b): in U-mode, as the entry's a0 and a1; returns its a0. */
    .global user_run
user_run:
    csrw    sepc, a0
    li      t0, 0x120
    csrc    sstatus, t0             /* SPP: to U-mode; SPIE: masked as before. */
    mv      a0, a1
    mv      a1, a2
    sret
