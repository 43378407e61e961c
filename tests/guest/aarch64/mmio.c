/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device registers by every form of load and store: widths, signs, write-back, pairs, the zero
 * register; with syndrome and without. The clock's match register, with its interrupt off, serves
 * as 32 bits of storage.
 */
#include "arm.h"

#define MATCH (RTC_BASE + 0x04)
#define LOADR (RTC_BASE + 0x08) /* The next word; it sets the clock. */

/*
 * mmio_regs.S: a read into x5 with all other registers and the flags watched; bits of those that
 * changed.
 */
uint64_t mmio_read_watched(uint64_t address, uint64_t *value);
uint64_t mmio_write_watched(uint64_t address);

/* Load from `at` by an instruction with %w0/%x0 as target and [%1] as address. */
#define LOAD_BY(insn, at)                                                                          \
    ({                                                                                             \
        uint64_t v_ = 0x7777777777777777;                                                          \
        __asm__ volatile(insn : "+r"(v_) : "r"((uint64_t)(at)) : "memory");                        \
        v_;                                                                                        \
    })
#define STORE_BY(insn, at, value)                                                                  \
    __asm__ volatile(insn ::"r"((uint64_t)(value)), "r"((uint64_t)(at)) : "memory")

static void check_widths(void)
{
    mmio_write(MATCH, 0x12348765);
    check_eq(LOAD_BY("ldr %w0, [%1]", MATCH), 0x12348765, "LDR of 4 bytes");
    check_eq(LOAD_BY("ldrh %w0, [%1]", MATCH), 0x8765, "LDRH of a register's lower half");
    check_eq(LOAD_BY("ldrb %w0, [%1]", MATCH), 0x65, "LDRB of a register's lowest byte");
    mmio_write(MATCH, 0x800080f1);
    check_eq(LOAD_BY("ldrsw %x0, [%1]", MATCH), 0xffffffff800080f1, "LDRSW extends the sign");
    check_eq(LOAD_BY("ldrsh %w0, [%1]", MATCH), 0xffff80f1,
             "LDRSH to 32 bits clears the upper half");
    check_eq(LOAD_BY("ldrsh %x0, [%1]", MATCH), 0xffffffffffff80f1, "LDRSH to 64 bits");
    check_eq(LOAD_BY("ldrsb %w0, [%1]", MATCH), 0xfffffff1, "LDRSB to 32 bits");
    check_eq(LOAD_BY("ldrsb %x0, [%1]", MATCH), 0xfffffffffffffff1, "LDRSB to 64 bits");
    check_eq(LOAD_BY("ldar %w0, [%1]", MATCH), 0x800080f1, "LDAR");
    STORE_BY("strh %w0, [%1]", UART_BASE + 0x24, 0x1f00d);
    check_eq(LOAD_BY("ldrh %w0, [%1]", UART_BASE + 0x24), 0xf00d, "STRH stores 16 bits");
    STORE_BY("strb %w0, [%1]", UART_BASE + 0x28, 0x515);
    check_eq(mmio_read(UART_BASE + 0x28), 0x15, "STRB stores 8 bits");
    STORE_BY("stlr %w0, [%1]", MATCH, 0x0badcafe);
    check_eq(mmio_read(MATCH), 0x0badcafe, "STLR");
    STORE_BY("str xzr, [%1]\n\t// %0", GICD_BASE + GICD_IROUTER + 8 * 40, 0);
    gic_route(40, 1);
    check_eq(LOAD_BY("ldr %x0, [%1]", GICD_BASE + GICD_IROUTER + 8 * 40), 1, "LDR of 8 bytes");
    gic_route(40, 0);
}

