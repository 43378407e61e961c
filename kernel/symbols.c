/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lookup. The functions come in the order of their addresses, the first at an offset from the
 * image's start. Of each there is its length up to the next one (ULEB128), and its name: numbers of
 * pieces from 1 on, a byte each, then 0. The pieces are strings, one behind the other. In the first
 * link the table is empty.
 */
#include "kernel/symbols.h"

#include "kernel/string.h"

extern const char _image_start[];
extern const uint32_t symtab_count, symtab_start;
extern const char symtab_functions[], symtab_pieces[];

static uintptr_t take_uleb128(const char **at)
{
    uintptr_t value = 0;
    uint8_t byte;

    for (unsigned shift = 0;; shift += 7) {
        byte = (uint8_t) * (*at)++;
        value |= (uintptr_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
}

static const char *find_piece(uint8_t number)
{
    const char *piece = symtab_pieces;

    while (--number > 0)
        piece += strlen(piece) + 1;
    return piece;
}

static void copy_name(char name[SYMBOL_NAME_MAX], const char *pieces)
{
    size_t length = 0;

    for (; *pieces != 0; pieces++) {
        for (const char *c = find_piece((uint8_t)*pieces); *c != 0; c++) {
            if (length < SYMBOL_NAME_MAX - 1)
                name[length++] = *c;
        }
    }
    name[length] = 0;
}

bool symbol_name(uintptr_t addr, char name[SYMBOL_NAME_MAX], uintptr_t *offset)
{
    uintptr_t inside = addr - (uintptr_t)_image_start - symtab_start;
    const char *at = symtab_functions;

    if (addr - (uintptr_t)_image_start < symtab_start)
        return false;
    for (uint32_t i = 0; i < symtab_count; i++) {
        uintptr_t length = take_uleb128(&at);

        if (inside < length) {
            copy_name(name, at);
            *offset = inside;
            return true;
        }
        inside -= length;
        at += strlen(at) + 1;
    }
    return false;
}
