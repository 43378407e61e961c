/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's own string functions, under other names beside the C library's, which they are
 * compared with at all alignments; and reading numbers.
 */
#include <stdlib.h>
#include <string.h>

#define memcpy  our_memcpy
#define memmove our_memmove
#define memset  our_memset
#define memcmp  our_memcmp
#define memchr  our_memchr
#define strlen  our_strlen
#define strnlen our_strnlen
#define strcmp  our_strcmp
#define strncmp our_strncmp
#define strchr  our_strchr
#define strrchr our_strrchr
#define strtoul our_strtoul
#include "kernel/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#undef strrchr
#undef strtoul

#include "tests/host/test.h"

#define AREA 256u

static alignas(16) unsigned char ours[AREA], theirs[AREA], from[AREA];

static void scramble(void)
{
    for (unsigned i = 0; i < AREA; i++) {
        ours[i] = theirs[i] = (unsigned char)test_random();
        from[i] = (unsigned char)test_random();
    }
}

static bool same(void)
{
    return memcmp(ours, theirs, AREA) == 0;
}

TEST(memory_is_copied_and_set_at_every_alignment_and_size)
{
    for (unsigned to = 0; to < 9; to++) {
        for (unsigned at = 0; at < 9; at++) {
            for (unsigned size = 0; size < 100; size++) {
                scramble();
                ASSERT_EQ(our_memcpy(ours + to, from + at, size), ours + to);
                memcpy(theirs + to, from + at, size);
                ASSERT(same());
                ASSERT_EQ(our_memset(ours + to, (int)(at * 37 + size), size), ours + to);
                memset(theirs + to, (int)(at * 37 + size), size);
                ASSERT(same());
            }
        }
    }
}

TEST(overlapping_memory_is_moved_either_way)
{
    for (unsigned i = 0; i < 50000; i++) {
        size_t to = test_random_below(100), at = test_random_below(100);
        size_t size = test_random_below(120);

        if (i % 64 == 0)
            scramble();
        ASSERT_EQ(our_memmove(ours + to, ours + at, size), ours + to);
        memmove(theirs + to, theirs + at, size);
        ASSERT(same());
    }
}

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

TEST(memory_and_strings_compare_as_in_the_c_library)
{
    char a[24], b[24];

    for (unsigned i = 0; i < 100000; i++) {
        unsigned at = (unsigned)test_random_below(8), bt = (unsigned)test_random_below(8);
        size_t size = test_random_below(16);

        for (unsigned j = 0; j < sizeof(a); j++)
            a[j] = b[j] = (char)(test_random() | 1);
        a[23] = b[23] = 0;
        memcpy(b + bt, a + at, 15);
        if (i & 1)
            b[test_random_below(23)] = (char)test_random();
        if (i & 2)
            a[test_random_below(23)] = 0;
        ASSERT_EQ(sign(our_memcmp(a + at, b + bt, size)), sign(memcmp(a + at, b + bt, size)));
        ASSERT_EQ(sign(our_strcmp(a + at, b + bt)), sign(strcmp(a + at, b + bt)));
        ASSERT_EQ(sign(our_strncmp(a + at, b + bt, size)), sign(strncmp(a + at, b + bt, size)));
        ASSERT_EQ(our_strlen(a + at), strlen(a + at));
        ASSERT_EQ(our_strnlen(a + at, size), strnlen(a + at, size));
        ASSERT_EQ(our_memchr(a, b[0], 24), memchr(a, b[0], 24));
        ASSERT_EQ(our_strchr(a, b[0]), strchr(a, b[0]));
        ASSERT_EQ(our_strrchr(a, b[0]), strrchr(a, b[0]));
        ASSERT_EQ(our_strchr(a, 0), strchr(a, 0));
        ASSERT_EQ(our_strrchr(a, 0), strrchr(a, 0));
    }
}

TEST(strtoul_reads_numbers_as_the_c_library_does)
{
    static const char *const numbers[] = {
        "0",
        "12",
        " 12x",
        "-5",
        "+7",
        "0x1f",
        "0xg",
        "0x",
        "x",
        "",
        "-",
        "010",
        "08",
        "7fffffff",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999",
        "zz",
        "\t\n 3",
    };
    static const int bases[] = {0, 8, 10, 16, 36};

    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(bases); j++) {
            char *our_end, *end;

            ASSERT_EQ(our_strtoul(numbers[i], &our_end, bases[j]),
                      strtoul(numbers[i], &end, bases[j]));
            ASSERT_EQ(our_end, end);
        }
    }
}

TEST(a_copied_string_is_cut_to_the_buffer)
{
    char buf[4];

    ASSERT(str_copy(buf, sizeof(buf), "abc"));
    ASSERT_STR(buf, "abc");
    ASSERT(!str_copy(buf, sizeof(buf), "abcd"));
    ASSERT_STR(buf, "abc");
    ASSERT(str_copy(buf, sizeof(buf), ""));
    ASSERT_STR(buf, "");
    ASSERT(!str_copy(buf, 1, "x"));
    ASSERT_STR(buf, "");
    ASSERT(!str_copy(NULL, 0, ""));
}

TEST(a_number_is_read_to_the_last_character)
{
    static const char *const bad[] = {"",
                                      " 1",
                                      "1 ",
                                      "-1",
                                      "+1",
                                      "0x",
                                      "0xg",
                                      "1k",
                                      "x1",
                                      "1.5",
                                      "0x1z",
                                      "1_0",
                                      "18446744073709551616",
                                      "0x10000000000000000"};
    uint64_t v = 77;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ASSERT(!str_to_u64(bad[i], &v));
    ASSERT_EQ(v, 77);
    ASSERT(str_to_u64("18446744073709551615", &v));
    ASSERT_EQ(v, UINT64_MAX);
    ASSERT(str_to_u64("0xFfffffffFFFFFFFF", &v));
    ASSERT_EQ(v, UINT64_MAX);
    ASSERT(str_to_u64("007", &v));
    ASSERT_EQ(v, 7);
    ASSERT(str_to_u64("0", &v));
    ASSERT_EQ(v, 0);
}

TEST(a_size_has_units_of_1024)
{
    static const char *const bad[] = {"",    "K",  "1KB", "1 K",  "1k",        "1P",
                                      "1KK", "-1", "0xK", "1.5G", "16777216T", "17179869184G"};
    uint64_t v = 77;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ASSERT(!str_to_size(bad[i], &v));
    ASSERT_EQ(v, 77);
    ASSERT(str_to_size("64K", &v));
    ASSERT_EQ(v, 64 * KIB);
    ASSERT(str_to_size("512M", &v));
    ASSERT_EQ(v, 512 * MIB);
    ASSERT(str_to_size("2G", &v));
    ASSERT_EQ(v, 2 * GIB);
    ASSERT(str_to_size("1T", &v));
    ASSERT_EQ(v, 1024 * GIB);
    ASSERT(str_to_size("0x10M", &v));
    ASSERT_EQ(v, 16 * MIB);
    ASSERT(str_to_size("4096", &v));
    ASSERT_EQ(v, 4096);
    ASSERT(str_to_size("16777215T", &v));
    ASSERT_EQ(v, 16777215 * (1024 * GIB));
}
