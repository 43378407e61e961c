/* SPDX-License-Identifier: Apache-2.0 */
/* The log's ring and console, and the report of a panic. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "tests/host/test.h"

#define RING (64 * KIB)

static char console[4 * RING];
static size_t console_size;
static char replay[2 * RING];
static size_t replay_size;

static void console_put(const char *text, size_t size)
{
    memcpy(console + console_size, text, size);
    console_size += size;
    console[console_size] = 0;
}

static void console_clear(void)
{
    console_size = 0;
    console[0] = 0;
}

static void replay_put(struct fmt_sink *, const char *text, size_t size)
{
    memcpy(replay + replay_size, text, size);
    replay_size += size;
    replay[replay_size] = 0;
}

static void replay_all(void)
{
    struct fmt_sink sink = {.put = replay_put};

    replay_size = 0;
    replay[0] = 0;
    log_replay(&sink);
}

static void attach(void)
{
    log_set_level(LOG_INFO);
    log_attach(console_put);
    console_clear();
}

TEST(a_line_has_time_processor_and_level)
{
    attach();
    log_info("hello %d", 1);
    ASSERT_STR(console, "[    0.000000] cpu0 hello 1\n");
    console_clear();
    fake_advance(12345678901);
    fake_be_cpu(3);
    log_warn("careful");
    ASSERT_STR(console, "[   12.345678] cpu3 warn: careful\n");
    console_clear();
    log_error("broken");
    ASSERT_STR(console, "[   12.345678] cpu3 error: broken\n");
}

TEST(debug_lines_stay_in_the_ring)
{
    attach();
    log_debug("secret 4711");
    ASSERT_STR(console, "");
    replay_all();
    ASSERT(strstr(replay, "cpu0 debug: secret 4711\n"));
    log_set_level(LOG_DEBUG);
    log_debug("shown");
    ASSERT(strstr(console, "debug: shown\n"));
    ASSERT(!strstr(console, "secret"));
}

TEST(lines_wait_for_a_console)
{
    attach();
    log_attach(NULL);
    log_info("one");
    log_debug("not this");
    log_info("two");
    ASSERT_STR(console, "");
    log_attach(console_put);
    ASSERT_STR(console, "[    0.000000] cpu0 one\n[    0.000000] cpu0 two\n");
    console_clear();
    log_attach(console_put);
    ASSERT_STR(console, "");
}

TEST(a_full_ring_loses_whole_lines_the_oldest_first)
{
    char want[64];

    attach();
    log_attach(NULL);
    for (unsigned i = 0; i < 10000; i++)
        log_info("line %u of many", i);
    replay_all();
    ASSERT(replay_size <= RING && replay_size > RING - 4096);
    ASSERT(strncmp(replay, "[    0.000000] cpu0 line ", 25) == 0);
    log_attach(console_put);
    ASSERT_STR(console, replay);
    fmt_buf(want, sizeof(want), "line %u of many\n", 9999);
    ASSERT_STR(replay + replay_size - strlen(want), want);
}

TEST(control_characters_do_not_reach_the_console)
{
    attach();
    log_info("a\033[2Jb\001c\td\r\n");
    ASSERT_STR(console, "[    0.000000] cpu0 a?[2Jb?c\td\n");
}

TEST(pieces_between_open_and_close_make_one_record)
{
    struct fmt_sink *sink;

    attach();
    sink = log_open(LOG_WARN);
    fmt_print(sink, "first %d\n", 1);
    fmt_print(sink, "  second\n");
    ASSERT_STR(console, "");
    log_close();
    ASSERT_STR(console, "[    0.000000] cpu0 warn: first 1\n  second\n");
}

TEST(a_record_longer_than_the_ring_breaks_nothing)
{
    struct fmt_sink *sink;

    attach();
    sink = log_open(LOG_INFO);
    for (unsigned i = 0; i < 3000; i++)
        fmt_print(sink, "%050u", i);
    log_close();
    log_info("after");
    replay_all();
    ASSERT(strstr(replay, "cpu0 after\n"));
    ASSERT(strstr(console, "cpu0 after\n"));
    for (unsigned i = 0; i < 5000; i++)
        log_debug("clean %u", i);
}

static unsigned panic_ipis;

static void panic_ipi_taken(struct pcpu *cpu)
{
    ASSERT(panic_under_way());
    panic_ipis |= 1u << cpu->id;
}

/* In a process of its own, since nothing comes after a panic. Returns a number of what is missing.
 */
static int panic_child(void)
{
    static struct arch_trap_frame frame;

    console_clear();
    fake.on_ipi = panic_ipi_taken;
    pcpu(1)->online = pcpu(2)->online = true;
    pcpu(3)->online = false;
    if (setjmp(fake_death) == 0) {
        fake_expect_death(true);
        panic_trap(&frame, "the number is %d", 42);
    }
    if (!strstr(console, "error: panic on cpu0: the number is 42\n"))
        return 1;
    if (!strstr(console, "backtrace:") || !strstr(console, "registers:"))
        return 2;
    if (panic_ipis != 6 || !panic_here())
        return 3;
    fake_be_cpu(1);
    if (panic_here())
        return 4;
    fake_be_cpu(0);
    if (setjmp(fake_death) == 0)
        panic("nested");
    if (!strstr(console, "nested\n"))
        return 5;
    console_clear();
    if (setjmp(fake_death) == 0)
        panic("and again");
    return console_size == 0 ? 0 : 6;
}

TEST(a_panic_reports_once_and_stops_the_others)
{
    int status;
    pid_t child;

    attach();
    child = fork();
    if (child == 0)
        _exit(panic_child());
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT(WIFEXITED(status));
    ASSERT_EQ(WEXITSTATUS(status), 0);
}

static int early_panic_child(void)
{
    log_attach(NULL);
    fake.console = true;
    log_warn("what led to it");
    if (setjmp(fake_death) == 0) {
        fake_expect_death(true);
        panic("before the console");
    }
    return !strstr(fake.console_output, "warn: what led to it\n")                       ? 1
           : !strstr(fake.console_output, "error: panic on cpu0: before the console\n") ? 2
                                                                                        : 0;
}

TEST(a_panic_before_the_console_is_reported_on_the_firmwares)
{
    int status;
    pid_t child;

    attach();
    child = fork();
    if (child == 0)
        _exit(early_panic_child());
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT(WIFEXITED(status));
    ASSERT_EQ(WEXITSTATUS(status), 0);
}
