/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console multiplexer: who has the focus, and what is shown of whom.
 *
 * Two locks. console.lock (RANK_CONSOLE) guards the routing: ports, backlogs, focus, what waits for
 * the prompt. vcpu/console_line.c has the other (RANK_UART): the line on the screen. The log's
 * writer holds RANK_LOG and takes only the second, so a log line may come from under any lock.
 * Whoever shows text takes the line while it still holds console.lock and drops console.lock before
 * it writes: pieces keep their order, and a guest that is not shown never waits for the UART longer
 * than for one piece.
 *
 * Invariant: a port with the focus whose shown < written is being drained, by whoever wrote or
 * switched; each drains only up to where it itself saw the end, so no pCPU serves another's guest.
 *
 * The prompt (kernel/shell.h) runs on one pCPU, home, and only as work: never in an interrupt
 * handler, never twice at once.
 */
#include "vcpu/console.h"

#include "drivers/chardev.h"
#include "kernel/assert.h"
#include "kernel/fmt.h"
#include "kernel/ipi.h"
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/shell.h"
#include "kernel/string.h"
#include "kernel/timer.h"
#include "mm/page.h"
#include "vcpu/console_line.h"

#define KEY_ESCAPE 0x14 /* Ctrl-T. */
#define PIECE_SIZE 128u /* Of a backlog; at 115200 baud it takes 11 ms. */
#define TYPED_MAX  256u /* Characters that wait for the prompt. A power of two. */
#define POLL_NS    20000000u

static struct {
    struct lock lock;
    struct list ports;
    struct console_port *focus; /* NULL: the prompt. */
    bool ready, started;
    bool escaped;                           /* The escape key was typed. */
    _Atomic(struct console_port *) entered; /* Its input() is being called. */
    unsigned home;                          /* The pCPU of the prompt. */
    char typed[TYPED_MAX];                  /* For the prompt. */
    unsigned typed_head, typed_count;
    struct work work;
    struct timer poll;
    struct chardev *dev;
} console;

/* --- Output of guests. --- */

/* Keeps text in the ring; what was there longest gives way. console.lock held. */
static void backlog_put(struct console_port *port, const char *text, size_t size)
{
    if (size > CONSOLE_BACKLOG) {
        port->written += size - CONSOLE_BACKLOG;
        text += size - CONSOLE_BACKLOG;
        size = CONSOLE_BACKLOG;
    }
    while (size > 0) {
        size_t at = port->written % CONSOLE_BACKLOG;
        size_t count = MIN(size, CONSOLE_BACKLOG - at);

        memcpy(port->backlog + at, text, count);
        port->written += count;
        text += count;
        size -= count;
    }
    if (port->written - port->shown > CONSOLE_BACKLOG)
        port->shown = port->written - CONSOLE_BACKLOG;
}

/* The next bytes to show, at most PIECE_SIZE, and not beyond end. console.lock held. */
static size_t backlog_take(struct console_port *port, uint64_t end, char piece[PIECE_SIZE])
{
    size_t size = 0;

    while (size < PIECE_SIZE && port->shown < end)
        piece[size++] = port->backlog[port->shown++ % CONSOLE_BACKLOG];
    return size;
}

/* Shows the port's backlog up to end, as long as it has the focus. No lock held. */
static void console_drain(struct console_port *port, uint64_t end)
{
    char piece[PIECE_SIZE];
    size_t size;

    do {
        lock_take(&console.lock);
        size = console.focus == port ? backlog_take(port, end, piece) : 0;
        line_take();
        lock_drop(&console.lock);
        line_write(LINE_GUEST, piece, size);
        line_drop();
    } while (size > 0);
}

void console_write(struct console_port *port, const char *text, size_t size)
{
    bool shown;
    uint64_t end;

    lock_take(&console.lock);
    shown = console.focus == port && line_exists();
    if (shown && port->shown == port->written) {
        port->shown = port->written += size;
        line_take();
        lock_drop(&console.lock);
        line_write(LINE_GUEST, text, size);
        line_drop();
        return;
    }
    if (port->listed)
        backlog_put(port, text, size);
    end = port->written;
    lock_drop(&console.lock);
    if (shown)
        console_drain(port, end);
}

