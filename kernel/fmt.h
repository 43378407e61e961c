/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one printf engine. %d %i %u %x %X %p %s %c %% with l, ll, z, j; width, 0, -, precision for
 * %s; and '#'. No floating point. Sinks receive pieces in order.
 */
#pragma once

#include <stdarg.h>

#include "kernel/types.h"

struct fmt_sink {
    void (*put)(struct fmt_sink *sink, const char *text, size_t size);
};

void fmt_vprint(struct fmt_sink *sink, const char *format, va_list args);
[[gnu::format(printf, 2, 3)]] void fmt_print(struct fmt_sink *sink, const char *format, ...);
/* As snprintf: never overruns, always ends with NUL (size > 0), returns the length wanted. */
[[gnu::format(printf, 3, 4)]] size_t fmt_buf(char *buf, size_t size, const char *format, ...);
size_t fmt_vbuf(char *buf, size_t size, const char *format, va_list args);
