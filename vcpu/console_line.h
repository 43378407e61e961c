/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line on the host's console: who began it, and that nobody else writes into it. Part of the
 * console multiplexer; only vcpu/console.c uses it.
 */
#pragma once

#include "kernel/types.h"

struct chardev;

enum line_owner { LINE_NOBODY, LINE_GUEST, LINE_PROMPT, LINE_OURS };

/* broken: called when the log came over an unfinished line of the prompt; RANK_LOG may be held. */
void line_init(struct chardev *dev, void (*broken)(void));
bool line_exists(void); /* There is a host console. */

/* RANK_UART; no lock on the pCPU that panics. */
void line_take(void);
void line_drop(void);
/* With the line taken. A line that another owner left unfinished is ended first. */
void line_write(enum line_owner owner, const char *text, size_t size);
/* The same, with a carriage return before each newline. */
void line_write_crlf(enum line_owner owner, const char *text, size_t size);
/*
 * Whether the prompt's line was ended by somebody else (or line_break()) since the last call, and
 * it did not begin another. With the line taken.
 */
bool line_is_broken(void);
void line_break(void);

/* For log_attach(): takes and drops the line. */
void line_log(const char *text, size_t size);
