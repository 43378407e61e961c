/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an x86_64 guest can do wrong: MSRs, ports, control and debug registers, instructions for
 * hypervisors, any instruction on a device, INIT and SIPI, tables from nowhere. [SDM 3; APM 2]
 */
#include "x86.h"

void hypercall_words(uint64_t number, uint64_t words[4]);
extern char trap_stubs[];

#define CODE_SIZE 32u
#define RET       0xc3

static uint8_t codes[CPUS_MAX][CODE_SIZE] __attribute__((aligned(64)));
static uint64_t efer;

/* Bytes of which nobody knows. RDI: a device's register; RAX, RCX, RDX, RSI and R8 are numbers. */
static void execute(const uint8_t *bytes, unsigned size)
{
    uint8_t *code = codes[cpu_id() % CPUS_MAX];
    uint64_t rax = hostile_number(), rcx = hostile_number() & 0xff, rdx = hostile_number();
    uint64_t rdi = hostile_address(), rsi = (uint64_t)codes;

    for (unsigned i = 0; i < CODE_SIZE; i++)
        code[i] = i < size ? bytes[i] : RET;
    __asm__ volatile("call *%5; cld"
                     : "+a"(rax), "+c"(rcx), "+d"(rdx), "+D"(rdi), "+S"(rsi)
                     : "r"(code)
                     : "r8", "r9", "r10", "r11", "memory", "cc");
}

/* Of the numbers that mean something to somebody. */
static uint32_t any_msr(void)
{
    static const uint32_t bases[] = {0,          0x1a0,      0x200,      0x400,      0x480,
                                     0x6e0,      0x800,      0x810,      0x830,      0xda0,
                                     0x40000000, 0x4b564d00, 0xc0000080, 0xc0000100, 0xc0010000,
                                     0xc0010100, 0x10,       0x170,      0x270,      0xc0010060};
    uint32_t base = bases[hostile_below(20)];

    return hostile_below(20) ? base + hostile_below(0x20) : (uint32_t)hostile_number();
}

/* One bit, or any number. GS and EFER are the runtime's: seldom. */
static void attack_msr(void)
{
    uint32_t msr = any_msr();
    uint64_t value;

    if ((msr == MSR_GS_BASE || msr == MSR_EFER || msr == MSR_APIC_BASE) && hostile_below(30))
        return;
    value = rdmsr(msr);
    wrmsr(msr, hostile_below(2) ? value ^ 1ull << hostile_below(64) : hostile_number());
}

/* What the processor does not let be read may be written. */
static void attack_msr_blind(void)
{
    uint32_t msr = any_msr();

    if (msr != MSR_GS_BASE && msr != MSR_EFER && msr != MSR_APIC_BASE)
        wrmsr(msr, hostile_number());
}

static void attack_lapic(void)
{
    lapic_write(hostile_below(0x40) * 0x10, (uint32_t)hostile_number());
}

/* All modes of delivery, to all; INIT and SIPI seldom, for they end what another does. */
static void attack_icr(void)
{
    uint32_t what = (uint32_t)hostile_random() & 0xccfff;

    if (((what >> 8 & 7) == 5 || (what >> 8 & 7) == 6) && hostile_below(20))
        what &= ~0x700u;
    if ((what >> 8 & 7) == 4 && hostile_below(10)) /* NMI: the runtime has no place for them. */
        what &= ~0x700u;
    lapic_send(hostile_below(2) ? hostile_below(4) : (uint32_t)hostile_number(), what);
}

static uint16_t any_port(void)
{
    static const uint16_t known[] = {0x20,  0x21,  0xa0,  0xa1,  0x40,  0x41,  0x42,  0x43,
                                     0x61,  0x70,  0x71,  0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc,
                                     0x3fd, 0x3ff, 0xcf8, 0xcf9, 0xcfa, 0xcfc, 0xcfe, 0x600,
                                     0x602, 0x604, 0x608, 0x60c, 0x80,  0x92,  0x64,  0x60};

    return hostile_below(10) ? known[hostile_below(32)] : (uint16_t)hostile_random();
}

static void attack_port(void)
{
    uint16_t port = any_port();
    uint32_t value = (uint32_t)hostile_number();

    if ((port == 0xcf9 || port == 0x604) && hostile_below(50))
        return; /* Reset, and power off. */
    switch (hostile_below(6)) {
    case 0:
        out8(port, (uint8_t)value);
        break;
    case 1:
        out16(port, (uint16_t)value);
        break;
    case 2:
        out32(port, value);
        break;
    case 3:
        in8(port);
        break;
    case 4:
        in16(port);
        break;
    default:
        in32(port);
    }
}

