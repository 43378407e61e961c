/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives every register that it has a value of its own and waits for a character. Whoever pauses it
 * meanwhile may take its registers and put them back: it finds them as they were. [Privileged ISA:
 * supervisor; AIA: CSRs]
 */
#include "riscv.h"

#define SEED        0x5eed000000000100ul
#define ROUNDS      4u
#define UART_STATUS (UART_BASE + 5)
#define CSR_SENVCFG 0x10a
#define SATP_SV39   (8ul << 60)
#define PTE_ALL     0xcful /* V, R, W, X, A, D: memory and devices, one to one. */

void regs_hold(uint64_t seed, uint64_t device, uint64_t *result, bool swap);

/* Name, value; what hardware keeps of it is read back. */
#define REGISTERS(X)                                                                               \
    X(sstatus, SSTATUS_SPIE | SSTATUS_SPP | 1ul << 13 | SSTATUS_SUM | SSTATUS_MXR)                 \
    X(stvec, 0x81234568)                                                                           \
    X(sscratch, 0x1111222233334444)                                                                \
    X(sepc, 0x0123456789abcdec)                                                                    \
    X(scause, 13)                                                                                  \
    X(stval, 0xfedcba9876543210)                                                                   \
    X(satp, SATP_SV39 | 5ul << 44 | (uint64_t)root / PAGE)                                         \
    X(scounteren, 2)                                                                               \
    X(sie, SIE_SSIE | SIE_SEIE)                                                                    \
    X(sip, SIE_SSIE)                                                                               \
    X(CSR_SENVCFG, 1)

enum register_index {
#define X(name, value) REG_##name,
    REGISTERS(X)
#undef X
        REG_COUNT
};

static _Alignas(4096) uint64_t root[512];
static uint64_t before[REG_COUNT], kept[REG_COUNT], after[REG_COUNT];
static uint64_t general[32], far_future, select_kept;

static void registers_read(uint64_t *values)
{
#define X(name, value) values[REG_##name] = CSR_READ(name);
    REGISTERS(X)
#undef X
}

static void registers_fill(void)
{
#define X(name, value) CSR_WRITE(name, value);
    REGISTERS(X)
#undef X
    if (timer_by_csr)
        CSR_WRITE(CSR_STIMECMP, far_future);
    if (has_aia)
        CSR_WRITE(CSR_SISELECT, IMSIC_EITHRESHOLD);
}

static void registers_restore(void)
{
#define X(name, value) CSR_WRITE(name, before[REG_##name]);
    REGISTERS(X)
#undef X
}

static void registers_check(void)
{
#define X(name, value)                                                                             \
    check(kept[REG_##name] != 0, "written: " #name);                                               \
    check_eq(after[REG_##name], kept[REG_##name], "kept: " #name);
    REGISTERS(X)
#undef X
}

static void general_check(void)
{
    unsigned differ = 0;

    for (unsigned i = 1; i < 32; i++)
        differ += (i < 10 || i > 12) && general[i] != SEED + i;
    check_eq(differ, 0, "kept: the general registers");
}

static void others_check(void)
{
    if (timer_by_csr) {
        check_eq(CSR_READ(CSR_STIMECMP), far_future, "kept: stimecmp");
        timer_off();
    }
    if (!has_aia)
        return;
    check_eq(select_kept, IMSIC_EITHRESHOLD, "kept: siselect");
    check_eq(imsic_read(IMSIC_EITHRESHOLD), 77, "kept: what sireg was swapped with itself");
    imsic_write(IMSIC_EITHRESHOLD, 0);
}

void guest_main(void)
{
    for (uint64_t i = 0; i < 4; i++)
        root[i] = i << 28 | PTE_ALL;
    far_future = clock_read() + 1000000 * clock_hz();
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t differ;

        if (has_aia)
            imsic_write(IMSIC_EITHRESHOLD, 77);
        print("regs: round %u\n", round);
        fp_enable();
        fp_fill(SEED + round);
        registers_read(before);
        registers_fill();
        registers_read(kept);
        regs_hold(SEED, UART_STATUS, general, has_aia && round % 2);
        registers_read(after);
        if (has_aia)
            select_kept = CSR_READ(CSR_SISELECT);
        registers_restore();
        differ = fp_compare(SEED + round);
        uart_get();
        registers_check();
        general_check();
        check_eq(differ, 0, "kept: the FP registers");
        others_check();
    }
}
