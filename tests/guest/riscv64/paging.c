/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's own translation: Sv39, Sv48 and Sv57, devices behind it, code that can be executed
 * and not read, user mode, permissions, ASIDs, and fences on this hart and others. [Privileged ISA:
 * Virtual-Memory System]
 */
#include "riscv.h"

#define PTE_V      1ul
#define PTE_R      2ul
#define PTE_W      4ul
#define PTE_X      8ul
#define PTE_U      0x10ul
#define PTE_A      0x40ul
#define PTE_D      0x80ul
#define RW         (PTE_V | PTE_R | PTE_W | PTE_A | PTE_D)
#define RWX        (RW | PTE_X)
#define GIB        (1ul << 30)
#define WINDOW     (4 * GIB) /* Where pages are mapped one by one. */
#define ALARM      (RTC_BASE + 8)
#define ENTRIES    512u
#define C_LI_A0_1  0x4505u
#define C_LI_A0_2  0x4509u

/* Pieces of paging_code.S. */
#define PIECE_SIZE 64u
enum piece {
    LOAD,
    LOAD_COMPRESSED,
    STORE,
    WAIT,
    CLAIM,
    USER_LOAD,
    USER_STORE,
    USER_TIME,
    USER_WAIT,
    USER_SSCRATCH,
    RETURN_1,
};
extern char paging_code[], paging_code_end[];
uint64_t user_run(uint64_t entry, uint64_t a, uint64_t b);

/* Two address spaces: from the root down to the window's pages. gib is an entry's GiB. */
static struct space {
    uint64_t page[ENTRIES], mib[ENTRIES], gib[ENTRIES], upper[2][ENTRIES];
} spaces[2] __attribute__((aligned(4096)));
static uint32_t data[4][1024] __attribute__((aligned(4096)));
static uint32_t code[1024] __attribute__((aligned(4096)));

static unsigned levels; /* 3: Sv39. */
static unsigned remote_ready;
static uint32_t remote_seen;
static bool remote_end;

static uint64_t table(const void *at)
{
    return (uint64_t)at >> 12 << 10 | PTE_V;
}

static uint64_t leaf(const void *at, uint64_t bits)
{
    return (uint64_t)at >> 12 << 10 | bits;
}

static void fence_all(void)
{
    __asm__ volatile("sfence.vma" ::: "memory");
}

/* Page number i of the window. */
static uint64_t at(unsigned i)
{
    return WINDOW + i * PAGE;
}

static void map(struct space *s, unsigned i, const void *to, uint64_t bits)
{
    STORE(s->page[i], leaf(to, bits));
    __asm__ volatile("sfence.vma %0" ::"r"(at(i)) : "memory");
}

static uint32_t load(uint64_t address)
{
    return *(volatile uint32_t *)address;
}