/* Strings, to memory and to devices. */
static void attack_string(void)
{
    static const uint8_t ops[] = {0x6c, 0x6d, 0x6e, 0x6f, 0xa4, 0xa5, 0xaa, 0xab};
    const uint8_t code[] = {0xf3, ops[hostile_below(8)], RET};
    uint64_t rcx = hostile_below(64), rdi = (uint64_t)codes, rsi = (uint64_t)codes;

    if (hostile_below(4) == 0)
        *(hostile_below(2) ? &rdi : &rsi) = hostile_address() & ~0xfull;
    memcpy(codes[cpu_id() % CPUS_MAX], code, sizeof(code));
    if (rdi == (uint64_t)codes)
        rdi = (uint64_t)&codes[CPUS_MAX - 1]; /* Nobody's code. */
    __asm__ volatile("call *%4; cld"
                     : "+c"(rcx), "+D"(rdi), "+S"(rsi)
                     : "a"((uint32_t)hostile_random()), "r"(codes[cpu_id() % CPUS_MAX]),
                       "d"(any_port())
                     : "memory", "cc");
}

/* A bit, and back. */
static void attack_control(void)
{
    uint64_t bit = 1ull << hostile_below(hostile_below(8) ? 32 : 64), kept;

    switch (hostile_below(5)) {
    case 0:
        kept = CR_READ(0);
        CR_WRITE(0, kept ^ bit);
        CR_WRITE(0, kept);
        break;
    case 1:
        kept = CR_READ(4);
        CR_WRITE(4, kept ^ bit);
        CR_WRITE(4, kept);
        break;
    case 2:
        kept = CR_READ(3);
        CR_WRITE(3, kept ^ (bit & ~0xffff000ull));
        CR_WRITE(3, kept);
        break;
    case 3:
        CR_WRITE(8, hostile_below(4) ? 0 : hostile_number());
        break;
    default:
        kept = rdmsr(MSR_EFER);
        wrmsr(MSR_EFER, kept ^ bit);
        wrmsr(MSR_EFER, kept);
    }
}

static void attack_xcr0(void)
{
    uint64_t value = hostile_below(4) ? hostile_below(16) : hostile_number();

    fp_enable();
    __asm__ volatile("xsetbv" ::"c"(hostile_below(8) ? 0 : 1), "a"((uint32_t)value),
                     "d"((uint32_t)(value >> 32))
                     : "memory");
}

static void attack_debug(void)
{
    uint64_t value = hostile_number();

    if (hostile_below(2))
        __asm__ volatile("mov %0, %%dr0; mov %0, %%dr3" ::"r"(value));
    else
        __asm__ volatile("mov %0, %%dr6" ::"r"(value));
    __asm__ volatile("mov %0, %%dr7" ::"r"(hostile_below(2) ? value & ~0xffull : 0));
    if (hostile_below(8) == 0)
        __asm__ volatile("pushf; orq $0x100, (%rsp); popf; nop");
}

/* What is for hypervisors, or intercepted, or makes exceptions. */
static void attack_insn(void)
{
    static const uint8_t insns[][5] = {
        {3, 0x0f, 0x01, 0xd8},
        {3, 0x0f, 0x01, 0xd9},
        {3, 0x0f, 0x01, 0xda},
        {3, 0x0f, 0x01, 0xdb},
        {3, 0x0f, 0x01, 0xdc},
        {3, 0x0f, 0x01, 0xdd},
        {3, 0x0f, 0x01, 0xde},
        {3, 0x0f, 0x01, 0xdf},
        {3, 0x0f, 0x01, 0xc1},
        {3, 0x0f, 0x01, 0xc2},
        {3, 0x0f, 0x01, 0xc3},
        {3, 0x0f, 0x01, 0xc4},
        {3, 0x0f, 0x01, 0xc8},
        {3, 0x0f, 0x01, 0xc9},
        {3, 0x0f, 0x01, 0xd0},
        {3, 0x0f, 0x01, 0xf8},
        {3, 0x0f, 0x01, 0xf9},
        {2, 0x0f, 0x08},
        {2, 0x0f, 0x09},
        {2, 0x0f, 0xaa},
        {2, 0x0f, 0x33},
        {2, 0x0f, 0xa2},
        {2, 0x0f, 0x31},
        {2, 0x0f, 0x0b},
        {1, 0xcc},
        {1, 0xf1},
        {2, 0xcd, 0x80},
        {2, 0xcd, 0x0d},
        {3, 0x0f, 0x01, 0x3f},
        {3, 0x0f, 0xae, 0xf0},
        {2, 0x0f, 0x34},
        {2, 0x0f, 0x35},
        {1, 0xf4},
        {3, 0x0f, 0x00, 0xd8},
        {3, 0x0f, 0x00, 0xd0},
        {3, 0x0f, 0x01, 0xf0},
        {2, 0x0f, 0x06},
        {2, 0xf3, 0x90},
        {2, 0x0f, 0x37},
        {2, 0x0f, 0x05},
        {2, 0x0f, 0x07},
        {2, 0x0f, 0x32},
        {2, 0x0f, 0x30},
        {4, 0x66, 0x0f, 0x38, 0x82},
    };
    const uint8_t *insn = insns[hostile_below(sizeof(insns) / sizeof(insns[0]))];

    if (insn[1] == 0xf4)
        hostile_wake();
    execute(insn + 1, insn[0]);
}

