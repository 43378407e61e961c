/* SPDX-License-Identifier: Apache-2.0 */
/* Bits, fields, alignment. */
#include "kernel/bits.h"
#include "tests/host/test.h"

TEST(bits_are_named_high_bit_first)
{
    ASSERT_EQ(BIT(0), 1);
    ASSERT_EQ(BIT(63), 0x8000000000000000);
    ASSERT_EQ(BITS(63, 0), UINT64_MAX);
    ASSERT_EQ(BITS(0, 0), 1);
    ASSERT_EQ(BITS(18, 16), 0x70000);
    ASSERT_EQ(BITS(63, 60), 0xf000000000000000);
}

TEST(a_field_that_was_put_is_what_get_returns)
{
    for (unsigned i = 0; i < 1000; i++) {
        unsigned lo = (unsigned)test_random_below(64);
        unsigned hi = lo + (unsigned)test_random_below(64 - lo);
        uint64_t mask = BITS(hi, lo), v = test_random(), x = test_random();
        uint64_t kept = hi - lo == 63 ? x : x & (BIT(hi - lo + 1) - 1);

        ASSERT_EQ(field_get(mask, field_put(mask, x)), kept);
        ASSERT_EQ(field_get(mask, field_set(mask, v, x)), kept);
        ASSERT_EQ(field_set(mask, v, x) & ~mask, v & ~mask);
        ASSERT_EQ(field_get(mask, v), (v & mask) >> lo);
    }
}

TEST(bit_searches_agree_with_a_loop)
{
    for (unsigned i = 0; i < 64; i++) {
        uint64_t below = test_random() & (BIT(i) - 1),
                 above = test_random() & ~(BIT(i) | (BIT(i) - 1));

        ASSERT_EQ(bit_lowest(BIT(i) | above), i);
        ASSERT_EQ(bit_highest(BIT(i) | below), i);
        ASSERT_EQ(bit_count(BIT(i) - 1), i);
    }
}

TEST(alignment_rounds_both_ways)
{
    ASSERT_EQ(ALIGN_UP(0, 4096), 0);
    ASSERT_EQ(ALIGN_UP(1, 4096), 4096);
    ASSERT_EQ(ALIGN_DOWN(8191, 4096), 4096);
    ASSERT(IS_ALIGNED(8192, 4096));
    ASSERT(!IS_ALIGNED(8200, 4096));
}
