/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host tests' harness. A test is named as the sentence it proves:
 *
 * TEST(a_list_that_was_emptied_is_empty) { ...; ASSERT(list_empty(&head)); }
 *
 * It registers itself. A failing assertion ends its test only. Each test starts with a fresh fake
 * (fake_reset()). No libc header but setjmp.h is drawn in, so that kernel headers may be included
 * beside.
 */
#pragma once

#include <setjmp.h>

#include "kernel/assert.h"
#include "kernel/err.h"
#include "kernel/types.h"
#include "tests/fake/fake.h"

struct test {
    const char *name, *file;
    void (*fn)(void);
    struct test *next;
};

void test_register(struct test *test);

#define TEST(name_)                                                                                \
    static void test_##name_(void);                                                                \
    __attribute__((constructor)) static void test_##name_##_register(void)                         \
    {                                                                                              \
        static struct test test = {.name = #name_, .file = __FILE__, .fn = test_##name_};          \
        test_register(&test);                                                                      \
    }                                                                                              \
    static void test_##name_(void)

[[gnu::noreturn, gnu::format(printf, 3, 4)]] void test_fail(const char *file, int line,
                                                            const char *format, ...);

void test_assert_eq(uint64_t a, uint64_t b, const char *text, const char *file, int line);
void test_assert_err(enum err want, enum err is, const char *text, const char *file, int line);
void test_assert_str(const char *a, const char *b, const char *text, const char *file, int line);

#define ASSERT(x) ((x) ? (void)0 : test_fail(__FILE__, __LINE__, "%s", #x))
/* Numbers or pointers, compared as 64-bit ones. */
#define ASSERT_EQ(a, b)                                                                            \
    test_assert_eq((uint64_t)(a), (uint64_t)(b), #a " == " #b, __FILE__, __LINE__)
#define ASSERT_OK(expr)     test_assert_err(OK, (expr), #expr, __FILE__, __LINE__)
#define ASSERT_ERR(e, expr) test_assert_err((e), (expr), #expr, __FILE__, __LINE__)
#define ASSERT_STR(a, b)    test_assert_str((a), (b), #a, __FILE__, __LINE__)

/*
 * The expression must run into an assert() of ours. Locks it holds stay held: reset the module
 * afterwards. Locals changed inside are lost.
 */
#define ASSERT_DIES(expr)                                                                          \
    do {                                                                                           \
        if (setjmp(fake_death) == 0) {                                                             \
            fake_expect_death(true);                                                               \
            (void)(expr);                                                                          \
            fake_expect_death(false);                                                              \
            test_fail(__FILE__, __LINE__, "did not die: %s", #expr);                               \
        }                                                                                          \
        fake_expect_death(false);                                                                  \
    } while (0)

/* Repeatable pseudo-random numbers; below() gives 0 ≤ x < limit. */
uint64_t test_random(void);
uint64_t test_random_below(uint64_t limit);
void test_random_seed(uint64_t seed);
