/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of C's <string.h> that the compiler and libfdt call. Memory is moved by 64-bit
 * words, or halves of them, wherever both sides allow aligned accesses: before the MMU is on,
 * unaligned ones trap on some machines, and the kernel is compiled with strict alignment anyway.
 *
 * The compiler is told not to find memset() and memcpy() in these loops, which would call
 * themselves for ever. Host builds use the C library instead of this file; its test includes it
 * under other names.
 */
#include "kernel/string.h"

#pragma GCC optimize("no-tree-loop-distribute-patterns")

#define WORD sizeof(word_t)
#define HALF sizeof(half_t) /* The values of a device tree are aligned so, files in it too. */

typedef uint64_t __attribute__((may_alias)) word_t;
typedef uint32_t __attribute__((may_alias)) half_t;

static bool word_aligned(const void *p)
{
    return ((uintptr_t)p & (WORD - 1)) == 0;
}

/* From low to high addresses, so the target may overlap the source's beginning. */
static void *copy_up(void *to, const void *from, size_t size)
{
    unsigned char *t = to;
    const unsigned char *f = from;

    if ((((uintptr_t)t ^ (uintptr_t)f) & (WORD - 1)) == 0) {
        for (; size > 0 && !word_aligned(t); size--)
            *t++ = *f++;
        for (; size >= 4 * WORD; size -= 4 * WORD, t += 4 * WORD, f += 4 * WORD) {
            const word_t *in = (const void *)f;
            word_t *out = (void *)t, a = in[0], b = in[1], c = in[2], d = in[3];

            out[0] = a, out[1] = b, out[2] = c, out[3] = d;
        }
        for (; size >= WORD; size -= WORD, t += WORD, f += WORD)
            *(word_t *)(void *)t = *(const word_t *)(const void *)f;
    } else if ((((uintptr_t)t | (uintptr_t)f) & (HALF - 1)) == 0) {
        for (; size >= HALF; size -= HALF, t += HALF, f += HALF)
            *(half_t *)(void *)t = *(const half_t *)(const void *)f;
    }
    for (; size > 0; size--)
        *t++ = *f++;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    return copy_up(to, from, size);
}

void *memmove(void *to, const void *from, size_t size)
{
    unsigned char *t = (unsigned char *)to + size;
    const unsigned char *f = (const unsigned char *)from + size;

    /* Forward unless the end of the source would be overwritten before it is read. */
    if ((uintptr_t)to - (uintptr_t)from >= size)
        return copy_up(to, from, size);
    if ((((uintptr_t)t ^ (uintptr_t)f) & (WORD - 1)) == 0) {
        for (; size > 0 && !word_aligned(t); size--)
            *--t = *--f;
        for (; size >= WORD; size -= WORD) {
            t -= WORD, f -= WORD;
            *(word_t *)(void *)t = *(const word_t *)(const void *)f;
        }
    }
    for (; size > 0; size--)
        *--t = *--f;
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    unsigned char *t = to;
    word_t word = (unsigned char)byte * 0x0101010101010101u;

    for (; size > 0 && !word_aligned(t); size--)
        *t++ = (unsigned char)byte;
    for (; size >= 4 * WORD; size -= 4 * WORD, t += 4 * WORD) {
        word_t *out = (void *)t;

        out[0] = word, out[1] = word, out[2] = word, out[3] = word;
    }
    for (; size >= WORD; size -= WORD, t += WORD)
        *(word_t *)(void *)t = word;
    for (; size > 0; size--)
        *t++ = (unsigned char)byte;
    return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *p = a, *q = b;

    if (word_aligned(p) && word_aligned(q)) {
        while (size >= WORD && *(const word_t *)(const void *)p == *(const word_t *)(const void *)q)
            size -= WORD, p += WORD, q += WORD;
    }
    for (; size > 0; size--, p++, q++) {
        if (*p != *q)
            return *p < *q ? -1 : 1;
    }
    return 0;
}

void *memchr(const void *in, int byte, size_t size)
{
    for (const unsigned char *p = in; size > 0; size--, p++) {
        if (*p == (unsigned char)byte)
            return (void *)p;
    }
    return NULL;
}

size_t strlen(const char *s)
{
    const char *end = s;

    while (*end)
        end++;
    return (size_t)(end - s);
}

size_t strnlen(const char *s, size_t max)
{
    size_t size = 0;

    while (size < max && s[size])
        size++;
    return size;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t max)
{
    for (; max > 0; max--, a++, b++) {
        if (*a != *b)
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        if (*a == 0)
            break;
    }
    return 0;
}

char *strchr(const char *s, int c)
{
    for (; *s != (char)c; s++) {
        if (*s == 0)
            return NULL;
    }
    return (char *)s;
}

char *strrchr(const char *s, int c)
{
    const char *found = NULL;

    do {
        if (*s == (char)c)
            found = s;
    } while (*s++);
    return (char *)found;
}

static unsigned strtoul_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A') + 10;
    return UINT32_MAX;
}

/* Only libfdt calls this; our own code uses str_to_u64(), which sees every mistake. */
unsigned long strtoul(const char *s, char **end, int base)
{
    const char *p = s;
    bool minus, any = false, overflow = false;
    unsigned long value = 0;

    while (*p == ' ' || (*p >= '\t' && *p <= '\r'))
        p++;
    minus = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    if ((base == 0 || base == 16) && p[0] == '0' && (p[1] | 0x20) == 'x' &&
        strtoul_digit(p[2]) < 16) {
        base = 16;
        p += 2;
    }
    if (base == 0)
        base = *p == '0' ? 8 : 10;
    for (; strtoul_digit(*p) < (unsigned)base; p++, any = true) {
        overflow |= __builtin_mul_overflow(value, (unsigned long)base, &value);
        overflow |= __builtin_add_overflow(value, strtoul_digit(*p), &value);
    }
    if (end)
        *end = (char *)(any ? p : s);
    if (overflow)
        return ~0ul;
    return minus ? -value : value;
}
