/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The printf engine. Pure; nothing is allocated, and a piece of any length goes to the sink as it
 * is. A conversion that it does not know is printed as it stands, so that a mistake can be seen.
 */
#include "kernel/fmt.h"

#include "kernel/string.h"

/* One conversion: "%-#0*.*llx". */
struct spec {
    bool left, zero, alternate;
    bool has_precision;
    int width, precision;
    char length; /* 0, 'l', 'L' for ll, 'z', 'j'. */
    char kind;
};

#define NUMBER_MAX 24 /* The longest: 2^64 in decimal, with a sign. */

static void fmt_put(struct fmt_sink *sink, const char *text, size_t size)
{
    if (size > 0)
        sink->put(sink, text, size);
}

static void fmt_pad(struct fmt_sink *sink, char with, int count)
{
    char run[16];

    memset(run, with, sizeof(run));
    for (; count > 0; count -= (int)sizeof(run))
        fmt_put(sink, run, (size_t)MIN(count, (int)sizeof(run)));
}

/* Prefix (sign or 0x) and text, padded to the width; zeros go between the two. */
static void fmt_field(struct fmt_sink *sink, const struct spec *spec, const char *prefix,
                      const char *text, size_t size)
{
    size_t prefix_size = strlen(prefix);
    int pad = 0;

    if (spec->width > 0 && (size_t)spec->width > prefix_size + size)
        pad = spec->width - (int)(prefix_size + size);
    if (!spec->left && !spec->zero)
        fmt_pad(sink, ' ', pad);
    fmt_put(sink, prefix, prefix_size);
    if (!spec->left && spec->zero)
        fmt_pad(sink, '0', pad);
    fmt_put(sink, text, size);
    if (spec->left)
        fmt_pad(sink, ' ', pad);
}

static void fmt_number(struct fmt_sink *sink, const struct spec *spec, const char *prefix,
                       uint64_t v, unsigned base)
{
    const char *digits = spec->kind == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[NUMBER_MAX], *start = text + sizeof(text);

    do {
        *--start = digits[v % base];
        v /= base;
    } while (v > 0);
    fmt_field(sink, spec, prefix, start, (size_t)(text + sizeof(text) - start));
}

static void fmt_string(struct fmt_sink *sink, struct spec *spec, const char *s)
{
    size_t max = spec->has_precision && spec->precision >= 0 ? (size_t)spec->precision : SIZE_MAX;

    spec->zero = false;
    if (!s)
        s = "(null)";
    fmt_field(sink, spec, "", s, strnlen(s, max));
}

/* A va_list may be an array, which is handed on as another type; a struct around it is not. */
struct fmt_args {
    va_list list;
};

static int64_t fmt_signed(struct fmt_args *args, char length)
{
    switch (length) {
    case 'l':
        return va_arg(args->list, long);
    case 'L':
        return va_arg(args->list, long long);
    case 'z':
        return va_arg(args->list, ptrdiff_t);
    case 'j':
        return va_arg(args->list, intmax_t);
    default:
        return va_arg(args->list, int);
    }
}

static uint64_t fmt_unsigned(struct fmt_args *args, char length)
{
    switch (length) {
    case 'l':
        return va_arg(args->list, unsigned long);
    case 'L':
        return va_arg(args->list, unsigned long long);
    case 'z':
        return va_arg(args->list, size_t);
    case 'j':
        return va_arg(args->list, uintmax_t);
    default:
        return va_arg(args->list, unsigned);
    }
}

/* A number in the format itself, or "*" for one among the arguments. */
static int fmt_parse_number(const char **p, struct fmt_args *args)
{
    int v = 0;

    if (**p == '*') {
        (*p)++;
        return va_arg(args->list, int);
    }
    for (; **p >= '0' && **p <= '9'; (*p)++)
        v = v < 100000 ? v * 10 + (**p - '0') : v;
    return v;
}

