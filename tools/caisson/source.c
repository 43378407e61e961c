/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device-tree sources. dtc compiles them and finds mistakes of syntax; run again with --annotate it
 * prints the tree with the line of each node and property, from which ours are named.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/caisson/tool.h"

#define PACKAGE   "device-tree-compiler"
#define PATH_SIZE 512u

/* The folder of the source, with its slash; "" when it has none. */
static char *folder_of(const char *name)
{
    const char *slash = strrchr(name, '/');

    return text_of("%.*s", slash ? (int)(slash - name) + 1 : 0, name);
}

/* dtc says "Error: file.dts:12.3-9 syntax error"; we say "file.dts:12: syntax error". */
static void errors_print(const char *errors)
{
    char *text = strdup(errors), *save = NULL;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *dot, *rest;

        if (strncmp(line, "FATAL ERROR: Unable to parse", 28) == 0)
            continue;
        line += strncmp(line, "Error: ", 7) == 0 ? 7 : 0;
        rest = strchr(line, ' ');
        dot = rest ? memrchr(line, '.', (size_t)(rest - line)) : NULL;
        if (dot && isdigit((unsigned char)dot[1]))
            fprintf(stderr, "%.*s:%s\n", (int)(dot - line), line, rest);
        else
            fprintf(stderr, "%s\n", line);
    }
    free(text);
}

static bool dtc_run(const struct options *options, const char *name, bool annotate, const char *out)
{
    const char *argv[2 * INCLUDES_MAX + 16] = {"dtc", "-q", "-I", "dts", "-O"};
    const char *errors = temp_path("dtc.err");
    unsigned count = 5;
    size_t size;
    bool ok;

    argv[count++] = annotate ? "dts" : "dtb";
    if (annotate)
        argv[count++] = "-T";
    for (unsigned i = 0; i < options->include_count; i++) {
        argv[count++] = "-i";
        argv[count++] = options->includes[i];
    }
    argv[count++] = "-o";
    argv[count++] = out;
    argv[count++] = name;
    ok = errors && run(argv, PACKAGE, NULL, errors);
    if (!ok && !annotate && errors) {
        char *text = file_read(errors, &size);

        if (text)
            errors_print(text);
    }
    return ok;
}

static void line_add(struct source *source, const char *path, const char *property,
                     const char *comment)
{
    const char *colon = strchr(comment, ':');
    int name_length = colon ? (int)(colon - comment) : 0;
    const char *base = strrchr(source->name, '/');
    char *place;

    if (!colon)
        return;
    base = base ? base + 1 : source->name;
    if (strncmp(base, comment, (size_t)name_length) == 0 && !base[name_length])
        place = text_of("%s:%d", source->name, atoi(colon + 1));
    else
        place = text_of("%s%.*s:%d", comment[0] == '/' ? "" : folder_of(source->name), name_length,
                        comment, atoi(colon + 1));
    if ((source->line_count & (source->line_count + 1)) == 0)
        source->lines =
            reallocarray(source->lines, 2 * (source->line_count + 1), sizeof(*source->lines));
    source->lines[source->line_count++] = (struct source_line){
        .path = strdup(path),
        .property = property ? strdup(property) : NULL,
        .place = place,
    };
}

static void path_push(char *path, const char *name, size_t length)
{
    size_t used = strlen(path);

    if (length == 1 && name[0] == '/')
        snprintf(path, PATH_SIZE, "/");
    else
        snprintf(path + used, PATH_SIZE - used, "%s%.*s", used > 1 ? "/" : "", (int)length, name);
}

static void path_pop(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash)
        slash[slash == path] = '\0';
}

/*
 * One line of dtc's output: the start of a node "web {", a property "cpus = <0x02>;" or an end
 * "};", each followed by a comment with file and line.
 */
static void annotation_read(struct source *source, char *line, char *path)
{
    char *comment = strstr(line, " /* "), *end;

    for (char *next = comment; next; next = strstr(next + 1, " /* "))
        comment = next; /* The last one: strings may hold such, too. */
    line += strspn(line, " \t");
    if (!comment || line > comment)
        return;
    *comment = '\0';
    comment += 4;
    if (line[0] == '}') {
        path_pop(path);
        return;
    }
    for (char *colon; (colon = strchr(line, ':')) && colon < line + strcspn(line, " =;{\"");)
        line = colon + 1 + strspn(colon + 1, " "); /* Labels. */
    end = line + strcspn(line, " =;{");
    if (comment[-5] == '{') {
        path_push(path, line, (size_t)(end - line));
        line_add(source, path, NULL, comment);
        return;
    }
    *end = '\0';
    line_add(source, path, line, comment);
}

static void lines_read(struct source *source, const struct options *options)
{
    const char *out = temp_path("annotated.dts");
    char path[PATH_SIZE] = "", *save = NULL, *text = NULL;
    size_t size;

    if (out && dtc_run(options, source->name, true, out))
        text = file_read(out, &size);
    for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save))
        annotation_read(source, line, path);
}

const char *source_place(const struct source *source, const char *path, const char *property)
{
    const struct source_line *best = NULL;
    size_t best_length = 0;

    for (size_t i = 0; i < source->line_count; i++) {
        const struct source_line *line = &source->lines[i];
        size_t length = strlen(line->path);

        if (property && line->property && strcmp(line->property, property) == 0 &&
            strcmp(line->path, path) == 0)
            return line->place;
        if (line->property || length < best_length || strncmp(line->path, path, length) != 0)
            continue;
        if (path[length] && path[length] != '/' && length > 1)
            continue;
        best = line;
        best_length = length;
    }
    return best ? best->place : source->name;
}

bool source_load(struct source *source, const struct options *options)
{
    const char *out = temp_path("config.dtb"), *text;
    size_t size;

    source->name = options->inputs[0];
    text = file_read(source->name, &size);
    if (!text)
        return fail("%s: %s", source->name, strerror(errno));
    if (size >= 4 && memcmp(text, "\xd0\x0d\xfe\xed", 4) == 0) { /* Compiled already. */
        source->blob = (void *)text;
        source->size = size;
        return true;
    }
    if (!out || !dtc_run(options, source->name, false, out))
        return false;
    source->blob = file_read(out, &source->size);
    if (!source->blob)
        return fail("%s: %s", out, strerror(errno));
    lines_read(source, options);
    return true;
}
