/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The x86 instruction decoder: forms as the GNU assembler makes them, what is refused, the ends of
 * the bytes, and the two short decoders. test_x86_insn_reference.c compares with another decoder.
 */
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/insn.h"
#include "tests/host/test.h"

#define NONE INSN_NO_REG

struct vector {
    const char *text;
    enum insn_mode mode;
    uint8_t bytes[INSN_LENGTH_MAX];
    struct insn insn;
};

/* Operation, form, width, register; the memory operand; what else is not usual or 0. */
#define INSN(op_, form_, width_, reg_, seg_, base_, index_, scale_, disp_, ...)                    \
    {                                                                                              \
        .op = INSN_##op_, .form = INSN_##form_, .width = width_, .reg = reg_, .seg = seg_,         \
        .base = base_, .index = index_, .scale = scale_, .disp = disp_, __VA_ARGS__                \
    }

/* clang-format off */
static const struct vector vectors[] = {
    {"mov 0x10(%rdi),%eax", INSN_MODE_64, {0x8b, 0x47, 0x10},
     INSN(MOV, LOAD, 4, INSN_RAX, INSN_DS, INSN_RDI, NONE, 0, 0x10, .length = 3)},
    {"mov %r9,(%r13)", INSN_MODE_64, {0x4d, 0x89, 0x4d, 0x00},
     INSN(MOV, STORE, 8, 9, INSN_DS, 13, NONE, 0, 0, .length = 4)},
    {"movl $-2,0x1000(%rip)", INSN_MODE_64, {0xc7, 0x05, 0, 0x10, 0, 0, 0xfe, 0xff, 0xff, 0xff},
     INSN(MOV, IMM, 4, 0, INSN_DS, INSN_RIP, NONE, 0, 0x1000, .imm = -2, .length = 10)},
    {"movw $0x1234,(%rax,%r12,8)", INSN_MODE_64, {0x66, 0x42, 0xc7, 0x04, 0xe0, 0x34, 0x12},
     INSN(MOV, IMM, 2, 0, INSN_DS, INSN_RAX, 12, 3, 0, .imm = 0x1234, .length = 7)},
    {"mov %ah,-1(%rsp)", INSN_MODE_64, {0x88, 0x64, 0x24, 0xff},
     INSN(MOV, STORE, 1, INSN_RAX, INSN_SS, INSN_RSP, NONE, 0, -1, .reg_high = true,
          .length = 4)},
    {"mov %spl,(%rbx)", INSN_MODE_64, {0x40, 0x88, 0x23},
     INSN(MOV, STORE, 1, INSN_RSP, INSN_DS, INSN_RBX, NONE, 0, 0, .length = 3)},
    {"movabs 0x1122334455667788,%eax", INSN_MODE_64,
     {0xa1, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11},
     INSN(MOV, LOAD, 4, INSN_RAX, INSN_DS, NONE, NONE, 0, 0x1122334455667788, .length = 9)},
    {"movzbl (%rdx),%ecx", INSN_MODE_64, {0x0f, 0xb6, 0x0a},
     INSN(MOVZX, LOAD, 1, INSN_RCX, INSN_DS, INSN_RDX, NONE, 0, 0, .reg_width = 4, .length = 3)},
    {"movslq %gs:8,%r10", INSN_MODE_64, {0x65, 0x4c, 0x63, 0x14, 0x25, 8, 0, 0, 0},
     INSN(MOVSX, LOAD, 4, 10, INSN_GS, NONE, NONE, 0, 8, .reg_width = 8, .length = 9)},
    {"lock orl $1,(%rcx)", INSN_MODE_64, {0xf0, 0x83, 0x09, 0x01},
     INSN(OR, IMM, 4, 0, INSN_DS, INSN_RCX, NONE, 0, 0, .imm = 1, .lock = true, .length = 4)},
    {"rep movsl", INSN_MODE_64, {0xf3, 0xa5},
     INSN(MOVS, STRING, 4, 0, INSN_DS, NONE, NONE, 0, 0, .rep = INSN_REP, .length = 2)},
    {"addr32 repne scas %fs... of no effect", INSN_MODE_64, {0x67, 0x64, 0xf2, 0xae},
     INSN(SCAS, STRING, 1, 0, INSN_FS, NONE, NONE, 0, 0, .rep = INSN_REPNE, .addr_size = 4,
          .length = 4)},
    {"btsl $33,(%rax)", INSN_MODE_64, {0x0f, 0xba, 0x28, 33},
     INSN(BTS, IMM, 4, 0, INSN_DS, INSN_RAX, NONE, 0, 0, .imm = 33, .length = 4)},
    {"setae (%rsi)", INSN_MODE_64, {0x0f, 0x93, 0x06},
     INSN(SETCC, UNARY, 1, 0, INSN_DS, INSN_RSI, NONE, 0, 0, .cond = 3, .length = 3)},
    {"movbe %ax,(%rsi)", INSN_MODE_64, {0x66, 0x0f, 0x38, 0xf1, 0x06},
     INSN(MOVBE, STORE, 2, 0, INSN_DS, INSN_RSI, NONE, 0, 0, .length = 5)},
    {"mov %es:2(%bp,%si),%ax", INSN_MODE_16, {0x26, 0x8b, 0x42, 0x02},
     INSN(MOV, LOAD, 2, 0, INSN_ES, INSN_RBP, INSN_RSI, 0, 2, .addr_size = 2, .length = 4)},
    {"mov 0x1234,%bx", INSN_MODE_16, {0x8b, 0x1e, 0x34, 0x12},
     INSN(MOV, LOAD, 2, INSN_RBX, INSN_DS, NONE, NONE, 0, 0x1234, .addr_size = 2, .length = 4)},
    {"mov 4(%bp),%cl", INSN_MODE_16, {0x8a, 0x4e, 0x04},
     INSN(MOV, LOAD, 1, INSN_RCX, INSN_SS, INSN_RBP, NONE, 0, 4, .addr_size = 2, .length = 3)},
    {"mov 0xfee00020,%eax", INSN_MODE_32, {0xa1, 0x20, 0x00, 0xe0, 0xfe},
     INSN(MOV, LOAD, 4, 0, INSN_DS, NONE, NONE, 0, -0x11fffe0, .addr_size = 4, .length = 5)},
};

