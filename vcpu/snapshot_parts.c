/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot's header and parts: written one after the other, checked as a whole before anything of
 * them is used, read in the order of their writing. Invariant of the check: all offsets that come
 * out of it lie inside.
 */
#include "kernel/arch.h"
#include "kernel/assert.h"
#include "kernel/crc32c.h"
#include "kernel/string.h"
#include "vcpu/arch_vcpu.h"
#include "vcpu/snapshot_impl.h"

static const char snapshot_magic[8] = {'C', 'A', 'I', 'S', 'S', 'N', 'A', 'P'};
static const char pages_name[] = "pages", runs_name[] = "runs";

/* Heads are aligned to their size, so each is in one piece. */
static struct snapshot_part *part_head(const struct snapshot *s, uint64_t at)
{
    uint64_t contiguous;

    return snapshot_bytes_at(&s->bytes, at, &contiguous);
}

static struct snapshot_header *snapshot_head(const struct snapshot *s)
{
    uint64_t contiguous;

    return snapshot_bytes_at(&s->bytes, 0, &contiguous);
}

/* Of all heads; the header's own checksum counts as zero. */
static uint32_t heads_crc(const struct snapshot *s)
{
    struct snapshot_header header = *snapshot_head(s);
    uint64_t at = sizeof(header);
    uint32_t crc;

    header.crc = 0;
    crc = crc32c(0, &header, sizeof(header));
    while (at < s->bytes.size) {
        const struct snapshot_part *part = part_head(s, at);

        crc = crc32c(crc, part, sizeof(*part));
        at += sizeof(*part) + part->space;
    }
    return crc;
}

/* --- Writing --- */

static bool is_pages(const char *name)
{
    return strcmp(name, pages_name) == 0;
}

/* The next head, or the end, comes after so many zeros that what follows a head is aligned. */
static bool part_close(struct snapshot_writer *w, uint64_t alignment)
{
    struct snapshot_bytes *bytes = &w->snapshot->bytes;
    uint64_t used = bytes->size, head = sizeof(struct snapshot_part);
    struct snapshot_part *part;

    if (!snapshot_bytes_add(bytes, NULL, ALIGN_UP(used + head, alignment) - head - used))
        return false;
    if (w->part_at == 0)
        return true;
    part = part_head(w->snapshot, w->part_at);
    part->size = used - w->part_at - head;
    part->space = bytes->size - w->part_at - head;
    if (!is_pages(part->name))
        part->crc = snapshot_bytes_crc(bytes, 0, w->part_at + head, part->space);
    w->part_at = 0;
    return true;
}

static void writer_section(struct state *s, const char *name, unsigned version)
{
    struct snapshot_writer *w = container_of(s, struct snapshot_writer, state);
    struct snapshot_part part = {.magic = SNAPSHOT_PART_MAGIC, .version = version};
    bool pages = name && is_pages(name);

    if (!part_close(w, pages ? PAGE_SIZE : SNAPSHOT_ALIGN)) {
        state_refuse(s, E_NOMEM, "there is no memory left for it");
        return;
    }
    if (!name)
        return;
    str_copy(part.name, sizeof(part.name), name);
    w->part_at = w->snapshot->bytes.size;
    w->part_count++;
    state_bytes(s, &part, sizeof(part));
}

static bool writer_bytes(struct state *s, void *bytes, size_t size)
{
    struct snapshot_writer *w = container_of(s, struct snapshot_writer, state);

    return snapshot_bytes_add(&w->snapshot->bytes, bytes, size);
}

static const struct state_ops writer_ops = {.section = writer_section, .bytes = writer_bytes};

void snapshot_writer_init(struct snapshot_writer *w, struct snapshot *snapshot, uint64_t now)
{
    struct snapshot_header header = {
        .major = SNAPSHOT_MAJOR,
        .minor = SNAPSHOT_MINOR,
        .arch = ARCH_TAG,
        .id = snapshot->id,
        .parent = snapshot->parent ? snapshot->parent->id : 0,
        .timer_hz = arch_tick_hz(),
    };

    *w = (struct snapshot_writer){.snapshot = snapshot};
    state_init(&w->state, &writer_ops, false, now);
    memcpy(header.magic, snapshot_magic, sizeof(header.magic));
    str_copy(header.backend, sizeof(header.backend), virt_caps.backend);
    str_copy(header.vm, sizeof(header.vm), snapshot->vm);
    str_copy(header.name, sizeof(header.name), snapshot->name);
    state_bytes(&w->state, &header, sizeof(header));
}