/*
 * Any instruction with RDI as its address, which a device is at: prefixes, one or two bytes of
 * opcode, ModRM. Moves and arithmetic mostly: what cannot be emulated is the VM's end.
 */
static void attack_device_insn(void)
{
    static const uint8_t usual[] = {0x88, 0x89, 0x8a, 0x8b, 0x00, 0x01, 0x02, 0x03,
                                    0x09, 0x21, 0x31, 0x39, 0x84, 0x85, 0x86, 0x87,
                                    0x80, 0x81, 0x83, 0xc6, 0xc7, 0xf6, 0xfe, 0x63};
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x64, 0x48, 0x4c, 0x41};
    uint8_t bytes[16];
    unsigned at = 0;

    while (hostile_below(3) == 0 && at < 4)
        bytes[at++] = prefixes[hostile_below(hostile_below(50) ? 2 : 10)];
    if (hostile_seldom()) {
        bytes[at++] = 0x0f;
        bytes[at++] = (uint8_t)hostile_random();
    } else {
        bytes[at++] = hostile_seldom() ? (uint8_t)hostile_random() : usual[hostile_below(24)];
    }
    bytes[at++] = (uint8_t)(hostile_below(hostile_seldom() ? 8 : 4) << 3 | 7); /* (%rdi) */
    while (at < 14)
        bytes[at++] = RET;
    execute(bytes, at);
}

static void attack_call(void)
{
    static const uint64_t numbers[] = {0, 1, HYPERCALL_YIELD, HYPERCALL_COUNT, HYPERCALL_UID};
    uint64_t words[4];

    hypercall_words(
        hostile_below(2) ? numbers[hostile_below(5)] + hostile_below(3) : hostile_number(), words);
}

/* Aimed at what this guest calls memory, which is nowhere; or vectors there: a triple fault. */
static void attack_tables(void)
{
    static const uint8_t nothing[10];

    if (!hostile_seldom())
        return;
    if (hostile_below(2))
        CR_WRITE(3, hostile_below(2) ? HOLE_ADDRESS : hostile_address() & ~0xfffull);
    else
        __asm__ volatile("lidt %0; ud2" ::"m"(nothing));
}

static const struct hostile_attack attacks[] = {
    {attack_msr, 150},         {attack_msr_blind, 50},
    {attack_lapic, 50},        {attack_icr, 100},
    {attack_port, 150},        {attack_string, 30},
    {attack_control, 50},      {attack_xcr0, 10},
    {attack_debug, 10},        {attack_insn, 100},
    {attack_device_insn, 100}, {attack_call, 50},
    {attack_tables, 1},        {NULL, 0},
};

const struct hostile_attack *hostile_attacks(void)
{
    return attacks;
}

static void attempt(void *run)
{
    ((void (*)(void))run)();
}

void hostile_attempt(void (*run)(void))
{
    probe(attempt, (void *)run);
}

void hostile_window(uint64_t number, uint64_t *base, uint64_t *size)
{
    static const uint64_t windows[3][2] = {
        {IOAPIC_BASE, 0x1000}, {LAPIC_BASE, 0x1000}, {ECAM_BASE, 0x10000000}};

    *base = windows[number % 3][0];
    *size = windows[number % 3][1];
}

/* Without the pauses that real processors want between. */
void hostile_restart(unsigned cpu)
{
    if (cpu == cpu_id())
        return;
    cpu_expect(cpu);
    cpu_init_ipi(cpu);
    cpu_startup_ipi(cpu, LOW_BASE / PAGE);
}

/*
 * Whatever bit was turned: the controller, flags, what FP needs. A double fault stays on its stack:
 * QEMU ends itself when one wants another of a CPU that was sent elsewhere before it had a TSS.
 */
void hostile_repair(void)
{
    gate_set(VECTOR_DF, trap_stubs + 16 * VECTOR_DF, 0, 0);
    if (efer == 0)
        efer = rdmsr(MSR_EFER);
    wrmsr(MSR_EFER, efer);
    __asm__ volatile("mov %0, %%dr7; mov %0, %%cr8" ::"r"(0ul));
    lapic_setup();
}