static const struct {
    const char *text;
    enum insn_mode mode;
    uint8_t bytes[INSN_LENGTH_MAX];
    enum insn_result result;
} refused[] = {
    {"lock mov %eax,(%rax)", INSN_MODE_64, {0xf0, 0x89, 0x00}, INSN_UNDEFINED},
    {"lock cmp %eax,(%rax)", INSN_MODE_64, {0xf0, 0x39, 0x00}, INSN_UNDEFINED},
    {"lock add (%rax),%eax", INSN_MODE_64, {0xf0, 0x03, 0x00}, INSN_UNDEFINED},
    {"lock btl $1,(%rax)", INSN_MODE_64, {0xf0, 0x0f, 0xba, 0x20, 1}, INSN_UNDEFINED},
    {"lock rep stosb", INSN_MODE_64, {0xf0, 0xf3, 0xaa}, INSN_UNDEFINED},
    {"group 4, 7", INSN_MODE_64, {0xfe, 0x38}, INSN_UNDEFINED},
    {"82 /0 in 64-bit code", INSN_MODE_64, {0x82, 0x00, 0x01}, INSN_UNDEFINED},
    {"mov %eax,%ecx", INSN_MODE_64, {0x89, 0xc1}, INSN_UNKNOWN},
    {"push (%rax)", INSN_MODE_64, {0xff, 0x30}, INSN_UNKNOWN},
    {"call *(%rax)", INSN_MODE_64, {0xff, 0x10}, INSN_UNKNOWN},
    {"jmp *(%rax)", INSN_MODE_64, {0xff, 0x20}, INSN_UNKNOWN},
    {"pop (%rax)", INSN_MODE_64, {0x8f, 0x00}, INSN_UNKNOWN},
    {"mov %ds,(%rax)", INSN_MODE_64, {0x8c, 0x18}, INSN_UNKNOWN},
    {"cmpxchg16b (%rax)", INSN_MODE_64, {0x48, 0x0f, 0xc7, 0x08}, INSN_UNKNOWN},
    {"movaps (%rax),%xmm0", INSN_MODE_64, {0x0f, 0x28, 0x00}, INSN_UNKNOWN},
    {"movdqa %xmm0,(%rax)", INSN_MODE_64, {0x66, 0x0f, 0x7f, 0x00}, INSN_UNKNOWN},
    {"movntdq %xmm0,(%rax)", INSN_MODE_64, {0x66, 0x0f, 0xe7, 0x00}, INSN_UNKNOWN},
    {"vmovdqu (%rax),%ymm0", INSN_MODE_64, {0xc5, 0xfe, 0x6f, 0x00}, INSN_UNKNOWN},
    {"crc32b (%rax),%eax", INSN_MODE_64, {0xf2, 0x0f, 0x38, 0xf0, 0x00}, INSN_UNKNOWN},
    {"arpl %ax,(%eax)", INSN_MODE_32, {0x63, 0x00}, INSN_UNKNOWN},
    {"inc %eax before mov", INSN_MODE_32, {0x40, 0x8b, 0x00}, INSN_UNKNOWN},
    {"15 prefixes", INSN_MODE_64,
     {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66},
     INSN_TOO_LONG},
    {"13 prefixes and 3 bytes", INSN_MODE_64,
     {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x8b, 0x47},
     INSN_TOO_LONG},
};
/* clang-format on */

