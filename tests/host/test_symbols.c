/* SPDX-License-Identifier: Apache-2.0 */
/* Names of functions: what tools/mksymtab makes of tests/host/symbols.nm. */
#include "kernel/symbols.h"

#include <string.h>

#include "tests/host/test.h"

extern const char _image_start[];

static bool find(uintptr_t at, char name[SYMBOL_NAME_MAX], uintptr_t *offset)
{
    return symbol_name((uintptr_t)_image_start + at, name, offset);
}

static void assert_name(uintptr_t at, const char *wanted, uintptr_t start)
{
    char name[SYMBOL_NAME_MAX];
    uintptr_t offset;

    ASSERT(find(at, name, &offset));
    ASSERT_EQ(strcmp(name, wanted), 0);
    ASSERT_EQ(offset, at - start);
}

TEST(a_function_is_named_from_its_first_byte_to_its_last)
{
    assert_name(0x40, "first", 0x40);
    assert_name(0x43, "first", 0x40);
    assert_name(0x44, "first_part", 0x44);
    assert_name(0xc3, "first_part", 0x44);
    assert_name(0x4100, "last", 0x4100);
    assert_name(0x20c0ff, "last", 0x4100);
}

TEST(a_long_name_is_cut)
{
    assert_name(0xc4, "name_of_more_than_forty_seven_bytes_which_gets_", 0xc4);
    assert_name(0x40ff, "name_of_more_than_forty_seven_bytes_which_gets_", 0xc4);
}

TEST(what_is_not_in_the_text_has_no_name)
{
    char name[SYMBOL_NAME_MAX];
    uintptr_t offset;

    ASSERT(!find(0, name, &offset));
    ASSERT(!find(0x3f, name, &offset));
    ASSERT(!find(0x20c100, name, &offset));
    ASSERT(!find(UINTPTR_MAX, name, &offset));
}
