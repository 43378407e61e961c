/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshots that there are, by name, and their way to storage and back; see snapshot.h. */
#include "kernel/assert.h"
#include "kernel/crc32c.h"
#include "kernel/fmt.h"
#include "kernel/log.h"
#include "kernel/platform.h"
#include "kernel/string.h"
#include "mm/page.h"
#include "vcpu/snapshot_impl.h"
#include "vcpu/vm_impl.h"

#define STREAM_PIECE PAGE_SIZE

static struct lock all_lock = LOCK_INIT(RANK_SNAPSHOT, "snapshots");
static struct list all = {&all, &all};
static uint32_t made; /* All that ever were, for names and ids. */

/* --- Names --- */

/* As the nodes of a configuration, so that a shell command can name it. */
static bool name_is_good(const char *name)
{
    if (strlen(name) == 0 || strlen(name) >= SNAPSHOT_NAME_MAX - CONFIG_NAME_MAX)
        return false;
    for (; *name; name++)
        if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
              (*name >= '0' && *name <= '9') || *name == '-' || *name == '_' || *name == '.'))
            return false;
    return true;
}

/* Lock held. */
static struct snapshot *find(const char *name)
{
    struct snapshot *s;

    list_for_each(s, &all, node) if (strcmp(s->name, name) == 0) return s;
    return NULL;
}

static struct snapshot *find_id(uint64_t id)
{
    struct snapshot *s;

    list_for_each(s, &all, node) if (s->id == id) return s;
    return NULL;
}

struct snapshot *snapshot_find(const char *name)
{
    struct snapshot *s;

    lock_take(&all_lock);
    s = find(name);
    if (s)
        s->users++;
    lock_drop(&all_lock);
    return s;
}

struct snapshot *snapshot_find_id(uint64_t id)
{
    struct snapshot *s;

    lock_take(&all_lock);
    s = find_id(id);
    if (s)
        s->users++;
    lock_drop(&all_lock);
    return s;
}

void snapshot_use(struct snapshot *snapshot)
{
    lock_take(&all_lock);
    snapshot->users++;
    lock_drop(&all_lock);
}

void snapshot_put(struct snapshot *snapshot)
{
    lock_take(&all_lock);
    assert(snapshot->users > 0);
    snapshot->users--;
    lock_drop(&all_lock);
}

/* Of the moment, so that it is another after each boot, and of how many there were. */
static uint64_t id_make(void)
{
    uint64_t seed[3] = {platform.wall_epoch, arch_ticks(), made};

    return (uint64_t)crc32c(0, seed, sizeof(seed)) << 32 | ++made;
}

static void name_make(struct snapshot *s, const char *name)
{
    if (name) {
        fmt_buf(s->name, sizeof(s->name), "%s@%s", s->vm, name);
        return;
    }
    for (unsigned i = 1; s->name[0] == 0 || find(s->name); i++)
        fmt_buf(s->name, sizeof(s->name), "%s@%u", s->vm, i);
}

enum err snapshot_new(const struct vm *vm, const char *name, struct snapshot *parent,
                      struct snapshot **result)
{
    bool again = name && strcmp(name, SNAPSHOT_GOLDEN) == 0, exists;
    struct snapshot *s;

    if (name && !name_is_good(name)) {
        log_error("%s: a snapshot cannot be called '%s': up to %u letters, digits, -, _ and .",
                  vm->config->name, name, SNAPSHOT_NAME_MAX - CONFIG_NAME_MAX - 1);
        return E_INVALID;
    }
    s = vm_alloc(sizeof(*s));
    if (!s)
        return E_NOMEM;
    list_init(&s->node);
    str_copy(s->vm, sizeof(s->vm), vm->config->name);
    s->parent = parent;
    lock_take(&all_lock);
    name_make(s, name);
    exists = find(s->name) && !again;
    s->id = id_make();
    if (parent && !exists)
        parent->children++;
    lock_drop(&all_lock);
    if (exists) {
        log_error("%s: there is a snapshot %s already", vm->config->name, s->name);
        vm_free(s, sizeof(*s));
        return E_EXISTS;
    }
    *result = s;
    return OK;
}

void snapshot_free(struct snapshot *s)
{
    if (s->parent) {
        lock_take(&all_lock);
        s->parent->children--;
        lock_drop(&all_lock);
    }
    snapshot_bytes_free(&s->bytes);
    vm_free(s, sizeof(*s));
}

bool snapshot_add(struct snapshot *snapshot, struct snapshot **old)
{
    bool good;

    lock_take(&all_lock);
    *old = find(snapshot->name);
    good = !*old || ((*old)->users == 0 && (*old)->children == 0);
    if (good && *old)
        list_remove(&(*old)->node);
    if (good)
        list_push_back(&all, &snapshot->node);
    else
        *old = NULL;
    lock_drop(&all_lock);
    return good;
}

/* Where the VM's pages were counted from it, they need not be any more. */
static void untrack(uint64_t id)
{
    for (unsigned i = 0; i < vm_count; i++) {
        if (!vms[i])
            continue;
        lock_take(&vms[i]->lock);
        if (vms[i]->snapshot_id == id) {
            vms[i]->snapshot_id = 0;
            guestmap_dirty_stop(&vms[i]->map);
        }
        lock_drop(&vms[i]->lock);
    }
}

enum err snapshot_forget(struct snapshot *snapshot)
{
    bool idle;

