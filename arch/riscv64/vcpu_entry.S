/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world switch. Only what the two worlds share in hardware is exchanged: general registers and
 * pc. VS CSRs stay the guest's while it is bound, and so do sstatus and hstatus: nothing of ours
 * traps or returns in between, so SPP and SPV still say where the guest was. We use no FP
 * register.
 */
#include "asm.h"
#include "arch/riscv64/regs.inc"

        .text

/*
 * a0 = vcpu: run the guest until a trap. Called from vcpu_exit.c only, which expects every register
 * but sp, s0 and tp to be changed.
 */
        .balign 16
        .global vcpu_enter
vcpu_enter:
        sd      ra, VCPU_HOST_RA(a0)
        sd      s0, VCPU_HOST_S0(a0)
        sd      sp, VCPU_HOST_SP(a0)
        csrw    sscratch, a0            /* From here on a trap is taken for the guest's. */
        ld      t0, VCPU_PC(a0)
        csrw    sepc, t0
        regs    ld, a0
        ld      a0, 80(a0)
        sret

/* stvec: all traps into HS-mode. sscratch is the vCPU while a guest runs, else 0. */
        .balign 16
        .global trap_entry
trap_entry:
        csrrw   a0, sscratch, a0
        beqz    a0, 1f
        regs    sd, a0
        csrrw   t0, sscratch, zero      /* The guest's a0; and we are the host again. */
        csrr    t1, sepc
        sd      t0, 80(a0)
        sd      t1, VCPU_PC(a0)
        ld      tp, VCPU_HOST_TP(a0)
        ld      sp, VCPU_HOST_SP(a0)
        ld      s0, VCPU_HOST_S0(a0)
        ld      ra, VCPU_HOST_RA(a0)
        ret
1:      tail    own_trap

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

/*
 * bool guest_load(uint64_t addr, uint64_t *value): HLV.D in the same way. Without vsatp, for which
 * no fence is needed [supervisor.adoc, satp], a guest-virtual address is a guest-physical one.
 */
        .global guest_load
guest_load:
        csrr    t0, sepc
        csrr    t1, sstatus
        csrr    t2, hstatus
        csrrw   t5, vsatp, zero
        lla     t3, 1f
        csrrw   t3, stvec, t3
        mv      t4, a0
        li      a0, 0
        hlv.d   t4, (t4)
        sd      t4, 0(a1)
        li      a0, 1
        .balign 4
1:      csrw    stvec, t3
        csrw    vsatp, t5
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
        fp_regs fsd, a0
        frcsr   t0
        sd      t0, 256(a0)
        ret

        .global fp_restore
fp_restore:
        fp_regs fld, a0
        ld      t0, 256(a0)
        fscsr   t0
        ret
        .option pop
