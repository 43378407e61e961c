/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console multiplexer: one host console, shared by the guests and the hypervisor's prompt. One
 * of them has the focus: what is typed goes to it, what it prints is shown. What others print is
 * kept (the last CONSOLE_BACKLOG bytes) and shown when they get the focus. The hypervisor's log is
 * always shown, on lines of its own.
 *
 * The escape key is Ctrl-T: then a digit 1-9 = that guest, h = the hypervisor's prompt, n = next,
 * Ctrl-T = send one Ctrl-T, ? = help.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/list.h"
#include "kernel/types.h"

#define CONSOLE_BACKLOG_ORDER 2u /* Pages, as a power of two. */
#define CONSOLE_BACKLOG       (PAGE_SIZE << CONSOLE_BACKLOG_ORDER)

/* A party: a guest's console. Embedded in the model of the guest's UART, which sets input. */
struct console_port {
    struct list node;
    const char *name;
    /* A character typed by the user. Called with the console lock dropped; any pCPU. */
    void (*input)(struct console_port *port, char c);
    char *backlog;           /* Ring of CONSOLE_BACKLOG bytes; valid in [shown, written). */
    uint64_t written, shown; /* Total bytes, for the ring. */
    bool listed;
};

struct chardev;

/*
 * Attaches the log to the host's console (NULL: there is none; everything is kept). Output only, so
 * it may come early. The prompt has the focus.
 */
void console_init(struct chardev *dev);
/*
 * Starts input and the prompt, which run on the calling pCPU from now on. When interrupts, timers
 * and work (kernel/ipi.h) are up: the last step of the boot.
 */
void console_start(void);
/* Order: of the calls. The name must live as long as the port. E_NOMEM, E_EXISTS. */
enum err console_add(struct console_port *port, const char *name);
/* After the return, port is not used any more. The prompt gets the focus if port had it. */
void console_remove(struct console_port *port);
/* The guest printed. Any pCPU. A port that was not added: dropped. */
void console_write(struct console_port *port, const char *text, size_t size);
/* Give the focus; NULL: the prompt. A port that was not added: no change. */
void console_focus(struct console_port *port);
/* A character was typed on the host's console: what the receive interrupt calls. Also for tests. */
void console_type(char c);