    lock_take(&all_lock);
    idle = snapshot->users == 1 && snapshot->children == 0;
    if (idle)
        list_remove(&snapshot->node);
    else
        snapshot->users--;
    lock_drop(&all_lock);
    if (!idle)
        return E_BUSY;
    untrack(snapshot->id);
    snapshot_free(snapshot);
    return OK;
}

/* --- Refusals --- */

static enum err refuse(const struct snapshot *s, const char *why, enum err err)
{
    log_error("snapshot %s: refused: %s%s%s", s->name, why, s->damaged ? ": " : "",
              s->damaged ? s->damaged : "");
    return err;
}

enum err snapshot_check(struct snapshot *snapshot)
{
    enum err err;
    const char *why = snapshot_parts_check(snapshot, true, &err);

    return why ? refuse(snapshot, why, err) : OK;
}

enum err snapshot_fits_all(struct snapshot *snapshot, struct vm *vm)
{
    for (struct snapshot *s = snapshot; s; s = s->parent) {
        enum err err;
        const char *why = snapshot_parts_check(s, false, &err);

        if (why)
            return refuse(s, why, err);
        why = snapshot_fits(s, vm);
        if (!why)
            why = snapshot_pages_fit(s, vm);
        if (why)
            return refuse(s, why, E_INVALID);
    }
    return OK;
}

/* --- As a stream --- */

enum err snapshot_write(const struct snapshot *snapshot,
                        enum err (*put)(void *arg, const void *bytes, size_t size), void *arg)
{
    uint64_t contiguous;

    for (uint64_t at = 0; at < snapshot->bytes.size; at += contiguous) {
        const void *from = snapshot_bytes_at(&snapshot->bytes, at, &contiguous);

        TRY(put(arg, from, contiguous));
    }
    return OK;
}

/* The header first: it says how long the rest is. */
static enum err read_bytes(struct snapshot *s, enum err (*get)(void *arg, void *bytes, size_t size),
                           void *arg)
{
    struct snapshot_header header;
    uint64_t size = sizeof(header);
    void *piece = page_alloc(0);
    enum err err = piece ? get(arg, &header, sizeof(header)) : E_NOMEM;

    if (err == OK && !snapshot_bytes_add(&s->bytes, &header, sizeof(header)))
        err = E_NOMEM;
    while (err == OK && s->bytes.size < header.size) {
        size = MIN(header.size - s->bytes.size, STREAM_PIECE);
        err = get(arg, piece, size);
        if (err == OK && !snapshot_bytes_add(&s->bytes, piece, size))
            err = E_NOMEM;
    }
    if (piece)
        page_free(piece, 0);
    return err;
}

/* What the header says of it, once it has been checked. */
static const char *read_header(struct snapshot *s)
{
    struct snapshot_header header;
    struct snapshot *parent;
    bool twice;

    if (!snapshot_bytes_get(&s->bytes, 0, &header, sizeof(header)))
        return "it is shorter than its header";
    str_copy(s->name, sizeof(s->name), header.name);
    str_copy(s->vm, sizeof(s->vm), header.vm);
    s->id = header.id;
    lock_take(&all_lock);
    parent = header.parent ? find_id(header.parent) : NULL;
    twice = find(s->name) || find_id(s->id);
    if (parent && !twice) {
        parent->children++;
        s->parent = parent;
    }
    lock_drop(&all_lock);
    if (twice)
        return "it is there already";
    return header.parent && !parent ? "its parent is not there" : NULL;
}

static enum err read_all(struct snapshot *s, enum err (*get)(void *arg, void *bytes, size_t size),
                         void *arg)
{
    const char *why;
    struct snapshot *old;
    enum err err;

    str_copy(s->name, sizeof(s->name), "that is read");
    err = read_bytes(s, get, arg);
    if (err != OK)
        return refuse(s, err == E_NOMEM ? "there is no memory left for it" : "it was cut short",
                      err == E_NOMEM ? E_NOMEM : E_INVALID);
    TRY(snapshot_check(s));
    why = read_header(s);
    if (why)
        return refuse(s, why, E_INVALID);
    if (!snapshot_add(s, &old))
        return E_EXISTS;
    if (old)
        snapshot_free(old);
    return OK;
}

enum err snapshot_read(enum err (*get)(void *arg, void *bytes, size_t size), void *arg,
                       struct snapshot **snapshot)
{
    struct snapshot *s = vm_alloc(sizeof(*s));
    enum err err;

    if (!s)
        return E_NOMEM;
    list_init(&s->node);
    err = read_all(s, get, arg);
    if (err != OK) {
        snapshot_free(s);
        return err;
    }
    snapshot_use(s);
    *snapshot = s;
    return OK;
}

void snapshot_reset(void)
{
    list_init(&all);
}

void snapshot_list(struct fmt_sink *out)
{
    struct snapshot *s;

    fmt_print(out, "%-24s %-16s %10s %10s  %s\n", "NAME", "VM", "SIZE", "PAGES", "PARENT");
    lock_take(&all_lock);
    list_for_each(s, &all, node)
        fmt_print(out, "%-24s %-16s %6llu KiB %10llu  %s\n", s->name, s->vm,
                  (unsigned long long)(s->bytes.size / KIB),
                  (unsigned long long)snapshot_page_count(s), s->parent ? s->parent->name : "-");
    lock_drop(&all_lock);
}
