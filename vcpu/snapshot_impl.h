/* SPDX-License-Identifier: Apache-2.0 */
/* Private to vcpu/snapshot*.c: the format, and how the parts work together. */
#pragma once

#include "kernel/list.h"
#include "vcpu/snapshot.h"
#include "vcpu/snapshot_bytes.h"
#include "vcpu/state.h"
#include "vcpu/vm.h"

#define SNAPSHOT_ALIGN      64u         /* Of header and parts. */
#define SNAPSHOT_PART_MAGIC 0x54524150u /* "PART" */

struct snapshot_header {
    char magic[8]; /* "CAISSNAP" */
    uint16_t major, minor;
    uint32_t arch;       /* ARCH_TAG */
    char backend[8];     /* virt_caps.backend */
    uint64_t size;       /* Of all, with this. */
    uint64_t id, parent; /* parent 0: it is a full one. */
    uint64_t timer_hz;   /* Of the host's ticks, which moments are in. */
    char vm[CONFIG_NAME_MAX];
    char name[SNAPSHOT_NAME_MAX];
    uint32_t part_count;
    uint32_t crc; /* Of this with crc 0, and of the heads of all parts. */
    uint64_t zero[6];
};

struct snapshot_part {
    uint32_t magic;
    uint32_t version; /* The section's own. */
    char name[STATE_NAME_MAX];
    uint64_t size;  /* Without this head. */
    uint64_t space; /* With zeros up to the next head, or the end. */
    uint32_t crc;   /* Of that space. */
    uint32_t zero[3];
};

enum snapshot_run_kind { RUN_PAGES, RUN_ZERO };

/* Pages of the guest side by side. */
struct snapshot_run {
    uint64_t base;  /* Guest-physical. */
    uint64_t count; /* Pages. */
    uint64_t first; /* Number of its first page in "pages"; RUN_ZERO: of the next run's. */
    uint64_t kind;  /* enum snapshot_run_kind; zeros are told where an earlier snapshot had more. */
};

_Static_assert(sizeof(struct snapshot_header) == 192, "as it is stored");
_Static_assert(sizeof(struct snapshot_part) == SNAPSHOT_ALIGN, "as it is stored");
_Static_assert(SNAPSHOT_ALIGN % sizeof(struct snapshot_run) == 0, "never over a chunk's border");

struct snapshot {
    struct list node; /* Of all, once it is complete. */
    char name[SNAPSHOT_NAME_MAX];
    char vm[CONFIG_NAME_MAX];
    uint64_t id; /* Not 0. */
    struct snapshot *parent;
    unsigned children;
    unsigned users; /* Who found it and has not put it back. The list's lock guards these two. */
    struct snapshot_bytes bytes;
    uint64_t pages_at, runs_at; /* Of the bytes of these parts; */
    uint64_t run_count;         /* known once it was checked. */
    const char *damaged;        /* The part that a check found damaged. */
};

/* snapshot.c */

/* Of a name that is good and free: the VM's, an @, and name, or a number (NULL). */
enum err snapshot_new(const struct vm *vm, const char *name, struct snapshot *parent,
                      struct snapshot **snapshot);
void snapshot_free(struct snapshot *snapshot); /* It is not listed, or not any more. */
/*
 * It is complete. Takes the place of one of the same name, *old, which is the caller's to free
 * (NULL: there was none); false: that is in use, or has children.
 */
bool snapshot_add(struct snapshot *snapshot, struct snapshot **old);
/* Another user. */
void snapshot_use(struct snapshot *snapshot);
/* As snapshot_find(). */
struct snapshot *snapshot_find_id(uint64_t id);
/* NULL: it, and those that it needs, fit the VM. Else logged, and what is wrong. */
enum err snapshot_fits_all(struct snapshot *snapshot, struct vm *vm);

/* snapshot_parts.c: begin, then sections by &writer->state, then end, which completes the header.
 */
struct snapshot_writer {
    struct state state;
    struct snapshot *snapshot;
    uint64_t part_at; /* Of the head of the part under way; 0: none. */
    unsigned part_count;
};

void snapshot_writer_init(struct snapshot_writer *w, struct snapshot *snapshot, uint64_t now);
void snapshot_writer_end(struct snapshot_writer *w);
/*
 * Fills in what checksums are still to be made: of "pages", at most so much at a call, as that may
 * take long. False: there is more. *at starts 0 and is the caller's to keep.
 */
