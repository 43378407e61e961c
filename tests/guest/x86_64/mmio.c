/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions on a device's register: each does the same to it as to memory, with the same flags.
 * The register is the I/O APIC's index, of eight bits, and can be accessed in each width; what is
 * read in rows is PCI's configuration space.
 */
#include "x86.h"

#define DEVICE  ((volatile void *)IOAPIC_BASE)
#define ALIAS   0x40000000ul /* Virtual: a window of our own pages. */
#define PTE     0x007u
#define BYTES   64u
#define NO_AF   (FLAGS_STATUS & ~FLAG_AF)
#define ONLY_CF FLAG_CF

struct operands {
    uint64_t a, c, flags;
};

struct insn {
    const char *name;
    void (*run)(volatile void *at, struct operands *op);
    uint32_t flags; /* That it defines. */
    uint64_t mask;  /* Of what it leaves in the register, where there are but eight bits. */
};

/* The place is in rbx, operands are rax and rcx. */
#define INSN(fn, text)                                                                             \
    static void fn(volatile void *at, struct operands *op)                                         \
    {                                                                                              \
        __asm__ volatile("pushq %[f]\n popfq\n" text "\n pushfq\n popq %[f]"                       \
                         : "+a"(op->a), "+c"(op->c), [f] "+r"(op->flags)                           \
                         : "b"(at)                                                                 \
                         : "rdx", "rsi", "rdi", "memory", "cc");                                   \
    }

