/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host program `caisson`: what its files share. It ends with status 0, or 1 after a message on
 * stderr; functions that return bool have printed that message when they return false. Memory is
 * not given back: the program is short.
 */
#pragma once

#include "kernel/types.h"
#include "vcpu/config.h"

#define INCLUDES_MAX 32u
#define INPUTS_MAX   16u

struct options {
    const char *arch, *efi, *out;
    const char *includes[INCLUDES_MAX];
    unsigned include_count;
    const char *inputs[INPUTS_MAX];
    unsigned input_count;
    uint64_t cpus, ram, size;
    bool config_only;
};

/* The commands. */
bool command_check(const struct options *options);
bool command_explain(const struct options *options);
bool command_pack(const struct options *options);
bool command_disk(const struct options *options);

/* util.c */

/* "caisson: …" on stderr. */
[[gnu::format(printf, 1, 2)]] bool fail(const char *format, ...);
void *allocate(size_t size);
[[gnu::format(printf, 1, 2)]] char *text_of(const char *format, ...);
/* The whole file; NULL: errno says why. Ends with a NUL beyond *size. */
char *file_read(const char *path, size_t *size);
/* Under a temporary name first, so that there is never half of it. */
bool file_write(const char *path, const void *data, size_t size);
/* A name in this run's own temporary folder, which goes away at the end; NULL: fail()ed. */
const char *temp_path(const char *name);
/* Runs a program; argv ends with NULL. Its output goes to files when given, else to ours. False:
 * fail()ed. */
bool run(const char *const *argv, const char *package, const char *out, const char *err);

/* source.c: a device-tree source, compiled, with the lines of its nodes and properties. */

struct source_line {
    char *path, *property; /* property NULL: the node. */
    char *place;           /* "file.dts:12" */
};

struct source {
    const char *name; /* As the user gave it. */
    void *blob;
    size_t size;
    struct source_line *lines;
    size_t line_count;
};

bool source_load(struct source *source, const struct options *options);
/* "file.dts:12" of a property, else of its node, else of the nearest node above. */
const char *source_place(const struct source *source, const char *path, const char *property);

/* input.c: a configuration with its files. */

struct input {
    struct source source;
    const struct machine_layout *machine;
    void *packed; /* The tree with the files in it. */
    size_t packed_size;
    struct config config; /* Of packed. */
    unsigned mistakes;    /* Printed. */
};

/* False when it cannot be read at all; else mistakes counts what was reported. */
bool input_load(struct input *input, const struct options *options);

/* pe.c */

struct pe_file {
    uint8_t *data;
    size_t size;
};

#define PE_MACHINE_AARCH64 0xaa64u
#define PE_MACHINE_RISCV64 0x5064u
#define PE_MACHINE_X86_64  0x8664u

/* The machine field; 0: not a PE32+ file. */
unsigned pe_machine(const void *data, size_t size);
/* Adds a section with this data at the end of a PE32+ file, to a new buffer; NULL or what is wrong.
 */
const char *pe_add_section(const struct pe_file *in, const char *name, const void *data,
                           size_t size, struct pe_file *out);
