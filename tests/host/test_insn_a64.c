/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder of A64 loads and stores, with words as the GNU assembler makes them. All of the
 * encodings are compared with objdump by insn_a64_reference.py.
 */
#include "arch/aarch64/insn.h"
#include "kernel/bits.h"
#include "tests/host/test.h"

#define SP 31 /* As a base; as data it is the zero register. */
#define ZR 31

struct vector {
    uint32_t insn;
    const char *text;
    struct a64_insn_access access;
};

static void check(const struct vector *vector)
{
    const struct a64_insn_access *want = &vector->access;
    struct a64_insn_access is;

    if (!a64_insn_decode(vector->insn, &is))
        test_fail(__FILE__, __LINE__, "refused: %s", vector->text);
    if (is.load != want->load || is.sign_extend != want->sign_extend || is.pair != want->pair ||
        is.width != want->width || is.reg_width != want->reg_width || is.reg != want->reg ||
        is.reg2 != want->reg2)
        test_fail(__FILE__, __LINE__, "wrong data: %s", vector->text);
    if (is.base != want->base || is.offset != want->offset || is.index != want->index ||
        is.writeback != want->writeback || is.offset_reg != want->offset_reg ||
        is.index_reg != want->index_reg || is.extend != want->extend || is.shift != want->shift)
        test_fail(__FILE__, __LINE__, "wrong address: %s", vector->text);
}

/* Width, register width, register, base, and what else is not 0. */
#define ACCESS(load_, width_, reg_width_, reg_, base_, ...)                                        \
    {                                                                                              \
        .load = load_, .width = width_, .reg_width = reg_width_, .reg = reg_, .base = base_,       \
        __VA_ARGS__                                                                                \
    }
#define LD(...)      ACCESS(true, __VA_ARGS__)
#define LDS(...)     ACCESS(true, __VA_ARGS__, .sign_extend = true)
#define ST(...)      ACCESS(false, __VA_ARGS__)
#define POST(n)      .writeback = true, .index = (n)
#define PRE(n)       .writeback = true, .index = (n), .offset = (n)
#define PAIR(second) .pair = true, .reg2 = (second)
#define INDEX(reg_, extend_, shift_)                                                               \
    .offset_reg = true, .index_reg = (reg_), .extend = (extend_), .shift = (shift_)

#define CHECK_ALL(vectors)                                                                         \
    do {                                                                                           \
        for (size_t i_ = 0; i_ < sizeof(vectors) / sizeof((vectors)[0]); i_++)                     \
            check(&(vectors)[i_]);                                                                 \
    } while (0)

/* clang-format off */
TEST(a64_unsigned_offsets_are_scaled_by_the_width)
{
    static const struct vector vectors[] = {
        {0x39400083, "ldrb w3, [x4]", LD(1, 4, 3, 4)},
        {0x393ffc83, "strb w3, [x4, #4095]", ST(1, 4, 3, 4, .offset = 4095)},
        {0x797ffcc5, "ldrh w5, [x6, #8190]", LD(2, 4, 5, 6, .offset = 8190)},
        {0x790007ff, "strh wzr, [sp, #2]", ST(2, 4, ZR, SP, .offset = 2)},
        {0xb97ffd07, "ldr w7, [x8, #16380]", LD(4, 4, 7, 8, .offset = 16380)},
        {0xf97ffd49, "ldr x9, [x10, #32760]", LD(8, 8, 9, 10, .offset = 32760)},
        {0xf900058b, "str x11, [x12, #8]", ST(8, 8, 11, 12, .offset = 8)},
        {0x39c00441, "ldrsb w1, [x2, #1]", LDS(1, 4, 1, 2, .offset = 1)},
        {0x39800441, "ldrsb x1, [x2, #1]", LDS(1, 8, 1, 2, .offset = 1)},
        {0x79c00441, "ldrsh w1, [x2, #2]", LDS(2, 4, 1, 2, .offset = 2)},
        {0x79800441, "ldrsh x1, [x2, #2]", LDS(2, 8, 1, 2, .offset = 2)},
        {0xb9800441, "ldrsw x1, [x2, #4]", LDS(4, 8, 1, 2, .offset = 4)},
    };

    CHECK_ALL(vectors);
}

TEST(a64_unscaled_and_unprivileged_offsets_are_signed_bytes)
{
    static const struct vector vectors[] = {
        {0xb8500041, "ldur w1, [x2, #-256]", LD(4, 4, 1, 2, .offset = -256)},
        {0xf80ff3be, "stur x30, [x29, #255]", ST(8, 8, 30, 29, .offset = 255)},
        {0x389ff041, "ldursb x1, [x2, #-1]", LDS(1, 8, 1, 2, .offset = -1)},
        {0xb85fc841, "ldtr w1, [x2, #-4]", LD(4, 4, 1, 2, .offset = -4)},
        {0x38003841, "sttrb w1, [x2, #3]", ST(1, 4, 1, 2, .offset = 3)},
        {0xb8804841, "ldtrsw x1, [x2, #4]", LDS(4, 8, 1, 2, .offset = 4)},
    };

    CHECK_ALL(vectors);
}

