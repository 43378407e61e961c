/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lookup. The functions come in the order of their addresses, the first at an offset from the
 * image's start. Of each there is its length up to the next one (ULEB128), and its name: numbers of
 * pieces from 1 on, a byte each, then 0. A piece is a character and 0, or the numbers of two pieces
 * before it. In the first link the table is empty.
 */
#include "kernel/symbols.h"

#include "kernel/string.h"

extern const char _image_start[];
extern const uint32_t symtab_count, symtab_start;
extern const char symtab_functions[];
extern const uint8_t symtab_pieces[][2];

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

/* Appends a piece, which is a character, or two pieces that are made of others. */
static size_t copy_piece(char name[SYMBOL_NAME_MAX], size_t length, uint8_t number)
{
    const uint8_t *piece = symtab_pieces[number - 1];

    if (piece[1] != 0)
        return copy_piece(name, copy_piece(name, length, piece[0]), piece[1]);
    if (length < SYMBOL_NAME_MAX - 1)
        name[length++] = (char)piece[0];
    return length;
}

static void copy_name(char name[SYMBOL_NAME_MAX], const char *pieces)
{
    size_t length = 0;

    for (; *pieces != 0; pieces++)
        length = copy_piece(name, length, (uint8_t)*pieces);
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
