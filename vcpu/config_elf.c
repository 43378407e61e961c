/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF files for the loader. Nothing in the file is trusted: each field is read once, and an offset
 * is used only after it was compared with the file's size. Files of 32 bits are for x86 only; their
 * headers are read as those of 64. [System V ABI, chapters 4 and 5; Xen: docs/misc/pvh.pandoc and
 * elfnote.h; Multiboot 0.6.96, 3.1]
 */
#include "vcpu/config_elf.h"

#include "kernel/string.h"

#define ELF_TYPE_EXEC    2u
#define ELF_PT_LOAD      1u
#define ELF_PF_X         1u
#define ELF_PHDR_SIZE    56u
#define ELF_PHDR32_SIZE  32u
#define ELF_PHDRS_MAX    64u
#define ELF_PT_NOTE      4u
#define EM_386           3u
#define EM_X86_64        62u

#define NOTE_PVH         18u /* XEN_ELFNOTE_PHYS32_ENTRY */

#define MULTIBOOT_MAGIC  0x1badb002u
#define MULTIBOOT_SEARCH 8192u
#define MULTIBOOT_KNOWN  0x3u    /* Of what it may require: aligned modules, memory information. */
#define MULTIBOOT_MUST   0xffffu /* Bits that a loader must not ignore. */

