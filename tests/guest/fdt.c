/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the few things that guests want from the device tree. [Devicetree specification 0.4,
 * chapter 5] The tree is trusted: it is ours, or QEMU's.
 */
#include "guest.h"

enum token { BEGIN_NODE = 1, END_NODE = 2, PROP = 3, NOP = 4, END = 9 };

struct walk {
    const uint8_t *at;
    const char *node;  /* Name of the node that began last. */
    const char *name;  /* PROP: its name, */
    const void *value; /* and value. */
    uint32_t size;
};

static const uint8_t *tree;

static uint32_t be32(const void *at)
{
    const uint8_t *b = at;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

uint64_t fdt_cells(const void *value, unsigned cells)
{
    uint64_t result = be32(value);

    return cells == 1 ? result : result << 32 | be32((const uint8_t *)value + 4);
}

void fdt_set(const void *start)
{
    tree = start;
    if (start == NULL || be32(tree) != 0xd00dfeed) {
        print("FAIL there is a device tree: none at 0x%lx\n", (uint64_t)start);
        power_off();
    }
}

const void *fdt_start(void)
{
    return tree;
}

uint64_t fdt_size(void)
{
    return be32(tree + 4);
}

static size_t length(const char *text)
{
    size_t size = 0;

    while (text[size])
        size++;
    return size;
}

static struct walk walk_start(void)
{
    return (struct walk){.at = tree + be32(tree + 8)};
}

static enum token walk_next(struct walk *walk)
{
    uint32_t token;

    do {
        token = be32(walk->at);
        walk->at += 4;
    } while (token == NOP);
    if (token == BEGIN_NODE) {
        walk->node = (const char *)walk->at;
        walk->at += (length(walk->node) + 4) & ~(size_t)3;
    } else if (token == PROP) {
        walk->size = be32(walk->at);
        walk->name = (const char *)tree + be32(tree + 12) + be32(walk->at + 4);
        walk->value = walk->at + 8;
        walk->at += 8 + ((walk->size + 3) & ~3u);
    }
    return token;
}

const void *fdt_find(const char *node, const char *property, uint32_t *size)
{
    struct walk walk = walk_start();

    for (enum token t = walk_next(&walk); t != END; t = walk_next(&walk)) {
        if (t != PROP || !text_starts(walk.node, node) || !text_starts(walk.name, property) ||
            walk.name[length(property)] != 0)
            continue;
        if (size != NULL)
            *size = walk.size;
        return walk.value;
    }
    return NULL;
}

bool fdt_is_compatible(const char *with)
{
    struct walk walk = walk_start();

    for (enum token t = walk_next(&walk); t != END; t = walk_next(&walk))
        if (t == PROP && text_starts(walk.name, "compatible") && text_starts(walk.value, with))
            return true;
    return false;
}

unsigned machine_cpu_count(void)
{
    struct walk walk = walk_start();
    unsigned count = 0;

    for (enum token t = walk_next(&walk); t != END; t = walk_next(&walk))
        count += t == BEGIN_NODE && text_starts(walk.node, "cpu@");
    return count;
}

uint64_t machine_argument(const char *word, uint64_t other)
{
    const char *line = fdt_find("chosen", "bootargs", NULL);

    return line == NULL ? other : text_argument(line, word, other);
}

/* Two cells each, as on the machines that we know. */
void machine_memory(uint64_t *base, uint64_t *size)
{
    const uint8_t *reg = fdt_find("memory@", "reg", NULL);

    *base = *size = 0;
    if (reg == NULL)
        return;
    *base = fdt_cells(reg, 2);
    *size = fdt_cells(reg + 8, 2);
}

/* The tree. */
bool machine_loaded(unsigned number, uint64_t *start, uint64_t *end)
{
    uint64_t at = (uint64_t)tree;

    *start = at & ~(uint64_t)(PAGE - 1);
    *end = (at + fdt_size() + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    return number == 0;
}
