/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads device trees, without libfdt: that checks its bounds for each character of a name, and
 * climbs to a parent from the root, which together were two thirds of our start.
 *
 * fdt_open() looks at every tag of the structure once. Afterwards it is known that nodes nest, that
 * names end and that values lie inside; a step from tag to tag checks its bounds all the same, for
 * that is cheap here. What properties contain is checked where they are read, byte by byte, because
 * a property is aligned to 4 bytes only.
 *
 * A node does not know its parent. What needs parents takes a walk, which has come past them; that
 * is what fdt_bus.c does.
 * No state, no locks. [Devicetree Specification 0.4, chapter 5]
 */
#include "kernel/fdt.h"

#include "kernel/bits.h"
#include "kernel/fmt.h"
#include "kernel/string.h"

#define CELL    4u
#define MAGIC   0xd00dfeedu
#define VERSION 17u /* Older ones do not tell the size of their structure. */

/* All numbers are big-endian [5.2]. */
struct header {
    uint32_t magic, size, structure, strings, reservations, version, compatible_version, boot_cpu;
    uint32_t strings_size, structure_size;
};

/* The list ends with one that is all zero [5.3]. */
struct reservation {
    uint64_t base, size;
};

/* [5.4.1] As they are stored: they are looked at often, and so need not be turned round. */
enum tag {
    BEGIN_NODE = 1 << 24,
    END_NODE = 2 << 24,
    PROPERTY = 3 << 24,
    NOP = 4 << 24,
    END = 9 << 24,
};

/* In front of a property's value. */
struct property_header {
    uint32_t tag, size, name;
};

/* --- Tags --- */

static uint32_t word_at(const struct fdt *fdt, int at)
{
    return *(const uint32_t *)(fdt->structure + at);
}

/* Behind the structure, and for a node that is absent, there is the end. */
static uint32_t tag_at(const struct fdt *fdt, int at)
{
    return (unsigned)at < fdt->structure_size ? word_at(fdt, at) : END;
}

/* The word behind the one that holds a string's NUL; negative: there is none. */
static int string_end(const struct fdt *fdt, int at)
{
    for (; (unsigned)at < fdt->structure_size; at += (int)CELL) {
        uint32_t word = word_at(fdt, at);

        if ((word - 0x01010101u) & ~word & 0x80808080u) /* One of its bytes is zero. */
            return at + (int)CELL;
    }
    return -1;
}

/* The offset behind the property at a tag; negative when that lies outside. */
static int property_end(const struct fdt *fdt, int at)
{
    const struct property_header *header = (const void *)(fdt->structure + at);
    uint32_t left = fdt->structure_size - (uint32_t)at, size;

    if (left < sizeof(*header))
        return -1;
    size = byte_swap32(header->size);
    return size > left - sizeof(*header) ? -1 : at + (int)(sizeof(*header) + ALIGN_UP(size, CELL));
}

/* The offset of the tag after this one; negative when this one is malformed, or the end. */
static inline int tag_next(const struct fdt *fdt, int at)
{
    switch (tag_at(fdt, at)) {
    case PROPERTY:
        return property_end(fdt, at);
    case BEGIN_NODE:
        return string_end(fdt, at + (int)CELL);
    case END_NODE:
    case NOP:
        return at + (int)CELL;
    default:
        return -1;
    }
}

/* --- Opening --- */

static bool property_ok(const struct fdt *fdt, int at)
{
    const struct property_header *header = (const void *)(fdt->structure + at);

    return property_end(fdt, at) >= 0 && byte_swap32(header->name) < fdt->strings_size;
}

/* One root, whose name is empty, and in it nodes that nest; then the end. */
static bool structure_ok(const struct fdt *fdt)
{
    unsigned depth = 0;
    int at = 0;

    if (tag_at(fdt, 0) != BEGIN_NODE || *fdt_name(fdt, 0) != '\0')
        return false;
    for (; at >= 0 && (unsigned)at < fdt->structure_size; at = tag_next(fdt, at)) {
        uint32_t tag = tag_at(fdt, at);

        if (tag == END)
            return depth == 0;
        if (depth == 0 && at > 0 && tag != NOP)
            return false;
        if (tag == PROPERTY && !property_ok(fdt, at))
            return false;
        if (tag == BEGIN_NODE && depth++ == FDT_DEPTH_MAX)
            return false;
        if (tag == END_NODE)
            depth--;
    }
    return false;
}

/* [base, base + size) lies inside of the tree, behind its header. */
static bool block_ok(const struct header *header, uint32_t base, uint32_t size)
{
    uint32_t total = byte_swap32(header->size);

    return base >= sizeof(*header) && base <= total && size <= total - base;
}

/* The list of memory reservations ends inside of the tree. */
static bool reservations_ok(const struct header *header)
{
    uint32_t at = byte_swap32(header->reservations);
    const struct reservation *entry = (const void *)((const uint8_t *)header + at);

    for (; block_ok(header, at, sizeof(*entry)); at += (uint32_t)sizeof(*entry), entry++)
        if (!entry->base && !entry->size)
            return true;
    return false;
}

