/* SPDX-License-Identifier: Apache-2.0 */
/* Typed reads of configuration properties; see config_read.h. */
#include "vcpu/config_read.h"

#include "kernel/fmt.h"
#include "kernel/string.h"

#define WORD_MAX 31u /* Longer names have no near one. */

void config_mistake(struct config_reader *r, int node, const char *property, const char *format,
                    ...)
{
    char path[160], text[320];
    va_list args;

    va_start(args, format);
    fmt_vbuf(text, sizeof(text), format, args);
    va_end(args);
    r->report->count++;
    r->report->property = property;
    r->report->mistake(r->report, fdt_path(r->fdt, node, path, sizeof(path)), text);
    r->report->property = NULL;
}

/* Single-character changes that make a of b (Levenshtein's distance, one row at a time). */
static unsigned word_distance(const char *a, const char *b)
{
    unsigned row[WORD_MAX + 1];
    size_t a_len = strlen(a), b_len = strlen(b);

    if (a_len > WORD_MAX || b_len > WORD_MAX)
        return WORD_MAX;
    for (unsigned j = 0; j <= b_len; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (unsigned j = 1; j <= b_len; j++) {
            unsigned replaced = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            row[j] = MIN(replaced, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[b_len];
}

static bool word_in(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(word, *list) == 0)
            return true;
    return false;
}

/* The word of the list that was probably meant; NULL when none is near. */
static const char *word_nearest(const char *word, const char *const *list)
{
    const char *best = NULL;
    unsigned best_distance = 3;

    for (; *list; list++) {
        unsigned distance = word_distance(word, *list);

        if (distance < best_distance && distance < strlen(word)) {
            best = *list;
            best_distance = distance;
        }
    }
    return best;
}

static void unknown(struct config_reader *r, int node, const char *property, const char *name,
                    const char *const *list)
{
    const char *what = property ? "property" : "node";
    const char *nearest = word_nearest(name, list);

    if (nearest)
        config_mistake(r, node, property, "unknown %s '%s', did you mean '%s'?", what, name,
                       nearest);
    else
        config_mistake(r, node, property, "unknown %s '%s'", what, name);
}

void config_known(struct config_reader *r, int node, const char *const *properties,
                  const char *const *children)
{
    const char *name;
    const void *value;
    size_t size;

    for (unsigned i = 0; (name = fdt_prop_at(r->fdt, node, i, &value, &size)); i++)
        if (!word_in(name, properties) && strcmp(name, "phandle") != 0)
            unknown(r, node, name, name, properties);
    if (!children)
        return;
    for (int child = fdt_first_child(r->fdt, node); child >= 0;
         child = fdt_next_child(r->fdt, child)) {
        name = fdt_name(r->fdt, child);
        if (!word_in(name, children))
            unknown(r, child, NULL, name, children);
    }
}

bool config_strings(struct config_reader *r, int node, const char *name)
{
    size_t size;
    const char *bytes = fdt_prop(r->fdt, node, name, &size);

    if (!bytes || size == 0 || bytes[size - 1] != '\0')
        return false;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)bytes[i] < ' ' && (bytes[i] != '\0' || (i == 0 && size > 1)) &&
            bytes[i] != '\t')
            return false;
    return true;
}

bool config_string(struct config_reader *r, int node, const char *name, const char **value)
{
    size_t size;
    const char *s;

    if (!fdt_prop(r->fdt, node, name, &size))
        return false;
    s = config_strings(r, node, name) ? fdt_str(r->fdt, node, name) : NULL;
    if (!s) {
        config_mistake(r, node, name, "'%s' must be a string", name);
        return false;
    }
    if (strlen(s) + 1 != size) {
        config_mistake(r, node, name, "'%s' must be one string, not a list", name);
        return false;
    }
    *value = s;
    return true;
}

/*
 * Is it a string of letters and digits? The tree does not say what type a property has. Cells pass
 * for one only when all their bytes but the last are letters or digits: no count is so large, and
 * for addresses tools/README.md recommends strings.
 */
