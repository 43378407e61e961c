/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checked reads of a flattened device tree (fdt.c, and fdt_bus.c where buses matter), and a
 * sequential writer (fdt_write.c, the only user of libfdt). A node is an int: its offset, negative
 * when absent. Pure; used in the kernel and on the host. [Devicetree Specification 0.4] (fdt_str()
 * is not named fdt_string(), because libfdt has that name.)
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"

/* More levels than any machine has: a tree that is deeper is refused. */
#define FDT_DEPTH_MAX 32u

struct fdt {
    const void *blob;
    size_t size;
    /* The rest is fdt.c's: where the two blocks are. */
    const uint8_t *structure;
    const char *strings;
    uint32_t structure_size, strings_size;
};

/*
 * Checks header, sizes and structure against limit (bytes that may be read). Aligned to 8 bytes,
 * version 17. This looks at all of the tree: open it once and hand the struct on.
 */
enum err fdt_open(struct fdt *fdt, const void *blob, size_t limit);

int fdt_node(const struct fdt *fdt, const char *path);              /* "/vms", < 0: none. */
int fdt_child(const struct fdt *fdt, int parent, const char *name); /* With or without @unit. */
int fdt_first_child(const struct fdt *fdt, int parent);
int fdt_next_child(const struct fdt *fdt, int node);
/* Index of the name (the last is NULL) that is one of the "compatible" strings; < 0: none is. */
int fdt_compatible(const struct fdt *fdt, int node, const char *const *names);
bool fdt_is_compatible(const struct fdt *fdt, int node, const char *compatible);
const char *fdt_name(const struct fdt *fdt, int node);
/* Full path into buf (cut if too long); returns buf. */
const char *fdt_path(const struct fdt *fdt, int node, char *buf, size_t size);
/* True unless there is a "status" other than "okay" or "ok". */
bool fdt_is_enabled(const struct fdt *fdt, int node);

/* Property bytes, NULL when absent. */
const void *fdt_prop(const struct fdt *fdt, int node, const char *name, size_t *size);
/* Iterates a node's properties: index from 0; NULL name at the end. */
const char *fdt_prop_at(const struct fdt *fdt, int node, unsigned index, const void **value,
                        size_t *size);
bool fdt_has(const struct fdt *fdt, int node, const char *name);
/* The string, checked to end with NUL inside the property; NULL when absent or not a string. */
const char *fdt_str(const struct fdt *fdt, int node, const char *name);
/* The index'th of a list of strings, NULL beyond the end. */
const char *fdt_str_at(const struct fdt *fdt, int node, const char *name, unsigned index);
/* The first string of a property's value that is such a list, which is then what lies behind it;
 * NULL when there is none that ends. */
const char *fdt_strings_next(const char **list, size_t *size);
/* The index'th 32-bit cell; E_ABSENT when there is no such property, E_RANGE beyond its end. */
enum err fdt_u32(const struct fdt *fdt, int node, const char *name, unsigned index, uint32_t *v);
/* The number that is in one or two cells. */
uint64_t fdt_cells(const uint8_t *cells, unsigned count);
/* A number of one or two cells, by the property's size. E_INVALID for other sizes. */
enum err fdt_u64(const struct fdt *fdt, int node, const char *name, uint64_t *v);
/* Memory reservation block. */
bool fdt_reservation(const struct fdt *fdt, unsigned index, uint64_t *base, uint64_t *size);

/*
 * A walk over all nodes, parents first. Begins as {.fdt = fdt}; is at a node, and knows those that
 * it lies in, whenever fdt_walk_next() has returned true.
 */
struct fdt_walk {
    const struct fdt *fdt;
    unsigned depth; /* Of the path: 1 at the root. */
    int path[FDT_DEPTH_MAX];
};

/* False behind the last node; the walk is used up then. */
bool fdt_walk_next(struct fdt_walk *walk);
/* The walk that is at this node; false: there is none. */
bool fdt_walk_to(struct fdt_walk *walk, const struct fdt *fdt, int node);

static inline int fdt_walk_node(const struct fdt_walk *walk)
{
    return walk->path[walk->depth - 1];
}

/*
 * The index'th (address, size) of "reg", by the parent's #address-cells and #size-cells, and
 * translated through the "ranges" of all parents.
 */
enum err fdt_walk_reg(const struct fdt_walk *walk, unsigned index, uint64_t *base, uint64_t *size);
/*
 * The index'th interrupt's specifier cells, taking the inherited #interrupt-cells into account.
 * Returns the number of cells. The controller is searched for by its handle, unless it is the one
 * guessed (< 0: no guess).
 */
unsigned fdt_walk_interrupt(const struct fdt_walk *walk, int guess, unsigned index,
                            uint32_t cells[4]);
/* The same for a node that is known without its parents: each is a walk from the start. */
enum err fdt_reg(const struct fdt *fdt, int node, unsigned index, uint64_t *base, uint64_t *size);
unsigned fdt_interrupt(const struct fdt *fdt, int node, unsigned index, uint32_t cells[4]);
int fdt_parent(const struct fdt *fdt, int node);

/*
 * Sequential writer. Errors are sticky: the first is kept, later calls do nothing, and
 * fdt_write_end() returns it (E_NOMEM: buffer too small).
 */
struct fdt_writer {
    void *buf;
    size_t size;
    int error; /* libfdt's. */
};

void fdt_write_begin(struct fdt_writer *w, void *buf, size_t size);
/* The first node is the root, "/". */
[[gnu::format(printf, 2, 3)]] void fdt_write_node(struct fdt_writer *w, const char *name, ...);
void fdt_write_node_end(struct fdt_writer *w);
void fdt_write_u32(struct fdt_writer *w, const char *name, uint32_t v);
void fdt_write_u64(struct fdt_writer *w, const char *name, uint64_t v);
/* Big-endian cells. */
void fdt_write_cells(struct fdt_writer *w, const char *name, const uint32_t *cells, unsigned count);
void fdt_write_string(struct fdt_writer *w, const char *name, const char *s);
/* Several strings in one property: s holds NULs, size is with the last one. */
void fdt_write_bytes(struct fdt_writer *w, const char *name, const void *s, size_t size);
void fdt_write_empty(struct fdt_writer *w, const char *name);
/* A "reg" of count (address, size) pairs of two cells each. */
void fdt_write_reg(struct fdt_writer *w, const uint64_t (*pairs)[2], unsigned count);
enum err fdt_write_end(struct fdt_writer *w, size_t *size);
