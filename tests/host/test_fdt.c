/* SPDX-License-Identifier: Apache-2.0 */
/* Device trees: what the writer writes, the reader reads; and malformed trees do no harm. */
#include <stdlib.h>
#include <string.h>

#include "kernel/fdt.h"
#include "tests/host/test.h"

static alignas(8) uint8_t blob[8192];
static struct fdt fdt;
static struct fdt_writer writer;

#define GIC_PHANDLE 1u

static void write_soc(struct fdt_writer *w)
{
    static const uint32_t ranges[] = {0x0, 0x0, 0x10000000, 0x100000, 0x80000000, 0x1, 0x0, 0x1000};

    fdt_write_node(w, "soc");
    fdt_write_u32(w, "#address-cells", 1);
    fdt_write_u32(w, "#size-cells", 1);
    fdt_write_cells(w, "ranges", ranges, 8);
    fdt_write_node(w, "uart@%x", 0x2000);
    fdt_write_bytes(w, "compatible", "arm,pl011\0arm,primecell", 24);
    fdt_write_cells(w, "reg", (const uint32_t[]){0x2000, 0x100, 0x80000800, 0x800, 0x500000, 4}, 6);
    fdt_write_cells(w, "interrupts", (const uint32_t[]){0, 33, 4, 0, 34, 1}, 6);
    fdt_write_string(w, "status", "disabled");
    fdt_write_node_end(w);
    fdt_write_node_end(w);
}

static void write_tree(struct fdt_writer *w)
{
    static const uint64_t memory[][2] = {{0x40000000, 0x10000000}, {0x880000000, 0x100000000}};

    fdt_write_node(w, "/");
    fdt_write_u32(w, "#address-cells", 2);
    fdt_write_u32(w, "#size-cells", 2);
    fdt_write_u32(w, "interrupt-parent", GIC_PHANDLE);
    fdt_write_string(w, "compatible", "test,machine");
    fdt_write_node(w, "memory@40000000");
    fdt_write_reg(w, memory, 2);
    fdt_write_u64(w, "big", 0x123456789abcdef0);
    fdt_write_empty(w, "flag");
    fdt_write_node_end(w);
    fdt_write_node(w, "gic");
    fdt_write_u32(w, "phandle", GIC_PHANDLE);
    fdt_write_u32(w, "#interrupt-cells", 3);
    fdt_write_string(w, "compatible", "arm,gic-v3");
    fdt_write_node_end(w);
    fdt_write_node(w, "cpus");
    fdt_write_u32(w, "#address-cells", 1);
    fdt_write_u32(w, "#size-cells", 0);
    fdt_write_node(w, "cpu@1");
    fdt_write_u32(w, "reg", 1);
    fdt_write_cells(w, "interrupts-extended",
                    (const uint32_t[]){GIC_PHANDLE, 1, 13, 4, GIC_PHANDLE, 1, 14, 8}, 8);
    fdt_write_node_end(w);
    fdt_write_node_end(w);
    write_soc(w);
    fdt_write_node_end(w);
}

static void open_tree(void)
{
    size_t size;

    fdt_write_begin(&writer, blob, sizeof(blob));
    write_tree(&writer);
    ASSERT_OK(fdt_write_end(&writer, &size));
    ASSERT_OK(fdt_open(&fdt, blob, sizeof(blob)));
    ASSERT_EQ(fdt.size, size);
}

