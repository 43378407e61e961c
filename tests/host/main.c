/* SPDX-License-Identifier: Apache-2.0 */
/* Runs all host tests, or those whose name contains the first argument ("_" and " " are alike). */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/host/test.h"

#define TEST_SECONDS 120u

static struct test *tests, **tests_end = &tests;
static jmp_buf test_end;
static bool test_running;
static uint64_t random_state;

void test_register(struct test *test)
{
    *tests_end = test;
    tests_end = &test->next;
}

/* Tests' names are printed as sentences. */
static const char *test_sentence(const char *name)
{
    static char sentence[256];
    size_t i;

    for (i = 0; name[i] && i < sizeof(sentence) - 1; i++)
        sentence[i] = name[i] == '_' ? ' ' : name[i];
    sentence[i] = 0;
    return sentence;
}

static const char *test_current = "";

void test_fail(const char *file, int line, const char *format, ...)
{
    va_list args;

    printf("FAIL %s: %s:%d: ", test_sentence(test_current), file, line);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    if (!test_running)
        __builtin_trap();
    longjmp(test_end, 1);
}

void test_assert_eq(uint64_t a, uint64_t b, const char *text, const char *file, int line)
{
    if (a != b)
        test_fail(file, line, "%s: %#llx, %#llx", text, (unsigned long long)a,
                  (unsigned long long)b);
}

void test_assert_err(enum err want, enum err is, const char *text, const char *file, int line)
{
    if (want != is)
        test_fail(file, line, "%s: '%s', not '%s'", text, err_text(is), err_text(want));
}

void test_assert_str(const char *a, const char *b, const char *text, const char *file, int line)
{
    if (!a || !b || strcmp(a, b) != 0)
        test_fail(file, line, "%s: \"%s\", not \"%s\"", text, a ? a : "(null)", b ? b : "(null)");
}

void test_random_seed(uint64_t seed)
{
    random_state = seed;
}

/* An additive counter, scrambled: equidistributed, and any seed is good. */
uint64_t test_random(void)
{
    uint64_t v = random_state += 0x9e3779b97f4a7c15;

    v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9;
    v = (v ^ v >> 27) * 0x94d049bb133111eb;
    return v ^ v >> 31;
}

uint64_t test_random_below(uint64_t limit)
{
    return test_random() % limit;
}

/* A lock that a dead test left behind, for one. */
static void test_hangs(int)
{
    printf("FAIL %s: takes longer than %u s\n", test_sentence(test_current), TEST_SECONDS);
    _exit(1);
}

static bool test_run(const struct test *test)
{
    test_current = test->name;
    test_random_seed(1);
    alarm(TEST_SECONDS);
    fake_reset();
    test_running = true;
    if (setjmp(test_end) != 0) {
        test_running = false;
        return false;
    }
    test->fn();
    test_running = false;
    printf("ok  %s\n", test_sentence(test->name));
    return true;
}

int main(int argc, char **argv)
{
    static char filter[256];
    unsigned passed = 0, failed = 0;

    signal(SIGALRM, test_hangs);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; argc > 1 && argv[1][i] && i < sizeof(filter) - 1; i++)
        filter[i] = argv[1][i] == ' ' ? '_' : argv[1][i];
    for (const struct test *test = tests; test; test = test->next) {
        if (!strstr(test->name, filter))
            continue;
        if (test_run(test))
            passed++;
        else
            failed++;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