void snapshot_writer_end(struct snapshot_writer *w)
{
    struct snapshot_header *header;

    state_end(&w->state);
    if (!state_ok(&w->state))
        return;
    header = snapshot_head(w->snapshot);
    header->size = w->snapshot->bytes.size;
    header->part_count = w->part_count;
}

bool snapshot_seal(struct snapshot *snapshot, uint64_t *at, uint64_t size)
{
    uint64_t part_at = snapshot->pages_at - sizeof(struct snapshot_part);
    struct snapshot_part *part = part_head(snapshot, part_at);
    uint64_t piece = MIN(size, part->space - *at);

    part->crc = snapshot_bytes_crc(&snapshot->bytes, part->crc, snapshot->pages_at + *at, piece);
    *at += piece;
    if (*at < part->space)
        return false;
    snapshot_head(snapshot)->crc = heads_crc(snapshot);
    return true;
}

uint64_t snapshot_page_count(const struct snapshot *snapshot)
{
    return part_head(snapshot, snapshot->pages_at - sizeof(struct snapshot_part))->size / PAGE_SIZE;
}

/* --- Checking --- */

/* In a field of that size. */
static bool ends_with_zero(const char *text, size_t size)
{
    return strnlen(text, size) < size;
}

/* From major version 1 on the header is as it is here. */
static const char *header_check(const struct snapshot *s)
{
    const struct snapshot_header *header;

    if (s->bytes.size < sizeof(*header))
        return "it is shorter than its header";
    header = snapshot_head(s);
    if (memcmp(header->magic, snapshot_magic, sizeof(snapshot_magic)) != 0)
        return "it is no snapshot of ours";
    if (header->major != SNAPSHOT_MAJOR)
        return "it is of another major version of the format";
    if (header->size != s->bytes.size)
        return header->size > s->bytes.size ? "it was cut short" : "it is longer than it says";
    if (!ends_with_zero(header->backend, sizeof(header->backend)) ||
        !ends_with_zero(header->vm, sizeof(header->vm)) ||
        !ends_with_zero(header->name, sizeof(header->name)))
        return "a name in its header does not end";
    return NULL;
}

/* What a part's head says of what follows it can be true. */
static bool head_is_good(const struct snapshot_part *part, uint64_t left)
{
    return part->magic == SNAPSHOT_PART_MAGIC && part->space <= left &&
           part->space % SNAPSHOT_ALIGN == 0 && part->size <= part->space &&
           ends_with_zero(part->name, sizeof(part->name));
}

/* The heads lead from one to the next and exactly to the end. Others may read these fields. */
const char *snapshot_parts_find(struct snapshot *s)
{
    static const char misfit[] = "its parts do not fit together";
    uint64_t at = sizeof(struct snapshot_header), size = s->bytes.size;
    uint64_t pages_at = 0, runs_at = 0, run_count = 0;
    unsigned count = 0;

    for (; at < size; count++) {
        const struct snapshot_part *part;

        if (size - at < sizeof(*part))
            return misfit;
        part = part_head(s, at);
        at += sizeof(*part);
        if (!head_is_good(part, size - at))
            return misfit;
        if (is_pages(part->name))
            pages_at = at;
        if (strcmp(part->name, runs_name) == 0) {
            runs_at = at;
            run_count = part->size / sizeof(struct snapshot_run);
        }
        at += part->space;
    }
    if (count != snapshot_head(s)->part_count || !pages_at || runs_at < pages_at ||
        !IS_ALIGNED(pages_at, PAGE_SIZE))
        return misfit;
    s->pages_at = pages_at;
    s->runs_at = runs_at;
    s->run_count = run_count;
    return NULL;
}