static bool is_text(const char *bytes, size_t size)
{
    if (size < 2 || bytes[size - 1] != '\0')
        return false;
    for (size_t i = 0; i + 1 < size; i++) {
        char c = bytes[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            return false;
    }
    return true;
}

static bool number_read(struct config_reader *r, int node, const char *name, uint64_t *value)
{
    size_t size;
    const char *bytes = fdt_prop(r->fdt, node, name, &size);

    if (!bytes)
        return false;
    if (is_text(bytes, size) ? str_to_u64(bytes, value) : fdt_u64(r->fdt, node, name, value) == OK)
        return true;
    config_mistake(r, node, name, "'%s' must be a number, as <2>, \"2\" or \"0x40000000\"", name);
    return false;
}

bool config_number(struct config_reader *r, int node, const char *name, uint64_t min, uint64_t max,
                   uint64_t *value)
{
    uint64_t v;

    if (!number_read(r, node, name, &v))
        return false;
    if (v < min || v > max) {
        config_mistake(r, node, name, "'%s' is %llu; it must be from %llu to %llu", name,
                       (unsigned long long)v, (unsigned long long)min, (unsigned long long)max);
        return false;
    }
    *value = v;
    return true;
}

bool config_size(struct config_reader *r, int node, const char *name, uint64_t *value)
{
    size_t size;
    const char *s = fdt_prop(r->fdt, node, name, &size);
    uint64_t v;

    if (!s)
        return false;
    if (!is_text(s, size) || !str_to_size(s, &v)) {
        config_mistake(r, node, name, "'%s' must be a string with a size, such as \"256M\"", name);
        return false;
    }
    if (v == 0 || !IS_ALIGNED(v, PAGE_SIZE)) {
        config_mistake(r, node, name, "'%s' is \"%s\"; it must be a multiple of 4K, and not 0",
                       name, s);
        return false;
    }
    *value = v;
    return true;
}

bool config_address(struct config_reader *r, int node, const char *name, uint64_t *value)
{
    uint64_t v;

    if (!number_read(r, node, name, &v))
        return false;
    if (!IS_ALIGNED(v, PAGE_SIZE)) {
        config_mistake(r, node, name, "'%s' is 0x%llx; it must be a multiple of 0x1000", name,
                       (unsigned long long)v);
        return false;
    }
    *value = v;
    return true;
}

bool config_flag(struct config_reader *r, int node, const char *name, bool *value)
{
    size_t size;
    const char *s;

    if (!fdt_prop(r->fdt, node, name, &size))
        return false;
    s = size ? fdt_str(r->fdt, node, name) : "yes";
    if (!s || (strcmp(s, "yes") != 0 && strcmp(s, "no") != 0)) {
        config_mistake(r, node, name, "'%s' must be empty (yes), \"yes\" or \"no\"", name);
        return false;
    }
    *value = s[0] == 'y';
    return true;
}

/* "stop, restart or another" */
static void words_join(const char *const *words, char *buf, size_t size)
{
    size_t used = 0;

    buf[0] = '\0';
    for (unsigned i = 0; words[i] && used < size; i++) {
        const char *before = i == 0 ? "" : words[i + 1] ? ", " : " or ";

        used += fmt_buf(buf + used, size - used, "%s%s", before, words[i]);
    }
}

bool config_choice(struct config_reader *r, int node, const char *name, const char *const *words,
                   unsigned *value)
{
    const char *s;
    char all[96];

    if (!config_string(r, node, name, &s))
        return false;
    for (unsigned i = 0; words[i]; i++) {
        if (strcmp(s, words[i]) == 0) {
            *value = i;
            return true;
        }
    }
    words_join(words, all, sizeof(all));
    config_mistake(r, node, name, "'%s' is \"%s\"; it must be %s", name, s, all);
    return false;
}
