/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appends a section to a PE32+ file. Nothing that is there moves: the header goes behind the last
 * one, the data to the end of the file, its address behind all others.
 *
 *     | DOS | PE | optional header | section headers | NEW, gap | sections ... | NEW data |
 *
 * [Microsoft, PE Format]
 */
#include <stdio.h>
#include <string.h>

#include "tools/caisson/tool.h"

#define COFF_SIZE     24u /* With its signature. */
#define HEADER_SIZE   40u /* Of a section. */
#define SECTIONS_MAX  96u
#define MAGIC_PE32_64 0x20bu
#define CERTIFICATES  4u /* Index of the data directory. */

/* Offsets in the optional header. */
enum {
    OPT_INIT_DATA = 8,
    OPT_SECTION_ALIGN = 32,
    OPT_FILE_ALIGN = 36,
    OPT_IMAGE_SIZE = 56,
    OPT_HEADERS_SIZE = 60,
    OPT_CHECKSUM = 64,
    OPT_DIRECTORY_COUNT = 108,
    OPT_DIRECTORIES = 112,
};

/* Offsets in a section header. */
enum {
    SEC_VIRTUAL_SIZE = 8,
    SEC_ADDRESS = 12,
    SEC_RAW_SIZE = 16,
    SEC_RAW = 20,
    SEC_FLAGS = 36,
};

#define SEC_FLAGS_DATA 0x40000040u /* Initialized data, readable. */

struct pe {
    uint8_t *data;
    size_t size;
    uint8_t *coff, *opt, *table;
    unsigned count;       /* Of section headers. */
    uint64_t header_room; /* Headers may reach to here in the file and in memory. */
    uint64_t memory_end;  /* Of all sections. */
    uint32_t file_align, section_align;
};

static uint32_t get(const uint8_t *p, unsigned bytes)
{
    uint32_t v = 0;

    while (bytes-- > 0)
        v = v << 8 | p[bytes];
    return v;
}

static void put(uint8_t *p, unsigned bytes, uint64_t v)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static bool is_power(uint32_t v)
{
    return v && (v & (v - 1)) == 0;
}

static const char *headers_find(struct pe *pe)
{
    uint64_t offset, opt_size;

    if (pe->size < 64 || memcmp(pe->data, "MZ", 2) != 0)
        return "not an EFI program (no MZ header)";
    offset = get(pe->data + 60, 4);
    if (offset + COFF_SIZE > pe->size || memcmp(pe->data + offset, "PE\0", 4) != 0)
        return "not an EFI program (no PE header)";
    pe->coff = pe->data + offset;
    pe->opt = pe->coff + COFF_SIZE;
    opt_size = get(pe->coff + 20, 2);
    pe->count = get(pe->coff + 6, 2);
    if (opt_size < OPT_DIRECTORIES || offset + COFF_SIZE + opt_size > pe->size ||
        get(pe->opt, 2) != MAGIC_PE32_64)
        return "not an EFI program with 64 bits (PE32+)";
    pe->table = pe->opt + opt_size;
    if (pe->count > SECTIONS_MAX ||
        (uint64_t)(pe->table - pe->data) + pe->count * HEADER_SIZE > pe->size)
        return "damaged: its section headers go beyond its end";
    return NULL;
}

unsigned pe_machine(const void *data, size_t size)
{
    struct pe pe = {.data = (uint8_t *)data, .size = size};

    return headers_find(&pe) ? 0 : get(pe.coff + 4, 2);
}

/* Takes in what the sections occupy. */
static const char *sections_read(struct pe *pe, const char *name)
{
    char padded[8] = {0};

    memcpy(padded, name, strnlen(name, sizeof(padded)));
    pe->header_room = pe->size;
    pe->memory_end = 0;
    for (unsigned i = 0; i < pe->count; i++) {
        const uint8_t *s = pe->table + (size_t)i * HEADER_SIZE;
        uint64_t address = get(s + SEC_ADDRESS, 4), raw = get(s + SEC_RAW, 4);
        uint64_t raw_size = get(s + SEC_RAW_SIZE, 4), size = get(s + SEC_VIRTUAL_SIZE, 4);

        if (memcmp(s, padded, sizeof(padded)) == 0)
            return "has a configuration already; give the program without one";
        if (raw_size && raw + raw_size > pe->size)
            return "damaged: a section goes beyond its end";
        if (raw_size)
            pe->header_room = MIN(pe->header_room, raw);
        pe->header_room = MIN(pe->header_room, address);
        pe->memory_end = MAX(pe->memory_end, address + MAX(size, raw_size));
    }
    return NULL;
}