/* Reads what stands behind a '%', and returns what follows the conversion. */
static const char *fmt_parse(const char *p, struct spec *spec, struct fmt_args *args)
{
    *spec = (struct spec){0};
    for (; *p == '-' || *p == '0' || *p == '#'; p++) {
        spec->left |= *p == '-';
        spec->zero |= *p == '0';
        spec->alternate |= *p == '#';
    }
    spec->width = fmt_parse_number(&p, args);
    if (spec->width < 0) {
        spec->left = true;
        spec->width = -spec->width;
    }
    if (*p == '.') {
        p++;
        spec->has_precision = true;
        spec->precision = fmt_parse_number(&p, args);
    }
    if (*p == 'l' || *p == 'z' || *p == 'j')
        spec->length = *p++;
    if (spec->length == 'l' && *p == 'l') {
        spec->length = 'L';
        p++;
    }
    spec->kind = *p;
    return *p ? p + 1 : p;
}

/* False when there is no such conversion. */
static bool fmt_convert(struct fmt_sink *sink, struct spec *spec, struct fmt_args *args)
{
    const char *prefix = "";
    int64_t i;
    uint64_t u;
    char c;

    switch (spec->kind) {
    case 'd':
    case 'i':
        i = fmt_signed(args, spec->length);
        fmt_number(sink, spec, i < 0 ? "-" : "", i < 0 ? -(uint64_t)i : (uint64_t)i, 10);
        return true;
    case 'u':
        fmt_number(sink, spec, "", fmt_unsigned(args, spec->length), 10);
        return true;
    case 'x':
    case 'X':
        u = fmt_unsigned(args, spec->length);
        if (spec->alternate && u != 0)
            prefix = spec->kind == 'x' ? "0x" : "0X";
        fmt_number(sink, spec, prefix, u, 16);
        return true;
    case 'p':
        fmt_number(sink, spec, "0x", (uintptr_t)va_arg(args->list, void *), 16);
        return true;
    case 's':
        fmt_string(sink, spec, va_arg(args->list, const char *));
        return true;
    case 'c':
        c = (char)va_arg(args->list, int);
        spec->zero = false;
        fmt_field(sink, spec, "", &c, 1);
        return true;
    case '%':
        fmt_put(sink, "%", 1);
        return true;
    default:
        return false;
    }
}

void fmt_vprint(struct fmt_sink *sink, const char *format, va_list list)
{
    struct fmt_args args;
    struct spec spec;
    const char *percent;

    va_copy(args.list, list);
    while (*format) {
        percent = strchr(format, '%');
        if (!percent) {
            fmt_put(sink, format, strlen(format));
            break;
        }
        fmt_put(sink, format, (size_t)(percent - format));
        format = fmt_parse(percent + 1, &spec, &args);
        if (!fmt_convert(sink, &spec, &args))
            fmt_put(sink, percent, (size_t)(format - percent));
    }
    va_end(args.list);
}

void fmt_print(struct fmt_sink *sink, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fmt_vprint(sink, format, args);
    va_end(args);
}

struct buf_sink {
    struct fmt_sink sink;
    char *buf;
    size_t size;
    size_t wanted;
};

static void buf_put(struct fmt_sink *sink, const char *text, size_t size)
{
    struct buf_sink *out = container_of(sink, struct buf_sink, sink);

    /* The last byte is kept for the NUL. */
    if (out->wanted + 1 < out->size)
        memcpy(out->buf + out->wanted, text, MIN(size, out->size - 1 - out->wanted));
    out->wanted += size;
}

size_t fmt_vbuf(char *buf, size_t size, const char *format, va_list args)
{
    struct buf_sink out = {.sink.put = buf_put, .buf = buf, .size = size};

    fmt_vprint(&out.sink, format, args);
    if (size > 0)
        buf[MIN(out.wanted, size - 1)] = 0;
    return out.wanted;
}

size_t fmt_buf(char *buf, size_t size, const char *format, ...)
{
    va_list args;
    size_t wanted;

    va_start(args, format);
    wanted = fmt_vbuf(buf, size, format, args);
    va_end(args);
    return wanted;
}