/* --- The prompt. --- */

static void console_kick_prompt(void)
{
    if (console.started)
        ipi_work(console.home, &console.work);
}

/* What the shell prints: shown when it has the focus, else dropped; the prompt comes again then. */
static void prompt_put([[maybe_unused]] struct fmt_sink *sink, const char *text, size_t size)
{
    bool shown;

    lock_take(&console.lock);
    shown = console.focus == NULL;
    line_take();
    lock_drop(&console.lock);
    if (shown)
        line_write_crlf(LINE_PROMPT, text, size);
    line_drop();
}

static struct fmt_sink prompt_sink = {.put = prompt_put};

/* The next character for the prompt, -1 when there is none. */
static int prompt_next(void)
{
    int c = -1;

    lock_take(&console.lock);
    if (console.typed_count > 0) {
        c = (uint8_t)console.typed[console.typed_head];
        console.typed_head = (console.typed_head + 1) % TYPED_MAX;
        console.typed_count--;
    }
    lock_drop(&console.lock);
    return c;
}

static bool prompt_wants_refresh(void)
{
    bool focused, broken;

    if (log_is_behind()) /* Its last line leads here again. */
        return false;
    lock_take(&console.lock);
    focused = console.focus == NULL;
    line_take();
    lock_drop(&console.lock);
    broken = line_is_broken();
    line_drop();
    return broken && focused;
}

/* On the home pCPU, no locks held. */
static void console_work([[maybe_unused]] struct work *work)
{
    assert(this_cpu()->id == console.home);
    for (int c = prompt_next(); c >= 0; c = prompt_next())
        shell_input((char)c);
    if (prompt_wants_refresh())
        shell_refresh();
}

/* --- Focus. --- */

/* console.lock held. */
static void console_print_focus(const struct console_port *port)
{
    char text[80];

    if (port != NULL)
        fmt_buf(text, sizeof(text), "--- %.32s (Ctrl-T h: prompt, Ctrl-T n: next) ---\n",
                port->name);
    else
        fmt_buf(text, sizeof(text), "--- prompt (Ctrl-T n: next, Ctrl-T ?: help) ---\n");
    line_take();
    line_write_crlf(LINE_OURS, text, strlen(text));
    if (port == NULL)
        line_break(); /* The prompt is to be shown again. */
    line_drop();
}

/* console.lock held; the caller drains the port's backlog up to *end afterwards. */
static void console_focus_locked(struct console_port *port, uint64_t *end)
{
    *end = 0;
    if (console.focus == port || (port != NULL && !port->listed))
        return;
    console.focus = port;
    console_print_focus(port);
    if (port != NULL)
        *end = port->written;
}

static void console_focus_finish(struct console_port *port, uint64_t end)
{
    if (port == NULL)
        console_kick_prompt();
    else if (line_exists() && end > 0)
        console_drain(port, end);
}

void console_focus(struct console_port *port)
{
    uint64_t end;

    lock_take(&console.lock);
    console_focus_locked(port, &end);
    lock_drop(&console.lock);
    console_focus_finish(port, end);
}

/* Prompt, first port, second port, …, prompt. console.lock held. */
static struct console_port *port_after(struct console_port *port)
{
    struct list *next = port == NULL ? console.ports.next : port->node.next;

    return next == &console.ports ? NULL : container_of(next, struct console_port, node);
}

/* console.lock held. */
static struct console_port *port_number(unsigned number)
{
    struct console_port *port = NULL;

    do
        port = port_after(port);
    while (port != NULL && --number > 0);
    return port;
}

/* --- Input. --- */

static void console_help(void)
{
    static const char text[] = "--- Ctrl-T then 1-9: guest, n: next, h: prompt, "
                               "Ctrl-T: send Ctrl-T ---\n";

    line_take();
    line_write_crlf(LINE_OURS, text, sizeof(text) - 1);
    line_drop();
    console_kick_prompt();
}