static const char *alignments_read(struct pe *pe)
{
    unsigned directories = get(pe->opt + OPT_DIRECTORY_COUNT, 4);
    const uint8_t *certificates = pe->opt + OPT_DIRECTORIES + (size_t)CERTIFICATES * 8;

    pe->file_align = get(pe->opt + OPT_FILE_ALIGN, 4);
    pe->section_align = get(pe->opt + OPT_SECTION_ALIGN, 4);
    if (!is_power(pe->file_align) || !is_power(pe->section_align) ||
        pe->section_align < pe->file_align)
        return "damaged: its alignments are not powers of two";
    if (directories > CERTIFICATES && certificates + 8 <= pe->table && get(certificates + 4, 4))
        return "is signed; pack first, then sign";
    return NULL;
}

/* Where the new header goes; grows the headers into the gap before the first section when they need
 * it. */
static const char *header_place(struct pe *pe, uint8_t **header)
{
    uint64_t end, size = get(pe->opt + OPT_HEADERS_SIZE, 4);

    *header = pe->table + (size_t)pe->count * HEADER_SIZE;
    end = (uint64_t)(*header - pe->data) + HEADER_SIZE;
    if (end > pe->header_room || end > pe->size)
        return "has no room for one more section header before its first section";
    for (unsigned i = 0; i < HEADER_SIZE; i++)
        if ((*header)[i])
            return "has something other than zeroes where one more section header would go";
    if (end > size) {
        size = ALIGN_UP(end, pe->file_align);
        if (size > pe->header_room)
            return "has no room for one more section header: its headers end where a section "
                   "begins";
        put(pe->opt + OPT_HEADERS_SIZE, 4, size);
    }
    return NULL;
}

const char *pe_add_section(const struct pe_file *in, const char *name, const void *data,
                           size_t size, struct pe_file *out)
{
    struct pe pe = {.data = in->data, .size = in->size};
    uint64_t raw, raw_size, address, image_end;
    const char *wrong = headers_find(&pe);
    uint8_t *header;

    wrong = wrong ? wrong : alignments_read(&pe);
    wrong = wrong ? wrong : sections_read(&pe, name);
    if (wrong)
        return wrong;
    raw = ALIGN_UP(in->size, pe.file_align);
    raw_size = ALIGN_UP(size, pe.file_align);
    address = ALIGN_UP(MAX(pe.memory_end, get(pe.opt + OPT_IMAGE_SIZE, 4)), pe.section_align);
    image_end = ALIGN_UP(address + MAX(size, raw_size), pe.section_align);
    if (raw + raw_size > INT32_MAX || image_end > INT32_MAX)
        return "would grow beyond 2 GiB, which EFI programs cannot";

    out->size = raw + raw_size;
    out->data = allocate(out->size);
    memcpy(out->data, in->data, in->size);
    memcpy(out->data + raw, data, size);
    pe.data = out->data;
    wrong = headers_find(&pe);
    wrong = wrong ? wrong : header_place(&pe, &header);
    if (wrong)
        return wrong;
    memcpy(header, name, strnlen(name, 8));
    put(header + SEC_VIRTUAL_SIZE, 4, size);
    put(header + SEC_ADDRESS, 4, address);
    put(header + SEC_RAW_SIZE, 4, raw_size);
    put(header + SEC_RAW, 4, raw);
    put(header + SEC_FLAGS, 4, SEC_FLAGS_DATA);
    put(pe.coff + 6, 2, pe.count + 1);
    put(pe.opt + OPT_INIT_DATA, 4, get(pe.opt + OPT_INIT_DATA, 4) + raw_size);
    put(pe.opt + OPT_IMAGE_SIZE, 4, image_end);
    put(pe.opt + OPT_CHECKSUM, 4, 0); /* EFI does not look at it; a signer writes it. */
    return NULL;
}