static bool header_ok(const struct header *header, size_t limit)
{
    return byte_swap32(header->magic) == MAGIC && byte_swap32(header->version) >= VERSION &&
           byte_swap32(header->compatible_version) <= VERSION &&
           byte_swap32(header->size) <= limit && byte_swap32(header->size) <= INT32_MAX &&
           IS_ALIGNED(byte_swap32(header->structure), CELL) &&
           IS_ALIGNED(byte_swap32(header->reservations), 8) &&
           block_ok(header, byte_swap32(header->structure), byte_swap32(header->structure_size)) &&
           block_ok(header, byte_swap32(header->strings), byte_swap32(header->strings_size)) &&
           reservations_ok(header);
}

/* The last byte of the strings ends all names of properties. */
static bool strings_ok(const struct fdt *fdt)
{
    return fdt->strings_size == 0 || fdt->strings[fdt->strings_size - 1] == '\0';
}

enum err fdt_open(struct fdt *fdt, const void *blob, size_t limit)
{
    const struct header *header = blob;
    const uint8_t *bytes = blob;
    struct fdt opened;

    if (!blob || !IS_ALIGNED((uintptr_t)blob, 8) || limit < sizeof(*header) ||
        !header_ok(header, limit))
        return E_INVALID;
    opened = (struct fdt){
        .blob = blob,
        .size = byte_swap32(header->size),
        .structure = bytes + byte_swap32(header->structure),
        .structure_size = (uint32_t)ALIGN_DOWN(byte_swap32(header->structure_size), CELL),
        .strings = (const char *)bytes + byte_swap32(header->strings),
        .strings_size = byte_swap32(header->strings_size),
    };
    if (!strings_ok(&opened) || !structure_ok(&opened))
        return E_INVALID;
    *fdt = opened;
    return OK;
}

bool fdt_reservation(const struct fdt *fdt, unsigned index, uint64_t *base, uint64_t *size)
{
    const struct header *header = fdt->blob;
    const struct reservation *entry =
        (const void *)((const uint8_t *)fdt->blob + byte_swap32(header->reservations));

    for (; entry->base || entry->size; entry++) {
        if (index-- > 0)
            continue;
        *base = __builtin_bswap64(entry->base);
        *size = __builtin_bswap64(entry->size);
        return true;
    }
    return false;
}

/* --- Nodes --- */

bool fdt_walk_next(struct fdt_walk *walk)
{
    int at = walk->depth > 0 ? tag_next(walk->fdt, fdt_walk_node(walk)) : 0;

    for (;; at = tag_next(walk->fdt, at)) {
        switch (tag_at(walk->fdt, at)) {
        case BEGIN_NODE:
            walk->path[walk->depth++] = at;
            return true;
        case END_NODE:
            walk->depth--;
            break;
        case END:
            return false;
        default:
            break;
        }
    }
}

bool fdt_walk_to(struct fdt_walk *walk, const struct fdt *fdt, int node)
{
    *walk = (struct fdt_walk){.fdt = fdt};
    while (fdt_walk_next(walk))
        if (fdt_walk_node(walk) == node)
            return true;
    return false;
}

/* The first node from this tag on, inside of the node that it lies in; < 0: none. */
static int node_from(const struct fdt *fdt, int at)
{
    while (tag_at(fdt, at) == PROPERTY || tag_at(fdt, at) == NOP)
        at = tag_next(fdt, at);
    return tag_at(fdt, at) == BEGIN_NODE ? at : -1;
}

int fdt_first_child(const struct fdt *fdt, int parent)
{
    return node_from(fdt, tag_next(fdt, parent));
}

int fdt_next_child(const struct fdt *fdt, int node)
{
    unsigned depth = 0;

    do {
        uint32_t tag = tag_at(fdt, node);

        if (tag == BEGIN_NODE)
            depth++;
        else if (tag == END_NODE)
            depth--;
        node = tag_next(fdt, node);
    } while (depth > 0 && node >= 0);
    return node_from(fdt, node);
}

/* What the node is called, or that without @unit where the name wanted has none. */
static bool name_is(const struct fdt *fdt, int node, const char *name, size_t length)
{
    const char *is = fdt_name(fdt, node);

    return strncmp(is, name, length) == 0 &&
           (is[length] == '\0' || (is[length] == '@' && !memchr(name, '@', length)));
}

static int child_named(const struct fdt *fdt, int parent, const char *name, size_t length)
{
    int node = fdt_first_child(fdt, parent);

    while (node >= 0 && !name_is(fdt, node, name, length))
        node = fdt_next_child(fdt, node);
    return node;
}

int fdt_child(const struct fdt *fdt, int parent, const char *name)
{
    return child_named(fdt, parent, name, strlen(name));
}