TEST(nodes_are_found_by_path_name_and_compatible)
{
    char path[32];
    int soc, uart;

    open_tree();
    soc = fdt_node(&fdt, "/soc");
    uart = fdt_child(&fdt, soc, "uart");
    ASSERT(uart > 0);
    ASSERT_EQ(fdt_child(&fdt, soc, "uart@2000"), uart);
    ASSERT_EQ(fdt_parent(&fdt, uart), soc);
    ASSERT(fdt_child(&fdt, soc, "uar") < 0);
    ASSERT(fdt_node(&fdt, "/nothing") < 0);
    ASSERT(fdt_is_compatible(&fdt, uart, "arm,pl011"));
    ASSERT(!fdt_is_compatible(&fdt, uart, "arm"));
    ASSERT(!fdt_is_compatible(&fdt, soc, "arm"));
    ASSERT_STR(fdt_name(&fdt, uart), "uart@2000");
    ASSERT_STR(fdt_path(&fdt, uart, path, sizeof(path)), "/soc/uart@2000");
    ASSERT_STR(fdt_path(&fdt, uart, path, 8), "/soc/ua");
    ASSERT_STR(fdt_path(&fdt, fdt_node(&fdt, "/"), path, sizeof(path)), "/");
    ASSERT(!fdt_is_enabled(&fdt, uart));
    ASSERT(fdt_is_enabled(&fdt, soc));
}

TEST(children_are_visited_in_order)
{
    static const char *const names[] = {"memory@40000000", "gic", "cpus", "soc"};
    unsigned i = 0;

    open_tree();
    for (int node = fdt_first_child(&fdt, 0); node >= 0; node = fdt_next_child(&fdt, node))
        ASSERT_STR(fdt_name(&fdt, node), names[i++]);
    ASSERT_EQ(i, 4);
    ASSERT(fdt_first_child(&fdt, fdt_node(&fdt, "/gic")) < 0);
}

TEST(properties_are_read_with_their_sizes_checked)
{
    uint32_t cell;
    uint64_t v;
    size_t size;
    int memory, uart;

    open_tree();
    memory = fdt_node(&fdt, "/memory");
    uart = fdt_node(&fdt, "/soc/uart");
    ASSERT(fdt_has(&fdt, memory, "flag"));
    ASSERT(!fdt_has(&fdt, memory, "flags"));
    ASSERT(fdt_prop(&fdt, memory, "flag", &size));
    ASSERT_EQ(size, 0);
    ASSERT(!fdt_str(&fdt, memory, "flag"));
    ASSERT_OK(fdt_u64(&fdt, memory, "big", &v));
    ASSERT_EQ(v, 0x123456789abcdef0);
    ASSERT_OK(fdt_u64(&fdt, 0, "#size-cells", &v));
    ASSERT_EQ(v, 2);
    ASSERT_ERR(E_INVALID, fdt_u64(&fdt, memory, "flag", &v));
    ASSERT_ERR(E_INVALID, fdt_u64(&fdt, memory, "reg", &v));
    ASSERT_ERR(E_ABSENT, fdt_u64(&fdt, memory, "none", &v));
    ASSERT_OK(fdt_u32(&fdt, uart, "interrupts", 4, &cell));
    ASSERT_EQ(cell, 34);
    ASSERT_ERR(E_RANGE, fdt_u32(&fdt, uart, "interrupts", 6, &cell));
    ASSERT_ERR(E_ABSENT, fdt_u32(&fdt, uart, "none", 0, &cell));
    ASSERT_STR(fdt_str(&fdt, uart, "compatible"), "arm,pl011");
    ASSERT_STR(fdt_str_at(&fdt, uart, "compatible", 1), "arm,primecell");
    ASSERT(!fdt_str_at(&fdt, uart, "compatible", 2));
    ASSERT(!fdt_str(&fdt, memory, "big")); /* No NUL within. */
}

TEST(properties_of_a_node_are_visited_in_order)
{
    static const char *const names[] = {"reg", "big", "flag"};
    const void *value;
    size_t size;
    int memory;

    open_tree();
    memory = fdt_node(&fdt, "/memory");
    for (unsigned i = 0; i < 3; i++)
        ASSERT_STR(fdt_prop_at(&fdt, memory, i, &value, &size), names[i]);
    ASSERT(!fdt_prop_at(&fdt, memory, 3, &value, &size));
}

