/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM's physical address space: its regions, the stage-2 tables made of them, and the only ways to
 * touch guest memory. RAM regions own their host memory: zeroed before the guest gets it, and again
 * before it goes back.
 *
 * Locking: RANK_GUESTMAP inside. Accessors never fault the hypervisor, whatever address a guest
 * names; they are safe against running vCPUs (the contents may change under the reader: read once
 * into a local).
 */
#pragma once

#include "kernel/lock.h"
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
};

#define GUEST_REGIONS_MAX 16u

struct guestmap {
    struct lock lock;
    struct pt pt;
    uint16_t vmid;
    unsigned region_count;
    struct guest_region regions[GUEST_REGIONS_MAX]; /* Sorted by base. */
};

/* format: arch_stage2_format(). */
enum err guestmap_init(struct guestmap *map, const struct pt_format *format, uint16_t vmid);
void guestmap_destroy(struct guestmap *map); /* Zeroes and frees RAM. No vCPU runs. */

/*
 * Adds a region; RAM is allocated in the largest blocks there are, zeroed and mapped. With host !=
 * 0 the region is pinned to that host address (claimed from the page allocator for RAM and ROM).
 * E_EXISTS: overlaps another region; E_NOMEM; E_BUSY: the pinned range is in use; E_RANGE; nothing
 * is changed then.
 */
enum err guestmap_add(struct guestmap *map, gpa_t base, uint64_t size, enum guest_region_kind kind,
                      hpa_t host);
/* E_ABSENT: no region begins there. vCPUs may run. */
enum err guestmap_remove(struct guestmap *map, gpa_t base);
const struct guest_region *guestmap_find(const struct guestmap *map, gpa_t addr);
/* The region that is nearest to addr (for reports); NULL when there is none at all. */
const struct guest_region *guestmap_nearest(const struct guestmap *map, gpa_t addr);

/* All or nothing; the range must lie in RAM or ROM regions (writing ROM is allowed: it is us). */
enum err guest_read(struct guestmap *map, gpa_t addr, void *to, size_t size);
enum err guest_write(struct guestmap *map, gpa_t addr, const void *from, size_t size);
enum err guest_fill(struct guestmap *map, gpa_t addr, int byte, size_t size);
/*
 * Host address of guest memory at addr, and how many bytes from there are contiguous; NULL when it
 * is no memory.
 */
void *guest_ptr(struct guestmap *map, gpa_t addr, uint64_t *contiguous);
/* Make what was written through the accessors visible to a guest with caches off. */
void guest_sync(struct guestmap *map, gpa_t addr, size_t size);
uint64_t guestmap_ram_size(const struct guestmap *map);
/* Zero all RAM again: for a reset. No vCPU runs. */
void guestmap_clear_ram(struct guestmap *map);
