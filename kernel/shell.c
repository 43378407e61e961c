/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prompt. Input comes a character at a time from the console's owner, who also sees to it that
 * one pCPU at a time is here; so there is no lock. The line is kept as text[0..size) with the
 * cursor at 0 ≤ cursor ≤ size; what the terminal shows is printed anew after each edit that is not
 * at its end.
 */
#include "kernel/shell.h"

#include "kernel/string.h"

#define PROMPT       "caisson> "
#define LINE_SIZE    128u /* With the NUL. */
#define HISTORY_SIZE 16u

#define CTRL(letter) ((letter)&0x1f)
#define ESCAPE       0x1b
#define DELETE       0x7f

LINKSET_DECLARE(shell_cmd);

/* What has come of an escape sequence: ESC [ digits final. */
enum escape { ESCAPE_NONE, ESCAPE_BEGUN, ESCAPE_BRACKET };

static struct fmt_sink *out;
static char text[LINE_SIZE];
static unsigned size, cursor;
static char history[HISTORY_SIZE][LINE_SIZE]; /* Line i is at i % HISTORY_SIZE. */
static unsigned history_count;                /* Lines ever kept. */
static unsigned history_at;                   /* The one shown; history_count: the draft. */
static char draft[LINE_SIZE];                 /* What was being typed before going up. */
static enum escape escape;
static char last; /* The character before this one: "\r\n" is one Enter. */

/* --- Commands --- */

static const struct shell_cmd *cmd_find(const char *name)
{
    linkset_for_each(shell_cmd, it)
    {
        const struct shell_cmd *cmd = *it;

        if (strcmp(cmd->name, name) == 0)
            return cmd;
    }
    return NULL;
}

/* The first in the alphabet behind the name given; NULL for the first of all. */
static const struct shell_cmd *cmd_next(const char *name)
{
    const struct shell_cmd *next = NULL;

    linkset_for_each(shell_cmd, it)
    {
        const struct shell_cmd *cmd = *it;

        if ((!name || strcmp(cmd->name, name) > 0) && (!next || strcmp(cmd->name, next->name) < 0))
            next = cmd;
    }
    return next;
}

