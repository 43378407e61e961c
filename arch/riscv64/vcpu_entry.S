/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world switch. Only what the two worlds share in hardware is exchanged: general registers and
 * pc. VS CSRs stay the guest's while it is bound, and so do sstatus and hstatus: nothing of ours
 * traps or returns in between, so SPP and SPV still say where the guest was. We use no FP
 * register.
 */
#include "asm.h"

        .text

/* void vcpu_enter(struct arch_vcpu *vcpu) */
        .balign 16
        .global vcpu_enter
vcpu_enter:
        addi    sp, sp, -112
        sd      ra, 0(sp)
        sd      s0, 8(sp)
        sd      s1, 16(sp)
        sd      s2, 24(sp)
        sd      s3, 32(sp)
        sd      s4, 40(sp)
        sd      s5, 48(sp)
        sd      s6, 56(sp)
        sd      s7, 64(sp)
        sd      s8, 72(sp)
        sd      s9, 80(sp)
        sd      s10, 88(sp)
        sd      s11, 96(sp)
        sd      sp, VCPU_HOST_SP(a0)
        csrw    sscratch, a0            /* From here on a trap is taken for the guest's. */
        ld      t0, VCPU_PC(a0)
        csrw    sepc, t0
        ld      ra, 8(a0)
        ld      sp, 16(a0)
        ld      gp, 24(a0)
        ld      tp, 32(a0)
        ld      t0, 40(a0)
        ld      t1, 48(a0)
        ld      t2, 56(a0)
        ld      s0, 64(a0)
        ld      s1, 72(a0)
        ld      a1, 88(a0)
        ld      a2, 96(a0)
        ld      a3, 104(a0)
        ld      a4, 112(a0)
        ld      a5, 120(a0)
        ld      a6, 128(a0)
        ld      a7, 136(a0)
        ld      s2, 144(a0)
        ld      s3, 152(a0)
        ld      s4, 160(a0)
        ld      s5, 168(a0)
        ld      s6, 176(a0)
        ld      s7, 184(a0)
        ld      s8, 192(a0)
        ld      s9, 200(a0)
        ld      s10, 208(a0)
        ld      s11, 216(a0)
        ld      t3, 224(a0)
        ld      t4, 232(a0)
        ld      t5, 240(a0)
        ld      t6, 248(a0)
        ld      a0, 80(a0)
        sret

/* stvec: all traps into HS-mode. sscratch is the vCPU while a guest runs, else 0. */
        .balign 16
        .global trap_entry
trap_entry:
        csrrw   a0, sscratch, a0
        bnez    a0, 1f
        tail    own_trap
1:      sd      ra, 8(a0)
        sd      sp, 16(a0)
        sd      gp, 24(a0)
        sd      tp, 32(a0)
        sd      t0, 40(a0)
        sd      t1, 48(a0)
        sd      t2, 56(a0)
        sd      s0, 64(a0)
        sd      s1, 72(a0)
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
        csrrw   t0, sscratch, zero      /* The guest's a0; and we are the host again. */
        sd      t0, 80(a0)
        csrr    t0, sepc
        sd      t0, VCPU_PC(a0)
        ld      sp, VCPU_HOST_SP(a0)
        ld      tp, VCPU_HOST_TP(a0)
        ld      ra, 0(sp)
        ld      s0, 8(sp)
        ld      s1, 16(sp)
        ld      s2, 24(sp)
        ld      s3, 32(sp)
        ld      s4, 40(sp)
        ld      s5, 48(sp)
        ld      s6, 56(sp)
        ld      s7, 64(sp)
        ld      s8, 72(sp)
        ld      s9, 80(sp)
        ld      s10, 88(sp)
        ld      s11, 96(sp)
        addi    sp, sp, 112
        ret

/*
 * int32_t guest_fetch(uint64_t addr): HLVX.HU, with a trap landing behind it. The trap writes
 * sepc, and SPP and SPV, which are the guest's: put back.
 */
        .global guest_fetch
        .option push
        .option arch, +h
guest_fetch:
        csrr    t0, sepc
        csrr    t1, sstatus
        csrr    t2, hstatus
        lla     t3, 1f
        csrrw   t3, stvec, t3
        mv      t4, a0
        li      a0, -1
        hlvx.hu a0, (t4)
        .balign 4
1:      csrw    stvec, t3
        csrw    hstatus, t2
        csrw    sstatus, t1
        csrw    sepc, t0
        ret
        .option pop

/*
 * void fp_save(struct arch_fp_state *), fp_restore(): the only code of ours that touches FP
 * registers.
 */
        .option push
        .option arch, +d
        .global fp_save
fp_save:
        fsd     f0, 0(a0)
        fsd     f1, 8(a0)
        fsd     f2, 16(a0)
        fsd     f3, 24(a0)
        fsd     f4, 32(a0)
        fsd     f5, 40(a0)
        fsd     f6, 48(a0)
        fsd     f7, 56(a0)
        fsd     f8, 64(a0)
        fsd     f9, 72(a0)
        fsd     f10, 80(a0)
        fsd     f11, 88(a0)
        fsd     f12, 96(a0)
        fsd     f13, 104(a0)
        fsd     f14, 112(a0)
        fsd     f15, 120(a0)
        fsd     f16, 128(a0)
        fsd     f17, 136(a0)
        fsd     f18, 144(a0)
        fsd     f19, 152(a0)
        fsd     f20, 160(a0)
        fsd     f21, 168(a0)
        fsd     f22, 176(a0)
        fsd     f23, 184(a0)
        fsd     f24, 192(a0)
        fsd     f25, 200(a0)
        fsd     f26, 208(a0)
        fsd     f27, 216(a0)
        fsd     f28, 224(a0)
        fsd     f29, 232(a0)
        fsd     f30, 240(a0)
        fsd     f31, 248(a0)
        frcsr   t0
        sd      t0, 256(a0)
        ret

        .global fp_restore
fp_restore:
        fld     f0, 0(a0)
        fld     f1, 8(a0)
        fld     f2, 16(a0)
        fld     f3, 24(a0)
        fld     f4, 32(a0)
        fld     f5, 40(a0)
        fld     f6, 48(a0)
        fld     f7, 56(a0)
        fld     f8, 64(a0)
        fld     f9, 72(a0)
        fld     f10, 80(a0)
        fld     f11, 88(a0)
        fld     f12, 96(a0)
        fld     f13, 104(a0)
        fld     f14, 112(a0)
        fld     f15, 120(a0)
        fld     f16, 128(a0)
        fld     f17, 136(a0)
        fld     f18, 144(a0)
        fld     f19, 152(a0)
        fld     f20, 160(a0)
        fld     f21, 168(a0)
        fld     f22, 176(a0)
        fld     f23, 184(a0)
        fld     f24, 192(a0)
        fld     f25, 200(a0)
        fld     f26, 208(a0)
        fld     f27, 216(a0)
        fld     f28, 224(a0)
        fld     f29, 232(a0)
        fld     f30, 240(a0)
        fld     f31, 248(a0)
        ld      t0, 256(a0)
        fscsr   t0
        ret
        .option pop