int fdt_node(const struct fdt *fdt, const char *path)
{
    int node = 0;

    if (!path || *path != '/')
        return -1;
    while (node >= 0 && *path != '\0') {
        const char *end = strchr(path, '/');
        size_t length = end ? (size_t)(end - path) : strlen(path);

        if (length > 0)
            node = child_named(fdt, node, path, length);
        path += length + (end != NULL);
    }
    return node;
}

int fdt_parent(const struct fdt *fdt, int node)
{
    struct fdt_walk walk;

    return fdt_walk_to(&walk, fdt, node) && walk.depth > 1 ? walk.path[walk.depth - 2] : -1;
}

const char *fdt_strings_next(const char **list, size_t *size)
{
    const char *s = *list, *end = s ? memchr(s, 0, *size) : NULL;

    if (!end)
        return NULL;
    *size -= (size_t)(end + 1 - s);
    *list = end + 1;
    return s;
}

int fdt_compatible(const struct fdt *fdt, int node, const char *const *names)
{
    size_t size;
    const char *strings = fdt_prop(fdt, node, "compatible", &size), *s;

    while ((s = fdt_strings_next(&strings, &size)))
        for (int j = 0; names[j]; j++)
            if (strcmp(s, names[j]) == 0)
                return j;
    return -1;
}

bool fdt_is_compatible(const struct fdt *fdt, int node, const char *compatible)
{
    return fdt_compatible(fdt, node, (const char *const[]){compatible, NULL}) == 0;
}

const char *fdt_name(const struct fdt *fdt, int node)
{
    bool named = tag_at(fdt, node) == BEGIN_NODE && tag_next(fdt, node) >= 0;

    return named ? (const char *)fdt->structure + node + CELL : "";
}

const char *fdt_path(const struct fdt *fdt, int node, char *buf, size_t size)
{
    struct fdt_walk walk;
    size_t used = 0;

    str_copy(buf, size, "/");
    if (!fdt_walk_to(&walk, fdt, node))
        return buf;
    for (unsigned i = 1; i < walk.depth && used < size; i++)
        used += fmt_buf(buf + used, size - used, "/%s", fdt_name(fdt, walk.path[i]));
    return buf;
}

bool fdt_is_enabled(const struct fdt *fdt, int node)
{
    const char *status = fdt_str(fdt, node, "status");

    if (!status)
        return !fdt_has(fdt, node, "status");
    return strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0;
}

/* --- Properties --- */

/* The property that begins at this tag or behind it, in the same node; negative: there is none. */
static int property_from(const struct fdt *fdt, int at)
{
    while (tag_at(fdt, at) == NOP)
        at = tag_next(fdt, at);
    return tag_at(fdt, at) == PROPERTY ? at : -1;
}

static int first_property(const struct fdt *fdt, int node)
{
    return tag_at(fdt, node) == BEGIN_NODE ? property_from(fdt, tag_next(fdt, node)) : -1;
}

static const char *property_name(const struct fdt *fdt, int at)
{
    const struct property_header *header = (const void *)(fdt->structure + at);

    return fdt->strings + byte_swap32(header->name);
}

static const void *property_value(const struct fdt *fdt, int at, size_t *size)
{
    const struct property_header *header = (const void *)(fdt->structure + at);

    *size = byte_swap32(header->size);
    return header + 1;
}

const void *fdt_prop(const struct fdt *fdt, int node, const char *name, size_t *size)
{
    size_t unused;

    if (!size)
        size = &unused;
    for (int at = first_property(fdt, node); at >= 0; at = property_from(fdt, tag_next(fdt, at))) {
        const char *is = property_name(fdt, at);

        if (is[0] == name[0] && strcmp(is, name) == 0)
            return property_value(fdt, at, size);
    }
    *size = 0;
    return NULL;
}

const char *fdt_prop_at(const struct fdt *fdt, int node, unsigned index, const void **value,
                        size_t *size)
{
    int at = first_property(fdt, node);

    while (at >= 0 && index-- > 0)
        at = property_from(fdt, tag_next(fdt, at));
    if (at < 0)
        return NULL;
    *value = property_value(fdt, at, size);
    return property_name(fdt, at);
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
    const char *list = fdt_prop(fdt, node, name, &size), *s;

    while ((s = fdt_strings_next(&list, &size)) && index-- > 0)
        continue;
    return s;
}

uint64_t fdt_cells(const uint8_t *cells, unsigned count)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < count * CELL; i++)
        v = v << 8 | cells[i];
    return v;
}

enum err fdt_u32(const struct fdt *fdt, int node, const char *name, unsigned index, uint32_t *v)
{
    size_t size;
    const uint8_t *cells = fdt_prop(fdt, node, name, &size);

    if (!cells)
        return E_ABSENT;
    if (index >= size / CELL)
        return E_RANGE;
    *v = (uint32_t)fdt_cells(cells + (size_t)index * CELL, 1);
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
    *v = fdt_cells(cells, (unsigned)(size / CELL));
    return OK;
}
