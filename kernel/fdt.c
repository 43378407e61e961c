/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device trees: libfdt underneath, and on top the checks that its callers would have to make each
 * time. fdt_open() has looked at every tag of the structure; what properties contain is checked
 * where they are read. Cells are read byte by byte, because a property is aligned to 4 bytes only.
 * No state, no locks. [Devicetree Specification 0.4]
 */
#include "kernel/fdt.h"

#include <libfdt.h>

#include "kernel/fmt.h"
#include "kernel/string.h"

#define CELL           4u
#define RANGE_HOPS_MAX 16 /* More bus levels than any machine has. */
#define NAME_MAX_SIZE  64u

enum err fdt_open(struct fdt *fdt, const void *blob, size_t limit)
{
    if (!blob || limit < sizeof(struct fdt_header))
        return E_INVALID;
    if (!IS_ALIGNED(fdt_off_dt_struct(blob), CELL) || !IS_ALIGNED(fdt_off_mem_rsvmap(blob), 8))
        return E_INVALID; /* libfdt reads whole words there, unasked. */
    if (fdt_check_full(blob, limit) != 0)
        return E_INVALID;
    *fdt = (struct fdt){.blob = blob, .size = fdt_totalsize(blob)};
    return OK;
}

/* --- Nodes --- */

int fdt_node(const struct fdt *fdt, const char *path)
{
    return fdt_path_offset(fdt->blob, path);
}

int fdt_child(const struct fdt *fdt, int parent, const char *name)
{
    return fdt_subnode_offset(fdt->blob, parent, name);
}

int fdt_first_child(const struct fdt *fdt, int parent)
{
    return fdt_first_subnode(fdt->blob, parent);
}

int fdt_next_child(const struct fdt *fdt, int node)
{
    return fdt_next_subnode(fdt->blob, node);
}

int fdt_parent(const struct fdt *fdt, int node)
{
    return fdt_parent_offset(fdt->blob, node);
}

int fdt_next_compatible(const struct fdt *fdt, int node, const char *compatible)
{
    return fdt_node_offset_by_compatible(fdt->blob, node, compatible);
}

bool fdt_is_compatible(const struct fdt *fdt, int node, const char *compatible)
{
    return fdt_node_check_compatible(fdt->blob, node, compatible) == 0;
}

const char *fdt_name(const struct fdt *fdt, int node)
{
    const char *name = fdt_get_name(fdt->blob, node, NULL);

    return name ? name : "";
}

const char *fdt_path(const struct fdt *fdt, int node, char *buf, size_t size)
{
    int depth = fdt_node_depth(fdt->blob, node), ancestor;
    size_t used = 0;

    str_copy(buf, size, "/");
    for (int i = 1; i <= depth && used < size; i++) {
        ancestor = fdt_supernode_atdepth_offset(fdt->blob, node, i, NULL);
        used += fmt_buf(buf + used, size - used, "/%s", fdt_name(fdt, ancestor));
    }
    return buf;
}

bool fdt_is_enabled(const struct fdt *fdt, int node)
{
    const char *status = fdt_str(fdt, node, "status");

    if (!status)
        return !fdt_has(fdt, node, "status");
    return strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0;
}

bool fdt_reservation(const struct fdt *fdt, unsigned index, uint64_t *base, uint64_t *size)
{
    int count = fdt_num_mem_rsv(fdt->blob);

    return count >= 0 && index < (unsigned)count &&
           fdt_get_mem_rsv(fdt->blob, (int)index, base, size) == 0;
}

/* --- Properties --- */

static uint64_t cells_read(const uint8_t *cells, unsigned count)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < count * CELL; i++)
        v = v << 8 | cells[i];
    return v;
}

const void *fdt_prop(const struct fdt *fdt, int node, const char *name, size_t *size)
{
    int length = 0;
    const void *value = fdt_getprop(fdt->blob, node, name, &length);

    if (size)
        *size = value ? (size_t)length : 0;
    return value;
}

const char *fdt_prop_at(const struct fdt *fdt, int node, unsigned index, const void **value,
                        size_t *size)
{
    int offset = fdt_first_property_offset(fdt->blob, node), length = 0;
    const char *name = NULL;

    for (; index > 0 && offset >= 0; index--)
        offset = fdt_next_property_offset(fdt->blob, offset);
    if (offset < 0)
        return NULL;
    *value = fdt_getprop_by_offset(fdt->blob, offset, &name, &length);
    *size = (size_t)length;
    return *value ? name : NULL;
}

bool fdt_has(const struct fdt *fdt, int node, const char *name)
{
    return fdt_prop(fdt, node, name, NULL) != NULL;
}

const char *fdt_str(const struct fdt *fdt, int node, const char *name)
{
    return fdt_str_at(fdt, node, name, 0);
}

const char *fdt_str_at(const struct fdt *fdt, int node, const char *name, unsigned index)
{
    size_t size;
    const char *s = fdt_prop(fdt, node, name, &size), *end;

    while (s) {
        end = memchr(s, 0, size);
        if (!end)
            return NULL;
        if (index-- == 0)
            return s;
        size -= (size_t)(end + 1 - s);
        s = end + 1;
    }
    return NULL;
}