/* How many characters must be added, left out or changed to make b of a; long names are far. */
static unsigned edit_distance(const char *a, const char *b)
{
    unsigned row[LINE_SIZE], diagonal, above, length = (unsigned)strlen(b);

    if (length >= LINE_SIZE)
        return UINT32_MAX;
    for (unsigned j = 0; j <= length; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1]; i++) {
        diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= length; j++) {
            above = row[j];
            row[j] = MIN(MIN(above, row[j - 1]) + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[length];
}

/* The command that may have been meant; NULL when none is near. */
static const struct shell_cmd *cmd_nearest(const char *name)
{
    const struct shell_cmd *nearest = NULL;
    unsigned best = MIN((unsigned)strlen(name) / 2, 2u) + 1, distance;

    linkset_for_each(shell_cmd, it)
    {
        const struct shell_cmd *cmd = *it;

        if (strncmp(cmd->name, name, strlen(name)) == 0)
            return cmd;
        distance = edit_distance(cmd->name, name);
        if (distance < best) {
            best = distance;
            nearest = cmd;
        }
    }
    return nearest;
}

static void cmd_unknown(struct fmt_sink *sink, const char *name)
{
    const struct shell_cmd *nearest = cmd_nearest(name);

    fmt_print(sink, "There is no command '%s'", name);
    if (nearest)
        fmt_print(sink, "; did you mean '%s'?", nearest->name);
    fmt_print(sink, " ('help' lists them all.)\n");
}

static void cmd_usage(struct fmt_sink *sink, const struct shell_cmd *cmd)
{
    fmt_print(sink, "usage: %s%s%s\n", cmd->name, *cmd->args ? " " : "", cmd->args);
}

SHELL_CMD(help, "[<command>]", "List the commands, or explain one", 0, 1)
{
    const struct shell_cmd *cmd = argc > 1 ? cmd_find(argv[1]) : cmd_next(NULL);
    char head[48];

    if (!cmd) {
        cmd_unknown(out, argv[1]);
        return;
    }
    if (argc > 1) {
        cmd_usage(out, cmd);
        fmt_print(out, "%s\n", cmd->help);
        return;
    }
    for (; cmd; cmd = cmd_next(cmd->name)) {
        fmt_buf(head, sizeof(head), "%s %s", cmd->name, cmd->args);
        fmt_print(out, "  %-28s %s\n", head, cmd->help);
    }
}

/* Cuts the line into words, in place. Returns their number, one more than max if there are more. */
static unsigned words_cut(char *line, char **words, unsigned max)
{
    unsigned count = 0;

    for (;;) {
        while (*line == ' ' || *line == '\t')
            *line++ = 0;
        if (*line == 0)
            return count;
        if (count == max)
            return max + 1;
        words[count++] = line;
        while (*line && *line != ' ' && *line != '\t')
            line++;
    }
}

void shell_run_line(struct fmt_sink *sink, char *line)
{
    char *argv[SHELL_ARGS_MAX];
    unsigned argc = words_cut(line, argv, SHELL_ARGS_MAX);
    const struct shell_cmd *cmd;

    if (argc == 0)
        return;
    cmd = cmd_find(argv[0]);
    if (!cmd)
        cmd_unknown(sink, argv[0]);
    else if (argc > SHELL_ARGS_MAX || argc - 1 < cmd->args_min || argc - 1 > cmd->args_max)
        cmd_usage(sink, cmd);
    else
        cmd->run(sink, argc, argv);
}

/* --- The line editor --- */

void shell_refresh(void)
{
    if (!out)
        return; /* There is no prompt before shell_start(). */
    fmt_print(out, "\r" PROMPT "%s\033[K", text);
    for (unsigned i = cursor; i < size; i++)
        fmt_print(out, "\b");
}

static void line_set(const char *s)
{
    str_copy(text, sizeof(text), s);
    size = cursor = (unsigned)strlen(text);
}

/* Takes text[from..cursor) out. */
static void line_cut(unsigned from)
{
    memmove(text + from, text + cursor, size - cursor + 1);
    size -= cursor - from;
    cursor = from;
    shell_refresh();
}

static void line_insert(char c)
{
    if (size + 1 == LINE_SIZE) {
        fmt_print(out, "\a");
        return;
    }
    memmove(text + cursor + 1, text + cursor, size - cursor + 1);
    text[cursor++] = c;
    size++;
    if (cursor == size)
        fmt_print(out, "%c", c);
    else
        shell_refresh();
}

static unsigned word_start(void)
{
    unsigned at = cursor;

    while (at > 0 && text[at - 1] == ' ')
        at--;
    while (at > 0 && text[at - 1] != ' ')
        at--;
    return at;
}

static void history_keep(void)
{
    const char *newest = history[(history_count + HISTORY_SIZE - 1) % HISTORY_SIZE];

    if (size > 0 && (history_count == 0 || strcmp(newest, text) != 0))
        str_copy(history[history_count++ % HISTORY_SIZE], LINE_SIZE, text);
}

static void history_show(unsigned at)
{
    if (at > history_count || at + HISTORY_SIZE < history_count)
        return;
    if (history_at == history_count)
        str_copy(draft, sizeof(draft), text);
    history_at = at;
    line_set(at == history_count ? draft : history[at % HISTORY_SIZE]);
    shell_refresh();
}

static void prompt_anew(void)
{
    line_set("");
    history_at = history_count;
    fmt_print(out, PROMPT);
}

static void line_enter(void)
{
    fmt_print(out, "\n");
    history_keep();
    shell_run_line(out, text);
    prompt_anew();
}

/* The end of an escape sequence. Others than the four arrows do nothing. */
static void escape_final(char c)
{
    escape = ESCAPE_NONE;
    switch (c) {
    case 'A':
        history_show(history_at - 1); /* Below 0 wraps, which is out of range as well. */
        break;
    case 'B':
        history_show(history_at + 1);
        break;
    case 'C':
        cursor += cursor < size;
        shell_refresh();
        break;
    case 'D':
        cursor -= cursor > 0;
        shell_refresh();
        break;
    default:
        break;
    }
}

/* True when the character belongs to an escape sequence. */
static bool escape_input(char c)
{
    if (c == ESCAPE) {
        escape = ESCAPE_BEGUN;
        return true;
    }
    if (escape == ESCAPE_BEGUN) {
        escape = c == '[' || c == 'O' ? ESCAPE_BRACKET : ESCAPE_NONE;
        return true;
    }
    if (escape == ESCAPE_BRACKET) {
        if ((c < '0' || c > '9') && c != ';')
            escape_final(c);
        return true;
    }
    return false;
}

static void edit_input(char c)
{
    switch (c) {
    case '\n':
        if (last != '\r')
            line_enter();
        break;
    case '\r':
        line_enter();
        break;
    case '\b':
    case DELETE:
        if (cursor > 0)
            line_cut(cursor - 1);
        break;
    case CTRL('U'):
        line_cut(0);
        break;
    case CTRL('W'):
        line_cut(word_start());
        break;
    case CTRL('C'):
        fmt_print(out, "^C\n");
        prompt_anew();
        break;
    default:
        if (c >= ' ' && c < DELETE)
            line_insert(c);
        break;
    }
}

void shell_input(char c)
{
    if (!out)
        return;
    if (!escape_input(c))
        edit_input(c);
    last = c;
}

void shell_start(struct fmt_sink *sink)
{
    out = sink;
    escape = ESCAPE_NONE;
    last = 0;
    prompt_anew();
}
