/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions that exit, at every place around the end of a page, while their bytes and the tables
 * that lead to them change: each is what is there now. Run by way of tables of our own.
 */
#include "x86.h"

#define PTE_TABLE   3ull
#define CODE        (1ul << 39) /* Entry 1 of pml4 is ours. */
#define AROUND      20u
#define SNIPPET_MAX 12u
#define BREAKPOINT  0xcc
#define RBX         0x0b5e55ed

extern uint64_t pml4[];

static uint64_t pdpt[512] __attribute__((aligned(PAGE)));
static uint64_t directory[512] __attribute__((aligned(PAGE)));
static uint64_t tables[2][512] __attribute__((aligned(PAGE)));
static uint8_t pages[2][2 * PAGE] __attribute__((aligned(PAGE)));

/* An instruction and RET: what it asks, with the registers that snippet_call() gives it. Those that
 * ask the same follow each other. */
enum asked { ASKS_CPUID, ASKS_MSR, ASKS_DEVICE, ASKED };

static const struct snippet {
    enum asked asks;
    uint8_t size, bytes[SNIPPET_MAX];
} snippets[] = {
    {ASKS_CPUID, 3, {0x0f, 0xa2, 0xc3}},
    {ASKS_CPUID, 4, {0x66, 0x0f, 0xa2, 0xc3}},
    {ASKS_CPUID, 6, {0x66, 0x66, 0x2e, 0x0f, 0xa2, 0xc3}},
    {ASKS_MSR, 3, {0x0f, 0x32, 0xc3}},
    {ASKS_MSR, 5, {0x66, 0x2e, 0x0f, 0x32, 0xc3}},
    {ASKS_DEVICE, 3, {0x8b, 0x07, 0xc3}},
    {ASKS_DEVICE, 7, {0x8b, 0x87, 0, 0, 0, 0, 0xc3}},
    {ASKS_DEVICE, 9, {0x2e, 0x8b, 0x84, 0x27, 0, 0, 0, 0, 0xc3}}, /* RDI and no index. */
};

#define SNIPPETS (sizeof(snippets) / sizeof(snippets[0]))

static uint32_t expected[ASKED];

static uint32_t snippet_call(uint64_t at)
{
    uint64_t rax = 0, rbx = RBX, rcx = MSR_APIC_BASE;

    __asm__ volatile("call *%%rsi"
                     : "+a"(rax), "+b"(rbx), "+c"(rcx)
                     : "S"(at), "D"(IOAPIC_BASE + 0x10)
                     : "rdx", "cc", "memory");
    return (uint32_t)rax;
}

/* In the first or the second pair of pages, offset bytes from their start. */
static void snippet_put(unsigned pair, unsigned offset, const struct snippet *snippet)
{
    memset(pages[pair], BREAKPOINT, sizeof(pages[pair]));
    memcpy(pages[pair] + offset, snippet->bytes, snippet->size);
}

static unsigned snippet_wrong(unsigned offset, const struct snippet *snippet)
{
    unsigned wrong = 0;

    for (unsigned i = 0; i < 3; i++)
        wrong += snippet_call(CODE + offset) != expected[snippet->asks];
    return wrong;
}

/* Which pair of pages the tables show. */
static void show(unsigned table, unsigned first, unsigned second)
{
    tables[table][0] = (uint64_t)pages[first] | PTE_TABLE;
    tables[table][1] = (uint64_t)(pages[second] + PAGE) | PTE_TABLE;
    directory[0] = (uint64_t)tables[table] | PTE_TABLE;
    CR_WRITE(3, CR_READ(3));
}

static void check_bytes(void)
{
    unsigned wrong = 0;

    show(0, 0, 0);
    for (unsigned offset = PAGE - AROUND; offset <= PAGE; offset++)
        for (unsigned i = 0; i < SNIPPETS; i++) {
            snippet_put(0, offset, &snippets[i]);
            wrong += snippet_wrong(offset, &snippets[i]);
        }
    check_eq(wrong, 0, "an instruction is what its bytes are, wherever it lies in its page");
}

/* The same in both pairs, so that each page may change without the other where none crosses. */
static void check_tables(void)
{
    unsigned wrong = 0;

    for (unsigned offset = PAGE - AROUND; offset <= PAGE; offset++)
        for (unsigned i = 0; i < SNIPPETS; i++) {
            const struct snippet *other = &snippets[(i + 1) % SNIPPETS];

            snippet_put(0, offset, &snippets[i]);
            snippet_put(1, offset, other);
            show(0, 0, 0);
            wrong += snippet_wrong(offset, &snippets[i]);
            show(0, 1, 1); /* Another entry of the last level, */
            wrong += snippet_wrong(offset, other);
            show(1, 0, 0); /* of the last but one, and both. */
            wrong += snippet_wrong(offset, &snippets[i]);
            show(0, 1, 1);
            wrong += snippet_wrong(offset, other);
        }
    check_eq(wrong, 0, "it is that of the page that the tables show");
}

/* Two that begin alike: what tells them apart is in the second page. */
static void check_second_page(void)
{
    const struct snippet *plain = &snippets[5];
    uint32_t got[2];

    snippet_put(0, PAGE - 1, plain);
    snippet_put(1, PAGE - 1, plain);
    pages[1][PAGE] = 0xc3; /* MOV EAX, EBX. */
    for (unsigned i = 0; i < 2; i++) {
        show(i, 0, i);
        got[i] = snippet_call(CODE + PAGE - 1);
    }
    check_eq(got[0], expected[ASKS_DEVICE], "an instruction reaches into the second page");
    check_eq(got[1], RBX, "and is another with another one");
}

void guest_main(void)
{
    expected[ASKS_CPUID] = cpuid(0, 0).eax;
    expected[ASKS_MSR] = (uint32_t)rdmsr(MSR_APIC_BASE);
    expected[ASKS_DEVICE] = ioapic_read(1); /* Its window shows that from now on. */
    pdpt[0] = (uint64_t)directory | PTE_TABLE;
    pml4[1] = (uint64_t)pdpt | PTE_TABLE;
    check_bytes();
    check_tables();
    check_second_page();
}
