/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checked reads of a flattened device tree, and a sequential writer: the only user of libfdt.
 * A node is an int: libfdt's offset, negative when absent. Pure; used in the kernel and on the
 * host. [Devicetree Specification 0.4] (fdt_str() is not named fdt_string(), because libfdt has
 * that name.)
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"

struct fdt {
    const void *blob;
    size_t size;
};

/* Checks header, sizes and structure against limit (bytes that may be read). Aligned to 8 bytes. */
enum err fdt_open(struct fdt *fdt, const void *blob, size_t limit);

int fdt_node(const struct fdt *fdt, const char *path);              /* "/vms", < 0: none. */
int fdt_child(const struct fdt *fdt, int parent, const char *name); /* With or without @unit. */
int fdt_first_child(const struct fdt *fdt, int parent);
int fdt_next_child(const struct fdt *fdt, int node);
/* Next node after `node` (-1 to start) with one of its "compatible" strings equal. */
int fdt_next_compatible(const struct fdt *fdt, int node, const char *compatible);
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
/* The index'th 32-bit cell; E_ABSENT when there is no such property, E_RANGE beyond its end. */
enum err fdt_u32(const struct fdt *fdt, int node, const char *name, unsigned index, uint32_t *v);
/* A number of one or two cells, by the property's size. E_INVALID for other sizes. */
enum err fdt_u64(const struct fdt *fdt, int node, const char *name, uint64_t *v);
/* The index'th (address, size) of "reg", by the parent's #address-cells and #size-cells, and
 * translated through the "ranges" of all parents. */
enum err fdt_reg(const struct fdt *fdt, int node, unsigned index, uint64_t *base, uint64_t *size);
/* The index'th interrupt's specifier cells, taking the inherited #interrupt-cells into account.
 * Returns the number of cells. */
unsigned fdt_interrupt(const struct fdt *fdt, int node, unsigned index, uint32_t cells[4]);
int fdt_parent(const struct fdt *fdt, int node);
/* Memory reservation block. */
bool fdt_reservation(const struct fdt *fdt, unsigned index, uint64_t *base, uint64_t *size);

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
