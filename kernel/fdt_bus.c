/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device trees: what depends on the nodes above, addresses and interrupts. No state, no locks.
 * [Devicetree Specification 0.4, 2.3 and 2.4]
 */
#include "kernel/fdt.h"

#define CELL 4u

/* --- Addresses --- */

/* #address-cells and #size-cells of a bus; false for more than a 64-bit number. */
static bool bus_cells(const struct fdt *fdt, int bus, unsigned *address, unsigned *size)
{
    *address = 2; /* What they are where a bus does not say [2.3.5]. */
    *size = 1;
    if (fdt_has(fdt, bus, "#address-cells") &&
        fdt_u32(fdt, bus, "#address-cells", 0, address) != OK)
        return false;
    if (fdt_has(fdt, bus, "#size-cells") && fdt_u32(fdt, bus, "#size-cells", 0, size) != OK)
        return false;
    return *address >= 1 && *address <= 2 && *size <= 2;
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
        start = fdt_cells(ranges, child_cells);
        to = fdt_cells(ranges + child_cells * CELL, parent_cells);
        length = fdt_cells(ranges + (child_cells + parent_cells) * CELL, size_cells);
        if (*base < start || *base - start >= length || size > length - (*base - start))
            continue;
        return __builtin_add_overflow(to, *base - start, base) ? E_INVALID : OK;
    }
    return E_RANGE;
}

enum err fdt_walk_reg(const struct fdt_walk *walk, unsigned index, uint64_t *base, uint64_t *size)
{
    const struct fdt *fdt = walk->fdt;
    unsigned address_cells, size_cells, entry, depth = walk->depth - 1;
    uint64_t address, length;
    size_t bytes;
    const uint8_t *reg = fdt_prop(fdt, fdt_walk_node(walk), "reg", &bytes);

    if (!reg || depth == 0)
        return E_ABSENT;
    if (!bus_cells(fdt, walk->path[depth - 1], &address_cells, &size_cells))
        return E_UNSUPPORTED;
    entry = (address_cells + size_cells) * CELL;
    if (bytes % entry != 0)
        return E_INVALID;
    if (index >= bytes / entry)
        return E_RANGE;
    address = fdt_cells(reg + (size_t)index * entry, address_cells);
    length = fdt_cells(reg + (size_t)index * entry + address_cells * CELL, size_cells);
    /* Where nothing has a size, "reg" is a number, not an address: /cpus, I2C. */
    for (; size_cells > 0 && depth > 1; depth--)
        TRY(bus_translate(fdt, walk->path[depth - 1], walk->path[depth - 2], &address, length));
    *base = address;
    *size = length;
    return OK;
}

enum err fdt_reg(const struct fdt *fdt, int node, unsigned index, uint64_t *base, uint64_t *size)
{
    struct fdt_walk walk;

    return fdt_walk_to(&walk, fdt, node) ? fdt_walk_reg(&walk, index, base, size) : E_ABSENT;
}

/* --- Interrupts --- */

/* The node of that handle; < 0: none. The guess is looked at first, and may spare a walk. */
static int phandle_node(const struct fdt *fdt, uint32_t phandle, int guess)
{
    struct fdt_walk walk = {.fdt = fdt};
    uint32_t v;

    if (fdt_u32(fdt, guess, "phandle", 0, &v) == OK && v == phandle)
        return guess;
    while (fdt_walk_next(&walk))
        if (fdt_u32(fdt, fdt_walk_node(&walk), "phandle", 0, &v) == OK && v == phandle)
            return fdt_walk_node(&walk);
    return -1;
}

/* The controller that the node's "interrupts" go to: named by it or the nearest ancestor. */
static int interrupt_parent(const struct fdt_walk *walk, int guess)
{
    uint32_t phandle;

    for (unsigned depth = walk->depth; depth > 0; depth--)
        if (fdt_u32(walk->fdt, walk->path[depth - 1], "interrupt-parent", 0, &phandle) == OK)
            return phandle_node(walk->fdt, phandle, guess);
    return -1;
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
static unsigned interrupt_extended(const struct fdt *fdt, int node, int guess, unsigned index,
                                   unsigned *count)
{
    uint32_t phandle;
    unsigned at = 0;

    for (;; index--, at += 1 + *count) {
        *count = 0;
        if (fdt_u32(fdt, node, "interrupts-extended", at, &phandle) != OK)
            return 0;
        *count = interrupt_cells(fdt, phandle_node(fdt, phandle, guess));
        if (*count == 0 || index == 0)
            return at + 1;
    }
}

unsigned fdt_walk_interrupt(const struct fdt_walk *walk, int guess, unsigned index,
                            uint32_t cells[4])
{
    const struct fdt *fdt = walk->fdt;
    int node = fdt_walk_node(walk);
    bool extended = fdt_has(fdt, node, "interrupts-extended");
    const char *name = extended ? "interrupts-extended" : "interrupts";
    unsigned count, start;

    if (extended) {
        start = interrupt_extended(fdt, node, guess, index, &count);
    } else {
        count = interrupt_cells(fdt, interrupt_parent(walk, guess));
        if (__builtin_mul_overflow(index, count, &start))
            return 0;
    }
    for (unsigned i = 0; i < count; i++) {
        if (fdt_u32(fdt, node, name, start + i, &cells[i]) != OK)
            return 0;
    }
    return count;
}

unsigned fdt_interrupt(const struct fdt *fdt, int node, unsigned index, uint32_t cells[4])
{
    struct fdt_walk walk;

    return fdt_walk_to(&walk, fdt, node) ? fdt_walk_interrupt(&walk, -1, index, cells) : 0;
}
