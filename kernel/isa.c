/* SPDX-License-Identifier: Apache-2.0 */
/* ISA strings: see isa.h. */
#include "kernel/isa.h"

#include "kernel/string.h"

#define PREFIX_SIZE 4u /* "rv64" */

const char *isa_next(const char *isa, const char **at, size_t *length)
{
    const char *ext = *at ? *at : isa + strnlen(isa, PREFIX_SIZE);
    const char *end = ext + 1;

    if (*ext == '\0')
        return NULL;
    if (*ext == '_')
        for (ext++, end++; *end != '_' && *end != '\0';)
            end++;
    *length = (size_t)(end - ext);
    *at = end;
    return ext;
}

/* *end: where the string ends, when it has no such extension. */
static bool isa_find(const char *isa, const char *ext, size_t length, const char **end)
{
    const char *at = isa + strnlen(isa, PREFIX_SIZE);
    size_t same;

    for (; *at != '\0' && *at != '_'; at++)
        if (length == 1 && *at == *ext)
            return true;
    while (*at == '_') {
        at++;
        for (same = 0; same < length && at[same] == ext[same];)
            same++;
        for (at += same; *at != '\0' && *at != '_'; at++)
            same = 0;
        if (same == length)
            return true;
    }
    *end = at;
    return false;
}

static bool isa_has_length(const char *isa, const char *ext, size_t length)
{
    const char *end;

    return isa_find(isa, ext, length, &end);
}

bool isa_has(const char *isa, const char *ext)
{
    return isa_has_length(isa, ext, strlen(ext));
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

enum err isa_add(char *isa, size_t size, const char *ext, size_t length)
{
    size_t used, at = PREFIX_SIZE;
    const char *end;

    if (length == 0 || isa_find(isa, ext, length, &end))
        return OK;
    used = (size_t)(end - isa);
    if (used + length + 2 > size)
        return E_RANGE;
    if (length > 1) {
        isa[used] = '_';
        memcpy(isa + used + 1, ext, length);
        isa[used + 1 + length] = '\0';
        return OK;
    }
    while (isa[at] != '_' && isa[at] != '\0') /* Behind the other letters. */
        at++;
    memmove(isa + at + 1, isa + at, used - at + 1);
    isa[at] = *ext;
    return OK;
}

/* Characters of the extension that begins at s: s, x and z begin a long one, which ends at '_'. */
static size_t ext_size(const char *s)
{
    size_t size = 1;

    if (*s != 's' && *s != 'x' && *s != 'z')
        return 1;
    while (s[size] != '\0' && s[size] != '_')
        size++;
    return size;
}

/* Without a version at its end: "2p1", or "2" behind letters; digits inside of a name stay, and so
 * do those of "zic64b". */
static size_t ext_name_size(const char *s, size_t size)
{
    size_t end = size, digits = 0;

    while (end > 1 && is_digit(s[end - 1]))
        end--, digits++;
    if (digits > 0 && end > 2 && s[end - 1] == 'p' && is_digit(s[end - 2])) {
        end--;
        while (end > 1 && is_digit(s[end - 1]))
            end--;
        return end;
    }
    return size;
}

/* Behind a single letter: "2" or "2p1". */
static const char *skip_version(const char *s)
{
    if (!is_digit(*s))
        return s;
    while (is_digit(*s))
        s++;
    if (s[0] == 'p' && is_digit(s[1]))
        for (s++; is_digit(*s);)
            s++;
    return s;
}

enum err isa_copy(char *isa, size_t size, const char *from)
{
    char ext[32];

    if (size < PREFIX_SIZE + 2 || strnlen(from, PREFIX_SIZE + 1) <= PREFIX_SIZE ||
        lower(from[0]) != 'r' || lower(from[1]) != 'v' || from[2] != '6' || from[3] != '4')
        return E_INVALID;
    memcpy(isa, "rv64", PREFIX_SIZE + 1);
    for (from += PREFIX_SIZE; *from != '\0';) {
        size_t length;

        if (*from == '_') {
            from++;
            continue;
        }
        for (length = 0; length < sizeof(ext) - 1 && from[length] != '\0'; length++)
            ext[length] = lower(from[length]);
        ext[length] = '\0';
        if (ext[0] < 'a' || ext[0] > 'z')
            return E_INVALID;
        length = ext_size(ext);
        TRY(isa_add(isa, size, ext, ext_name_size(ext, length)));
        from += length;
        if (length == 1)
            from = skip_version(from);
        else
            while (*from != '\0' && *from != '_') /* The rest of a name that is too long. */
                from++;
    }
    return OK;
}

void isa_common(char *isa, const char *other)
{
    const char *at = NULL, *ext;
    char *to = isa + strnlen(isa, PREFIX_SIZE);
    size_t length;

    /* What is kept moves towards the beginning only, behind what is read. */
    while ((ext = isa_next(isa, &at, &length)) != NULL) {
        if (!isa_has_length(other, ext, length))
            continue;
        if (length > 1)
            *to++ = '_';
        memmove(to, ext, length);
        to += length;
    }
    *to = '\0';
}
