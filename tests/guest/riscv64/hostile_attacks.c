/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a riscv64 guest can do wrong: CSRs by number, calls of firmware, instructions for
 * hypervisors and on devices, tables from nowhere. [Privileged ISA, SBI 2.0, AIA]
 */
#include "riscv.h"

void cpu_setup(void);

#define INSN_RET       0x00008067u
#define INSN_SYSTEM    0x00000073u
#define INSN_WFI       0x10500073u
#define INSN_EBREAK    0x00100073u
#define INSN_SRET      0x10200073u
#define C_LW_A0_A1_RET 0x80824188u
#define A0             10u
#define A1             11u
#define RD(n)          ((n) << 7)
#define RS1(n)         ((n) << 15)
#define RS2(n)         ((n) << 20)
#define FUNCT3(n)      ((n) << 12)
#define CSR_STVEC      0x105u
#define CSR_SATP       0x180u

static uint32_t codes[CPUS_MAX][16] __attribute__((aligned(64)));

/* An instruction of which nobody knows: A0 to A7 are its. */
static void execute(uint32_t insn, uint64_t a, uint64_t b)
{
    uint32_t *code = codes[cpu_id() % CPUS_MAX];

    code[0] = insn;
    code[1] = code[2] = INSN_RET;
    __asm__ volatile("fence.i" ::: "memory");
    ((void (*)(uint64_t, uint64_t))code)(a, b);
}

/* One of A0 to A7. */
static uint32_t any_reg(void)
{
    return A0 + hostile_below(8);
}

/* Where a bit set or another page of vectors is no end at once, from a short list; else any. */
static void attack_csr(void)
{
    static const uint16_t known[] = {0x100, 0x104, 0x106, 0x10a, 0x140, 0x141, 0x142, 0x143,
                                     0x144, 0x14d, 0x150, 0x151, 0x15c, 0xdb0, 0x5a8, 0x10c,
                                     0xc00, 0xc01, 0xc02, 0xc03, 0x001, 0x003, 0x120, 0x200,
                                     0x244, 0x280, 0x600, 0x605, 0x615, 0x680, 0x7a0, 0xe12};
    uint32_t csr = known[hostile_below(32)], random = (uint32_t)hostile_random();

    if (random >> 31)
        csr = hostile_below(0x1000);
    if ((csr == CSR_STVEC || csr == CSR_SATP) && (hostile_counted || random & 0x7f))
        return;
    execute(INSN_SYSTEM | csr << 20 | RS1(random & 1 ? A0 : random >> 8 & 0x1f) |
                FUNCT3(random & 1 ? 1 + hostile_below(3) : 5 + hostile_below(3)) | RD(any_reg()),
            hostile_number(), 0);
}

/* Interrupt files by their registers, of which most there are not. */
static void attack_file(void)
{
    execute(INSN_SYSTEM | CSR_SISELECT << 20 | RS1(A0) | FUNCT3(1),
            hostile_below(4) ? 0x30 + hostile_below(0xd0) : hostile_number(), 0);
    execute(INSN_SYSTEM | CSR_SIREG << 20 | RS1(A0) | FUNCT3(1 + hostile_below(3)) | RD(A0),
            hostile_number(), 0);
}

static uint32_t call_extension(void)
{
    static const uint32_t known[] = {SBI_BASE, SBI_TIME,   SBI_IPI,     SBI_RFENCE, SBI_HSM,
                                     SBI_SRST, SBI_DBCN,   SBI_CAISSON, 0x504d55,   0x53555350,
                                     0x535441, 0x4e41434c, 0,           1,          2,
                                     3,        4,          5,           6,          7};
    uint32_t extension = known[hostile_below(20)];

    if ((extension == SBI_SRST || extension == 8) && hostile_below(50))
        return SBI_RFENCE;
    return hostile_below(20) ? extension : (uint32_t)hostile_number();
}