TEST(a_walk_passes_all_nodes_and_knows_those_above)
{
    static const char *const paths[] = {"/",    "/memory@40000000", "/gic", "/cpus", "/cpus/cpu@1",
                                        "/soc", "/soc/uart@2000"};
    struct fdt_walk walk = {.fdt = &fdt};
    char path[32];
    unsigned i = 0;

    open_tree();
    for (; fdt_walk_next(&walk); i++) {
        ASSERT(i < 7);
        ASSERT_STR(fdt_path(&fdt, fdt_walk_node(&walk), path, sizeof(path)), paths[i]);
        ASSERT_EQ(fdt_parent(&fdt, fdt_walk_node(&walk)),
                  walk.depth > 1 ? walk.path[walk.depth - 2] : -1);
    }
    ASSERT_EQ(i, 7);
    ASSERT(!fdt_walk_to(&walk, &fdt, 4));
    ASSERT(!fdt_walk_to(&walk, &fdt, -1));
}

TEST(a_node_that_is_absent_has_nothing)
{
    uint64_t base, size;
    uint32_t cells[4];

    open_tree();
    ASSERT(!fdt_has(&fdt, -1, "reg"));
    ASSERT_STR(fdt_name(&fdt, -1), "");
    ASSERT(fdt_first_child(&fdt, -1) < 0);
    ASSERT(fdt_next_child(&fdt, -1) < 0);
    ASSERT(fdt_node(&fdt, NULL) < 0);
    ASSERT(fdt_node(&fdt, "serial0") < 0);
    ASSERT(fdt_parent(&fdt, 0) < 0);
    ASSERT_ERR(E_ABSENT, fdt_reg(&fdt, -1, 0, &base, &size));
    ASSERT_EQ(fdt_interrupt(&fdt, -1, 0, cells), 0);
}

TEST(a_tree_may_be_deep_but_not_endless)
{
    size_t size;

    for (unsigned depth = FDT_DEPTH_MAX - 1; depth <= FDT_DEPTH_MAX + 1; depth++) {
        fdt_write_begin(&writer, blob, sizeof(blob));
        for (unsigned i = 0; i < depth; i++)
            fdt_write_node(&writer, i ? "n" : "/");
        for (unsigned i = 0; i < depth; i++)
            fdt_write_node_end(&writer);
        ASSERT_OK(fdt_write_end(&writer, &size));
        ASSERT_ERR(depth <= FDT_DEPTH_MAX ? OK : E_INVALID, fdt_open(&fdt, blob, size));
    }
}

TEST(addresses_are_translated_through_ranges)
{
    uint64_t base, size;
    int uart;

    open_tree();
    uart = fdt_node(&fdt, "/soc/uart");
    ASSERT_OK(fdt_reg(&fdt, fdt_node(&fdt, "/memory"), 1, &base, &size));
    ASSERT_EQ(base, 0x880000000);
    ASSERT_EQ(size, 0x100000000);
    ASSERT_ERR(E_RANGE, fdt_reg(&fdt, fdt_node(&fdt, "/memory"), 2, &base, &size));
    ASSERT_OK(fdt_reg(&fdt, uart, 0, &base, &size));
    ASSERT_EQ(base, 0x10002000);
    ASSERT_EQ(size, 0x100);
    ASSERT_OK(fdt_reg(&fdt, uart, 1, &base, &size));
    ASSERT_EQ(base, 0x100000800);
    ASSERT_ERR(E_RANGE, fdt_reg(&fdt, uart, 2, &base, &size)); /* In no range. */
    ASSERT_ERR(E_ABSENT, fdt_reg(&fdt, fdt_node(&fdt, "/gic"), 0, &base, &size));
    ASSERT_OK(fdt_reg(&fdt, fdt_node(&fdt, "/cpus/cpu@1"), 0, &base, &size));
    ASSERT_EQ(base, 1);
    ASSERT_EQ(size, 0);
}

