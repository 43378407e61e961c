/* SPDX-License-Identifier: Apache-2.0 */
/* The prompt: typed characters in, terminal output and commands run out. */
#include "kernel/shell.h"
#include "kernel/string.h"
#include "tests/host/test.h"

static char output[8192];
static size_t output_size;
static char ran[256]; /* The arguments of the last "probe". */

static void output_put(struct fmt_sink *sink, const char *text, size_t size)
{
    (void)sink;
    size = MIN(size, sizeof(output) - 1 - output_size);
    memcpy(output + output_size, text, size);
    output_size += size;
    output[output_size] = 0;
}

static struct fmt_sink output_sink = {.put = output_put};

SHELL_CMD(probe, "<a> [<b>]", "For tests", 1, 2)
{
    size_t at = 0;

    for (unsigned i = 1; i < argc; i++)
        at += fmt_buf(ran + at, sizeof(ran) - at, "(%s)", argv[i]);
    fmt_print(out, "probed\n");
}

static void output_clear(void)
{
    output_size = 0;
    output[0] = 0;
}

static void start(void)
{
    output_clear();
    ran[0] = 0;
    shell_start(&output_sink);
}

static void type(const char *s)
{
    while (*s)
        shell_input(*s++);
}

static void run(const char *s)
{
    char line[256];

    output_clear();
    str_copy(line, sizeof(line), s);
    shell_run_line(&output_sink, line);
}

static bool shows(const char *s)
{
    for (const char *p = output; *p; p++) {
        if (strncmp(p, s, strlen(s)) == 0)
            return true;
    }
    return false;
}

TEST(the_shell_runs_a_line_and_prompts_again)
{
    start();
    type("probe one\r");
    ASSERT_STR(ran, "(one)");
    ASSERT_STR(output, "caisson> probe one\nprobed\ncaisson> ");
}

TEST(the_shell_takes_cr_lf_as_one_enter)
{
    start();
    type("probe x\r\n");
    ASSERT_STR(output, "caisson> probe x\nprobed\ncaisson> ");
    type("\n");
    ASSERT(shows("caisson> \ncaisson> "));
}

TEST(backspace_and_arrows_edit_the_line)
{
    start();
    type("probe acx\b\033[Db\033[C!\r");
    ASSERT_STR(ran, "(abc!)");
    type("probe one two\027\027x\r"); /* ^W */
    ASSERT_STR(ran, "(x)");
    type("rubbish\025probe y\r"); /* ^U */
    ASSERT_STR(ran, "(y)");
    type("probe z\003\r"); /* ^C */
    ASSERT_STR(ran, "(y)");
    type("robe q\033[D\033[D\033[D\033[D\033[D\033[D\033[Dp\r");
    ASSERT_STR(ran, "(q)");
}

TEST(deleting_in_an_empty_line_does_nothing)
{
    start();
    type("\b\x7f\025\027\033[D\033[C\033[B\033[3~\033[1;5Hprobe a\r");
    ASSERT_STR(ran, "(a)");
}

TEST(history_goes_up_and_down_and_keeps_the_draft)
{
    start();
    type("probe 1\rprobe 2\rprobe 2\rprobe 3\r");
    type("\033[A\033[A\033[A\r");
    ASSERT_STR(ran, "(1)");
    type("probe draft\033[A\033[A\033[B\033[B\r");
    ASSERT_STR(ran, "(draft)");
}

TEST(history_keeps_the_last_sixteen_lines)
{
    char line[32];

    start();
    for (unsigned i = 0; i < 40; i++) {
        fmt_buf(line, sizeof(line), "probe %u\r", i);
        type(line);
    }
    for (unsigned i = 0; i < 30; i++)
        type("\033[A");
    type("\r");
    ASSERT_STR(ran, "(24)");
}

TEST(a_line_that_is_too_long_rings_and_is_kept)
{
    char want[256];
    size_t at;

    start();
    type("probe ");
    for (unsigned i = 0; i < 300; i++)
        shell_input('a');
    ASSERT(shows("\a"));
    type("\r");
    at = fmt_buf(want, sizeof(want), "(%0121u)", 0);
    for (size_t i = 1; i < at - 1; i++)
        want[i] = 'a';
    ASSERT_STR(ran, want);
}

TEST(refresh_shows_prompt_and_line_again)
{
    start();
    type("pro\033[D");
    output_clear();
    shell_refresh();
    ASSERT_STR(output, "\rcaisson> pro\033[K\b");
    type("\025");
}

TEST(a_wrong_number_of_arguments_prints_the_usage)
{
    ran[0] = 0;
    run("probe");
    ASSERT_STR(output, "usage: probe <a> [<b>]\n");
    run("probe 1 2 3");
    ASSERT_STR(output, "usage: probe <a> [<b>]\n");
    run("probe 1 2 3 4 5 6 7 8 9 10 11 12");
    ASSERT_STR(output, "usage: probe <a> [<b>]\n");
    ASSERT_STR(ran, "");
    run("  probe \t 1  2 ");
    ASSERT_STR(ran, "(1)(2)");
    run("   ");
    ASSERT_STR(output, "");
}

TEST(an_unknown_command_names_the_nearest)
{
    run("prboe 1");
    ASSERT(shows("'prboe'; did you mean 'probe'?"));
    run("prob");
    ASSERT(shows("did you mean 'probe'?"));
    run("zzzzzz");
    ASSERT(!shows("did you mean"));
    ASSERT(shows("'help'"));
}

TEST(help_lists_the_commands_in_order)
{
    const char *help, *probe;

    run("help");
    ASSERT(shows("  help [<command>]             List the commands, or explain one\n"));
    ASSERT(shows("  probe <a> [<b>]              For tests\n"));
    help = output, probe = output;
    while (strncmp(help, "  help ", 7) != 0)
        help++;
    while (strncmp(probe, "  probe ", 8) != 0)
        probe++;
    ASSERT(help < probe);
    run("help probe");
    ASSERT_STR(output, "usage: probe <a> [<b>]\nFor tests\n");
    run("help nothing-like-it");
    ASSERT(shows("There is no command"));
}

TEST(random_typing_keeps_the_line_in_its_bounds)
{
    static const char keys[] = "ab \b\x7f\025\027\003\r\n\033[ABCD1;~";

    start();
    for (unsigned i = 0; i < 200000; i++) {
        output_clear();
        shell_input(keys[test_random_below(sizeof(keys) - 1)]);
    }
    type("\003");
}
