/* SPDX-License-Identifier: Apache-2.0 */
/* The console multiplexer, on a UART that is an array. */
#include <pthread.h>

#include "drivers/chardev.h"
#include "kernel/bits.h"
#include "kernel/ipi.h"
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "mm/page.h"
#include "tests/host/test.h"
#include "vcpu/console.h"

#define ESCAPE 0x14

static char screen[65536];
static size_t screen_size;
static const char *typed;
static char got[2][64];
static struct chardev dev;
static struct console_port ports[2];

static void dev_write([[maybe_unused]] struct chardev *d, const char *text, size_t size)
{
    ASSERT(this_cpu()->ranks_held & BIT(RANK_UART));
    ASSERT(size < sizeof(screen));
    if (screen_size + size >= sizeof(screen))
        screen_size = 0; /* The log of all tests before: nobody reads it. */
    memcpy(screen + screen_size, text, size);
    screen_size += size;
    screen[screen_size] = 0;
}

static int dev_read([[maybe_unused]] struct chardev *d)
{
    return typed != NULL && *typed ? (uint8_t)*typed++ : -1;
}

static void dev_rx([[maybe_unused]] struct chardev *d, [[maybe_unused]] bool on)
{
}

static void input(struct console_port *port, char c)
{
    char *to = got[port - ports];
    size_t length = strlen(to);

    ASSERT_EQ(this_cpu()->ranks_held, 0);
    to[length] = c;
    to[length + 1] = 0;
}

static void clear(void)
{
    screen_size = 0;
    screen[0] = 0;
}

/* Ports "web" and "db"; the prompt has the focus and stands on an unfinished line. */
static void start(void)
{
    fake_ram(4 * MIB);
    timer_init_cpu();
    memset(got, 0, sizeof(got));
    memset(ports, 0, sizeof(ports));
    dev = (struct chardev){
        .name = "test", .irq = 33, .write = dev_write, .read = dev_read, .set_rx_irq = dev_rx};
    typed = NULL;
    ports[0].input = ports[1].input = input;
    console_init(&dev);
    ASSERT_OK(console_add(&ports[0], "web"));
    ASSERT_OK(console_add(&ports[1], "db"));
    console_start();
    clear();
}

static void put(unsigned port, const char *text)
{
    console_write(&ports[port], text, strlen(text));
}

static void type(const char *text)
{
    typed = text;
    dev.received(&dev);
}

static bool shown(const char *text)
{
    size_t size = strlen(text);

    for (size_t i = 0; i + size <= screen_size; i++) {
        if (memcmp(screen + i, text, size) == 0)
            return true;
    }
    return false;
}

/* The line that ends in text, NULL when there is none. */
static const char *line_with(const char *text)
{
    static char line[256];
    char *end = screen;

    for (char *begin = screen; *begin; begin = end + 1) {
        end = strchr(begin, '\n');
        if (end == NULL || (size_t)(end - begin) >= sizeof(line))
            break;
        memcpy(line, begin, (size_t)(end - begin));
        line[end - begin] = 0;
        if (strlen(line) >= strlen(text) + 1 &&
            memcmp(line + strlen(line) - strlen(text) - 1, text, strlen(text)) == 0)
            return line;
    }
    return NULL;
}

TEST(only_the_guest_with_the_focus_is_shown_and_its_text_is_not_changed)
{
    start();
    console_focus(&ports[0]);
    ASSERT_STR(screen, "\r\n--- web (Ctrl-T h: prompt, Ctrl-T n: next) ---\r\n");
    clear();
    put(1, "hidden");
    put(0, "login: ");
    ASSERT_STR(screen, "login: ");
    put(0, "root\n\x1b[0m\r\n");
    ASSERT_STR(screen, "login: root\n\x1b[0m\r\n");
}

TEST(what_was_printed_without_the_focus_is_shown_on_switching_and_once)
{
    start();
    put(1, "one\r\ntwo");
    console_focus(&ports[1]);
    ASSERT_STR(screen, "\r\n--- db (Ctrl-T h: prompt, Ctrl-T n: next) ---\r\none\r\ntwo");
    put(1, "!");
    console_focus(&ports[0]);
    clear();
    console_focus(&ports[1]);
    ASSERT_STR(screen, "--- db (Ctrl-T h: prompt, Ctrl-T n: next) ---\r\n");
}

