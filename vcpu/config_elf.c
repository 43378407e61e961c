/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF files for the loader. Nothing in the file is trusted: each field is read once, and an offset
 * is used only after it was compared with the file's size. [System V ABI, chapters 4 and 5]
 */
#include "vcpu/config_elf.h"

#include "kernel/string.h"

#define ELF_TYPE_EXEC 2u
#define ELF_PT_LOAD   1u
#define ELF_PF_X      1u
#define ELF_PHDR_SIZE 56u
#define ELF_PHDRS_MAX 64u

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

_Static_assert(sizeof(struct elf_header) == 64, "as in the file");
_Static_assert(sizeof(struct elf_phdr) == ELF_PHDR_SIZE, "as in the file");

bool elf_is(const void *data, size_t size)
{
    return size >= 4 && memcmp(data, "\177ELF", 4) == 0;
}

static const char *header_check(const void *data, size_t size, uint16_t machine,
                                struct elf_header *h)
{
    if (size < sizeof(*h))
        return "ends inside its ELF header";
    memcpy(h, data, sizeof(*h));
    if (h->class != 2 || h->data != 1 || h->version != 1)
        return "is not an ELF file with 64 bits and little-endian";
    if (h->machine != machine)
        return "is an ELF file for another architecture";
    if (h->type != ELF_TYPE_EXEC)
        return "is an ELF file, but not linked to a fixed address (type EXEC)";
    if (h->phentsize != ELF_PHDR_SIZE || h->phnum == 0 || h->phnum > ELF_PHDRS_MAX)
        return "has an ELF program header table with a strange size";
    if (h->phoff > size || (uint64_t)h->phnum * ELF_PHDR_SIZE > size - h->phoff)
        return "has an ELF program header table beyond its end";
    return NULL;
}

static struct elf_phdr phdr_at(const void *data, const struct elf_header *h, unsigned index)
{
    struct elf_phdr p;

    memcpy(&p, (const char *)data + h->phoff + (size_t)index * ELF_PHDR_SIZE, sizeof(p));
    return p;
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

const char *elf_check(const void *data, size_t size, uint16_t machine, struct elf_range *range)
{
    uint64_t first = UINT64_MAX, end = 0;
    bool entry_found = false;
    struct elf_header h;
    const char *wrong = header_check(data, size, machine, &h);

    for (unsigned i = 0; !wrong && i < h.phnum; i++) {
        struct elf_phdr p = phdr_at(data, &h, i);

        if (!loads(&p))
            continue;
        wrong = phdr_check(&p, size);
        if (!wrong && phdr_overlaps(data, &h, i))
            wrong = "has ELF segments that overlap";
        if (!entry_found && h.entry >= p.vaddr && h.entry - p.vaddr < p.filesz &&
            (p.flags & ELF_PF_X)) {
            range->entry = h.entry - p.vaddr + p.paddr;
            entry_found = true;
        }
        first = MIN(first, p.paddr);
        end = MAX(end, p.paddr + p.memsz);
    }
    if (wrong)
        return wrong;
    range->base = first;
    range->size = end - first;
    return entry_found ? NULL : "has an ELF entry that is in none of its executable segments";
}

bool elf_segment(const void *data, size_t size, unsigned index, struct image_segment *segment)
{
    struct elf_header h;

    if (size < sizeof(h))
        return false;
    memcpy(&h, data, sizeof(h));
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