TEST(a64_post_and_pre_index_write_the_base_back)
{
    static const struct vector vectors[] = {
        {0xb8404420, "ldr w0, [x1], #4", LD(4, 4, 0, 1, POST(4))},
        {0xf81f8420, "str x0, [x1], #-8", ST(8, 8, 0, 1, POST(-8))},
        {0x38c017e0, "ldrsb w0, [sp], #1", LDS(1, 4, 0, SP, POST(1))},
        {0xf85f0c62, "ldr x2, [x3, #-16]!", LD(8, 8, 2, 3, PRE(-16))},
        {0x78002c62, "strh w2, [x3, #2]!", ST(2, 4, 2, 3, PRE(2))},
        {0xb8804c62, "ldrsw x2, [x3, #4]!", LDS(4, 8, 2, 3, PRE(4))},
        {0xf81f0fff, "str xzr, [sp, #-16]!", ST(8, 8, ZR, SP, PRE(-16))},
    };

    CHECK_ALL(vectors);
}

TEST(a64_register_offsets_name_register_extension_and_shift)
{
    static const struct vector vectors[] = {
        {0xb8634841, "ldr w1, [x2, w3, uxtw]", LD(4, 4, 1, 2, INDEX(3, 2, 0))},
        {0xb8635841, "ldr w1, [x2, w3, uxtw #2]", LD(4, 4, 1, 2, INDEX(3, 2, 2))},
        {0xf8237841, "str x1, [x2, x3, lsl #3]", ST(8, 8, 1, 2, INDEX(3, 3, 3))},
        {0x38636841, "ldrb w1, [x2, x3]", LD(1, 4, 1, 2, INDEX(3, 3, 0))},
        {0x38637841, "ldrb w1, [x2, x3, lsl #0]", LD(1, 4, 1, 2, INDEX(3, 3, 0))},
        {0x78a3d841, "ldrsh x1, [x2, w3, sxtw #1]", LDS(2, 8, 1, 2, INDEX(3, 6, 1))},
        {0xb8a3f841, "ldrsw x1, [x2, x3, sxtx #2]", LDS(4, 8, 1, 2, INDEX(3, 7, 2))},
    };

    CHECK_ALL(vectors);
}

TEST(a64_pairs_have_two_registers_and_a_scaled_offset)
{
    static const struct vector vectors[] = {
        {0x29600861, "ldp w1, w2, [x3, #-256]", LD(4, 4, 1, 3, PAIR(2), .offset = -256)},
        {0xa91f8861, "stp x1, x2, [x3, #504]", ST(8, 8, 1, 3, PAIR(2), .offset = 504)},
        {0x69408861, "ldpsw x1, x2, [x3, #4]", LDS(4, 8, 1, 3, PAIR(2), .offset = 4)},
        {0xa8600861, "ldnp x1, x2, [x3, #-512]", LD(8, 8, 1, 3, PAIR(2), .offset = -512)},
        {0x281f8861, "stnp w1, w2, [x3, #252]", ST(4, 4, 1, 3, PAIR(2), .offset = 252)},
        {0xa8c10861, "ldp x1, x2, [x3], #16", LD(8, 8, 1, 3, PAIR(2), POST(16))},
        {0xa9be7bfd, "stp x29, x30, [sp, #-32]!", ST(8, 8, 29, SP, PAIR(30), PRE(-32))},
        {0x29c114c4, "ldp w4, w5, [x6, #8]!", LD(4, 4, 4, 6, PAIR(5), PRE(8))},
        {0x68ff0861, "ldpsw x1, x2, [x3], #-8", LDS(4, 8, 1, 3, PAIR(2), POST(-8))},
        {0xa8817c1f, "stp xzr, xzr, [x0], #16", ST(8, 8, ZR, 0, PAIR(ZR), POST(16))},
        {0xa9000401, "stp x1, x1, [x0]", ST(8, 8, 1, 0, PAIR(1))},
        {0xa9400400, "ldp x0, x1, [x0]", LD(8, 8, 0, 0, PAIR(1))},
    };

    CHECK_ALL(vectors);
}

TEST(a64_ordered_accesses_are_plain_ones)
{
    static const struct vector vectors[] = {
        {0x08dffc41, "ldarb w1, [x2]", LD(1, 4, 1, 2)},
        {0xc8dffc41, "ldar x1, [x2]", LD(8, 8, 1, 2)},
        {0x489ffc41, "stlrh w1, [x2]", ST(2, 4, 1, 2)},
        {0x889fffe1, "stlr w1, [sp]", ST(4, 4, 1, SP)},
        {0x88df7c41, "ldlar w1, [x2]", LD(4, 4, 1, 2)},
        {0xc89f7c41, "stllr x1, [x2]", ST(8, 8, 1, 2)},
        {0x38bfc041, "ldaprb w1, [x2]", LD(1, 4, 1, 2)},
        {0xf8bfc041, "ldapr x1, [x2]", LD(8, 8, 1, 2)},
        {0x995f8041, "ldapur w1, [x2, #-8]", LD(4, 4, 1, 2, .offset = -8)},
        {0x99804041, "ldapursw x1, [x2, #4]", LDS(4, 8, 1, 2, .offset = 4)},
        {0x19cff041, "ldapursb w1, [x2, #255]", LDS(1, 4, 1, 2, .offset = 255)},
        {0xd9010041, "stlur x1, [x2, #16]", ST(8, 8, 1, 2, .offset = 16)},
    };

    CHECK_ALL(vectors);
}
/* clang-format on */