TEST(a_backlog_keeps_its_last_bytes)
{
    char line[9];

    start();
    for (unsigned i = 0; i < 10000; i++) {
        for (unsigned j = 0, v = i; j < 7; j++, v /= 10)
            line[6 - j] = (char)('0' + v % 10);
        console_write(&ports[0], line, 7);
    }
    console_focus(&ports[0]);
    ASSERT_EQ(screen_size - strlen("\r\n--- web (Ctrl-T h: prompt, Ctrl-T n: next) ---\r\n"),
              CONSOLE_BACKLOG);
    ASSERT(shown("0009998"
                 "0009999"));
    ASSERT(memcmp(screen + screen_size - 7, "0009999", 7) == 0);
}

TEST(text_larger_than_a_backlog_keeps_its_end)
{
    static char big[3 * CONSOLE_BACKLOG];

    start();
    put(0, "before");
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)('a' + i % 26);
    console_write(&ports[0], big, sizeof(big));
    console_focus(&ports[0]);
    ASSERT(memcmp(screen + screen_size - CONSOLE_BACKLOG, big + sizeof(big) - CONSOLE_BACKLOG,
                  CONSOLE_BACKLOG) == 0);
}

TEST(what_is_typed_goes_to_the_focus)
{
    start();
    console_focus(&ports[0]);
    type("ls\r");
    ASSERT_STR(got[0], "ls\r");
    ASSERT_STR(got[1], "");
}

TEST(the_escape_key_switches_and_can_be_sent)
{
    start();
    type("\x14"
         "1a"
         "\x14"
         "2b"
         "\x14"
         "\x14"
         "\x14"
         "nc");
    ASSERT_STR(got[0], "a");
    ASSERT_STR(got[1], "b\x14"); /* Next after db is the prompt. */
    ASSERT(shown("--- prompt (Ctrl-T n: next, Ctrl-T ?: help) ---\r\n"));
    type("\x14"
         "nd"
         "\x14"
         "ne"
         "\x14"
         "hf"
         "\x14"
         "9"
         "\x14"
         "x");
    ASSERT_STR(got[0], "ad");
    ASSERT_STR(got[1], "b\x14"
                       "e");
    clear();
    type("\x14?");
    ASSERT(shown("--- Ctrl-T then"));
}

TEST(a_key_that_names_no_guest_changes_nothing)
{
    start();
    console_focus(&ports[1]);
    clear();
    type("\x14"
         "7"
         "\x14"
         "zx");
    ASSERT_STR(got[1], "x");
    ASSERT_STR(screen, "");
}

TEST(log_lines_stand_alone_beside_an_unfinished_line)
{
    start();
    console_focus(&ports[0]);
    clear();
    put(0, "login: ");
    log_warn("something happened");
    put(0, "root");
    ASSERT(memcmp(screen, "login: \r\n[", 10) == 0);
    ASSERT(line_with("something happened") != NULL);
    ASSERT(memcmp(screen + screen_size - 6, "\r\nroot", 6) == 0);
}

TEST(log_lines_after_a_finished_line_add_none)
{
    start();
    console_focus(&ports[0]);
    clear();
    put(0, "done\r\n");
    log_warn("one");
    log_warn("two");
    ASSERT(memcmp(screen, "done\r\n[", 7) == 0);
    ASSERT(!shown("\n\r\n"));
}

TEST(a_log_line_may_come_from_under_any_lock_but_the_logs)
{
    static struct lock locks[RANK_LOG];

    start();
    for (unsigned rank = 1; rank < RANK_LOG; rank++) {
        lock_init(&locks[rank], (enum lock_rank)rank, "test");
        lock_take(&locks[rank]);
    }
    log_warn("deep inside");
    for (unsigned rank = 1; rank < RANK_LOG; rank++)
        lock_drop(&locks[rank]);
    ASSERT(shown("deep inside"));
}

TEST(the_prompt_runs_as_work_and_comes_again_after_a_log_line)
{
    start();
    type("x");
    ASSERT_STR(screen, ""); /* Not in the interrupt. */
    ipi_run_work();
    ASSERT(screen_size > 0);
    ASSERT(screen[screen_size - 1] == 'x');
    log_warn("noise");
    ASSERT(memcmp(screen + screen_size - 7, "noise\r\n", 7) == 0);
    clear();
    ipi_run_work();
    ASSERT(shown("x"));
    clear();
    ipi_run_work();
    ASSERT_STR(screen, "");
    log_warn("more");
    console_focus(&ports[0]);
    clear();
    ipi_run_work();
    ASSERT_STR(screen, ""); /* Without the focus it says nothing. */
    console_focus(NULL);
    clear();
    ipi_run_work();
    ASSERT(shown("x"));
}

