/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What insn_exec.c makes of an instruction, beside what a processor makes of it: this machine's
 * own, when it is an x86 in 64-bit mode; else there is nothing to test. Random instructions with
 * random operands; registers, flags and memory must be the same after each.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#include "arch/x86_64/insn_alu.h"
#include "arch/x86_64/insn_exec.h"
#include "tests/host/test.h"

#define MEMORY_AT   0x20000000ul /* Below 4 GiB, for 32-bit addresses. */
#define MEMORY_SIZE 0x4000u
#define CODE_SIZE   0x2000u
#define ROUNDS      500000u

/* At the end of the code, which reaches it relative to rip. */
struct native_state {
    uint64_t gpr[16], flags, host_rsp;
};

static uint8_t *code, *code_at, *memory;
static struct native_state *native;
static uint8_t ours[MEMORY_SIZE];

static void *map(uintptr_t at, size_t size, int rights)
{
    void *result = mmap((void *)at, size, rights, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return result == MAP_FAILED ? NULL : result;
}

static bool native_is_possible(void)
{
    struct utsname name;

    if (uname(&name) != 0 || strcmp(name.machine, "x86_64") != 0)
        return false;
    code = map(0, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
    memory = map(MEMORY_AT, MEMORY_SIZE, PROT_READ | PROT_WRITE);
    native = (struct native_state *)(code + CODE_SIZE - sizeof(*native));
    return code && memory == (uint8_t *)MEMORY_AT;
}

static void emit(const void *bytes, size_t size)
{
    memcpy(code_at, bytes, size);
    code_at += size;
}

#define EMIT(...)                                                                                  \
    do {                                                                                           \
        static const uint8_t emit_[] = {__VA_ARGS__};                                              \
        emit(emit_, sizeof(emit_));                                                                \
    } while (0)

/* The end of an instruction with ModRM for [rip + ...]. */
static void emit_place(const uint64_t *place)
{
    int32_t distance = (int32_t)((const uint8_t *)place - (code_at + 4));

    emit(&distance, 4);
}

/* mov between a 64-bit register and its place. */
static void emit_mov(unsigned opcode, unsigned reg, const uint64_t *place)
{
    uint8_t bytes[3] = {(uint8_t)(0x48 | (reg >> 3) << 2), (uint8_t)opcode,
                        (uint8_t)(0x05 | (reg & 7) << 3)};

    emit(bytes, 3);
    emit_place(place);
}

/* Runs the instruction on *native, rsp too. */
static void native_run(const uint8_t *insn, unsigned length)
{
    code_at = code;
    EMIT(0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57); /* push rbx rbp r12-r15 */
    emit_mov(0x89, INSN_RSP, &native->host_rsp);
    EMIT(0xff, 0x35); /* push; popfq */
    emit_place(&native->flags);
    EMIT(0x9d);
    for (unsigned reg = 0; reg < 16; reg++)
        emit_mov(0x8b, reg, &native->gpr[reg]);
    emit(insn, length);
    for (unsigned reg = 0; reg < 16; reg++)
        emit_mov(0x89, reg, &native->gpr[reg]);
    emit_mov(0x8b, INSN_RSP, &native->host_rsp);
    EMIT(0x9c, 0x8f, 0x05); /* pushfq; pop */
    emit_place(&native->flags);
    EMIT(0xfc, 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3); /* cld */
    ((void (*)(void))(uintptr_t)code)();
}

/* --- Ours. --- */

static void ours_answer(struct vcpu_exit *exit)
{
    uint64_t offset = exit->mmio.gpa.v - MEMORY_AT;

    ASSERT(offset <= MEMORY_SIZE - exit->mmio.width);
    if (exit->kind == EXIT_MMIO_WRITE)
        memcpy(&ours[offset], &exit->mmio.data, exit->mmio.width);
    else
        memcpy(&exit->mmio.data, &ours[offset], exit->mmio.width);
}

static void ours_run(const struct insn *insn, uint64_t *gpr, uint64_t *flags)
{
    static const struct arch_guest_memory none;
    const struct insn_cpu cpu = {
        .mode = INSN_MODE_64, .paging = {.efer = EFER_LMA}, .memory = &none};
    uint64_t rip = 0;
    struct insn_regs regs = {gpr, &rip, flags};

    while (rip == 0) { /* Strings that cross a page begin again. */
        struct insn_exec exec;
        struct insn_fault fault;

        ASSERT_EQ(insn_exec_begin(&exec, insn, &regs, &cpu, &fault), INSN_BEGIN_OK);
        while (exec.active) {
            struct vcpu_exit exit;

            insn_exec_next(&exec, &exit);
            ours_answer(&exit);
            insn_exec_finish(&exec, &regs, &exit);
        }
    }
    ASSERT_EQ(rip, insn->length);
}

/* --- Instructions. --- */

static unsigned generate(uint8_t bytes[INSN_LENGTH_MAX])
{
    static const uint8_t plain[] = {0x63, 0x80, 0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
                                    0x8a, 0x8b, 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad,
                                    0xae, 0xaf, 0xc6, 0xc7, 0xf6, 0xf7, 0xfe, 0xff};
    static const uint8_t prefixed[] = {0xa3, 0xab, 0xb0, 0xb1, 0xb3, 0xb6, 0xb7,
                                       0xba, 0xbb, 0xbe, 0xbf, 0xc0, 0xc1, 0xc3};
    unsigned at = 0, kind = (unsigned)test_random_below(4);

    for (unsigned i = 0; i < INSN_LENGTH_MAX; i++)
        bytes[i] = (uint8_t)test_random();
    if (test_random_below(4) == 0)
        bytes[at++] = 0x66;
    if (test_random_below(4) == 0)
        bytes[at++] = 0x67;
    if (test_random_below(4) == 0)
        bytes[at++] = (uint8_t)(0xf0 + test_random_below(4)); /* LOCK, REPNE, REP; F1 is none. */
    if (test_random_below(2) == 0)
        bytes[at++] = (uint8_t)(0x40 + test_random_below(16));
    if (kind == 0)
        return bytes[at] = plain[test_random_below(sizeof(plain))];
    if (kind == 1)
        return bytes[at] &= 0x3f;
    bytes[at++] = 0x0f;
    if (kind == 2)
        return bytes[at] = prefixed[test_random_below(sizeof(prefixed))];
    return bytes[at] = (uint8_t)(0x90 + test_random_below(16));
}

/* Values in which carries and signs are likely. */
static uint64_t generate_value(void)
{
    static const uint64_t values[] = {0,      1,      0x7f,       0x80,       0xff,
                                      0x7fff, 0x8000, 0x7fffffff, 0x80000000, ~0ull};

    if (test_random_below(3))
        return test_random();
    return values[test_random_below(ARRAY_SIZE(values))];
}

static bool is_bit_string(const struct insn *insn)
{
    return insn->op >= INSN_BT && insn->op <= INSN_BTC && insn->form == INSN_STORE;
}

/* Lets the operand lie in memory. False: this one cannot. */
static bool place_operand(const struct insn *insn, uint64_t *gpr)
{
    uint64_t at = MEMORY_AT + 0x1000 + test_random_below(0x2000);
    uint64_t upper = insn->addr_size == 8 ? 0 : test_random() << 32;

    if (insn->base >= INSN_RIP || insn->base == insn->index)
        return false;
    if (is_bit_string(insn)) {
        if (insn->reg == insn->base || insn->reg == insn->index)
            return false;
        gpr[insn->reg] = test_random_below(4096) - 2048;
    }
    if (insn->index != INSN_NO_REG) {
        gpr[insn->index] = test_random_below(1000) | upper;
        at -= gpr[insn->index] << insn->scale;
    }
    gpr[insn->base] = at - (uint64_t)insn->disp;
    if (insn->addr_size == 4)
        gpr[insn->base] = (uint32_t)gpr[insn->base] | upper;
    return true;
}

static void place_strings(const struct insn *insn, uint64_t *gpr)
{
    uint64_t upper = insn->addr_size == 8 ? 0 : test_random() << 32;

    gpr[INSN_RSI] = (MEMORY_AT + 0x1000 + test_random_below(0x2000)) | upper;
    gpr[INSN_RDI] = (MEMORY_AT + 0x1000 + test_random_below(0x2000)) | upper;
    gpr[INSN_RCX] = (1 + test_random_below(6)) | upper;
}

static uint64_t flags_defined(const struct insn *insn)
{
    switch ((enum insn_op)insn->op) {
    case INSN_AND:
    case INSN_OR:
    case INSN_XOR:
    case INSN_TEST:
        return FLAGS_ARITHMETIC & ~FLAG_AF;
    case INSN_BT:
    case INSN_BTS:
    case INSN_BTR:
    case INSN_BTC:
        return FLAG_CF | FLAG_ZF;
    default:
        return FLAGS_ARITHMETIC;
    }
}

static void compare(const uint8_t *bytes, const struct insn *insn, const uint64_t *gpr,
                    uint64_t flags)
{
    const char *what = NULL;
    unsigned reg = 0;

    while (reg < 16 && gpr[reg] == native->gpr[reg])
        reg++;
    if (reg < 16)
        what = "a register";
    if ((flags ^ native->flags) & flags_defined(insn))
        what = "flags";
    if (memcmp(ours, memory, MEMORY_SIZE) != 0)
        what = "memory";
    if (what)
        test_fail(
            __FILE__, __LINE__,
            "%s: %02x %02x %02x %02x %02x %02x %02x %02x %02x (register %u, flags %llx, %llx)",
            what, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
            bytes[8], reg, (unsigned long long)flags, (unsigned long long)native->flags);
}

/* An instruction with operands in *native and memory; ours get the same. False: not this one. */
static bool prepare(const uint8_t *bytes, struct insn *insn)
{
    /* FS and GS are this program's own. */
    if (insn_decode(bytes, INSN_LENGTH_MAX, INSN_MODE_64, insn) != INSN_OK || insn->seg >= INSN_FS)
        return false;
    if (insn->op == INSN_INS || insn->op == INSN_OUTS || insn->op == INSN_MOVBE)
        return false; /* We have no ports; not all processors have MOVBE. */
    for (unsigned reg = 0; reg < 16; reg++)
        native->gpr[reg] = generate_value();
    native->flags = (test_random() & FLAGS_ARITHMETIC) | BIT(1);
    if (insn->form == INSN_STRING) {
        place_strings(insn, native->gpr);
        native->flags |= test_random() & FLAG_DF;
    } else if (!place_operand(insn, native->gpr)) {
        return false;
    }
    for (unsigned i = 0; i < 64; i++) {
        uint64_t value = generate_value();

        memcpy(&memory[test_random_below(MEMORY_SIZE - 8)], &value, 8);
    }
    return true;
}

TEST(x86_instructions_do_what_this_processor_does)
{
    unsigned ran[INSN_OPS] = {0};

    if (!native_is_possible())
        return;
    test_random_seed(4);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint8_t bytes[INSN_LENGTH_MAX];
        uint64_t gpr[16], flags;
        struct insn insn;

        generate(bytes);
        if (!prepare(bytes, &insn))
            continue;
        memcpy(gpr, native->gpr, sizeof(gpr));
        memcpy(ours, memory, MEMORY_SIZE);
        flags = native->flags;
        ours_run(&insn, gpr, &flags);
        native_run(bytes, insn.length);
        compare(bytes, &insn, gpr, flags);
        ran[insn.op]++;
    }
    munmap(code, CODE_SIZE);
    munmap(memory, MEMORY_SIZE);
    for (unsigned op = 0; op < INSN_INS; op++)
        if (ran[op] < 100 && op != INSN_MOVBE)
            test_fail(__FILE__, __LINE__, "operation %u: only %u", op, ran[op]);
}
