/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O ports: each width and form, strings and their directions, and ports where nothing is. What is
 * written and read back is the UART's scratch register and PCI's address.
 */
#include "x86.h"

#define SCRATCH  0x3ffu
#define PCI      0xcf8u
#define PCI_DATA 0xcfcu
#define NOTHING  0x2e0u
#define ROW      300u

static uint8_t row[2 * ROW], back[2 * ROW];

static void check_forms(void)
{
    uint64_t rax;

    out8(SCRATCH, 0x5a);
    check_eq(in8(SCRATCH), 0x5a, "a byte is written and read");
    __asm__ volatile("movq $-1, %%rax; inb %%dx, %%al" : "=a"(rax) : "d"(SCRATCH));
    check_eq(rax, 0xffffffffffffff5a, "a byte leaves the rest of RAX");
    out32(PCI, 0x80000000);
    check_eq(in32(PCI), 0x80000000, "a double word is written and read");
    __asm__ volatile("movq $-1, %%rax; inl %%dx, %%eax" : "=a"(rax) : "d"(PCI));
    check_eq(rax, 0x80000000, "a double word clears the upper half of RAX");
    __asm__ volatile("movq $-1, %%rax; inw %%dx, %%ax" : "=a"(rax) : "d"(PCI_DATA));
    check_eq(rax, 0xffffffffffff0000 | in16(PCI_DATA), "a word leaves the rest");
    check_eq(in32(PCI_DATA), in16(PCI_DATA) | (uint32_t)in16(PCI_DATA + 2) << 16,
             "a double word is two words");
    check_eq(in8(PCI_DATA + 3), in32(PCI_DATA) >> 24, "and four bytes");
    __asm__ volatile("movb $0x22, %%al; outb %%al, $0x80; inb $0x61, %%al" : "=a"(rax));
    check(rax != 0xff, "a port may be in the instruction");
}

static void check_nothing(void)
{
    uint64_t rax;

    check_eq(in8(NOTHING), 0xff, "where nothing is, a byte is ones");
    check_eq(in16(NOTHING), 0xffff, "and a word");
    __asm__ volatile("movq $-1, %%rax; inl %%dx, %%eax" : "=a"(rax) : "d"(NOTHING));
    check_eq(rax, 0xffffffff, "and a double word");
    out8(NOTHING, 1);
    out16(NOTHING, 1);
    out32(0xfffc, 1);
    check_eq(in8(0xffff), 0xff, "the last port is one of them");
}

static void ins(void *to, uint16_t port, uint64_t count, unsigned width)
{
    switch (width) {
    case 1:
        __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
        break;
    case 2:
        __asm__ volatile("rep insw" : "+D"(to), "+c"(count) : "d"(port) : "memory");
        break;
    default:
        __asm__ volatile("rep insl" : "+D"(to), "+c"(count) : "d"(port) : "memory");
    }
    check_eq(count, 0, "REP INS ends with a count of 0");
}

static unsigned differ(unsigned from, unsigned size, uint8_t value)
{
    unsigned count = 0;

    for (unsigned i = from; i < from + size; i++)
        count += back[i] != value;
    return count;
}

static void check_strings(void)
{
    const void *from = row;
    void *to = back + 9;
    uint64_t count = ROW;

    for (unsigned i = 0; i < sizeof(row); i++)
        row[i] = (uint8_t)random_next();
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(SCRATCH) : "memory");
    check(count == 0 && from == row + ROW, "REP OUTSB goes over the whole row");
    check_eq(in8(SCRATCH), row[ROW - 1], "its last byte is there");
    ins(back, SCRATCH, ROW, 1);
    check_eq(differ(0, ROW, row[ROW - 1]), 0, "REP INSB fills a row");
    check_eq(back[ROW], 0, "and not more");
    ins(back, NOTHING, 20, 2);
    check_eq(differ(0, 40, 0xff) + (back[40] == 0xff), 0, "REP INSW");
    out32(PCI, 0x80000008);
    ins(back, PCI_DATA, 3, 4);
    check_eq(acpi_get(back + 8, 4), in32(PCI_DATA), "REP INSL");
    count = 5;
    memset(back, 1, sizeof(back));
    __asm__ volatile("std; rep insb; cld" : "+D"(to), "+c"(count) : "d"(SCRATCH) : "memory", "cc");
    check(to == back + 4 && back[4] == 1 && back[5] == in8(SCRATCH) && back[9] == in8(SCRATCH),
          "downwards it ends before");
    from = row + 7;
    __asm__ volatile("outsb" : "+S"(from) : "d"(SCRATCH) : "memory");
    check(in8(SCRATCH) == row[7] && from == row + 8, "OUTSB is one byte");
    count = 0;
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(SCRATCH) : "memory");
    check(in8(SCRATCH) == row[7] && from == row + 8, "a count of 0 does nothing");
}

static void ins_nowhere(void *to)
{
    __asm__ volatile("insb" : "+D"(to) : "d"(SCRATCH) : "memory");
}

static void check_faults(void)
{
    check_eq(probe(ins_nowhere, (void *)0x200000000), VECTOR_PF, "INS to no page faults");
    check_eq(probe_address, 0x200000000, "with its address");
    check_eq(probe_error & 2, 2, "as a write");
}

static volatile unsigned ticks;

static void tick(unsigned irq)
{
    ticks += irq == TIMER_IRQ;
    timer_set(clock_read() + clock_hz() / 2000);
}

/* Interrupts are taken between the bytes, and nothing is lost or doubled by it. */
static void check_interrupted(void)
{
    unsigned wrong = 0;

    irq_handler = tick;
    irq_line_enable(TIMER_IRQ);
    irq_enable();
    timer_set(clock_read() + 1000);
    for (unsigned i = 0; i < 30; i++) {
        const void *from = row;
        uint64_t count = 2 * ROW;

        __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(SCRATCH) : "memory");
        wrong += count != 0 || from != row + 2 * ROW || in8(SCRATCH) != row[2 * ROW - 1];
    }
    WAIT_FOR(ticks > 10, LATE_MS);
    irq_disable();
    timer_off();
    check_eq(wrong, 0, "a row is whole though interrupts come between");
}

void guest_main(void)
{
    check_forms();
    check_nothing();
    check_strings();
    check_faults();
    check_interrupted();
}
