/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM's physical address space: its regions, the stage-2 tables made of them, and the only ways to
 * touch guest memory. RAM regions own their host memory: guestmap_clear() zeroes it before the
 * guest gets it, and what a guest had is zeroed before it goes back.
 *
 * Addresses and sizes are in bytes. Locking: RANK_GUESTMAP inside, so any pCPU and any context that
 * may take that; guestmap_find() and guestmap_nearest() take none, and what they give is good as
 * long as nobody adds or removes regions. Accessors never fault the hypervisor, whatever address a
 * guest names; they are safe against running vCPUs (the contents may change under the reader: read
 * once into a local). The lock is held while they copy: large copies make others wait.
 */
#pragma once

#include "kernel/lock.h"
#include "mm/dirty_log.h"
#include "mm/pt.h"

enum guest_region_kind {
    REGION_RAM,    /* Memory of ours, read, write, execute. */
    REGION_ROM,    /* Memory of ours that the guest can read and execute. */
    REGION_DEVICE, /* A host device's registers, passed through. */
    REGION_SHARED, /* Host memory that somebody else owns, read and write. */
};

struct guest_region {
    gpa_t base;
    uint64_t size;
    enum guest_region_kind kind;
    hpa_t host;  /* First byte; RAM may consist of several host blocks: see guestmap.c. */
    bool pinned; /* host was asked for by the configuration. */
    /* Of dirty tracking, a bit for each page; NULL while it is off, or not for this kind. */
    _Atomic uint64_t *written; /* Since the last take, as far as not in the tables. */
    uint64_t *taken;           /* Of the last take. */
};

#define GUEST_REGIONS_MAX 16u

/* What is in RAM. */
enum guestmap_ram {
    GUESTMAP_FRESH, /* What was there before it was ours; no guest has had it. */
    GUESTMAP_ZERO,
    GUESTMAP_USED, /* Something has been written for a guest. */
};

struct guestmap {
    struct lock lock;
    struct pt pt;
    uint16_t vmid;
    _Atomic bool dirty_on;
    struct dirty_log log; /* Of dirty tracking. */
    enum guestmap_ram ram;
    unsigned region_count;
    struct guest_region regions[GUEST_REGIONS_MAX]; /* Sorted by base. */
};

/* Without regions. format: arch_stage2_format(); vmid: nobody else's. E_NOMEM. */
enum err guestmap_init(struct guestmap *map, const struct pt_format *format, uint16_t vmid);
/* Frees RAM, zeroed where it was used, and the tables. No vCPU runs, or will. */
void guestmap_destroy(struct guestmap *map);

/*
 * Adds a region; RAM is allocated in the largest blocks there are and mapped, ROM zeroed as well.
 * With host != 0 it is pinned to that host address (claimed from the page allocator for RAM and
 * ROM); regions of the other kinds are always. E_EXISTS: overlaps another region; E_NOMEM, also of
 * regions; E_BUSY: the pinned range is in use; E_RANGE: empty, misaligned (pages of 4 KiB), beyond
 * the guest's address space, or not pinned; nothing is changed then. vCPUs may run.
 */
enum err guestmap_add(struct guestmap *map, gpa_t base, uint64_t size, enum guest_region_kind kind,
                      hpa_t host);
/*
 * Takes a region from the guest; its RAM is zeroed and goes back. After the return no vCPU reaches
 * it, whatever its TLB has kept. E_ABSENT: no region begins there. vCPUs may run.
 */
enum err guestmap_remove(struct guestmap *map, gpa_t base);
/*
 * The guest may only read and execute these pages of RAM; or write them again. Whole pages, of RAM
 * regions alone, else E_RANGE; E_NOMEM: a large leaf could not be split; nothing has changed then.
 * After the return no vCPU writes there, whatever its TLB has kept. Its stores go nowhere, as in
 * ROM; by hand they come as exits. It lasts until it is taken back or the region goes: over stops,
 * starts and restores, and it is in no snapshot. We ourselves write there as ever, also what the
 * guest has asked us to (stolen time, its clock). With dirty tracking on, the pages count as
 * written.
 */
enum err guestmap_protect(struct guestmap *map, gpa_t base, uint64_t size, bool writable);
/*
 * A page of the host that is no region: our own hardware is to find it in the tables and answers
 * for it, so guests do not reach it. E_NOMEM. And it is gone again. vCPUs may run.
 */
enum err guestmap_set_page(struct guestmap *map, gpa_t base, hpa_t host);
void guestmap_forget_page(struct guestmap *map, gpa_t base);
/* The region that addr is in; NULL: none. */
const struct guest_region *guestmap_find(const struct guestmap *map, gpa_t addr);
/* The region that is nearest to addr (for reports); NULL when there is none at all. */
const struct guest_region *guestmap_nearest(const struct guestmap *map, gpa_t addr);

/*
 * All or nothing; the range must lie in RAM or ROM regions (writing ROM is allowed: it is us), else
 * E_RANGE, also where it wraps. Size 0: nothing happens. Over borders of pages and regions; not in
 * one piece as other processors see it.
 */