TEST(a_removed_port_gives_its_focus_and_memory_back)
{
    uint64_t free_pages;

    start();
    free_pages = page_free_count();
    console_focus(&ports[0]);
    console_remove(&ports[0]);
    ASSERT_EQ(page_free_count(), free_pages + (1u << CONSOLE_BACKLOG_ORDER));
    put(0, "a ghost");
    console_focus(&ports[0]);
    type("x");
    ASSERT_STR(got[0], "");
    ASSERT(!shown("ghost"));
    console_remove(&ports[0]);
    ASSERT_OK(console_add(&ports[0], "web"));
    ASSERT_ERR(E_EXISTS, console_add(&ports[0], "web"));
}

TEST(a_console_without_memory_says_so)
{
    struct console_port port = {0};

    start();
    while (page_alloc(CONSOLE_BACKLOG_ORDER) != NULL)
        ;
    ASSERT_ERR(E_NOMEM, console_add(&port, "late"));
    put(0, "still works");
    console_focus(&ports[0]);
    ASSERT(shown("still works"));
}

TEST(without_a_host_console_everything_is_kept)
{
    start();
    memset(ports, 0, sizeof(ports));
    console_init(NULL);
    ASSERT_OK(console_add(&ports[0], "web"));
    console_focus(&ports[0]);
    put(0, "kept");
    ASSERT_EQ(ports[0].written - ports[0].shown, 4);
    ASSERT_EQ(screen_size, 0);
}

TEST(a_console_without_an_interrupt_is_polled)
{
    start();
    console_focus(&ports[0]);
    dev.irq = 0;
    console_init(&dev);
    memset(ports, 0, sizeof(ports));
    ports[0].input = input;
    ASSERT_OK(console_add(&ports[0], "web"));
    console_start();
    console_focus(&ports[0]);
    typed = "hi";
    fake_advance(20000000);
    timer_expire();
    ASSERT_STR(got[0], "hi");
    typed = "!";
    fake_advance(20000000);
    timer_expire();
    ASSERT_STR(got[0], "hi!");
    timer_init_cpu();
}

/* --- Four pCPUs at once. --- */

#define WRITES 7000u /* Of each guest: less than a backlog. */

static _Atomic unsigned writers;

/* Guest n counts in 64 bytes of its own, which nobody else prints. */
static void *run_guest(void *arg)
{
    unsigned port = (unsigned)(uintptr_t)arg;

    fake_be_cpu(1 + port);
    for (unsigned i = 0; i < WRITES; i++) {
        char c = (char)(0x80 + 64 * port + i % 64);

        console_write(&ports[port], &c, 1);
    }
    writers--;
    return NULL;
}

static void *run_log([[maybe_unused]] void *arg)
{
    fake_be_cpu(3);
    for (unsigned i = 0; i < 50; i++)
        log_warn("a line");
    writers--;
    return NULL;
}

/* How many bytes of the guest's are on the screen, in the right order. */
static unsigned count_shown(unsigned port)
{
    unsigned count = 0;

    for (size_t i = 0; i < screen_size; i++) {
        uint8_t c = (uint8_t)screen[i];

        if (c < 0x80 || (c - 0x80u) / 64 != port)
            continue;
        ASSERT_EQ(c % 64, count % 64);
        count++;
    }
    return count;
}

TEST(guests_log_and_switching_at_once_lose_and_double_nothing)
{
    pthread_t threads[3];

    start();
    log_warn("so that the screen holds all the rest");
    clear();
    writers = 3;
    ASSERT_EQ(pthread_create(&threads[0], NULL, run_guest, (void *)0), 0);
    ASSERT_EQ(pthread_create(&threads[1], NULL, run_guest, (void *)1), 0);
    ASSERT_EQ(pthread_create(&threads[2], NULL, run_log, NULL), 0);
    for (unsigned i = 0; i < 200 || writers > 0; i++) {
        if (i < 200)
            console_focus(i % 3 == 2 ? NULL : &ports[i % 3]);
        ipi_run_work();
    }
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    console_focus(&ports[0]);
    console_focus(&ports[1]);
    ASSERT_EQ(count_shown(0), WRITES);
    ASSERT_EQ(count_shown(1), WRITES);
}