/* Gives the character to whoever has the focus. No locks held. */
static void console_deliver(char c)
{
    struct console_port *port;

    lock_take(&console.lock);
    port = console.focus;
    if (port != NULL) {
        atomic_store(&console.entered, port);
    } else if (console.typed_count < TYPED_MAX) {
        console.typed[(console.typed_head + console.typed_count) % TYPED_MAX] = c;
        console.typed_count++;
    }
    lock_drop(&console.lock);

    if (port == NULL) {
        console_kick_prompt();
        return;
    }
    if (port->input != NULL)
        port->input(port, c);
    atomic_store(&console.entered, NULL);
}

static void console_switch(char key)
{
    struct console_port *port;
    uint64_t end = 0;

    lock_take(&console.lock);
    if (key == 'n')
        port = port_after(console.focus);
    else if (key == 'h')
        port = NULL;
    else
        port = port_number((unsigned)(key - '0'));
    if (port != NULL || key == 'h' || key == 'n')
        console_focus_locked(port, &end);
    lock_drop(&console.lock);
    console_focus_finish(port, end);
}

void console_type(char c)
{
    bool escaped = console.escaped; /* Only the home pCPU takes the console's interrupt. */

    console.escaped = !escaped && c == KEY_ESCAPE;
    if (console.escaped)
        return;
    if (!escaped || c == KEY_ESCAPE)
        console_deliver(c);
    else if (c == 'n' || c == 'h' || (c >= '1' && c <= '9'))
        console_switch(c);
    else if (c == '?')
        console_help();
}

static void console_received(struct chardev *dev)
{
    for (int c = dev->read(dev); c >= 0; c = dev->read(dev))
        console_type((char)c);
}

/* A UART without an interrupt is looked at from time to time. */
static void console_poll(struct timer *timer)
{
    console_received(console.dev);
    timer_arm(timer, arch_ticks() + ticks_from_ns(POLL_NS));
}

/* --- Setting up. --- */

/* The log came over the prompt: called by the log's writer, RANK_LOG may be held. */
static void console_broken(void)
{
    console_kick_prompt();
}

void console_init(struct chardev *dev)
{
    memset(&console, 0, sizeof(console)); /* Tests come here again and again. */
    lock_init(&console.lock, RANK_CONSOLE, "console");
    list_init(&console.ports);
    console.dev = dev;
    console.work.fn = console_work;
    console.ready = true;
    timer_init(&console.poll, console_poll);
    line_init(dev, console_broken);
    if (dev != NULL)
        log_attach(line_log);
}

void console_start(void)
{
    assert(console.ready && !console.started);
    console.home = this_cpu()->id;
    shell_start(&prompt_sink);
    console.started = true;
    if (console.dev == NULL)
        return;
    console.dev->received = console_received;
    if (console.dev->irq != 0)
        console.dev->set_rx_irq(console.dev, true);
    else
        timer_arm(&console.poll, arch_ticks() + ticks_from_ns(POLL_NS));
}

enum err console_add(struct console_port *port, const char *name)
{
    assert(console.ready);
    if (port->listed)
        return E_EXISTS;
    port->backlog = page_alloc(CONSOLE_BACKLOG_ORDER);
    if (port->backlog == NULL)
        return E_NOMEM;
    port->name = name;
    port->written = port->shown = 0;
    lock_take(&console.lock);
    list_push_back(&console.ports, &port->node);
    port->listed = true;
    lock_drop(&console.lock);
    return OK;
}

void console_remove(struct console_port *port)
{
    bool had_focus;
    uint64_t end;

    if (!port->listed)
        return;
    lock_take(&console.lock);
    had_focus = console.focus == port;
    if (had_focus)
        console_focus_locked(NULL, &end);
    list_remove(&port->node);
    port->listed = false;
    lock_drop(&console.lock);
    while (atomic_load(&console.entered) == port)
        arch_relax();
    page_free(port->backlog, CONSOLE_BACKLOG_ORDER);
    port->backlog = NULL;
    if (had_focus)
        console_focus_finish(NULL, 0);
}