static void attack_call(void)
{
    uint32_t extension = call_extension(), function = hostile_below(8);
    uint64_t a = hostile_below(2) ? hostile_below(4) : hostile_number();
    uint64_t b = hostile_below(2) ? (uint64_t)secondary_entry : hostile_number();

    if (extension == SBI_HSM && function == 1 && hostile_below(20))
        return; /* Seldom: somebody has to start it again. */
    if (extension == SBI_CAISSON && function == SBI_CAISSON_WATCHDOG && hostile_below(50))
        return;
    if (extension == SBI_HSM && function == 3)
        hostile_wake();
    sbi_call(extension, hostile_below(20) ? function : (uint32_t)hostile_random(), a, b,
             hostile_number(), hostile_number(), hostile_number());
}

/* What is for hypervisors, privileged, or nothing: with A0 to A7. */
static void attack_system(void)
{
    uint32_t insn = INSN_SYSTEM | hostile_below(128) << 25 | RS2(hostile_below(32)) |
                    RS1(any_reg()) | FUNCT3(hostile_below(2) * 4) | RD(any_reg());

    if (hostile_below(8) == 0)
        insn = hostile_below(2) ? INSN_WFI : INSN_EBREAK;
    if (insn == INSN_WFI)
        hostile_wake();
    if ((insn & ~(RD(31u) | RS1(31u))) == INSN_SRET && hostile_below(100))
        return;
    execute(insn, hostile_number(), hostile_number());
}

/* Loads, stores, AMOs, of all widths, aligned and not, at a device: A1. Short ones as well. */
static void attack_insn(void)
{
    uint64_t random = hostile_random(), at = hostile_address();
    uint32_t insn = random & 1 ? 0x03 : 0x23;

    if (hostile_seldom())
        insn = random & 2 ? 0x2f : random & 4 ? 0x07 : 0x27;
    if (random & 8)
        insn = C_LW_A0_A1_RET | ((uint32_t)random & 0xa000); /* C.LD, C.SW, C.SD. */
    else
        insn |=
            FUNCT3(hostile_below(8)) | RS1(A1) | (insn == 0x23 ? RS2(any_reg()) : RD(any_reg()));
    execute(insn, hostile_random(), random & 0x700 ? at & ~7ull : at);
}

static void attack_misaligned(void)
{
    (void)*(volatile uint64_t *)((uint64_t)codes + 1 + hostile_below(7));
    (void)*(volatile uint32_t *)(hostile_address() | 1);
}

/* Aimed at what this guest calls memory, which is nowhere. */
static void attack_tables(void)
{
    uint64_t at = hostile_below(2) ? HOLE_ADDRESS : hostile_address();

    if (!hostile_seldom())
        return;
    CSR_WRITE(satp, (uint64_t)(8 + hostile_below(3)) << 60 | at >> 12);
    __asm__ volatile("sfence.vma" ::: "memory");
}

static const struct hostile_attack attacks[] = {
    {attack_csr, 300}, {attack_file, 50},       {attack_call, 200}, {attack_system, 100},
    {attack_insn, 50}, {attack_misaligned, 20}, {attack_tables, 1}, {NULL, 0},
};

const struct hostile_attack *hostile_attacks(void)
{
    return attacks;
}

void hostile_attempt(void (*run)(void))
{
    fault_expect();
    run();
}

void hostile_window(uint64_t number, uint64_t *base, uint64_t *size)
{
    static const uint64_t devices[3][2] = {
        {UART_BASE, 0x100}, {RTC_BASE, 0x1000}, {TEST_BASE + 0x10, 0xff0}};
    static uint64_t files;

    if (files == 0)
        files = 0x1000ull * machine_cpu_count();
    number %= 8;
    *base = number < 3   ? devices[number][0]
            : !has_aia   ? PLIC_BASE
            : number < 6 ? APLIC_BASE
                         : IMSIC_BASE;
    *size = number < 3 ? devices[number][1] : !has_aia ? 0x600000 : number < 6 ? 0x8000 : files;
}

void hostile_restart(unsigned cpu)
{
    cpu_start(cpu);
}

void hostile_repair(void)
{
    CSR_WRITE(satp, 0);
    cpu_setup();
}
