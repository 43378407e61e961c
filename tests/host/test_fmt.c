/* SPDX-License-Identifier: Apache-2.0 */
/* Formatting, compared with the C library's. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "kernel/fmt.h"
#include "tests/host/test.h"

#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
#pragma GCC diagnostic ignored "-Wformat-zero-length"
#pragma GCC diagnostic ignored "-Wformat-truncation"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

/* Both engines, into buffers of the same size; ends the test where they differ. */
#define CHECK(size, ...)                                                                           \
    do {                                                                                           \
        char ours_[256], theirs_[256];                                                             \
        size_t size_ = (size);                                                                     \
        memset(ours_, '#', sizeof(ours_));                                                         \
        memset(theirs_, '#', sizeof(theirs_));                                                     \
        ASSERT_EQ(fmt_buf(ours_, size_, __VA_ARGS__), snprintf(theirs_, size_, __VA_ARGS__));      \
        if (size_ > 0)                                                                             \
            ASSERT_STR(ours_, theirs_);                                                            \
        else                                                                                       \
            ASSERT_EQ(ours_[0], '#');                                                              \
    } while (0)

TEST(plain_text_and_percent_signs_are_copied)
{
    CHECK(100, "");
    CHECK(100, "abc");
    CHECK(100, "100%%");
    CHECK(100, "%%%d%%", 5);
}

TEST(numbers_print_as_in_the_c_library)
{
    CHECK(100, "%d %i %u %x %X", -1, 2, 3u, 0xabcu, 0xdefu);
    CHECK(100, "%ld %lld %zd %jd", -1l, -2ll, (ptrdiff_t)-3, (intmax_t)-4);
    CHECK(100, "%lu %llu %zu %ju", -1ul, -2ull, (size_t)-3, (uintmax_t)-4);
    CHECK(100, "%d %lld", INT_MIN, LLONG_MIN);
    CHECK(100, "%#x %#X %#x", 1u, 0xfu, 0u);
    CHECK(100, "%5d|%-5d|%05d|%-05d", -42, -42, -42, -42);
    CHECK(100, "%#10x|%#010x|%-#10x|", 0xbeefu, 0xbeefu, 0xbeefu);
    CHECK(100, "%*d|%-*d|%*d", 6, 1, 6, 2, -6, 3);
    CHECK(200, "%100d|%0100u", 1, 2u);
    CHECK(100, "%p", (void *)0x1234);
    CHECK(100, "%20p|", (void *)0x1234);
}

TEST(strings_print_as_in_the_c_library)
{
    const char unended[3] = {'a', 'b', 'c'};
    const char *volatile null = NULL;

    CHECK(100, "%s|%10s|%-10s|", "one", "two", "three");
    CHECK(100, "%.2s|%.0s|%.9s|%5.1s|%-5.1s|", "abc", "abc", "abc", "abc", "abc");
    CHECK(100, "%.*s|%.*s|", 2, "abcdef", -1, "abcdef");
    CHECK(100, "%.3s", unended);
    CHECK(100, "%c%c|%3c|%-3c|", 'x', 'y', 'z', 'w');
    CHECK(100, "%s", null);
}

TEST(a_short_buffer_is_never_overrun_and_always_ended)
{
    for (size_t size = 0; size < 40; size++) {
        CHECK(size, "%s and %d, %#x", "a string", 12345, 0xabcdefu);
        CHECK(size, "%20d", 7);
    }
}

TEST(an_unknown_conversion_is_printed_as_it_stands)
{
    char buf[64];

    ASSERT_EQ(fmt_buf(buf, sizeof(buf), "a %q b %d", 1), 8 - 1 + 1);
    ASSERT_STR(buf, "a %q b 1");
    fmt_buf(buf, sizeof(buf), "end %");
    ASSERT_STR(buf, "end %");
    fmt_buf(buf, sizeof(buf), "end %-08l");
    ASSERT_STR(buf, "end %-08l");
    fmt_buf(buf, sizeof(buf), "%p", (void *)NULL);
    ASSERT_STR(buf, "0x0");
}

/* One random conversion of a number: flags, width, length, kind. */
static void random_number_format(char *format, const char **length)
{
    static const char *const lengths[] = {"", "l", "ll", "z", "j"};
    static const char kinds[] = "diuxX";
    unsigned flags = (unsigned)test_random_below(8);
    char kind = kinds[test_random_below(5)];
    char width[8] = "";

    *length = lengths[test_random_below(5)];
    if (kind != 'x' && kind != 'X')
        flags &= ~4u; /* '#' has no meaning there. */
    if (test_random_below(2))
        snprintf(width, sizeof(width), "%u", 1 + (unsigned)test_random_below(40));
    snprintf(format, 32, "<%%%s%s%s%s%s%c>", flags & 1 ? "-" : "", flags & 2 ? "0" : "",
             flags & 4 ? "#" : "", width, *length, kind);
}

TEST(random_formats_of_random_numbers_agree_with_the_c_library)
{
    char format[32];
    const char *length;

    for (unsigned i = 0; i < 200000; i++) {
        uint64_t v = test_random() >> test_random_below(64);

        v = test_random_below(2) ? v : -v;
        random_number_format(format, &length);
        if (*length)
            CHECK(1 + test_random_below(60), format, v);
        else
            CHECK(1 + test_random_below(60), format, (unsigned)v);
    }
}

TEST(random_formats_of_random_strings_agree_with_the_c_library)
{
    char format[32], s[32];

    for (unsigned i = 0; i < 50000; i++) {
        size_t size = test_random_below(sizeof(s));

        memset(s, 'a' + (int)test_random_below(26), size);
        s[size] = 0;
        snprintf(format, sizeof(format), "<%%%s%u.%us>", test_random_below(2) ? "-" : "",
                 1 + (unsigned)test_random_below(40), (unsigned)test_random_below(40));
        CHECK(1 + test_random_below(60), format, s);
    }
}
