/* SPDX-License-Identifier: Apache-2.0 */
/* Strings and numbers that people wrote: checked to the last character. Pure. */
#include "kernel/string.h"

bool str_copy(char *to, size_t size, const char *s)
{
    size_t length = strlen(s);
    bool fits = length < size;

    if (size == 0)
        return false;
    length = fits ? length : size - 1;
    memcpy(to, s, length);
    to[length] = 0;
    return fits;
}

/* The digit's value, or 16 and more for what is none. */
static unsigned str_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

/* Reads a number and returns what follows it; NULL when there is none or it does not fit. */
static const char *str_number(const char *s, uint64_t *value)
{
    unsigned base = 10;
    uint64_t v = 0;

    if (s[0] == '0' && (s[1] | 0x20) == 'x') {
        base = 16;
        s += 2;
    }
    if (str_digit(*s) >= base)
        return NULL;
    for (; str_digit(*s) < base; s++) {
        if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, str_digit(*s), &v))
            return NULL;
    }
    *value = v;
    return s;
}

bool str_to_u64(const char *s, uint64_t *value)
{
    uint64_t v;
    const char *rest = str_number(s, &v);

    if (!rest || *rest)
        return false;
    *value = v;
    return true;
}

bool str_to_size(const char *s, uint64_t *value)
{
    static const char units[] = "KMGT";
    uint64_t v;
    const char *rest = str_number(s, &v), *unit;

    if (!rest)
        return false;
    if (*rest) {
        unit = strchr(units, *rest);
        if (!unit || rest[1] || __builtin_mul_overflow(v, KIB << (10 * (unit - units)), &v))
            return false;
    }
    *value = v;
    return true;
}
