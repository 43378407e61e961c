/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line on the host's console.
 *
 * Invariant: owner is whoever wrote the last character that is not the end of a line; LINE_NOBODY
 * when the cursor is at the start of a line. The lock (RANK_UART, innermost) guards owner, broken
 * and the device; nothing is taken and nothing is logged under it. A panic goes without it: the
 * pCPU that holds it may be stopped for ever.
 */
#include "vcpu/console_line.h"

#include "drivers/chardev.h"
#include "kernel/assert.h"
#include "kernel/lock.h"
#include "kernel/panic.h"
#include "kernel/string.h"

static struct {
    struct lock lock;
    struct chardev *dev;
    enum line_owner owner;
    bool broken; /* Somebody ended the prompt's line for it. */
    void (*on_broken)(void);
} line;

void line_init(struct chardev *dev, void (*broken)(void))
{
    assert(broken != NULL);
    memset(&line, 0, sizeof(line));
    lock_init(&line.lock, RANK_UART, "console line");
    line.dev = dev;
    line.on_broken = broken;
}

bool line_exists(void)
{
    return line.dev != NULL;
}

void line_take(void)
{
    if (likely(!panic_here()))
        lock_take(&line.lock);
}

void line_drop(void)
{
    if (likely(!panic_here()))
        lock_drop(&line.lock);
}

/* After text: an end of line leaves it to nobody; carriage returns alone change nothing. */
static void line_own(enum line_owner owner, const char *text, size_t size)
{
    while (size > 0 && text[size - 1] == '\r')
        size--;
    if (size > 0)
        line.owner = text[size - 1] == '\n' ? LINE_NOBODY : owner;
}

/* Ends the line of another. */
static void line_enter(enum line_owner owner)
{
    if (line.owner == LINE_NOBODY || line.owner == owner)
        return;
    line.dev->write(line.dev, "\r\n", 2);
    line.broken = line.broken || line.owner == LINE_PROMPT;
    line.owner = LINE_NOBODY;
}

void line_write(enum line_owner owner, const char *text, size_t size)
{
    if (line.dev == NULL || size == 0)
        return;
    line_enter(owner);
    line.dev->write(line.dev, text, size);
    line_own(owner, text, size);
}

void line_write_crlf(enum line_owner owner, const char *text, size_t size)
{
    if (line.dev == NULL || size == 0)
        return;
    line_enter(owner);
    line_own(owner, text, size);
    while (size > 0) {
        const char *newline = memchr(text, '\n', size);
        size_t count = newline == NULL ? size : (size_t)(newline - text);

        line.dev->write(line.dev, text, count);
        if (newline == NULL)
            return;
        line.dev->write(line.dev, "\r\n", 2);
        text += count + 1;
        size -= count + 1;
    }
}

bool line_is_broken(void)
{
    bool broken = line.broken && line.owner != LINE_PROMPT;

    line.broken = false;
    return broken;
}

void line_break(void)
{
    line.broken = true;
}

void line_log(const char *text, size_t size)
{
    bool broken;

    line_take();
    line_write_crlf(LINE_OURS, text, size);
    broken = line.broken && line.owner == LINE_NOBODY;
    line_drop();
    if (unlikely(broken && !panic_here()))
        line.on_broken();
}
