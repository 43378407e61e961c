/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device registers by every form of load and store: widths, signs, compressed ones, offsets, the
 * zero register. 32 bits of storage: the clock's alarm, with its interrupt off. Less: the UART's
 * scratch register, and its divisor, which only looks at the lowest byte.
 */
#include "riscv.h"

#define ALARM   (RTC_BASE + 0x08) /* Its upper half, which is written first, is the next word. */
#define LCR     (UART_BASE + 3)
#define SCRATCH (UART_BASE + 7)
#define DIVISOR UART_BASE

/* mmio_regs.S: x0 to x31 as the access leaves them, each filled before with FILL(n). */
#define FILL(n) (0xc0de0000ul + (n))
void mmio_read_watched(uint64_t address, uint64_t regs[32]);
void mmio_write_watched(uint64_t address, uint64_t regs[32]);
uint64_t mmio_stack_load(uint64_t below);
void mmio_stack_store(uint64_t below, uint64_t value);
uint64_t mmio_stack_load8(uint64_t below);
void mmio_stack_store8(uint64_t below, uint64_t value);

/* Load from `at` by an instruction with a0 as target and a1 as address. */
#define LOAD_BY(insn, at)                                                                          \
    ({                                                                                             \
        register uint64_t v_ __asm__("a0") = 0x7777777777777777;                                   \
        register uint64_t at_ __asm__("a1") = (at);                                                \
        __asm__ volatile(insn : "+r"(v_) : "r"(at_) : "memory");                                   \
        v_;                                                                                        \
    })
#define STORE_BY(insn, at, value)                                                                  \
    ({                                                                                             \
        register uint64_t v_ __asm__("a0") = (value);                                              \
        register uint64_t at_ __asm__("a1") = (at);                                                \
        __asm__ volatile(insn ::"r"(v_), "r"(at_) : "memory");                                     \
    })

static void check_widths(void)
{
    mmio_write(ALARM, 0x12348765);
    check_eq(LOAD_BY("lw a0, 0(a1)", ALARM), 0x12348765, "LW");
    mmio_write(ALARM, 0x800080f1);
    check_eq(LOAD_BY("lw a0, 0(a1)", ALARM), 0xffffffff800080f1, "LW extends the sign");
    check_eq(LOAD_BY("lwu a0, 0(a1)", ALARM), 0x800080f1, "LWU does not");
    STORE_BY("sw a0, 0(a1)", ALARM, 0x1234567890abcdef);
    check_eq(mmio_read(ALARM), 0x90abcdef, "SW stores the lower 32 bits");
    STORE_BY("sb a0, 0(a1)", SCRATCH, 0x51f);
    check_eq(mmio_read8(SCRATCH), 0x1f, "SB stores 8 bits");
    STORE_BY("sb a0, 0(a1)", SCRATCH, 0x8b);
    check_eq(LOAD_BY("lb a0, 0(a1)", SCRATCH), 0xffffffffffffff8b, "LB extends the sign");
    check_eq(LOAD_BY("lbu a0, 0(a1)", SCRATCH), 0x8b, "LBU does not");
}

/* Nothing may be printed while the divisor is where the data is. */
static void check_wide(void)
{
    uint64_t half, half_unsigned, word, twice, by_twice, by_half;

    mmio_write8(LCR, 0x83);
    STORE_BY("sh a0, 0(a1)", DIVISOR, 0x1f8);
    half = LOAD_BY("lh a0, 0(a1)", DIVISOR);
    half_unsigned = LOAD_BY("lhu a0, 0(a1)", DIVISOR);
    word = LOAD_BY("lw a0, 0(a1)", DIVISOR);
    twice = LOAD_BY("ld a0, 0(a1)", DIVISOR);
    by_half = mmio_read8(DIVISOR);
    STORE_BY("sd a0, 0(a1)", DIVISOR, 0x12345678000000c4);
    by_twice = mmio_read8(DIVISOR);
    mmio_write8(LCR, 0x03);
    check_eq(by_half, 0xf8, "SH to a register of 8 bits");
    check_eq(half, 0xf8, "LH of a register of 8 bits has no sign");
    check_eq(half_unsigned, 0xf8, "nor has LHU");
    check_eq(word, 0xf8, "nor LW");
    check_eq(twice, 0xf8, "nor LD");
    check_eq(by_twice, 0xc4, "SD to a register of 8 bits");
}

static void check_offsets(void)
{
    mmio_write(ALARM, 0x600df00d);
    check_eq(LOAD_BY("lw a0, -2045(a1)", ALARM + 2045), 0x600df00d, "LW with a negative offset");
    check_eq(LOAD_BY("lw a0, 2047(a1)", ALARM - 2047), 0x600df00d, "LW with the largest offset");
    STORE_BY("sw a0, -2048(a1)", ALARM + 2048, 0x0badcafe);
    check_eq(mmio_read(ALARM), 0x0badcafe, "SW with the lowest offset");
    STORE_BY("sb a0, 1365(a1)", SCRATCH - 1365, 0x5a);
    check_eq(mmio_read8(SCRATCH), 0x5a, "SB with an odd offset");
    check_eq(LOAD_BY("lw a1, 0(a1); mv a0, a1", ALARM), 0x0badcafe, "LW over its own base");
}