static void store(uint64_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

/* What is the same in both: all as it is, and the window. */
static void space_fill(struct space *s)
{
    for (unsigned i = 0; i < ENTRIES; i++)
        s->page[i] = s->mib[i] = s->gib[i] = s->upper[0][i] = s->upper[1][i] = 0;
    for (uint64_t i = 0; i < 4; i++)
        s->gib[i] = leaf((void *)(i * GIB), RWX);
    s->gib[WINDOW / GIB] = table(s->mib);
    s->mib[0] = table(s->page);
    s->upper[0][0] = table(s->gib);
    s->upper[1][0] = table(s->upper[0]);
}

static void space_use(struct space *s, uint64_t asid)
{
    const uint64_t *root = levels == 3 ? s->gib : s->upper[levels - 4];

    CSR_WRITE(satp, (uint64_t)(levels + 5) << 60 | asid << 44 | (uint64_t)root >> 12);
}

static bool mode_there(unsigned count)
{
    levels = count;
    space_fill(&spaces[0]);
    space_use(&spaces[0], 0);
    fence_all();
    return CSR_READ(satp) >> 60 == count + 5;
}

/* The only exception, and where. */
static bool faults(struct fault fault, uint64_t cause, uint64_t address)
{
    return fault.count == 1 && fault.cause == cause && fault.address == address;
}

#define FAULT_OF(statement)                                                                        \
    ({                                                                                             \
        fault_expect();                                                                            \
        statement;                                                                                 \
        fault_taken();                                                                             \
    })

static uint64_t piece_at(unsigned i, enum piece piece)
{
    return at(i) + PIECE_SIZE * piece;
}

static uint64_t call(uint64_t entry, uint64_t a, uint64_t b)
{
    return ((uint64_t(*)(uint64_t, uint64_t))entry)(a, b);
}

static void check_memory(void)
{
    struct space *s = &spaces[0];

    data[0][0] = 0x11111111;
    data[1][0] = 0x22222222;
    map(s, 0, data[0], RW);
    map(s, 1, data[1], RW);
    check_eq(load(at(0)), 0x11111111, "a page is where it is mapped");
    store(at(1) + 8, 0x33333333);
    check_eq(data[1][2], 0x33333333, "for writing, too");
    map(s, 0, data[1], RW);
    check_eq(load(at(0)), 0x22222222, "mapped elsewhere it is there, behind a fence");
    s->mib[1] = leaf((void *)((uint64_t)data & ~0x1ffffful), RW);
    fence_all();
    check_eq(load(WINDOW + 0x200000 + ((uint64_t)data[1] & 0x1fffff)), 0x22222222,
             "pages of 2 MiB are mapped");
    hypercall();
    cpu_yield();
    check_eq(load(at(1)), 0x22222222, "translation is the same after exits and switches");
}

static void check_devices(void)
{
    struct space *s = &spaces[0];
    uint64_t alarm = at(2) + ALARM % PAGE;

    map(s, 2, (void *)RTC_BASE, RW);
    store(alarm, 0x600df00d);
    check_eq(mmio_read(ALARM), 0x600df00d, "a store to a device behind a page");
    store(ALARM, 0x80000001);
    check_eq(load(alarm), 0x80000001, "and a load");
    map(s, 3, (void *)RTC_BASE, PTE_V | PTE_R | PTE_A);
    check_eq(load(at(3) + ALARM % PAGE), 0x80000001, "a device that is only to be read is read");
    check(faults(FAULT_OF(store(at(3) + ALARM % PAGE, 1)), CAUSE_STORE_PAGE, at(3) + ALARM % PAGE),
          "and a store is the guest's page fault");
    check_eq(load(alarm), 0x80000001, "which stores nothing");
}

/* Decoded though the page is for execution only. */
static void check_execute_only(void)
{
    struct space *s = &spaces[0];
    uint64_t alarm = at(2) + ALARM % PAGE;

    map(s, 4, code, PTE_V | PTE_X | PTE_A);
    check(faults(FAULT_OF(load(at(4))), CAUSE_LOAD_PAGE, at(4)), "a page for execution only");
    store(alarm, 0x7ea);
    check_eq(call(piece_at(4, LOAD), alarm, 0), 0x7ea, "code there loads from a device");
    check_eq(call(piece_at(4, LOAD_COMPRESSED), alarm, 0), 0x7ea, "in two bytes as well");
    call(piece_at(4, STORE), alarm, 0x5ea);
    check_eq(load(alarm), 0x5ea, "stores to one");
    CSR_SET(sip, SIE_SSIE);
    call(piece_at(4, WAIT), 0, 0);
    CSR_CLR(sip, SIE_SSIE);
    check(true, "waits");
    if (has_aia)
        check_eq(call(piece_at(4, CLAIM), 0, 0), 0, "and claims");
}

static void check_permissions(void)
{
    struct space *s = &spaces[0];

    map(s, 5, data[0], PTE_V | PTE_R | PTE_A);
    check(faults(FAULT_OF(store(at(5), 1)), CAUSE_STORE_PAGE, at(5)), "no store without W");
    map(s, 5, code, RW);
    check(faults(FAULT_OF(call(at(5), 0, 0)), CAUSE_FETCH_PAGE, at(5)), "no execution without X");
    map(s, 5, data[0], 0);
    check(faults(FAULT_OF(load(at(5))), CAUSE_LOAD_PAGE, at(5)), "no load without V");
    map(s, 5, data[0], PTE_V | PTE_W | PTE_A | PTE_D);
    check(faults(FAULT_OF(load(at(5))), CAUSE_LOAD_PAGE, at(5)), "W without R is reserved");
    map(s, 5, data[0], RW | PTE_U);
    check(faults(FAULT_OF(load(at(5))), CAUSE_LOAD_PAGE, at(5)), "a user's page is the user's");
    CSR_SET(sstatus, SSTATUS_SUM);
    check_eq(FAULT_OF(load(at(5))).count, 0, "but with sstatus.SUM");
    CSR_CLR(sstatus, SSTATUS_SUM);
    map(s, 5, code, PTE_V | PTE_X | PTE_A);
    CSR_SET(sstatus, SSTATUS_MXR);
    check_eq(FAULT_OF(load(at(5))).count, 0, "MXR makes code readable");
    CSR_CLR(sstatus, SSTATUS_MXR);
    if (isa_has("svade")) {
        map(s, 5, data[0], RW & ~PTE_A);
        check(faults(FAULT_OF(load(at(5))), CAUSE_LOAD_PAGE, at(5)), "no load without A");
        map(s, 5, data[0], RW & ~PTE_D);
        check(faults(FAULT_OF(store(at(5), 1)), CAUSE_STORE_PAGE, at(5)), "no store without D");
    }
    check(faults(FAULT_OF(load(8 * GIB)), CAUSE_LOAD_PAGE, 8 * GIB), "no load where no table is");
    map(s, 5, data[0], RW | 1ul << 61);
    if (isa_has("svpbmt"))
        check_eq(FAULT_OF(load(at(5))).count, 0, "Svpbmt: a page that is not cached");
    else
        check(faults(FAULT_OF(load(at(5))), CAUSE_LOAD_PAGE, at(5)), "no Svpbmt: reserved bits");
}

static void check_user(void)
{
    struct space *s = &spaces[0];
    uint64_t alarm = at(7) + ALARM % PAGE;
    struct fault fault;

    map(s, 6, code, PTE_V | PTE_R | PTE_X | PTE_U | PTE_A);
    map(s, 7, (void *)RTC_BASE, RW | PTE_U);
    CSR_WRITE(scounteren, 2);
    fault = FAULT_OF(user_run(piece_at(6, USER_STORE), alarm, 0x112233));
    check(fault.count == 1 && fault.cause == CAUSE_ECALL_U,
          "a user's ECALL is the guest's, not a call of firmware");
    check_eq(mmio_read(ALARM), 0x112233, "a user's store to a device");
    fault_expect();
    check_eq(user_run(piece_at(6, USER_LOAD), alarm, 0), 0x112233, "a user's load from one");
    fault_taken();
    fault = FAULT_OF(user_run(piece_at(6, USER_TIME), 0, 0));
    check_eq(fault.count, 1, "a user reads the time where scounteren lets it");
    CSR_WRITE(scounteren, 0);
    fault = FAULT_OF(user_run(piece_at(6, USER_TIME), 0, 0));
    check_eq(fault.count, 2, "and is trapped where it does not");
    fault = FAULT_OF(user_run(piece_at(6, USER_SSCRATCH), 0, 0));
    check_eq(fault.count, 2, "a user has no CSRs of the supervisor");
    irq_line_disable(IPI_IRQ); /* User mode is not masked by sstatus. */
    fault = FAULT_OF(user_run(piece_at(6, USER_WAIT), 0, 0));
    irq_line_enable(IPI_IRQ);
    check_eq(fault.count, 2, "and does not wait");
}

/* Under two ASIDs the same address is two pages; no fence between. */
static void check_asids(void)
{
    unsigned wrong = 0;

    space_fill(&spaces[1]);
    data[0][0] = 0xa0;
    data[1][0] = 0xb0;
    spaces[0].page[8] = leaf(data[0], RW);
    spaces[1].page[8] = leaf(data[1], RW);
    space_use(&spaces[1], 2);
    fence_all();
    for (unsigned i = 0; i < 200; i++) {
        space_use(&spaces[0], 1);
        wrong += load(at(8)) != 0xa0;
        if (i % 8 == 0)
            cpu_yield();
        space_use(&spaces[1], 2);
        wrong += load(at(8)) != 0xb0;
    }
    check_eq(wrong, 0, "two ASIDs have a page each at the same address");
    space_use(&spaces[0], 0);
    fence_all();
}

/* --- Fences on another hart --- */

static void remote(void)
{
    space_use(&spaces[0], 3);
    fence_all();
    STORE(remote_ready, 1);
    while (!LOAD(remote_end))
        STORE(remote_seen, load(at(9)));
    CSR_WRITE(satp, 0);
    fence_all();
}

/* Through one of the calls; the other hart executes no fence itself. */
static bool remote_sees(unsigned how, unsigned page)
{
    STORE(spaces[0].page[9], leaf(data[page], RW));
    __asm__ volatile("fence rw, rw" ::: "memory");
    if (how == 0)
        SBI3(SBI_RFENCE, 1, 0, ~0ul, 0);
    else if (how == 1)
        sbi_call(SBI_RFENCE, 1, 1, hart_of(1), at(9), PAGE, 0);
    else if (how == 2)
        sbi_call(SBI_RFENCE, 2, 1, hart_of(1), at(9), PAGE, 3);
    else
        sbi_legacy(6, 0);
    return WAIT_FOR(LOAD(remote_seen) == data[page][0], LATE_MS);
}

static void check_remote(void)
{
    static const char *const sentences[] = {
        "a remote fence of all makes another hart see the new page",
        "so does one of a range",
        "and one of a range and an ASID",
        "and the legacy call to all harts",
    };

    for (unsigned i = 0; i < 4; i++)
        data[i][0] = 0xd0 + i;
    STORE(spaces[0].page[9], leaf(data[3], RW));
    STORE(remote_end, false);
    STORE(remote_ready, 0);
    cpu_call(1, remote);
    check(WAIT_FOR(LOAD(remote_ready) && LOAD(remote_seen) == 0xd3, LATE_MS),
          "another hart reads the page");
    for (unsigned how = 0; how < 4; how++) {
        bool ok = true;

        for (unsigned i = 0; i < 50; i++)
            ok = ok && remote_sees(how, i % 3);
        check(ok, sentences[how]);
    }
    STORE(remote_end, true);
    check(cpu_join(1), "and ends");
}

/* --- New code on another hart --- */

static void remote_code(void)
{
    STORE(remote_ready, 1);
    while (!LOAD(remote_end))
        STORE(remote_seen, (uint32_t)call((uint64_t)code + PIECE_SIZE * RETURN_1, 0, 0));
}

/* Again and again: QEMU with a thread for each hart now and then misses that code was written. */
static bool code_write(uint16_t insn, bool legacy)
{
    STORE(*(uint16_t *)((uint64_t)code + PIECE_SIZE * RETURN_1), insn);
    if (legacy)
        sbi_legacy(5, 0);
    else
        SBI3(SBI_RFENCE, 0, 1, hart_of(1), 0);
    return true;
}

static void check_remote_code(void)
{
    STORE(remote_end, false);
    STORE(remote_ready, 0);
    cpu_call(1, remote_code);
    check(WAIT_FOR(LOAD(remote_ready) && LOAD(remote_seen) == 1, LATE_MS),
          "another hart executes code");
    check(WAIT_FOR(code_write(C_LI_A0_2, false) && LOAD(remote_seen) == 2, LATE_MS),
          "a remote FENCE.I makes it execute new code");
    check(WAIT_FOR(code_write(C_LI_A0_1, true) && LOAD(remote_seen) == 1, LATE_MS),
          "and so does the legacy call");
    STORE(remote_end, true);
    check(cpu_join(1), "and ends");
}

static void code_copy(void)
{
    for (unsigned i = 0; i < (uint64_t)(paging_code_end - paging_code) / 4; i++)
        code[i] = ((uint32_t *)paging_code)[i];
    __asm__ volatile("fence.i" ::: "memory");
}

void guest_main(void)
{
    static const char *const modes[] = {"Sv39", "Sv48", "Sv57"};

    code_copy();
    mmio_write(RTC_BASE + 0x10, 0);
    mmio_write(ALARM + 4, 0);
    for (unsigned i = 0; i < 3; i++) {
        if (!mode_there(3 + i)) {
            print("# %s is not there\n", modes[i]);
            check(i > 0, "this mode is optional");
            continue;
        }
        print("# %s\n", modes[i]);
        check_memory();
        check_devices();
        check_execute_only();
        check_permissions();
        check_user();
        check_asids();
        CSR_WRITE(satp, 0);
        fence_all();
    }
    mode_there(3);
    if (cpus_start(machine_cpu_count()) > 1) {
        check_remote();
        check_remote_code();
    }
    CSR_WRITE(satp, 0);
}