enum err guest_read(struct guestmap *map, gpa_t addr, void *to, size_t size);
enum err guest_write(struct guestmap *map, gpa_t addr, const void *from, size_t size);
enum err guest_fill(struct guestmap *map, gpa_t addr, int byte, size_t size);
/* Whether a guest may write there: RAM, as far as guestmap_protect() leaves it. */
bool guest_may_write(struct guestmap *map, gpa_t addr);
/* Whether the range lies in RAM or ROM regions. */
bool guest_has(struct guestmap *map, gpa_t addr, uint64_t size);
/*
 * Host address of guest memory at addr, and how many bytes from there are contiguous (may be NULL);
 * NULL when it is no memory. Good until the region is removed. Who writes there calls guest_wrote()
 * after each write.
 */
void *guest_ptr(struct guestmap *map, gpa_t addr, uint64_t *contiguous);
/* Make what was written through the accessors visible to a guest with caches off. Its range is one
 * that was written. */
void guest_sync(struct guestmap *map, gpa_t addr, size_t size);
/* Bytes of all RAM regions, without ROM. As guestmap_find(). */
uint64_t guestmap_ram_size(const struct guestmap *map);
/*
 * Zeroes RAM from *at on, so many bytes (whole pages) or up to its end, and moves *at behind them.
 * False: no more is left, and all is zeroes if *at was 0 at first. It counts as
 * written. No vCPU runs.
 */
bool guestmap_clear(struct guestmap *map, gpa_t *at, uint64_t size);
/*
 * All of RAM and ROM, in one piece: the regions behind each other by address, nothing between them.
 * How much that is; where in it the memory at addr lies (UINT64_MAX: it is no memory); and a copy.
 * E_RANGE: the buffer is smaller, nothing was copied. vCPUs may run: then the copy is of no single
 * moment, and a region that is removed meanwhile makes it E_ABSENT.
 */
uint64_t guestmap_memory_size(struct guestmap *map);
uint64_t guestmap_dump_offset(struct guestmap *map, gpa_t addr);
enum err guestmap_dump(struct guestmap *map, void *to, uint64_t size);

/*
 * Dirty tracking: which pages of 4 KiB of the RAM and ROM regions were written, by whomever: the
 * guest's instructions and table walks, and we ourselves by guest_write(), guest_fill(),
 * guestmap_clear() and what is told by guest_wrote(). Regions of other kinds have no pages that
 * are ours to keep, and are not tracked. Off at first; then it costs nothing.
 *
 * A page is in a set that is taken only if it was written. With three exceptions: on x86 the tables
 * of the guest's own paging count as written when hardware walks them [AMD APM 2, 15.25.6; SDM 3,
 * 29.3.5]; where first writes fault, a page that is about to be written is in the set, and in the
 * next again; and what is added or protected while tracking is on counts as written in whole.
 *
 * One user at a time (start, takes, stop): callers see to that. vCPUs may run, or be paused, on any
 * pCPU; the VM's life (pause, reset, stop) does not end it, guestmap_destroy() does. Any context
 * that may take RANK_GUESTMAP.
 */

/*
 * From its return on, each page that is written is remembered. When it is on already, nothing
 * happens: the pages written since then are kept. All of RAM is mapped by 4 KiB leaves while it is
 * on: a page of tables for 2 MiB of RAM, and two bits for a page. E_NOMEM: nothing has changed.
 */
enum err guestmap_dirty_start(struct guestmap *map);
/* Forgets what was written; RAM is mapped by large leaves again. Off already: nothing happens. */
void guestmap_dirty_stop(struct guestmap *map);
/*
 * Get and clear. Takes the pages that were written since the last take, or since the start if there
 * was none; guestmap_dirty_next() tells them. A write that ended before the call is in this set.
 * One that happens meanwhile is in this set, and then is seen by who reads the page after the
 * return, or is in the next. None is in neither. E_STATE: tracking is off.
 */
enum err guestmap_dirty_take(struct guestmap *map);
/*
 * The first run of pages in the set taken last that begins at or above from, by address; no run
 * goes over a region's end. False: there is none. Start with gpa(0), and go on at *start + *size:
 * a count of runs and pages needs no memory. The set stays as it is until the next take or stop.
 */
bool guestmap_dirty_next(const struct guestmap *map, gpa_t from, gpa_t *start, uint64_t *size);
/*
 * What was taken last counts as written again, and is in the next set: for a snapshot that could
 * not be kept. Off, or nothing taken: nothing happens.
 */
void guestmap_dirty_put_back(struct guestmap *map);
/* After a write through guest_ptr(). Costs a look at a flag while tracking is off. */
void guest_wrote(struct guestmap *map, gpa_t addr, size_t size);
/*
 * A vCPU's own access to addr was stopped by stage 2; write: it may have been one. True: it is RAM,
 * and a second try will not be stopped by what stopped this one: a leaf waited for its first write,
 * or was being split or merged. False: it has another cause, or may not be written.
 */
bool guestmap_retry(struct guestmap *map, gpa_t addr, bool write);
