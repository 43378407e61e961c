/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lookup. The table is sorted by offset from the image's start; its last entry is the end of
 * the text and names nothing. In the first link it is empty.
 */
#include "kernel/symbols.h"

struct symtab_entry {
    uint32_t offset; /* From _image_start. */
    uint32_t name;   /* Index into symtab_names. */
};

extern const char _image_start[];
extern const uint32_t symtab_count;
extern const struct symtab_entry symtab_entries[];
extern const char symtab_names[];

const char *symbol_name(uintptr_t addr, uintptr_t *offset)
{
    uintptr_t wanted = addr - (uintptr_t)_image_start;
    uint32_t low = 0, high = symtab_count;

    while (low < high) { /* Find the first entry beyond wanted. */
        uint32_t middle = low + (high - low) / 2;

        if (symtab_entries[middle].offset <= wanted)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || low == symtab_count)
        return NULL;
    *offset = wanted - symtab_entries[low - 1].offset;
    return &symtab_names[symtab_entries[low - 1].name];
}
