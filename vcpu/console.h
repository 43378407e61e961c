/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console multiplexer: one host console, shared by the guests and the hypervisor's prompt. One of them has the focus: what
 * is typed goes to it, what it prints is shown. What others print is kept (the last CONSOLE_BACKLOG bytes) and shown when
 * they get the focus. The hypervisor's log is always shown, on lines of its own.
 *
 * The escape key is Ctrl-T: then a digit 1-9 = that guest, h = the hypervisor's prompt, n = next, Ctrl-T = send one
 * Ctrl-T, ? = help.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/list.h"
#include "kernel/types.h"

#define CONSOLE_BACKLOG 16384u

/* A party: a guest's console. Embedded in the VM. */
struct console_port {
    struct list node;
    const char *name;
    /* A character typed by the user. Called with the console lock dropped; any pCPU. */
    void (*input)(struct console_port *port, char c);
    char *backlog;             /* Ring of CONSOLE_BACKLOG bytes. */
    uint64_t written, shown;   /* Total bytes, for the ring. */
    bool listed;
};

struct chardev;

/* Attaches log and prompt to the host's console (NULL: there is none; everything is kept). */
void console_init(struct chardev *dev);
enum err console_add(struct console_port *port, const char *name); /* Order: of the calls. */
void console_remove(struct console_port *port);
/* The guest printed. Any pCPU. */
void console_write(struct console_port *port, const char *text, size_t size);
/* Give the focus; NULL: the prompt. */
void console_focus(struct console_port *port);