bool snapshot_seal(struct snapshot *snapshot, uint64_t *at, uint64_t size);
uint64_t snapshot_page_count(const struct snapshot *snapshot);

struct snapshot_reader {
    struct state state;
    const struct snapshot *snapshot;
    uint64_t at, left; /* In the part under way. */
    uint64_t next;     /* The head of the next. */
};

void snapshot_reader_init(struct snapshot_reader *r, const struct snapshot *snapshot, uint64_t now);
/* Where they are: fills in pages_at and what follows. NULL: they fit together; else why not. */
const char *snapshot_parts_find(struct snapshot *snapshot);
/* NULL: it is good, as far as this machine can tell; else why not. pages: their checksum, too. */
const char *snapshot_parts_check(struct snapshot *snapshot, bool pages, enum err *err);

/* snapshot_vm.c: all parts but the memory, in both directions. */
void snapshot_vm_state(struct vm *vm, struct state *s);
/* NULL: the VM has this shape; else what differs. */
const char *snapshot_fits(const struct snapshot *snapshot, struct vm *vm);

/* snapshot_pages.c */
#define SNAPSHOT_PIECE 64u /* Pages that are copied at a call: some 100 microseconds. */

struct snapshot_cursor {
    bool changed;               /* Only what guestmap_dirty_take() gave last; else all. */
    bool cleared;               /* Restoring: RAM is zeros. */
    uint64_t next;              /* Guest-physical: where to go on. */
    uint64_t copied, zeroed;    /* Pages. */
    struct snapshot_bytes runs; /* Taking: what was taken, so far. */
};

/* The next piece, in the section "pages"; false: no more, or refused. */
bool snapshot_take_pages(struct vm *vm, struct snapshot_cursor *c, struct state *s);
/* The section "runs". */
void snapshot_take_runs(struct snapshot_cursor *c, struct state *s);
/* False: no more. The caller flushes caches of translations. */
bool snapshot_restore_pages(struct vm *vm, struct snapshot_cursor *c,
                            const struct snapshot *snapshot);
/*
 * The pages in which the two may differ count as written: those in which one has what the other,
 * and what that builds on, has not.
 */
void snapshot_mark_differences(struct vm *vm, const struct snapshot *one,
                               const struct snapshot *other);
/* Whether all of its pages, without its parents', are memory of the VM: NULL, or why not. */
const char *snapshot_pages_fit(const struct snapshot *snapshot, struct vm *vm);

/* snapshot_job.c */
enum snapshot_stage {
    JOB_NONE,
    JOB_WAITS, /* For all vCPUs to be held. */
    JOB_BEGINS,
    JOB_PAGES,
    JOB_SEALS, /* Taken: the guest runs on. */
};

/* What a VM has for it, from the first time on. vm->lock guards what it does not own by its stage.
 */
struct snapshot_job {
    struct long_work work; /* At the VM's home. Under way from BEGINS on. */
    struct vm *vm;
    enum snapshot_stage stage;
    bool restores, resumes;
    bool go;                   /* The VM starts from `claimed`, once the one taken is sealed. */
    struct snapshot *claimed;  /* To be restored when the VM has stopped. */
    struct snapshot *snapshot; /* Being taken, or restored. */
    struct snapshot_writer writer;
    struct snapshot_reader reader;
    struct snapshot_cursor cursor;
    uint64_t seal_at;
    uint64_t stood; /* Ticks that the guest stood still. */
};

/* vm->lock held. NULL: logged why there can be none. */
struct snapshot_job *snapshot_job_of(struct vm *vm);
/* The VM has stopped for its snapshot: it is taken. vm->lock held. */
void snapshot_job_take(struct snapshot_job *job);
/* The VM is STARTING: what is claimed is restored, now or when the last one is sealed. vm->lock
 * held. */
void snapshot_job_restore(struct snapshot_job *job);

/* snapshot_life.c: what the job does to its VM. */

/* PAUSED: it may go on, if it is to; or its stop does that came meanwhile. vm->lock held. */
void vm_snapshot_taken(struct vm *vm, bool resumes);
/*
 * STARTING, or STOPPING already: to the state of a machine that was never started, its clock
 * standing still.
 */
void vm_restore_prepare(struct vm *vm);
/* STARTING: it runs on; or it could not be filled, and has failed. STOPPING: it stops. */
void vm_restored(struct vm *vm, bool good);
