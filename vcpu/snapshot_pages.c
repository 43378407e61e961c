/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM's memory, RAM and ROM, on its way to a snapshot and back, some pages at a time: all of it,
 * or what was written since. Pages of zeros are not kept, and not written where there are zeros.
 * All vCPUs are held meanwhile, and nobody else writes to the memory.
 *
 * Invariant of tracking: where vm->snapshot_id is a snapshot's, memory is what it was there, but
 * for pages that guestmap_dirty_take() gives.
 */
#include "kernel/arch.h"
#include "kernel/assert.h"
#include "kernel/string.h"
#include "vcpu/snapshot_impl.h"

static bool region_is_kept(const struct guest_region *region)
{
    return region->kind == REGION_RAM || region->kind == REGION_ROM;
}

/* What is to be looked at from there on: of all memory, or of the set of pages taken last. */
static bool extent_next(const struct guestmap *map, bool changed, uint64_t from, uint64_t *start,
                        uint64_t *size)
{
    gpa_t first;

    if (changed) {
        if (!guestmap_dirty_next(map, gpa(from), &first, size))
            return false;
        *start = first.v;
        return true;
    }
    for (unsigned i = 0; i < map->region_count; i++) {
        const struct guest_region *region = &map->regions[i];

        if (!region_is_kept(region) || region->base.v + region->size <= from)
            continue;
        *start = MAX(region->base.v, from);
        *size = region->base.v + region->size - *start;
        return true;
    }
    return false;
}

/* The memory at the address, and how much of *size is contiguous in the host's, too. */
static void *piece_at(struct vm *vm, uint64_t start, uint64_t *size)
{
    uint64_t contiguous;
    void *host = guest_ptr(&vm->map, gpa(start), &contiguous);

    assert(host); /* RAM and ROM are mapped. */
    *size = MIN(MIN(*size, contiguous), SNAPSHOT_PIECE * PAGE_SIZE);
    return host;
}

/* --- Taking --- */

static bool page_is_zero(const void *page)
{
    const uint64_t *w = page, *end = w + PAGE_SIZE / sizeof(*w);
    uint64_t any = 0;

    for (; any == 0 && w < end; w += 16)
        any = w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7] | w[8] | w[9] | w[10] | w[11] |
              w[12] | w[13] | w[14] | w[15];
    return any == 0;
}

/* The page at c->next is told of: by the last run, if that can be made longer. */
static void run_add(struct snapshot_cursor *c, struct state *s, enum snapshot_run_kind kind)
{
    const struct snapshot_run run = {.base = c->next, .count = 1, .first = c->copied, .kind = kind};
    uint64_t contiguous;

    if (c->runs.size > 0) {
        struct snapshot_run *last =
            snapshot_bytes_at(&c->runs, c->runs.size - sizeof(*last), &contiguous);

        if (last->kind == kind && last->base + last->count * PAGE_SIZE == run.base) {
            last->count++;
            return;
        }
    }
    if (!snapshot_bytes_add(&c->runs, &run, sizeof(run)))
        state_refuse(s, E_NOMEM, "there is no memory left for it");
}

static void page_take(struct snapshot_cursor *c, struct state *s, void *page)
{
    bool zero = page_is_zero(page);

    if (!zero) {
        run_add(c, s, RUN_PAGES);
        state_bytes(s, page, PAGE_SIZE);
        c->copied++;
    } else if (c->changed) {
        run_add(c, s, RUN_ZERO);
    }
    c->zeroed += zero;
    c->next += PAGE_SIZE;
}

bool snapshot_take_pages(struct vm *vm, struct snapshot_cursor *c, struct state *s)
{
    uint64_t size;
    char *host;

    if (!extent_next(&vm->map, c->changed, c->next, &c->next, &size))
        return false;
    host = piece_at(vm, c->next, &size);
    for (uint64_t at = 0; at < size && state_ok(s); at += PAGE_SIZE)
        page_take(c, s, host + at);
    return state_ok(s);
}

void snapshot_take_runs(struct snapshot_cursor *c, struct state *s)
{
    uint64_t contiguous;

    state_section(s, "runs", 1);
    for (uint64_t at = 0; at < c->runs.size && state_ok(s); at += contiguous) {
        void *from = snapshot_bytes_at(&c->runs, at, &contiguous);

        state_bytes(s, from, contiguous);
    }
    snapshot_bytes_free(&c->runs);
}