static void check_compressed(void)
{
    uint64_t twice, stack, stack_stored, stored;

    mmio_write(ALARM, 0x80abcdef);
    check_eq(LOAD_BY("c.lw a0, 0(a1)", ALARM), 0xffffffff80abcdef, "C.LW extends the sign");
    check_eq(LOAD_BY("c.lw a0, 124(a1)", ALARM - 124), 0xffffffff80abcdef,
             "C.LW with the largest offset");
    STORE_BY("c.sw a0, 0(a1)", ALARM, 0x7fffffff12345678);
    check_eq(mmio_read(ALARM), 0x12345678, "C.SW");
    STORE_BY("c.sw a0, 84(a1)", ALARM - 84, 0x55667788);
    check_eq(mmio_read(ALARM), 0x55667788, "C.SW with an offset");
    mmio_stack_store(ALARM - 8, 0x87654321);
    check_eq(mmio_read(ALARM), 0x87654321, "C.SWSP");
    check_eq(mmio_stack_load(ALARM - 8), 0xffffffff87654321, "C.LWSP");
    mmio_write8(LCR, 0x83);
    STORE_BY("c.sd a0, 0(a1)", DIVISOR, 0x1122334455667788);
    stored = mmio_read8(DIVISOR);
    twice = LOAD_BY("c.ld a0, 248(a1)", DIVISOR - 248);
    mmio_stack_store8(DIVISOR - 8, 0x99);
    stack_stored = mmio_read8(DIVISOR);
    stack = mmio_stack_load8(DIVISOR - 8);
    mmio_write8(LCR, 0x03);
    check_eq(stored, 0x88, "C.SD");
    check_eq(twice, 0x88, "C.LD with the largest offset");
    check_eq(stack_stored, 0x99, "C.SDSP");
    check_eq(stack, 0x99, "C.LDSP");
}

/* Encoded by hand: an assembler may not know them. c.sb a0, 1(a1), and so on. */
static void check_zcb(void)
{
    uint64_t half;

    if (!isa_has("zcb"))
        return;
    STORE_BY(".half 0x89e8", SCRATCH - 3, 0x5c3);
    check_eq(mmio_read8(SCRATCH), 0xc3, "C.SB with the largest offset");
    check_eq(LOAD_BY(".half 0x81e8", SCRATCH - 3), 0xc3, "C.LBU");
    mmio_write8(LCR, 0x83);
    STORE_BY(".half 0x8d88", DIVISOR, 0x1d7);
    half = LOAD_BY(".half 0x8588", DIVISOR) | LOAD_BY(".half 0x85c8", DIVISOR);
    mmio_write8(LCR, 0x03);
    check_eq(half, 0xd7, "C.SH, C.LHU and C.LH");
}

/* Those that differ from what they were filled with, but a0 (the address), a5 and x0. */
static unsigned regs_wrong(const uint64_t regs[32])
{
    unsigned wrong = 0;

    for (unsigned i = 1; i < 32; i++)
        wrong += i != 10 && i != 15 && regs[i] != FILL(i);
    return wrong;
}

static void check_registers(void)
{
    uint64_t regs[32];

    mmio_write(ALARM, 0x5eed5eed);
    mmio_read_watched(ALARM, regs);
    check_eq(regs_wrong(regs), 0, "a read changes no other register");
    check_eq(regs[15], 0x5eed5eed, "and gives the value");
    check_eq(regs[10], ALARM, "and keeps the address");
    mmio_write_watched(ALARM, regs);
    check_eq(regs_wrong(regs) + (regs[15] != FILL(15)), 0, "a write changes no register");
    check_eq(mmio_read(ALARM), FILL(15), "and stores the value");
    STORE_BY("sw zero, 0(a1)", ALARM, 1);
    check_eq(mmio_read(ALARM), 0, "the zero register stores zero");
    mmio_write(ALARM, 5);
    check_eq(LOAD_BY("lw zero, 0(a1); mv a0, zero", ALARM), 0,
             "a load to the zero register leaves it zero");
}

static void check_chips(void)
{
    uint64_t before = clock_read();
    uint32_t seconds;

    check_eq(mmio_read8(UART_BASE + 5) & 0x61, 0x60, "the UART is empty in both directions");
    check_eq(mmio_read8(UART_BASE + 2) & 0x0f, 1, "and does not interrupt");
    rtc_write(1000000);
    seconds = rtc_read();
    check(seconds - 1000000 < 5, "the clock can be set");
    check(WAIT_FOR(rtc_read() != seconds, 10000), "it goes on");
    check(clock_read() - before < clock_hz() * 10, "by seconds");
}

/* As hardware may: an access fault, or a misaligned address, of the right kind. */
static void check_misaligned(void)
{
    struct fault fault;

    fault_expect();
    LOAD_BY("lw a0, 0(a1)", ALARM + 1);
    fault = fault_taken();
    check_eq(fault.count, 1, "a misaligned load of a device is an exception");
    check(fault.cause == CAUSE_LOAD_ACCESS || fault.cause == CAUSE_LOAD_MISALIGNED,
          "of a load, by its access or its address");
    check_eq(fault.address, ALARM + 1, "which names the address");
    fault_expect();
    STORE_BY("c.sw a0, 0(a1)", ALARM + 2, 0);
    fault = fault_taken();
    check(fault.count == 1 &&
              (fault.cause == CAUSE_STORE_ACCESS || fault.cause == CAUSE_STORE_MISALIGNED),
          "so is a misaligned store");
    check_eq(fault.address, ALARM + 2, "which names the address");
}

void guest_main(void)
{
    uint32_t clock = rtc_read();

    mmio_write(RTC_BASE + 0x10, 0); /* No interrupt of the alarm. */
    mmio_write(ALARM + 4, 0);
    check_widths();
    check_wide();
    check_offsets();
    check_compressed();
    check_zcb();
    check_registers();
    check_misaligned();
    check_chips();
    rtc_write(clock);
}