static void check_offsets(void)
{
    uint64_t index = 1;

    mmio_write(MATCH, 0x600df00d);
    check_eq(LOAD_BY("ldur %w0, [%1, #-3]", MATCH + 3), 0x600df00d, "LDUR with an odd offset");
    __asm__ volatile("ldr %w0, [%1, %0, lsl #2]" : "+r"(index) : "r"(RTC_BASE) : "memory");
    check_eq(index, 0x600df00d, "LDR with a shifted index register");
    index = 0xffffffff00000001;
    __asm__ volatile("ldr %w0, [%1, %w0, uxtw #2]" : "+r"(index) : "r"(RTC_BASE) : "memory");
    check_eq(index, 0x600df00d, "LDR with a zero-extended index");
    index = 0xffffffff;
    __asm__ volatile("ldr %w0, [%1, %w0, sxtw #2]" : "+r"(index) : "r"(MATCH + 4) : "memory");
    check_eq(index, 0x600df00d, "LDR with a negative index");
}

static void check_writeback(void)
{
    uint64_t base = MATCH, value;

    mmio_write(MATCH, 0x1badd00d);
    __asm__ volatile("ldr %w0, [%1], #4" : "=&r"(value), "+r"(base)::"memory");
    check_eq(value, 0x1badd00d, "LDR post-index loads from the base");
    check_eq(base, MATCH + 4, "and moves it afterwards");
    base = MATCH + 8;
    __asm__ volatile("ldr %w0, [%1, #-8]!" : "=&r"(value), "+r"(base)::"memory");
    check_eq(value, 0x1badd00d, "LDR pre-index loads from the new base");
    check_eq(base, MATCH, "and keeps it");
    __asm__ volatile("str %w0, [%1], #12" : : "r"(0x11223344), "r"(base) : "memory");
    check_eq(mmio_read(MATCH), 0x11223344, "STR post-index stores at the base");
    base = MATCH - 4;
    __asm__ volatile("str %w1, [%0, #4]!" : "+r"(base) : "r"(0x55667788) : "memory");
    check_eq(mmio_read(MATCH), 0x55667788, "STR pre-index stores at the new base");
    check_eq(base, MATCH, "and moves it");
    base = MATCH;
    __asm__ volatile("ldrsb %x0, [%1], #1" : "=&r"(value), "+r"(base)::"memory");
    check_eq(value, 0xffffffffffffff88, "LDRSB post-index extends the sign");
    check_eq(base, MATCH + 1, "and moves by one");
    base = UART_BASE + 0x24;
    __asm__ volatile("strh %w1, [%0], #-36" : "+r"(base) : "r"(0x1357) : "memory");
    check_eq(mmio_read(UART_BASE + 0x24), 0x1357, "STRH post-index stores 16 bits");
    check_eq(base, UART_BASE, "and moves back");
}

static void check_pairs(void)
{
    uint64_t base = MATCH, a, b;

    STORE_BY("stp %w0, wzr, [%1]", MATCH, 0xa1a2a3a4);
    check_eq(mmio_read(MATCH), 0xa1a2a3a4, "STP stores the first");
    check_eq(mmio_read(LOADR), 0, "and the second");
    STORE_BY("stp wzr, %w0, [%1], #8\n\tsub %1, %1, #8", MATCH, 0x81828384);
    check_eq(mmio_read(MATCH), 0, "STP post-index: first");
    check_eq(mmio_read(LOADR), 0x81828384, "STP post-index: second");
    mmio_write(MATCH, 0x40302010);
    __asm__ volatile("ldp %w0, %w1, [%2]" : "=&r"(a), "=&r"(b) : "r"(base) : "memory");
    check_eq(a, 0x40302010, "LDP loads the first");
    check_eq(b, 0x81828384, "and the second");
    __asm__ volatile("ldpsw %x0, %x1, [%2], #16" : "=&r"(a), "=&r"(b), "+r"(base)::"memory");
    check_eq(a, 0x40302010, "LDPSW keeps a positive value");
    check_eq(b, 0xffffffff81828384, "LDPSW extends the sign");
    check_eq(base, MATCH + 16, "LDPSW post-index moves the base");
    __asm__ volatile("ldp %w0, %w1, [%2, #-16]!" : "=&r"(a), "=&r"(b), "+r"(base)::"memory");
    check_eq(a ^ b, 0x40302010 ^ 0x81828384ul, "LDP pre-index loads both");
    check_eq(base, MATCH, "LDP pre-index moves the base");
    __asm__ volatile("ldp wzr, %w0, [%1]" : "=&r"(b) : "r"(base) : "memory");
    check_eq(b, 0x81828384, "LDP to the zero register drops the first");
    gic_route(40, 1);
    gic_route(41, 0);
    __asm__ volatile("ldp %x0, %x1, [%2]"
                     : "=&r"(a), "=&r"(b)
                     : "r"(GICD_BASE + GICD_IROUTER + 8 * 40)
                     : "memory");
    check_eq(a << 8 | b, 0x100, "LDP of 8 bytes each");
    gic_route(40, 0);
}