/* --- Restoring --- */

static const struct snapshot_run *run_at(const struct snapshot *s, uint64_t index)
{
    uint64_t contiguous;

    return snapshot_bytes_at(&s->bytes, s->runs_at + index * sizeof(struct snapshot_run),
                             &contiguous);
}

/* The first run that ends above the address, by bisection; NULL: there is none. */
static const struct snapshot_run *run_find(const struct snapshot *s, uint64_t addr)
{
    uint64_t low = 0, high = s->run_count;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const struct snapshot_run *run = run_at(s, middle);

        if (run->base + run->count * PAGE_SIZE <= addr)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->run_count ? run_at(s, low) : NULL;
}

/*
 * What was in guest memory at the address, by the snapshot or, as far as it has nothing, its
 * parents; NULL: zeros. *size: from how much is wanted, to how much it is.
 */
static const void *snapshot_content(const struct snapshot *s, uint64_t addr, uint64_t *size)
{
    for (; s; s = s->parent) {
        const struct snapshot_run *run = run_find(s, addr);
        uint64_t contiguous;
        const void *bytes;

        if (!run)
            continue;
        if (run->base > addr) {
            *size = MIN(*size, run->base - addr);
            continue;
        }
        *size = MIN(*size, run->base + run->count * PAGE_SIZE - addr);
        if (run->kind == RUN_ZERO)
            return NULL;
        bytes = snapshot_bytes_at(
            &s->bytes, s->pages_at + run->first * PAGE_SIZE + (addr - run->base), &contiguous);
        *size = MIN(*size, contiguous);
        return bytes;
    }
    return NULL;
}

static bool is_ram(const struct vm *vm, uint64_t addr)
{
    return guestmap_find(&vm->map, gpa(addr))->kind == REGION_RAM;
}

bool snapshot_restore_pages(struct vm *vm, struct snapshot_cursor *c,
                            const struct snapshot *snapshot)
{
    const void *content;
    uint64_t size;
    void *host;

    if (!extent_next(&vm->map, c->changed, c->next, &c->next, &size))
        return false;
    content = snapshot_content(snapshot, c->next, &size);
    if (content || !c->cleared || !is_ram(vm, c->next)) {
        host = piece_at(vm, c->next, &size);
        if (content)
            memcpy(host, content, size);
        else
            arch_zero_pages(host, size);
        arch_cache_clean(host, size);
        *(content ? &c->copied : &c->zeroed) += size / PAGE_SIZE;
    }
    c->next += size;
    return true;
}

static bool descends_from(const struct snapshot *snapshot, const struct snapshot *from)
{
    while (snapshot && snapshot != from)
        snapshot = snapshot->parent;
    return snapshot;
}

/* What `one` and those before it have, that the other does not build on. */
static void differences_mark(struct vm *vm, const struct snapshot *one,
                             const struct snapshot *other)
{
    for (; one && !descends_from(other, one); one = one->parent)
        for (uint64_t i = 0; i < one->run_count; i++) {
            const struct snapshot_run *run = run_at(one, i);

            guest_wrote(&vm->map, gpa(run->base), run->count * PAGE_SIZE);
        }
}

void snapshot_mark_differences(struct vm *vm, const struct snapshot *one,
                               const struct snapshot *other)
{
    differences_mark(vm, one, other);
    differences_mark(vm, other, one);
}

/* The end of the memory that is kept and goes on without a hole from addr; addr: there is none. */
static uint64_t memory_end(const struct guestmap *map, uint64_t addr, uint64_t end)
{
    while (addr < end) {
        const struct guest_region *region = guestmap_find(map, gpa(addr));

        if (!region || !region_is_kept(region))
            break;
        addr = region->base.v + region->size;
    }
    return addr;
}

const char *snapshot_pages_fit(const struct snapshot *snapshot, struct vm *vm)
{
    for (uint64_t i = 0; i < snapshot->run_count; i++) {
        const struct snapshot_run *run = run_at(snapshot, i);
        uint64_t end = run->base + run->count * PAGE_SIZE;

        if (memory_end(&vm->map, run->base, end) < end)
            return "it has pages where the VM has no memory";
    }
    return NULL;
}
