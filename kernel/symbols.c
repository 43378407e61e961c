/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lookup. The table is sorted by offset from the image's start, the names come in the same
 * order, one behind the other. Its last entry is the end of the text and has no name. In the first
 * link it is empty.
 */
#include "kernel/symbols.h"

#include "kernel/string.h"

extern const char _image_start[];
extern const uint32_t symtab_count;
extern const uint32_t symtab_offsets[]; /* From _image_start. */
extern const char symtab_names[];

const char *symbol_name(uintptr_t addr, uintptr_t *offset)
{
    uintptr_t wanted = addr - (uintptr_t)_image_start;
    uint32_t low = 0, high = symtab_count;
    const char *name = symtab_names;

    while (low < high) { /* Find the first entry beyond wanted. */
        uint32_t middle = low + (high - low) / 2;

        if (symtab_offsets[middle] <= wanted)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || low == symtab_count)
        return NULL;
    *offset = wanted - symtab_offsets[low - 1];
    while (--low > 0)
        name += strlen(name) + 1;
    return name;
}
