/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder of RV64 loads and stores, with words as the GNU assembler makes them. All of the
 * encodings but Zcb's are compared with objdump by insn_rv64_reference.py.
 */
#include "arch/riscv64/insn.h"
#include "kernel/bits.h"
#include "tests/host/test.h"

struct vector {
    uint32_t insn;
    const char *text;
    struct rv64_insn_access access;
};

static void check(const struct vector *vector)
{
    const struct rv64_insn_access *want = &vector->access;
    struct rv64_insn_access is;

    if (!rv64_insn_decode(vector->insn, &is))
        test_fail(__FILE__, __LINE__, "refused: %s", vector->text);
    if (is.load != want->load || is.sign_extend != want->sign_extend || is.width != want->width ||
        is.reg != want->reg || is.base != want->base || is.length != want->length ||
        is.offset != want->offset)
        test_fail(__FILE__, __LINE__, "wrong: %s", vector->text);
}

#define CHECK_ALL(vectors)                                                                         \
    do {                                                                                           \
        for (size_t i_ = 0; i_ < sizeof(vectors) / sizeof((vectors)[0]); i_++)                     \
            check(&(vectors)[i_]);                                                                 \
    } while (0)

/* load, sign_extend, width, reg, base, length, offset */
/* clang-format off */
TEST(rv64_loads_of_every_width_are_decoded)
{
    static const struct vector vectors[] = {
        {0xfff10083, "lb x1, -1(x2)", {true, true, 1, 1, 2, 4, -1}},
        {0x7ff29203, "lh x4, 2047(x5)", {true, true, 2, 4, 5, 4, 2047}},
        {0x80002f83, "lw x31, -2048(x0)", {true, true, 4, 31, 0, 4, -2048}},
        {0x00053503, "ld x10, 0(x10)", {true, false, 8, 10, 10, 4, 0}},
        {0x00814083, "lbu x1, 8(x2)", {true, false, 1, 1, 2, 4, 8}},
        {0x00815083, "lhu x1, 8(x2)", {true, false, 2, 1, 2, 4, 8}},
        {0x00816083, "lwu x1, 8(x2)", {true, false, 4, 1, 2, 4, 8}},
    };

    CHECK_ALL(vectors);
}

TEST(rv64_stores_of_every_width_are_decoded)
{
    static const struct vector vectors[] = {
        {0xfe110fa3, "sb x1, -1(x2)", {false, false, 1, 1, 2, 4, -1}},
        {0x7e429fa3, "sh x4, 2047(x5)", {false, false, 2, 4, 5, 4, 2047}},
        {0x81f02023, "sw x31, -2048(x0)", {false, false, 4, 31, 0, 4, -2048}},
        {0x00053023, "sd x0, 0(x10)", {false, false, 8, 0, 10, 4, 0}},
    };

    CHECK_ALL(vectors);
}

TEST(rv64_compressed_loads_and_stores_are_decoded)
{
    static const struct vector vectors[] = {
        {0x5ce8, "c.lw x10, 124(x9)", {true, true, 4, 10, 9, 2, 124}},
        {0x7cfc, "c.ld x15, 248(x9)", {true, false, 8, 15, 9, 2, 248}},
        {0xdce8, "c.sw x10, 124(x9)", {false, false, 4, 10, 9, 2, 124}},
        {0xfcfc, "c.sd x15, 248(x9)", {false, false, 8, 15, 9, 2, 248}},
        {0x50fe, "c.lwsp x1, 252(x2)", {true, true, 4, 1, 2, 2, 252}},
        {0x70fe, "c.ldsp x1, 504(x2)", {true, false, 8, 1, 2, 2, 504}},
        {0xdffe, "c.swsp x31, 252(x2)", {false, false, 4, 31, 2, 2, 252}},
        {0xfffe, "c.sdsp x31, 504(x2)", {false, false, 8, 31, 2, 2, 504}},
    };

    CHECK_ALL(vectors);
}

TEST(rv64_compressed_bytes_and_half_words_are_decoded)
{
    static const struct vector vectors[] = {
        {0x80c8, "c.lbu x10, 1(x9)", {true, false, 1, 10, 9, 2, 1}},
        {0x80a8, "c.lbu x10, 2(x9)", {true, false, 1, 10, 9, 2, 2}},
        {0x84a8, "c.lhu x10, 2(x9)", {true, false, 2, 10, 9, 2, 2}},
        {0x84e8, "c.lh x10, 2(x9)", {true, true, 2, 10, 9, 2, 2}},
        {0x88e8, "c.sb x10, 3(x9)", {false, false, 1, 10, 9, 2, 3}},
        {0x8ca8, "c.sh x10, 2(x9)", {false, false, 2, 10, 9, 2, 2}},
    };

    CHECK_ALL(vectors);
}
/* clang-format on */

TEST(rv64_what_is_no_load_or_store_of_an_x_register_is_refused)
{
    static const uint32_t insns[] = {
        0x00002007, /* flw f0, 0(x0) */
        0x00003027, /* fsd f0, 0(x0) */
        0x00007003, /* funct3 7 of LOAD */
        0x00004023, /* funct3 4 of STORE */
        0x1005252f, /* lr.w x10, (x10) */
        0x00a5252f, /* amoadd.w x10, x10, (x10) */
        0x0000000f, /* fence */
        0x00000073, /* ecall */
        0x2088,     /* c.fld f10, 0(x9) */
        0x5002,     /* c.lwsp x0: reserved */
        0x8ce8,     /* c.sh with bit 6: reserved */
        0x9002,     /* c.ebreak */
        0x0000,     0xffffffff,
    };
    struct rv64_insn_access access;

    for (size_t i = 0; i < ARRAY_SIZE(insns); i++)
        ASSERT(!rv64_insn_decode(insns[i], &access));
}

TEST(rv64_a_transformed_instruction_tells_all_but_the_address)
{
    struct rv64_insn_access access;

    ASSERT(rv64_insn_transformed(0x00002503, &access)); /* lw x10 */
    ASSERT(access.load && access.sign_extend && access.width == 4 && access.reg == 10);
    ASSERT_EQ(access.length, 4u);
    ASSERT(rv64_insn_transformed(0x00a03021, &access)); /* c.sd x10 */
    ASSERT(!access.load && access.width == 8 && access.reg == 10);
    ASSERT_EQ(access.length, 2u);
}

TEST(rv64_other_words_of_hardware_are_not_taken_for_an_instruction)
{
    static const uint64_t words[] = {
        0,           0x3000, 0x3020, /* The guest's own table walk. */
        0x00012503,                  /* lw whose fault is 2 bytes behind its start. */
        0x100002503,                 /* More than 32 bits. */
        0x0000252f,                  /* amoadd.w */
        0x0000600f,
    };
    struct rv64_insn_access access;

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        ASSERT(!rv64_insn_transformed(words[i], &access));
}