/* Each width of an operation between memory and rcx, in both directions, and with immediates. */
#define FAMILY(name)                                                                               \
    INSN(name##_8, #name "b %%cl, (%%rbx)")                                                        \
    INSN(name##_16, #name "w %%cx, (%%rbx)")                                                       \
    INSN(name##_32, #name "l %%ecx, (%%rbx)")                                                      \
    INSN(name##_64, #name "q %%rcx, (%%rbx)")                                                      \
    INSN(name##_8_from, #name "b (%%rbx), %%cl")                                                   \
    INSN(name##_16_from, #name "w (%%rbx), %%cx")                                                  \
    INSN(name##_32_from, #name "l (%%rbx), %%ecx")                                                 \
    INSN(name##_64_from, #name "q (%%rbx), %%rcx")                                                 \
    INSN(name##_8_imm, #name "b $0x35, (%%rbx)")                                                   \
    INSN(name##_16_imm, #name "w $0x1235, (%%rbx)")                                                \
    INSN(name##_32_imm, #name "l $-0x7e, (%%rbx)")                                                 \
    INSN(name##_64_imm, #name "q $0x12345678, (%%rbx)")
#define ROWS(name, flags)                                                                          \
    {#name "b reg", name##_8, flags, ~0ull}, {#name "w reg", name##_16, flags, ~0ull},             \
        {#name "l reg", name##_32, flags, ~0ull}, {#name "q reg", name##_64, flags, ~0ull},        \
        {#name "b from", name##_8_from, flags, ~0ull},                                             \
        {#name "w from", name##_16_from, flags, ~0ull},                                            \
        {#name "l from", name##_32_from, flags, ~0ull},                                            \
        {#name "q from", name##_64_from, flags, ~0ull},                                            \
        {#name "b imm", name##_8_imm, flags, ~0ull}, {#name "w imm", name##_16_imm, flags, ~0ull}, \
        {#name "l imm", name##_32_imm, flags, ~0ull},                                              \
    {                                                                                              \
#name "q imm", name##_64_imm, flags, ~0ull                                                 \
    }

FAMILY(mov)
FAMILY(add)
FAMILY(sub)
FAMILY(and)
FAMILY(or)
FAMILY(xor)
FAMILY(cmp)
INSN(test_8, "testb %%cl, (%%rbx)")
INSN(test_16, "testw %%cx, (%%rbx)")
INSN(test_32, "testl %%ecx, (%%rbx)")
INSN(test_64, "testq %%rcx, (%%rbx)")
INSN(test_8_imm, "testb $0x81, (%%rbx)")
INSN(test_32_imm, "testl $0x10, (%%rbx)")
INSN(movzx_32_8, "movzbl (%%rbx), %%ecx")
INSN(movzx_16_8, "movzbw (%%rbx), %%cx")
INSN(movzx_32_16, "movzwl (%%rbx), %%ecx")
INSN(movsx_32_8, "movsbl (%%rbx), %%ecx")
INSN(movsx_64_8, "movsbq (%%rbx), %%rcx")
INSN(movsx_16_8, "movsbw (%%rbx), %%cx")
INSN(movsx_64_32, "movslq (%%rbx), %%rcx")
INSN(mov_high, "movb (%%rbx), %%ch")
INSN(mov_from_high, "movb %%ch, (%%rbx)")
INSN(mov_indexed, "leaq -16(%%rbx), %%rdx\n movl $4, %%ecx\n movl (%%rdx, %%rcx, 4), %%ecx")
INSN(mov_far_displacement, "leaq 0x12345(%%rbx), %%rdx\n movb %%cl, -0x12345(%%rdx)")
INSN(bt_imm, "btl $3, (%%rbx)")
INSN(bts_imm, "btsl $2, (%%rbx)")
INSN(btr_imm, "btrw $1, (%%rbx)")
INSN(btc_imm, "btcq $6, (%%rbx)")
INSN(lock_bts, "lock btsl $5, (%%rbx)")
INSN(lock_add, "lock addl %%ecx, (%%rbx)")
INSN(lock_or_imm, "lock orb $0x11, (%%rbx)")
INSN(xchg_8, "xchgb %%cl, (%%rbx)")
INSN(xchg_32, "xchgl %%ecx, (%%rbx)")
INSN(xchg_64, "xchgq %%rcx, (%%rbx)")
INSN(cmpxchg_8, "lock cmpxchgb %%cl, (%%rbx)")
INSN(cmpxchg_32, "lock cmpxchgl %%ecx, (%%rbx)")
INSN(cmpxchg_same, "movzbl (%%rbx), %%eax\n lock cmpxchgl %%ecx, (%%rbx)")
INSN(stos_8, "movq %%rbx, %%rdi\n movb %%cl, %%al\n stosb")
INSN(movs_32, "pushq %%rcx\n movq %%rsp, %%rsi\n movq %%rbx, %%rdi\n movsl\n popq %%rcx")
INSN(moffs, "movabsb %%al, 0xfec00000")

static const struct insn insns[] = {
    ROWS(mov, FLAGS_STATUS),
    ROWS(add, FLAGS_STATUS),
    ROWS(sub, FLAGS_STATUS),
    ROWS(and, NO_AF),
    ROWS(or, NO_AF),
    ROWS(xor, NO_AF),
    ROWS(cmp, FLAGS_STATUS),
    {"testb", test_8, NO_AF, ~0ull},
    {"testw", test_16, NO_AF, ~0ull},
    {"testl", test_32, NO_AF, ~0ull},
    {"testq", test_64, NO_AF, ~0ull},
    {"testb imm", test_8_imm, NO_AF, ~0ull},
    {"testl imm", test_32_imm, NO_AF, ~0ull},
    {"movzbl", movzx_32_8, FLAGS_STATUS, ~0ull},
    {"movzbw", movzx_16_8, FLAGS_STATUS, ~0ull},
    {"movzwl", movzx_32_16, FLAGS_STATUS, ~0ull},
    {"movsbl", movsx_32_8, FLAGS_STATUS, ~0ull},
    {"movsbq", movsx_64_8, FLAGS_STATUS, ~0ull},
    {"movsbw", movsx_16_8, FLAGS_STATUS, ~0ull},
    {"movslq", movsx_64_32, FLAGS_STATUS, ~0ull},
    {"mov to ch", mov_high, FLAGS_STATUS, ~0ull},
    {"mov from ch", mov_from_high, FLAGS_STATUS, ~0ull},
    {"mov indexed", mov_indexed, FLAGS_STATUS, ~0ull},
    {"mov far", mov_far_displacement, FLAGS_STATUS, ~0ull},
    {"bt", bt_imm, ONLY_CF, ~0ull},
    {"bts", bts_imm, ONLY_CF, ~0ull},
    {"btr", btr_imm, ONLY_CF, ~0ull},
    {"btc", btc_imm, ONLY_CF, ~0ull},
    {"lock bts", lock_bts, ONLY_CF, ~0ull},
    {"lock add", lock_add, FLAGS_STATUS, ~0ull},
    {"lock or", lock_or_imm, NO_AF, ~0ull},
    {"xchgb", xchg_8, FLAGS_STATUS, ~0ull},
    {"xchgl", xchg_32, FLAGS_STATUS, ~0ull},
    {"xchgq", xchg_64, FLAGS_STATUS, ~0ull},
    {"cmpxchgb", cmpxchg_8, FLAGS_STATUS, ~0ull},
    {"cmpxchgl", cmpxchg_32, FLAGS_STATUS, ~0ull},
    {"cmpxchgl equal", cmpxchg_same, FLAGS_STATUS, ~0ull},
    {"stosb", stos_8, FLAGS_STATUS, ~0ull},
    {"movsl", movs_32, FLAGS_STATUS, ~0ull},
};

static volatile uint64_t word;

/* The device has eight bits, the rest reads as 0: so begins the memory. */
static bool same(const struct insn *insn, volatile void *device, uint8_t start, uint64_t a,
                 uint64_t c, uint64_t flags)
{
    struct operands on_memory = {a, c, flags}, on_device = {a, c, flags};
    uint8_t got;

    word = start;
    insn->run(&word, &on_memory);
    mmio_write(IOAPIC_BASE, start);
    insn->run(device, &on_device);
    got = (uint8_t)mmio_read(IOAPIC_BASE);
    if (got == (uint8_t)word && on_memory.a == on_device.a && on_memory.c == on_device.c &&
        ((on_memory.flags ^ on_device.flags) & insn->flags) == 0)
        return true;
    print("# %s at 0x%lx, from %x, rcx 0x%lx: %x for %x, rcx 0x%lx for 0x%lx, flags %lx for %lx\n",
          insn->name, (uint64_t)device, start, c, got, (uint8_t)word, on_device.c, on_memory.c,
          on_device.flags & insn->flags, on_memory.flags & insn->flags);
    return false;
}

static void check_instructions(volatile void *device, unsigned rounds)
{
    unsigned wrong = 0;

    for (unsigned i = 0; i < sizeof(insns) / sizeof(insns[0]); i++)
        for (unsigned round = 0; round < rounds; round++)
            wrong += !same(&insns[i], device, (uint8_t)random_next(), random_next(), random_next(),
                           2 | (random_next() & FLAGS_STATUS));
    print("# %u instructions\n", (unsigned)(sizeof(insns) / sizeof(insns[0])));
    check_eq(wrong, 0, "each does to the device what it does to memory");
}

/* --- Rows: from PCI's configuration space, where there is one. --- */

static void check_row(const char *name, const uint8_t *row, const uint8_t *expected, unsigned size)
{
    unsigned wrong = 0;

    for (unsigned i = 0; i < size; i++)
        wrong += row[i] != expected[i];
    check_eq(wrong, 0, name);
}

#define REP(text, from, to, count)                                                                 \
    ({                                                                                             \
        const void *from_ = (from);                                                                \
        void *to_ = (to);                                                                          \
        uint64_t count_ = (count);                                                                 \
        __asm__ volatile(text : "+S"(from_), "+D"(to_), "+c"(count_)::"memory", "cc");             \
        check(count_ == 0, "REP ends with a count of 0");                                          \
    })

static void check_rows(uint64_t ecam)
{
    static uint8_t row[BYTES + 8], expected[BYTES];
    void *space = (void *)ecam;

    for (unsigned i = 0; i < BYTES; i++)
        expected[i] = *(volatile uint8_t *)(ecam + i);
    check(expected[0] != 0xff || expected[1] != 0xff, "there is a host bridge");
    REP("rep movsb", space, row, BYTES);
    check_row("REP MOVSB reads a device", row, expected, BYTES);
    memset(row, 0, sizeof(row));
    REP("rep movsl", space, row, BYTES / 4);
    check_row("REP MOVSL reads a device", row, expected, BYTES);
    memset(row, 0, sizeof(row));
    REP("rep movsw", space, row + 1, BYTES / 2);
    check_row("REP MOVSW to an odd address", row + 1, expected, BYTES);
    memset(row, 0, sizeof(row));
    REP("rep movsq", space, row, BYTES / 8);
    check_row("REP MOVSQ", row, expected, BYTES);
    memset(row, 0, sizeof(row));
    REP("std; rep movsl; cld", (const void *)(ecam + BYTES - 4), row + BYTES - 4, BYTES / 4);
    check_row("downwards", row, expected, BYTES);
    REP("rep movsl", row, space, 0);
    REP("rep movsb", space, space, 16); /* What is constant stays. */
    check_eq(*(volatile uint32_t *)ecam, acpi_get(expected, 4), "from a device to a device");
    memcpy(row, expected, 4);
    check_eq(*(volatile uint16_t *)(ecam + 1), acpi_get(expected + 1, 2),
             "a misaligned read is of its bytes");
    check_eq(*(volatile uint32_t *)(ecam + 3), acpi_get(expected + 3, 4), "and one over two words");
}

static uint64_t ecam_base(void)
{
    const uint8_t *mcfg = acpi_find("MCFG");

    return mcfg == NULL ? 0 : acpi_get(mcfg + 44, 4);
}

/* --- Through tables of our own, and over the border of a page. --- */

extern uint64_t directories[4][512];
static uint64_t table[512] __attribute__((aligned(4096)));
static uint8_t pages[3][PAGE] __attribute__((aligned(4096)));

/* Two pages of code in the wrong order, the device, then nothing. */
static void alias_make(void)
{
    table[0] = (uint64_t)pages[2] | PTE;
    table[1] = (uint64_t)pages[0] | PTE;
    table[2] = IOAPIC_BASE | PTE;
    directories[1][0] = (uint64_t)table | PTE;
    __asm__ volatile("movq %%cr3, %%rax; movq %%rax, %%cr3" ::: "rax", "memory");
}

/* movl $0x5a, 0x10000000(%rdi); movl (%rdi ...), %eax; ret */
static const uint8_t code[] = {
    0xc7, 0x87, 0x00, 0x00, 0x00, 0x10, 0x5a, 0x00, 0x00, 0x00, /* movl $0x5a, 0x10000000(%rdi) */
    0x8b, 0x87, 0x00, 0x00, 0x00, 0x10,                         /* movl 0x10000000(%rdi), %eax */
    0xc3,
};

static void check_crossing(void)
{
    unsigned wrong = 0;

    for (unsigned before = 1; before < 16; before++) {
        uint32_t (*fn)(uint64_t) = (uint32_t(*)(uint64_t))(ALIAS + PAGE - before);

        for (unsigned i = 0; i < sizeof(code); i++)
            *((volatile uint8_t *)ALIAS + PAGE - before + i) = code[i];
        wrong += fn(IOAPIC_BASE - 0x10000000) != 0x5a;
    }
    check_eq(wrong, 0, "an instruction may lie in two pages");
}

static void write_beyond(void *at)
{
    *(volatile uint32_t *)at = 1;
}

static void movs_beyond(void *at)
{
    void *to = at;
    const void *from = (const void *)IOAPIC_BASE;
    uint64_t count = 1;

    __asm__ volatile("rep movsl" : "+S"(from), "+D"(to), "+c"(count)::"memory");
}

static void check_faults(void)
{
    uint64_t nowhere = ALIAS + 3 * PAGE;

    check_eq(probe(write_beyond, (void *)nowhere), VECTOR_PF, "where no page is there is a fault");
    check_eq(probe(movs_beyond, (void *)nowhere), VECTOR_PF,
             "a copy from a device to no page faults");
    check_eq(probe_address, nowhere, "with its address in CR2");
    check_eq(probe_error & ~4ull, 2, "as a write");
    table[2] = IOAPIC_BASE | (PTE & ~2u);
    CR_WRITE(0, CR_READ(0) | CR0_WP);
    __asm__ volatile("invlpg (%0)" ::"r"(ALIAS + 2 * PAGE) : "memory");
    check_eq(probe(write_beyond, (void *)(ALIAS + 2 * PAGE)), VECTOR_PF,
             "a device in a page that is not writable");
    check_eq(probe_error, 3, "faults by its rights");
    table[2] = IOAPIC_BASE | PTE;
    __asm__ volatile("invlpg (%0)" ::"r"(ALIAS + 2 * PAGE) : "memory");
}

static void check_absolute(void)
{
    struct operands op = {.a = 0x77, .flags = 2};

    moffs(NULL, &op);
    check_eq(mmio_read(IOAPIC_BASE), 0x77, "MOV with an absolute address");
    mmio_write(IOAPIC_BASE, 0x40);
    __asm__ volatile("movl $-256, %%ecx\n btsl %%ecx, (%0)" ::"r"(IOAPIC_BASE + 32)
                     : "ecx", "memory", "cc");
    check_eq(mmio_read(IOAPIC_BASE), 0x41, "a bit far before the address");
}

/* Where a PC has devices, and this one has none. */
static void check_nothing(void)
{
    volatile uint8_t *at = (volatile uint8_t *)ONES_ADDRESS;
    uint32_t copy = 0, *to = &copy;
    uint64_t count = 1;

    *(volatile uint32_t *)at = 0;
    check_eq(*at, UINT8_MAX, "where nothing is a byte reads as ones");
    check_eq(*(volatile uint16_t *)(at + 1), UINT16_MAX, "and so do two");
    check_eq(*(volatile uint32_t *)at, UINT32_MAX, "four, that were written");
    check_eq(*(volatile uint64_t *)(at + 0xff8), UINT64_MAX, "and eight");
    __asm__ volatile("rep movsl" : "+S"(at), "+D"(to), "+c"(count)::"memory");
    check_eq(copy, UINT32_MAX, "and what is copied from there");
}

void guest_main(void)
{
    unsigned rounds = (unsigned)machine_argument("rounds", 8);
    uint64_t ecam = ecam_base();

    check_instructions(DEVICE, rounds);
    alias_make();
    check_instructions((volatile void *)(ALIAS + 2 * PAGE), 2);
    check_absolute();
    check_crossing();
    check_faults();
    if (ecam != 0)
        check_rows(ecam);
    check_nothing();
}