static unsigned usual(unsigned value, unsigned otherwise)
{
    return value ? value : otherwise;
}

TEST(x86_forms_of_each_kind_decode)
{
    for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++) {
        const struct vector *vector = &vectors[i];
        struct insn is;

        if (insn_decode(vector->bytes, INSN_LENGTH_MAX, vector->mode, &is) != INSN_OK)
            test_fail(__FILE__, __LINE__, "refused: %s", vector->text);
        if (is.op != vector->insn.op || is.form != vector->insn.form ||
            is.length != vector->insn.length || is.width != vector->insn.width ||
            is.reg_width != usual(vector->insn.reg_width, is.width) || is.reg != vector->insn.reg ||
            is.reg_high != vector->insn.reg_high || is.imm != vector->insn.imm ||
            is.cond != vector->insn.cond || is.rep != vector->insn.rep ||
            is.lock != vector->insn.lock)
            test_fail(__FILE__, __LINE__, "wrong operation: %s", vector->text);
        if (is.addr_size != usual(vector->insn.addr_size, 8) || is.seg != vector->insn.seg ||
            is.base != vector->insn.base || is.index != vector->insn.index ||
            is.scale != vector->insn.scale || is.disp != vector->insn.disp)
            test_fail(__FILE__, __LINE__, "wrong address: %s", vector->text);
    }
}

TEST(x86_what_is_not_known_is_refused)
{
    struct insn is;

    for (unsigned i = 0; i < ARRAY_SIZE(refused); i++)
        if (insn_decode(refused[i].bytes, INSN_LENGTH_MAX, refused[i].mode, &is) !=
            refused[i].result)
            test_fail(__FILE__, __LINE__, "%s", refused[i].text);
}

/* The sanitizer sees a byte that is read behind the end. */
static enum insn_result decode_cut(const uint8_t *bytes, unsigned count, enum insn_mode mode,
                                   struct insn *insn)
{
    uint8_t *copy = malloc(count);
    enum insn_result result;

    memcpy(copy, bytes, count);
    result = insn_decode(copy, count, mode, insn);
    free(copy);
    return result;
}

TEST(x86_decoder_needs_each_byte_and_no_more)
{
    for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++) {
        unsigned length = vectors[i].insn.length;
        struct insn is;

        ASSERT_EQ(decode_cut(vectors[i].bytes, length, vectors[i].mode, &is), INSN_OK);
        for (unsigned count = 0; count < length; count++)
            ASSERT_EQ(decode_cut(vectors[i].bytes, count, vectors[i].mode, &is), INSN_SHORT);
    }
}

TEST(x86_decoder_takes_any_bytes)
{
    static const enum insn_mode modes[] = {INSN_MODE_16, INSN_MODE_32, INSN_MODE_64};
    uint8_t bytes[INSN_LENGTH_MAX];
    struct insn all, is;

    test_random_seed(2);
    for (unsigned i = 0; i < 300000; i++) {
        enum insn_mode mode = modes[i % 3];
        unsigned count = (unsigned)test_random_below(INSN_LENGTH_MAX);
        enum insn_result result, cut;

        for (unsigned j = 0; j < INSN_LENGTH_MAX; j++)
            bytes[j] = (uint8_t)test_random();
        result = insn_decode(bytes, INSN_LENGTH_MAX, mode, &all);
        cut = decode_cut(bytes, count, mode, &is);
        /* Nothing that comes later changes what was decoded. */
        ASSERT(cut == result || cut == INSN_SHORT);
        ASSERT(cut != INSN_OK || (is.length == all.length && is.length <= count));
        ASSERT(result != INSN_OK || count < all.length || cut == INSN_OK);
    }
}