static void refuse(uint32_t insn, const char *text)
{
    struct a64_insn_access access;

    if (a64_insn_decode(insn, &access))
        test_fail(__FILE__, __LINE__, "accepted: %s", text);
}

TEST(a64_insns_of_other_kinds_are_refused)
{
    refuse(0x00000000, "udf #0");
    refuse(0xd503201f, "nop");
    refuse(0xffffffff, "unallocated");
    refuse(0xf9800000, "prfm pldl1keep, [x0]");
    refuse(0xf8801000, "prfum pldl1keep, [x0, #1]");
    refuse(0xf8a16800, "prfm pldl1keep, [x0, x1]");
    refuse(0x18000040, "ldr w0, .+8");
    refuse(0x98000040, "ldrsw x0, .+8");
    refuse(0x3dc00020, "ldr q0, [x1]");
    refuse(0xfc008420, "str d0, [x1], #8");
    refuse(0x2d400440, "ldp s0, s1, [x2]");
    refuse(0x3c626820, "ldr b0, [x1, x2]");
    refuse(0x4c407000, "ld1 {v0.16b}, [x0]");
    refuse(0x885f7c20, "ldxr w0, [x1]");
    refuse(0x88007c41, "stxr w0, w1, [x2]");
    refuse(0xc87f8440, "ldaxp x0, x1, [x2]");
    refuse(0xc800fc41, "stlxr w0, x1, [x2]");
    refuse(0x88a07c41, "cas w0, w1, [x2]");
    refuse(0x48207c82, "casp x0, x1, x2, x3, [x4]");
    refuse(0xb8200041, "ldadd w0, w1, [x2]");
    refuse(0xf8208041, "swp x0, x1, [x2]");
    refuse(0x69000440, "stgp x0, x1, [x2]");
    refuse(0xd9200820, "stg x0, [x1]");
    refuse(0xd9600020, "ldg x0, [x1]");
    refuse(0xf8200420, "ldraa x0, [x1]");
    refuse(0xf8a01c20, "ldrab x0, [x1, #8]!");
    refuse(0xf83fd100, "ld64b x0, [x8]");
}

TEST(a64_unpredictable_and_unallocated_accesses_are_refused)
{
    refuse(0xb8404421, "ldr w1, [x1], #4");
    refuse(0xf8008c42, "str x2, [x2, #8]!");
    refuse(0xa8c10421, "ldp x1, x1, [x1], #16");
    refuse(0xa8c10420, "ldp x0, x1, [x1], #16");
    refuse(0xa9810042, "stp x2, x0, [x2, #16]!");
    refuse(0xa9400401, "ldp x1, x1, [x0]");
    refuse(0x08de7c41, "ldlarb w1, [x2], but Rs is not 31");
    refuse(0x68410861, "ldpsw without allocation");
    refuse(0xe9410861, "pair of opc 3");
    refuse(0xb9c00441, "ldrsw w1");
    refuse(0xf9c00441, "size 3, opc 3");
    refuse(0x38630841, "ldrb w1, [x2, w3, uxtb]");
}

TEST(a64_no_word_outside_the_load_store_group_is_decoded)
{
    struct a64_insn_access a;
    unsigned accepted = 0;

    for (uint64_t top = 0; top < BIT(22); top++) { /* All of bits 31..10; registers at random. */
        uint32_t insn = (uint32_t)(top << 10 | test_random_below(BIT(10)));

        if (!a64_insn_decode(insn, &a))
            continue;
        accepted++;
        ASSERT_EQ(insn & (BIT(27) | BIT(25)), BIT(27)); /* op1 = x1x0 [Arm ARM C4.1]. */
        ASSERT(bit_count(a.width) == 1 && a.width <= 8);
        ASSERT(a.reg_width == 4 || a.reg_width == 8);
        ASSERT(a.width <= a.reg_width && (a.load || !a.sign_extend));
        ASSERT(a.reg <= ZR && a.reg2 <= ZR && a.base <= SP && a.index_reg <= ZR);
        ASSERT(a.offset >= -512 && a.offset <= 4095 * a.width);
        ASSERT(a.writeback ? a.offset == 0 || a.offset == a.index : a.index == 0);
        ASSERT(!a.offset_reg || (a.offset == 0 && !a.writeback && !a.pair));
    }
    ASSERT(accepted > 150000);
}