static void check_registers(void)
{
    uint64_t value = 0;

    mmio_write(MATCH, 0x5eed5eed);
    check_eq(mmio_read_watched(MATCH, &value), 0, "a read changes no other register and no flag");
    check_eq(value, 0x5eed5eed, "and gives the value");
    check_eq(mmio_write_watched(MATCH), 0, "a write changes no register and no flag");
    check_eq(mmio_read(MATCH), 0xc0de0005, "and stores the value");
    STORE_BY("str wzr, [%1]\n\t// %0", MATCH, 0);
    check_eq(mmio_read(MATCH), 0, "the zero register stores zero");
    mmio_write(MATCH, 5);
    __asm__ volatile("ldr wzr, [%0]" ::"r"(MATCH) : "memory");
    __asm__ volatile("mov %0, xzr" : "=r"(value));
    check_eq(value, 0, "a load to the zero register leaves it zero");
}

static uint32_t id_bytes(uint64_t base, unsigned first)
{
    uint32_t id = 0;

    for (unsigned i = 0; i < 4; i++)
        id |= (mmio_read(base + first + 4 * i) & 0xff) << 8 * i;
    return id;
}

static void check_chips(void)
{
    uint64_t before = clock_read();
    uint32_t seconds;

    check_eq(id_bytes(UART_BASE, 0xfe0) & 0xfffff, 0x41011, "the UART is a PL011 of ARM");
    check_eq(id_bytes(UART_BASE, 0xff0), 0xb105f00d, "with a PrimeCell's identity");
    check_eq(id_bytes(RTC_BASE, 0xfe0) & 0xfffff, 0x41031, "the clock is a PL031 of ARM");
    check_eq(id_bytes(RTC_BASE, 0xff0), 0xb105f00d, "with a PrimeCell's identity");
    check_eq(mmio_read(UART_BASE + 0x18) & 0x90, 0x90, "the UART is empty in both directions");
    rtc_write(1000000);
    seconds = rtc_read();
    check(seconds - 1000000 < 5, "the clock can be set");
    check(WAIT_FOR(rtc_read() != seconds, 10000), "it goes on");
    check(clock_read() - before < clock_hz() * 10, "by seconds");
}

static void check_misaligned(void)
{
    struct fault fault;

    fault_expect();
    LOAD_BY("ldr %w0, [%1]", MATCH + 1);
    fault = fault_taken();
    check(fault.count == 1 && ESR_EC(fault.cause) == EC_DABORT, "a misaligned load is an abort");
    check_eq(fault.address, MATCH + 1, "which names its address");
    fault_expect();
    STORE_BY("strh %w0, [%1]", MATCH + 1, 0);
    check_eq(fault_taken().count, 1, "so is a misaligned store");
}

void guest_main(void)
{
    uint32_t clock = rtc_read();

    mmio_write(RTC_BASE + 0x10, 0); /* No interrupt of a match. */
    check_widths();
    check_offsets();
    check_writeback();
    check_pairs();
    check_registers();
    check_misaligned();
    check_chips();
    rtc_write(clock);
}