enum err fdt_u32(const struct fdt *fdt, int node, const char *name, unsigned index, uint32_t *v)
{
    size_t size;
    const uint8_t *cells = fdt_prop(fdt, node, name, &size);

    if (!cells)
        return E_ABSENT;
    if (index >= size / CELL)
        return E_RANGE;
    *v = (uint32_t)cells_read(cells + (size_t)index * CELL, 1);
    return OK;
}

enum err fdt_u64(const struct fdt *fdt, int node, const char *name, uint64_t *v)
{
    size_t size;
    const uint8_t *cells = fdt_prop(fdt, node, name, &size);

    if (!cells)
        return E_ABSENT;
    if (size != CELL && size != 2 * CELL)
        return E_INVALID;
    *v = cells_read(cells, (unsigned)(size / CELL));
    return OK;
}

/* --- Addresses --- */

/* #address-cells and #size-cells of a bus; false for more than a 64-bit number. */
static bool bus_cells(const struct fdt *fdt, int bus, unsigned *address, unsigned *size)
{
    int address_cells = fdt_address_cells(fdt->blob, bus);
    int size_cells = fdt_size_cells(fdt->blob, bus);

    if (address_cells < 1 || address_cells > 2 || size_cells < 0 || size_cells > 2)
        return false;
    *address = (unsigned)address_cells;
    *size = (unsigned)size_cells;
    return true;
}

/* The address as the bus's parent sees it, where [base, base + size) lies within one range. */
static enum err bus_translate(const struct fdt *fdt, int bus, int parent, uint64_t *base,
                              uint64_t size)
{
    unsigned child_cells, size_cells, parent_cells, unused, entry;
    uint64_t start, to, length;
    size_t bytes;
    const uint8_t *ranges = fdt_prop(fdt, bus, "ranges", &bytes);

    if (!ranges)
        return E_UNSUPPORTED;
    if (bytes == 0)
        return OK; /* The same addresses. */
    if (!bus_cells(fdt, bus, &child_cells, &size_cells) ||
        !bus_cells(fdt, parent, &parent_cells, &unused))
        return E_UNSUPPORTED;
    entry = (child_cells + parent_cells + size_cells) * CELL;
    if (bytes % entry != 0)
        return E_INVALID;
    for (; bytes > 0; bytes -= entry, ranges += entry) {
        start = cells_read(ranges, child_cells);
        to = cells_read(ranges + child_cells * CELL, parent_cells);
        length = cells_read(ranges + (child_cells + parent_cells) * CELL, size_cells);
        if (*base < start || *base - start >= length || size > length - (*base - start))
            continue;
        return __builtin_add_overflow(to, *base - start, base) ? E_INVALID : OK;
    }
    return E_RANGE;
}

enum err fdt_reg(const struct fdt *fdt, int node, unsigned index, uint64_t *base, uint64_t *size)
{
    int bus = fdt_parent(fdt, node), parent;
    unsigned address_cells, size_cells, entry;
    uint64_t address, length;
    size_t bytes;
    const uint8_t *reg = fdt_prop(fdt, node, "reg", &bytes);

    if (!reg || bus < 0)
        return E_ABSENT;
    if (!bus_cells(fdt, bus, &address_cells, &size_cells))
        return E_UNSUPPORTED;
    entry = (address_cells + size_cells) * CELL;
    if (bytes % entry != 0)
        return E_INVALID;
    if (index >= bytes / entry)
        return E_RANGE;
    address = cells_read(reg + (size_t)index * entry, address_cells);
    length = cells_read(reg + (size_t)index * entry + address_cells * CELL, size_cells);
    /* Where nothing has a size, "reg" is a number, not an address: /cpus, I2C. */
    for (int hops = 0; size_cells > 0 && bus > 0; hops++, bus = parent) {
        parent = fdt_parent(fdt, bus);
        if (parent < 0 || hops == RANGE_HOPS_MAX)
            return E_INVALID;
        TRY(bus_translate(fdt, bus, parent, &address, length));
    }
    *base = address;
    *size = length;
    return OK;
}

/* --- Interrupts --- */

/* The controller that the node's "interrupts" go to: named by it or the nearest ancestor. */
static int interrupt_parent(const struct fdt *fdt, int node)
{
    uint32_t phandle;

    for (; node >= 0; node = fdt_parent(fdt, node)) {
        if (fdt_u32(fdt, node, "interrupt-parent", 0, &phandle) == OK)
            return fdt_node_offset_by_phandle(fdt->blob, phandle);
    }
    return node;
}

/* A specifier's size; 0 when the controller is none, or one that we cannot read. */
static unsigned interrupt_cells(const struct fdt *fdt, int controller)
{
    uint32_t count;

    if (controller < 0 || fdt_u32(fdt, controller, "#interrupt-cells", 0, &count) != OK)
        return 0;
    return count <= 4 ? count : 0;
}

