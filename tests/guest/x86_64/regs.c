/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives every register that it has a value of its own and waits for a character. Whoever pauses it
 * meanwhile may take its registers and put them back: it finds them as they were.
 */
#include "x86.h"

#define SEED   0x5eed000000000100ul
#define ROUNDS 4u
#define LSR    0x3fdu

void regs_hold(uint64_t seed, uint64_t result[17]);

#define DR_READ(n)                                                                                 \
    ({                                                                                             \
        uint64_t value_;                                                                           \
        __asm__ volatile("mov %%dr" #n ", %0" : "=r"(value_));                                     \
        value_;                                                                                    \
    })
#define DR_WRITE(n, v) __asm__ volatile("mov %0, %%dr" #n ::"r"((uint64_t)(v)))

/* Name, and the value: none of them is used while it waits. */
#define MSRS(X)                                                                                    \
    X(SYSENTER_CS, 0x174, 0x5678)                                                                  \
    X(SYSENTER_ESP, 0x175, 0xffff800012345678)                                                     \
    X(SYSENTER_EIP, 0x176, 0xffff800087654321)                                                     \
    X(PAT, MSR_PAT, 0x0007010600070406)                                                            \
    X(STAR, MSR_STAR, 0x0023001012345678)                                                          \
    X(LSTAR, MSR_LSTAR, 0xffff800011111111)                                                        \
    X(CSTAR, 0xc0000083, 0xffff800022222222)                                                       \
    X(SFMASK, MSR_SFMASK, 0x47700)                                                                 \
    X(FS_BASE, MSR_FS_BASE, 0x123456789000)                                                        \
    X(KERNEL_GS_BASE, MSR_KERNEL_GS_BASE, 0xffff800033333333)

/* Control and debug registers. DR7 has lengths and kinds, and enables none. */
#define OTHERS(X)                                                                                  \
    X(CR0, CR_READ(0), CR_WRITE(0, before[REG_CR0] | CR0_NE | CR0_MP))                             \
    X(CR2, CR_READ(2), CR_WRITE(2, 0xffff800044444444))                                            \
    X(CR3, CR_READ(3), (void)0)                                                                    \
    X(CR4, CR_READ(4), CR_WRITE(4, before[REG_CR4] | 1ul << 2 | 1ul << 7))                         \
    X(CR8, CR_READ(8), CR_WRITE(8, 5))                                                             \
    X(DR0, DR_READ(0), DR_WRITE(0, 0x10101010))                                                    \
    X(DR1, DR_READ(1), DR_WRITE(1, 0x20202020))                                                    \
    X(DR2, DR_READ(2), DR_WRITE(2, 0x30303030))                                                    \
    X(DR3, DR_READ(3), DR_WRITE(3, 0x40404040))                                                    \
    X(DR6, DR_READ(6), DR_WRITE(6, 0xffff4ff1))                                                    \
    X(DR7, DR_READ(7), DR_WRITE(7, 0x3d150400))

enum register_index {
#define X(name, msr, value) REG_##name,
    MSRS(X)
#undef X
#define X(name, read, write) REG_##name,
        OTHERS(X)
#undef X
            REG_COUNT
};

struct [[gnu::packed]] table {
    uint16_t limit;
    uint64_t base;
};

static uint64_t before[REG_COUNT], kept[REG_COUNT], after[REG_COUNT];
static uint64_t general[17];

static void registers_read(uint64_t *values)
{
#define X(name, msr, value) values[REG_##name] = rdmsr(msr);
    MSRS(X)
#undef X
#define X(name, read, write) values[REG_##name] = read;
    OTHERS(X)
#undef X
}

static void registers_fill(void)
{
#define X(name, msr, value) wrmsr(msr, value);
    MSRS(X)
#undef X
#define X(name, read, write) write;
    OTHERS(X)
#undef X
}

static void registers_restore(void)
{
#define X(name, msr, value) wrmsr(msr, before[REG_##name]);
    MSRS(X)
#undef X
    CR_WRITE(0, before[REG_CR0]);
    CR_WRITE(4, before[REG_CR4]);
    CR_WRITE(8, before[REG_CR8]);
    DR_WRITE(7, before[REG_DR7]);
    DR_WRITE(6, before[REG_DR6]);
}

static void registers_check(void)
{
#define X(name, msr, value)                                                                        \
    check_eq(kept[REG_##name], value, "written: " #name);                                          \
    check_eq(after[REG_##name], kept[REG_##name], "kept: " #name);
    MSRS(X)
#undef X
#define X(name, read, write) check_eq(after[REG_##name], kept[REG_##name], "kept: " #name);
    OTHERS(X)
#undef X
}

/* rax and rsp are of no use while it waits. */
static void general_check(void)
{
    unsigned differ = general[2] != LSR || general[5] != IOAPIC_BASE;

    for (unsigned i = 1; i < 16; i++)
        differ += i != 2 && i != 4 && i != 5 && general[i] != SEED + i;
    check_eq(differ, 0, "kept: the general registers");
    check((general[16] & FLAG_DF) != 0, "kept: a flag");
}

static uint64_t tables_read(void)
{
    struct table gdt, idt;
    uint16_t ldt, task;

    __asm__ volatile("sgdt %0; sidt %1; sldt %2; str %3"
                     : "=m"(gdt), "=m"(idt), "=r"(ldt), "=r"(task));
    return gdt.base ^ idt.base << 16 ^ (uint64_t)gdt.limit << 40 ^ (uint64_t)idt.limit << 48 ^ ldt ^
           task;
}

void guest_main(void)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t differ, tables = tables_read();

        print("regs: round %u\n", round);
        fp_enable();
        fp_fill(SEED + round);
        registers_read(before);
        registers_fill();
        registers_read(kept);
        regs_hold(SEED, general);
        registers_read(after);
        registers_restore();
        differ = fp_compare(SEED + round);
        uart_get();
        registers_check();
        general_check();
        check_eq(tables_read(), tables, "kept: the tables");
        check_eq(differ, 0, "kept: the FP registers");
    }
}
