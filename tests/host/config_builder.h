/* SPDX-License-Identifier: Apache-2.0 */
/* Builds configurations for tests: a tree with one VM "a" that is good, and properties put in or
 * replaced. */
#pragma once

#include <string.h>

#include "kernel/fdt.h"
#include "kernel/fmt.h"
#include "tests/host/test.h"
#include "vcpu/config.h"
#include "vcpu/machine.h"

#define BUILDER_SIZE 65536u
#define BUILDER_MAX  16u

/* A property of a test: text, or a cell when text is NULL. */
struct builder_property {
    const char *node; /* "vm", "boot", "hypervisor", "region". */
    const char *name;
    const char *text; /* "-": leave the property out. */
    uint32_t cell;
    size_t size; /* Of text, when it has several strings. */
};

static alignas(8) uint8_t builder_blob[BUILDER_SIZE];
static struct config builder_config;

struct builder_log {
    struct config_report report;
    unsigned count;
    char path[4][64], property[4][32], text[4][256];
};

static struct builder_log builder_log;

static inline void builder_mistake(struct config_report *report, const char *path, const char *text)
{
    struct builder_log *log = (struct builder_log *)report;
    unsigned i = log->count++;

    if (i >= ARRAY_SIZE(log->path))
        return;
    fmt_buf(log->path[i], sizeof(log->path[i]), "%s", path);
    fmt_buf(log->property[i], sizeof(log->property[i]), "%s",
            report->property ? report->property : "");
    fmt_buf(log->text[i], sizeof(log->text[i]), "%s", text);
}

static inline void builder_put(struct fdt_writer *w, const struct builder_property *p)
{
    if (!p->text)
        fdt_write_u32(w, p->name, p->cell);
    else if (p->size)
        fdt_write_bytes(w, p->name, p->text, p->size);
    else if (strcmp(p->text, "-") != 0)
        fdt_write_string(w, p->name, p->text);
}

/* The properties of a node: those given, and the defaults that are not among them. */
static inline void builder_node(struct fdt_writer *w, const char *node,
                                const struct builder_property *defaults,
                                const struct builder_property *given)
{
    for (const struct builder_property *p = given; p->node; p++)
        if (strcmp(p->node, node) == 0)
            builder_put(w, p);
    for (; defaults->node; defaults++) {
        bool replaced = false;

        for (const struct builder_property *p = given; p->node; p++)
            replaced |= strcmp(p->node, node) == 0 && strcmp(p->name, defaults->name) == 0;
        if (!replaced && strcmp(defaults->node, node) == 0)
            builder_put(w, defaults);
    }
}

static const struct builder_property builder_defaults[] = {
    {.node = "vm", .name = "memory", .text = "64M"},
    {.node = "boot", .name = "kernel", .text = "vmlinuz"},
    {.node = "region", .name = "kind", .text = "ram"},
    {.node = "region", .name = "address", .text = "0x100000000"},
    {.node = "region", .name = "size", .text = "64K"},
    {0},
};

static inline bool builder_wants(const struct builder_property *given, const char *node)
{
    for (; given->node; given++)
        if (strcmp(given->node, node) == 0)
            return true;
    return false;
}

static inline void builder_vm(struct fdt_writer *w, const char *name,
                              const struct builder_property *given)
{
    fdt_write_node(w, "%s", name);
    builder_node(w, "vm", builder_defaults, given);
    fdt_write_node(w, "boot");
    builder_node(w, "boot", builder_defaults, given);
    fdt_write_node_end(w);
    if (builder_wants(given, "region")) {
        fdt_write_node(w, "regions");
        fdt_write_node(w, "r");
        builder_node(w, "region", builder_defaults, given);
        fdt_write_node_end(w);
        fdt_write_node_end(w);
    }
    fdt_write_node_end(w);
}

static inline void builder_begin(struct fdt_writer *w, const struct builder_property *given)
{
    fdt_write_begin(w, builder_blob, sizeof(builder_blob));
    fdt_write_node(w, "%s", "");
    fdt_write_string(w, "compatible", "caisson,config-1");
    if (builder_wants(given, "hypervisor")) {
        fdt_write_node(w, "hypervisor");
        builder_node(w, "hypervisor", builder_defaults, given);
        fdt_write_node_end(w);
    }
    fdt_write_node(w, "vms");
}

static inline size_t builder_end(struct fdt_writer *w)
{
    size_t size = 0;

    fdt_write_node_end(w);
    fdt_write_node_end(w);
    ASSERT_OK(fdt_write_end(w, &size));
    return size;
}

static inline enum err builder_parse(size_t size, unsigned cpus, uint64_t ram, bool packed)
{
    const struct config_context context = {
        .machine = machine_find("aarch64"),
        .cpu_count = cpus,
        .ram_size = ram,
        .packed = packed,
    };

    memset(&builder_log, 0, sizeof(builder_log));
    builder_log.report.mistake = builder_mistake;
    return config_parse(&builder_config, builder_blob, size, &context, &builder_log.report);
}

/* One VM "a" with these properties. */
static inline enum err builder_one(const struct builder_property *given)
{
    struct fdt_writer w;

    builder_begin(&w, given);
    builder_vm(&w, "a", given);
    return builder_parse(builder_end(&w), 0, 0, false);
}

/* Two VMs "a" and "b" on a host with 4 pCPUs and 1 GiB. */
static inline enum err builder_two(const struct builder_property *a,
                                   const struct builder_property *b)
{
    struct fdt_writer w;

    builder_begin(&w, a);
    builder_vm(&w, "a", a);
    builder_vm(&w, "b", b);
    return builder_parse(builder_end(&w), 4, GIB, false);
}