/* The index of the cell at which the index'th specifier starts, in a list whose entries name their
 * controller each; *count is its size, 0 when there is none. */
static unsigned interrupt_extended(const struct fdt *fdt, int node, unsigned index, unsigned *count)
{
    uint32_t phandle;
    unsigned at = 0;

    for (;; index--, at += 1 + *count) {
        *count = 0;
        if (fdt_u32(fdt, node, "interrupts-extended", at, &phandle) != OK)
            return 0;
        *count = interrupt_cells(fdt, fdt_node_offset_by_phandle(fdt->blob, phandle));
        if (*count == 0 || index == 0)
            return at + 1;
    }
}

unsigned fdt_interrupt(const struct fdt *fdt, int node, unsigned index, uint32_t cells[4])
{
    bool extended = fdt_has(fdt, node, "interrupts-extended");
    const char *name = extended ? "interrupts-extended" : "interrupts";
    unsigned count, start;

    if (extended) {
        start = interrupt_extended(fdt, node, index, &count);
    } else {
        count = interrupt_cells(fdt, interrupt_parent(fdt, node));
        if (__builtin_mul_overflow(index, count, &start))
            return 0;
    }
    for (unsigned i = 0; i < count; i++) {
        if (fdt_u32(fdt, node, name, start + i, &cells[i]) != OK)
            return 0;
    }
    return count;
}

/* --- The writer --- */

/* Keeps the first error; what follows one does nothing. */
#define WRITE(w, expr)                                                                             \
    do {                                                                                           \
        if ((w)->error == 0)                                                                       \
            (w)->error = (expr);                                                                   \
    } while (0)

void fdt_write_begin(struct fdt_writer *w, void *buf, size_t size)
{
    *w = (struct fdt_writer){.buf = buf, .size = MIN(size, (size_t)INT32_MAX)};
    WRITE(w, fdt_create(buf, (int)w->size));
    WRITE(w, fdt_finish_reservemap(buf));
}

void fdt_write_node(struct fdt_writer *w, const char *name, ...)
{
    char text[NAME_MAX_SIZE];
    va_list args;

    va_start(args, name);
    if (fmt_vbuf(text, sizeof(text), name, args) >= sizeof(text))
        WRITE(w, -FDT_ERR_BADVALUE);
    va_end(args);
    WRITE(w, fdt_begin_node(w->buf, strcmp(text, "/") == 0 ? "" : text));
}

void fdt_write_node_end(struct fdt_writer *w)
{
    WRITE(w, fdt_end_node(w->buf));
}

void fdt_write_u32(struct fdt_writer *w, const char *name, uint32_t v)
{
    WRITE(w, fdt_property_u32(w->buf, name, v));
}

void fdt_write_u64(struct fdt_writer *w, const char *name, uint64_t v)
{
    WRITE(w, fdt_property_u64(w->buf, name, v));
}

/* Room for a property; NULL after an error. */
static uint8_t *write_space(struct fdt_writer *w, const char *name, size_t size)
{
    void *space = NULL;

    if (size > w->size)
        WRITE(w, -FDT_ERR_NOSPACE);
    WRITE(w, fdt_property_placeholder(w->buf, name, (int)size, &space));
    return w->error == 0 ? space : NULL;
}

static uint8_t *write_cell(uint8_t *to, uint32_t v)
{
    for (unsigned i = 0; i < CELL; i++)
        *to++ = (uint8_t)(v >> (24 - 8 * i));
    return to;
}

void fdt_write_cells(struct fdt_writer *w, const char *name, const uint32_t *cells, unsigned count)
{
    uint8_t *to = write_space(w, name, (size_t)count * CELL);

    for (unsigned i = 0; to && i < count; i++)
        to = write_cell(to, cells[i]);
}

void fdt_write_string(struct fdt_writer *w, const char *name, const char *s)
{
    fdt_write_bytes(w, name, s, strlen(s) + 1);
}

void fdt_write_bytes(struct fdt_writer *w, const char *name, const void *s, size_t size)
{
    uint8_t *to = write_space(w, name, size);

    if (to && size > 0)
        memcpy(to, s, size);
}

void fdt_write_empty(struct fdt_writer *w, const char *name)
{
    fdt_write_bytes(w, name, NULL, 0);
}

void fdt_write_reg(struct fdt_writer *w, const uint64_t (*pairs)[2], unsigned count)
{
    uint8_t *to = write_space(w, "reg", (size_t)count * 4 * CELL);

    for (unsigned i = 0; to && i < 2 * count; i++) {
        to = write_cell(to, (uint32_t)(pairs[i / 2][i % 2] >> 32));
        to = write_cell(to, (uint32_t)pairs[i / 2][i % 2]);
    }
}

enum err fdt_write_end(struct fdt_writer *w, size_t *size)
{
    WRITE(w, fdt_finish(w->buf));
    *size = 0;
    if (w->error == -FDT_ERR_NOSPACE)
        return E_NOMEM;
    if (w->error != 0)
        return E_INVALID;
    *size = fdt_totalsize(w->buf);
    return OK;
}