TEST(interrupts_are_read_by_their_controllers_cells)
{
    uint32_t cells[4];
    int uart, cpu;

    open_tree();
    uart = fdt_node(&fdt, "/soc/uart");
    cpu = fdt_node(&fdt, "/cpus/cpu");
    ASSERT_EQ(fdt_interrupt(&fdt, uart, 1, cells), 3);
    ASSERT(cells[0] == 0 && cells[1] == 34 && cells[2] == 1);
    ASSERT_EQ(fdt_interrupt(&fdt, uart, 2, cells), 0);
    ASSERT_EQ(fdt_interrupt(&fdt, uart, UINT32_MAX, cells), 0);
    ASSERT_EQ(fdt_interrupt(&fdt, cpu, 1, cells), 3);
    ASSERT(cells[0] == 1 && cells[1] == 14 && cells[2] == 8);
    ASSERT_EQ(fdt_interrupt(&fdt, cpu, 2, cells), 0);
    ASSERT_EQ(fdt_interrupt(&fdt, fdt_node(&fdt, "/gic"), 0, cells), 0);
}

TEST(a_writer_without_room_says_so_and_writes_nothing_beyond)
{
    static alignas(8) uint8_t small[8192];
    size_t size;

    open_tree();
    for (size_t room = 0; room < sizeof(small); room += 4) {
        memset(small, 0xa5, sizeof(small));
        fdt_write_begin(&writer, small, room);
        write_tree(&writer);
        if (fdt_write_end(&writer, &size) == OK)
            break;
        ASSERT_EQ(size, 0);
        for (size_t i = room; i < room + 64; i++)
            ASSERT_EQ(small[i], 0xa5);
        ASSERT(room < fdt.size + 64);
    }
    fdt_write_begin(&writer, small, sizeof(small));
    fdt_write_node(&writer, "/");
    fdt_write_node(&writer, "%0100d", 1);
    fdt_write_node_end(&writer);
    fdt_write_node_end(&writer);
    ASSERT_ERR(E_INVALID, fdt_write_end(&writer, &size));
}

TEST(a_tree_that_is_cut_off_is_refused)
{
    struct fdt other;

    open_tree();
    for (size_t limit = 0; limit < fdt.size; limit++) {
        void *copy = aligned_alloc(8, ALIGN_UP(limit, 8) + 8);
        uint8_t *start = copy;

        memcpy(start, blob, limit);
        ASSERT_ERR(E_INVALID, fdt_open(&other, start, limit));
        free(copy);
    }
    ASSERT_ERR(E_INVALID, fdt_open(&other, NULL, 100));
}

/* Everything that reads, on each node. */
static void read_everything(const struct fdt *tree)
{
    uint32_t cells[4];
    uint64_t base, size;
    size_t bytes;
    const void *value;
    char path[40];
    int node = 0;

    for (unsigned i = 0; i < 40 && node >= 0; i++) {
        fdt_path(tree, node, path, sizeof(path));
        fdt_is_enabled(tree, node);
        fdt_parent(tree, node);
        for (unsigned j = 0; j < 4; j++) {
            (void)fdt_reg(tree, node, j, &base, &size);
            fdt_interrupt(tree, node, j, cells);
            fdt_str_at(tree, node, "compatible", j);
            fdt_prop_at(tree, node, j, &value, &bytes);
        }
        (void)fdt_u64(tree, node, "big", &base);
        node = fdt_first_child(tree, node) >= 0 ? fdt_first_child(tree, node)
                                                : fdt_next_child(tree, node);
    }
    fdt_node(tree, "/soc/uart");
    for (unsigned i = 0; i < 3 && fdt_reservation(tree, i, &base, &size); i++)
        ;
}

TEST(random_damage_to_a_tree_does_no_harm)
{
    unsigned opened = 0;

    open_tree();
    for (unsigned i = 0; i < 20000; i++) {
        size_t size = fdt.size;
        uint8_t *copy = aligned_alloc(8, ALIGN_UP(size, 8)); /* Its end is watched. */
        struct fdt other;

        memcpy(copy, blob, size);
        for (unsigned n = 1 + (unsigned)test_random_below(4); n > 0; n--)
            copy[test_random_below(size)] = (uint8_t)test_random();
        if (fdt_open(&other, copy, size) == OK) {
            opened++;
            read_everything(&other);
        }
        free(copy);
    }
    ASSERT(opened > 1000);
}