/* --- Moves that are kept. --- */

static unsigned generate_mov(uint8_t *bytes)
{
    static const uint8_t opcodes[] = {0x88, 0x89, 0x8a, 0x8b, 0xc6, 0xc7, 0xb6, 0xb7, 0x8c, 0x01};
    unsigned at = 0, opcode = opcodes[test_random_below(sizeof(opcodes))];

    for (unsigned i = 0; i < INSN_LENGTH_MAX; i++)
        bytes[i] = (uint8_t)test_random();
    if (test_random_below(4) == 0)
        bytes[at++] = 0x66;
    if (test_random_below(2) == 0)
        bytes[at++] = (uint8_t)(0x40 + test_random_below(16));
    if (opcode >= 0xb0 && opcode < 0xc0)
        bytes[at++] = 0x0f;
    bytes[at++] = (uint8_t)opcode;
    if (test_random_below(3) == 0)
        bytes[at] &= 0xc7; /* The member 0 of a group. */
    return at;
}

static uint64_t effective(const struct insn *insn, const uint64_t *gpr, uint64_t rip)
{
    uint64_t addr = (uint64_t)insn->disp;

    if (insn->base == INSN_RIP)
        addr += rip + insn->length;
    else if (insn->base != NONE)
        addr += gpr[insn->base];
    return insn->index == NONE ? addr : addr + (gpr[insn->index] << insn->scale);
}

static void compare_mov(const struct insn *insn, const struct insn_mov *mov, const uint64_t *gpr,
                        uint64_t rip)
{
    uint64_t mask = ~0ull >> (64 - 8 * insn->width);

    ASSERT_EQ(mov->length, insn->length);
    ASSERT_EQ(mov->width, insn->width);
    ASSERT_EQ(mov->store, insn->form != INSN_LOAD);
    ASSERT_EQ(insn_mov_addr(mov, gpr, rip), effective(insn, gpr, rip));
    if (insn->form == INSN_LOAD) {
        ASSERT_EQ(mov->reg, insn->reg);
        ASSERT_EQ(mov->reg_width, insn->reg_width);
    } else {
        ASSERT_EQ(insn_mov_data(mov, gpr),
                  (insn->form == INSN_IMM ? (uint64_t)insn->imm : gpr[insn->reg]) & mask);
    }
}

TEST(x86_moves_are_kept_as_they_were_decoded)
{
    uint64_t gpr[16], rip;
    unsigned decoded = 0;

    test_random_seed(3);
    for (unsigned i = 0; i < 500000; i++) {
        uint8_t bytes[INSN_LENGTH_MAX];
        struct insn insn;
        struct insn_mov mov;
        bool ours;

        for (unsigned j = 0; j < 16; j++)
            gpr[j] = test_random();
        rip = test_random();
        generate_mov(bytes);
        ours = insn_decode(bytes, INSN_LENGTH_MAX, INSN_MODE_64, &insn) == INSN_OK &&
               (insn.op == INSN_MOV || insn.op == INSN_MOVZX) && !insn.reg_high;
        mov = insn_decode_mov(bytes, INSN_LENGTH_MAX);
        ASSERT_EQ(mov.length != 0, ours);
        if (!ours)
            continue;
        decoded++;
        compare_mov(&insn, &mov, gpr, rip);
    }
    ASSERT(decoded > 200000);
}

TEST(x86_registers_are_loaded_in_part_or_whole)
{
    uint64_t gpr[16] = {[3] = 0x1122334455667788};

    insn_set_reg(gpr, 3, 1, 0xffffff99);
    ASSERT_EQ(gpr[3], 0x1122334455667799);
    insn_set_reg(gpr, 3, 2, 0xffffffaa);
    ASSERT_EQ(gpr[3], 0x112233445566ffaa);
    insn_set_reg(gpr, 3, 4, 0x1ffffff00);
    ASSERT_EQ(gpr[3], 0xffffff00);
    insn_set_reg(gpr, 3, 8, 0x8877665544332211);
    ASSERT_EQ(gpr[3], 0x8877665544332211);
}
