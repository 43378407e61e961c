/* SPDX-License-Identifier: Apache-2.0 */
/* The FP unit of riscv64, as the guest turns it on and off: sstatus.FS. */
#include "riscv.h"

#define FS_OFF           0u
#define FS_CLEAN         2u
#define FS_DIRTY         3u
#define FMV_D_X_F0_X0    ".insn 0xf2000053\n" /* Writes f0. */
#define FMV_X_D_T0_F0    ".insn 0xe20002d3\n" /* Reads it. */
#define FP(instructions) __asm__ volatile(instructions ::: "t0", "memory")

static void fs_write(unsigned state)
{
    CSR_CLR(sstatus, SSTATUS_FS);
    CSR_SET(sstatus, (uint64_t)state << 13);
}

static unsigned fs_read(void)
{
    return (unsigned)(CSR_READ(sstatus) >> 13) & 3;
}

void fp_enable(void)
{
    fs_write(FS_DIRTY);
}

static void check_off(void)
{
    struct fault fault;

    fs_write(FS_OFF);
    fault_expect();
    FP(FMV_D_X_F0_X0);
    fault = fault_taken();
    check_eq(fault.count, 1, "FP traps to the guest when the guest turned it off");
    check_eq(fault.cause, CAUSE_ILLEGAL, "as an illegal instruction");
    hypercall();
    cpu_yield();
    check_eq(fs_read(), FS_OFF, "it stays off over an exit");
    fault_expect();
    FP(FMV_X_D_T0_F0);
    check_eq(fault_taken().count, 1, "for reads as well");
}

/* What a guest's kernel goes by when it saves the registers of a process, or does not. */
static void check_dirty(void)
{
    fs_write(FS_CLEAN);
    hypercall();
    cpu_yield();
    WAIT_FOR(false, 30); /* For longer than a turn. */
    check_eq(fs_read(), FS_CLEAN, "what was clean is clean after exits and switches");
    FP(FMV_X_D_T0_F0);
    check_eq(fs_read(), FS_CLEAN, "and after a read");
    FP(FMV_D_X_F0_X0);
    check_eq(fs_read(), FS_DIRTY, "a write makes it dirty");
    hypercall();
    cpu_yield();
    check_eq(fs_read(), FS_DIRTY, "which it stays");
}

void fp_check(void)
{
    check_off();
    check_dirty();
}