struct elf_header {
    uint8_t magic[4], class, data, version, pad[9];
    uint16_t type, machine;
    uint32_t version2;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_phdr {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct elf_header32 {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version2, entry, phoff, shoff, flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_phdr32 {
    uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

_Static_assert(sizeof(struct elf_header) == 64, "as in the file");
_Static_assert(sizeof(struct elf_header32) == 52, "as in the file");
_Static_assert(sizeof(struct elf_phdr32) == ELF_PHDR32_SIZE, "as in the file");
_Static_assert(sizeof(struct elf_phdr) == ELF_PHDR_SIZE, "as in the file");

bool elf_is(const void *data, size_t size)
{
    return size >= 4 && memcmp(data, "\177ELF", 4) == 0;
}

/* The header, of either width; false: the file is too short. */
static bool header_read(const void *data, size_t size, struct elf_header *h)
{
    struct elf_header32 narrow;

    if (size < sizeof(*h))
        return false;
    memcpy(h, data, sizeof(*h));
    if (h->class != 1)
        return true;
    memcpy(&narrow, data, sizeof(narrow));
    h->type = narrow.type;
    h->machine = narrow.machine;
    h->entry = narrow.entry;
    h->phoff = narrow.phoff;
    h->phentsize = narrow.phentsize;
    h->phnum = narrow.phnum;
    return true;
}

static bool is_x86(const struct elf_header *h)
{
    return h->machine == EM_386 || h->machine == EM_X86_64;
}

static size_t phdr_size(const struct elf_header *h)
{
    return h->class == 1 ? ELF_PHDR32_SIZE : ELF_PHDR_SIZE;
}

static const char *header_check(const void *data, size_t size, uint16_t machine,
                                struct elf_header *h)
{
    bool narrow;

    if (!header_read(data, size, h))
        return "ends inside its ELF header";
    narrow = h->class == 1 && machine == EM_X86_64;
    if ((h->class != 2 && !narrow) || h->data != 1 || h->version != 1)
        return "is not an ELF file with 64 bits and little-endian";
    if (h->machine != (narrow ? EM_386 : machine))
        return "is an ELF file for another architecture";
    if (h->type != ELF_TYPE_EXEC)
        return "is an ELF file, but not linked to a fixed address (type EXEC)";
    if (h->phentsize != phdr_size(h) || h->phnum == 0 || h->phnum > ELF_PHDRS_MAX)
        return "has an ELF program header table with a strange size";
    if (h->phoff > size || h->phnum * phdr_size(h) > size - h->phoff)
        return "has an ELF program header table beyond its end";
    return NULL;
}

static struct elf_phdr phdr_at(const void *data, const struct elf_header *h, unsigned index)
{
    const char *at = (const char *)data + h->phoff + index * phdr_size(h);
    struct elf_phdr32 n;
    struct elf_phdr p;

    if (h->class == 2) {
        memcpy(&p, at, sizeof(p));
        return p;
    }
    memcpy(&n, at, sizeof(n));
    return (struct elf_phdr){
        .type = n.type,
        .flags = n.flags,
        .offset = n.offset,
        .vaddr = n.vaddr,
        .paddr = n.paddr,
        .filesz = n.filesz,
        .memsz = n.memsz,
        .align = n.align,
    };
}

static const char *phdr_check(const struct elf_phdr *p, size_t size)
{
    if (p->filesz > p->memsz)
        return "has an ELF segment that is larger in the file than in memory";
    if (p->offset > size || p->filesz > size - p->offset)
        return "has an ELF segment beyond its end";
    if (p->paddr + p->memsz < p->paddr || p->vaddr + p->memsz < p->vaddr)
        return "has an ELF segment that wraps around the address space";
    return NULL;
}

static bool loads(const struct elf_phdr *p)
{
    return p->type == ELF_PT_LOAD && p->memsz != 0;
}

static bool phdr_overlaps(const void *data, const struct elf_header *h, unsigned index)
{
    struct elf_phdr p = phdr_at(data, h, index);

    for (unsigned i = 0; i < index; i++) {
        struct elf_phdr q = phdr_at(data, h, i);

        if (loads(&q) && p.paddr < q.paddr + q.memsz && q.paddr < p.paddr + p.memsz)
            return true;
    }
    return false;
}

/* The entry of a PVH note in the segment; 0: there is none. Names and contents are padded to 4. */
static uint64_t note_find(const void *data, const struct elf_phdr *p)
{
    const char *at = (const char *)data + p->offset, *end = at + p->filesz;
    uint32_t note[3]; /* Sizes of name and contents, type. */

    for (; (size_t)(end - at) >= sizeof(note); at += sizeof(note)) {
        uint64_t name_room, room, entry = 0;
        const char *contents;

        memcpy(note, at, sizeof(note));
        name_room = ALIGN_UP((uint64_t)note[0], 4);
        room = name_room + ALIGN_UP((uint64_t)note[1], 4);
        if (room > (size_t)(end - at) - sizeof(note))
            return 0;
        contents = at + sizeof(note) + name_room;
        if (note[2] == NOTE_PVH && note[0] == 4 && (note[1] == 4 || note[1] == 8) &&
            memcmp(at + sizeof(note), "Xen", 4) == 0) {
            memcpy(&entry, contents, note[1]);
            return entry;
        }
        at += room;
    }
    return 0;
}

/* Whether code that is in the file goes to this address, guest-virtual (or physical). */
static bool holds_code(const struct elf_phdr *p, uint64_t base, uint64_t entry)
{
    return loads(p) && (p->flags & ELF_PF_X) && entry >= base && entry - base < p->filesz;
}

/*
 * The entry, guest-physical. Kernels for the upper half of the address space may name it by its
 * virtual or by its physical address. 0: it is nowhere.
 */
static uint64_t entry_find(const void *data, const struct elf_header *h, uint64_t entry,
                           bool physical)
{
    for (unsigned i = 0; !physical && i < h->phnum; i++) {
        struct elf_phdr p = phdr_at(data, h, i);

        if (holds_code(&p, p.vaddr, entry))
            return entry - p.vaddr + p.paddr;
    }
    for (unsigned i = 0; i < h->phnum; i++) {
        struct elf_phdr p = phdr_at(data, h, i);

        if (holds_code(&p, p.paddr, entry))
            return entry;
    }
    return 0;
}

/* One segment; NULL or what is wrong with it. */
static const char *segment_check(const void *data, size_t size, const struct elf_header *h,
                                 unsigned index, struct elf_range *range)
{
    struct elf_phdr p = phdr_at(data, h, index);
    const char *wrong = loads(&p) || p.type == ELF_PT_NOTE ? phdr_check(&p, size) : NULL;

    if (wrong)
        return wrong;
    if (p.type == ELF_PT_NOTE && is_x86(h) && range->pvh_entry == 0)
        range->pvh_entry = note_find(data, &p);
    if (!loads(&p))
        return NULL;
    if (phdr_overlaps(data, h, index))
        return "has ELF segments that overlap";
    range->size = MAX(range->size, p.paddr + p.memsz); /* The end, for now. */
    range->base = MIN(range->base, p.paddr);
    return NULL;
}

const char *elf_check(const void *data, size_t size, uint16_t machine, struct elf_range *range)
{
    struct elf_header h;
    const char *wrong = header_check(data, size, machine, &h);

    *range = (struct elf_range){.base = UINT64_MAX};
    for (unsigned i = 0; !wrong && i < h.phnum; i++)
        wrong = segment_check(data, size, &h, i, range);
    if (wrong)
        return wrong;
    range->size -= range->base;
    range->narrow = h.class == 1;
    range->entry = entry_find(data, &h, h.entry, false);
    if (range->pvh_entry)
        return entry_find(data, &h, range->pvh_entry, true)
                   ? NULL
                   : "has a PVH note whose entry is in none of its executable segments";
    return range->entry ? NULL : "has an ELF entry that is in none of its executable segments";
}

const char *elf_multiboot(const void *data, size_t size, struct elf_range *range)
{
    uint32_t h[3]; /* Magic, flags, checksum. */
    size_t end = MIN(size, MULTIBOOT_SEARCH);

    range->multiboot = false;
    for (size_t at = 0; at + sizeof(h) <= end; at += 4) {
        memcpy(h, (const char *)data + at, sizeof(h[0]));
        if (h[0] != MULTIBOOT_MAGIC)
            continue;
        memcpy(h, (const char *)data + at, sizeof(h));
        if (h[0] + h[1] + h[2] != 0)
            continue;
        if (h[1] & MULTIBOOT_MUST & ~MULTIBOOT_KNOWN)
            return "has a multiboot header that requires what there is not (a video mode)";
        range->multiboot = true;
        return NULL;
    }
    return NULL;
}

bool elf_segment(const void *data, size_t size, unsigned index, struct image_segment *segment)
{
    struct elf_header h;

    if (!header_read(data, size, &h))
        return false;
    for (unsigned i = 0; i < h.phnum; i++) {
        struct elf_phdr p = phdr_at(data, &h, i);

        if (!loads(&p) || index-- > 0)
            continue;
        *segment = (struct image_segment){
            .address = p.paddr,
            .memory_size = p.memsz,
            .data = (const char *)data + p.offset,
            .data_size = p.filesz,
        };
        return true;
    }
    return false;
}
