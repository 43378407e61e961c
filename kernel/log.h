/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: a ring in memory, and the console when there is one. A line is
 * "[    0.123456] cpu1 warn: text". Any context, any pCPU; takes the log lock (highest rank), so
 * lines of different pCPUs do not mix. Before a console is attached lines wait in the ring and are
 * shown when it is.
 */
#pragma once

#include "kernel/fmt.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

[[gnu::format(printf, 2, 3)]] void log_at(enum log_level level, const char *format, ...);
void log_vat(enum log_level level, const char *format, va_list args);

/*
 * The same for one of many lines that come together, which a UART takes long for: shown as work of
 * this pCPU (or another, if it has a time table), in pieces, so that its guests run in between.
 * Lines that anybody logs meanwhile come behind it, in their order. Where the scheduler runs.
 */
[[gnu::format(printf, 2, 3)]] void log_later(enum log_level level, const char *format, ...);
/* What is yet to be shown is, now: before the machine goes off. */
void log_flush(void);
/* There are lines that are yet to be shown so; the last one finds this false. No lock held. */
bool log_is_behind(void);

/*
 * For text made in pieces, as one line or several that stay together: log_open() returns a sink,
 * log_close() ends the last line and shows it. The log lock is held in between.
 */
struct fmt_sink *log_open(enum log_level level);
void log_close(void);

#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__) /* Something asked for does not work. */
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)  /* It works, but not as the user may think. */
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)  /* What a user wants to read once. */
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__) /* For us. Kept in the ring, not shown. */

/* Lines above this level stay in the ring only. Default LOG_INFO. */
void log_set_level(enum log_level shown_max);

/* Where shown text goes. Called with the log lock held; must not log. Flushes the ring at once. */
void log_attach(void (*write)(const char *text, size_t size));

/* The whole ring, oldest first, to the given sink: the shell's "log". */
void log_replay(struct fmt_sink *sink);

/*
 * From here on do not take the lock: the machine is panicking. What was logged so far goes to the
 * firmware's console when there is no other yet.
 */
void log_panic_mode(void);