/* What another machine than this one has written is whole, but not for us. */
static const char *header_fits(const struct snapshot *s)
{
    const struct snapshot_header *header = snapshot_head(s);
    uint64_t hz = arch_tick_hz(), other = header->timer_hz;

    if (header->minor > SNAPSHOT_MINOR)
        return "it is of a newer version of the format";
    if (header->arch != ARCH_TAG)
        return "it is of another architecture";
    if (strcmp(header->backend, virt_caps.backend) != 0)
        return "it is of another kind of virtualization hardware";
    if (MAX(hz, other) - MIN(hz, other) > hz / 1000) /* A TSC is measured anew at each boot. */
        return "it is of a machine whose clock has another frequency";
    return NULL;
}

static const char *parts_crc_check(struct snapshot *s, bool pages)
{
    for (uint64_t at = sizeof(struct snapshot_header); at < s->bytes.size;) {
        const struct snapshot_part *part = part_head(s, at);

        at += sizeof(*part);
        if ((pages || at != s->pages_at) &&
            snapshot_bytes_crc(&s->bytes, 0, at, part->space) != part->crc) {
            s->damaged = part->name;
            return "a part of it is damaged";
        }
        at += part->space;
    }
    return NULL;
}

/* Sorted, apart from each other, and in all as many pages as there are. */
static const char *runs_check(const struct snapshot *s)
{
    uint64_t end = 0, pages = 0, contiguous;

    for (uint64_t i = 0; i < s->run_count; i++) {
        const struct snapshot_run *run =
            snapshot_bytes_at(&s->bytes, s->runs_at + i * sizeof(*run), &contiguous);

        if (!IS_ALIGNED(run->base, PAGE_SIZE) || run->base < end || run->kind > RUN_ZERO ||
            run->first != pages || run->count == 0 ||
            run->count > (UINT64_MAX - run->base) / PAGE_SIZE)
            return "its runs of pages are in disorder";
        end = run->base + run->count * PAGE_SIZE;
        pages += run->kind == RUN_PAGES ? run->count : 0;
        if (pages > s->bytes.size / PAGE_SIZE)
            return "it has fewer pages than it says";
    }
    if (part_head(s, s->pages_at - sizeof(struct snapshot_part))->size != pages * PAGE_SIZE)
        return "it has another number of pages than it says";
    return NULL;
}

const char *snapshot_parts_check(struct snapshot *snapshot, bool pages, enum err *err)
{
    const char *why = header_check(snapshot);

    *err = E_INVALID;
    if (!why)
        why = snapshot_parts_find(snapshot);
    if (!why && heads_crc(snapshot) != snapshot_head(snapshot)->crc)
        why = "its header or a part's head is damaged";
    if (!why)
        why = parts_crc_check(snapshot, pages);
    if (!why)
        why = runs_check(snapshot);
    if (why)
        return why;
    *err = E_UNSUPPORTED;
    why = header_fits(snapshot);
    *err = why ? E_UNSUPPORTED : OK;
    return why;
}

/* --- Reading --- */

static void reader_section(struct state *state, const char *name, unsigned version)
{
    struct snapshot_reader *r = container_of(state, struct snapshot_reader, state);
    const struct snapshot_part *part;

    state_require(state, r->left == 0, "the part before it has more than this hypervisor knows");
    if (!state_ok(state))
        return;
    part = part_head(r->snapshot, r->next); /* The last is "runs", which nobody reads so. */
    name = name ? name : pages_name;
    state_require(state, strcmp(part->name, name) == 0, "another part is in its place");
    state_require(state, is_pages(name) || part->version == version,
                  "this hypervisor has another version of it");
    r->at = r->next + sizeof(*part);
    r->left = part->size;
    r->next = r->at + part->space;
}

static bool reader_bytes(struct state *state, void *bytes, size_t size)
{
    struct snapshot_reader *r = container_of(state, struct snapshot_reader, state);

    if (size > r->left || !snapshot_bytes_get(&r->snapshot->bytes, r->at, bytes, size))
        return false;
    r->at += size;
    r->left -= size;
    return true;
}

static const struct state_ops reader_ops = {.section = reader_section, .bytes = reader_bytes};

void snapshot_reader_init(struct snapshot_reader *r, const struct snapshot *snapshot, uint64_t now)
{
    *r = (struct snapshot_reader){.snapshot = snapshot, .next = sizeof(struct snapshot_header)};
    state_init(&r->state, &reader_ops, true, now);
}
