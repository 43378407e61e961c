/* SPDX-License-Identifier: Apache-2.0 */
/* The 8259A without inputs. */
#include "tests/host/test.h"
#include "vcpu/chips/vpic.h"

static struct vpic pic;

static void out(unsigned offset, uint8_t value)
{
    pic.vdev.ops->write(&pic.vdev, 0, offset, 1, value);
}

static uint64_t in(unsigned offset)
{
    return pic.vdev.ops->read(&pic.vdev, 0, offset, 1);
}

TEST(an_8259_holds_its_mask_through_which_systems_find_it)
{
    vpic_init(&pic, 0x20);
    out(1, 0xfb);
    ASSERT_EQ(in(1), 0xfb);
    out(0, 0x20); /* The end of an interrupt that never was. */
    out(0, 0x0b); /* What is in service? */
    ASSERT_EQ(in(0), 0);
    ASSERT_EQ(in(1), 0xfb);
    pic.vdev.ops->reset(&pic.vdev);
    ASSERT_EQ(in(1), 0);
}

TEST(an_8259_takes_its_initialization_words_and_then_a_mask)
{
    static const struct {
        uint8_t first;
        unsigned words;
    } cases[] = {{0x11, 3}, {0x10, 2}, {0x13, 2}, {0x12, 1}};

    vpic_init(&pic, 0x20);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        out(1, 0xff);
        out(0, cases[i].first);
        ASSERT_EQ(in(1), 0);
        for (unsigned w = 0; w < cases[i].words; w++) {
            out(1, 0x44);
            ASSERT_EQ(in(1), 0);
        }
        out(1, 0x55);
        ASSERT_EQ(in(1), 0x55);
    }
}
