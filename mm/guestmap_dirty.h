/* SPDX-License-Identifier: Apache-2.0 */
/* Of dirty tracking, what guestmap.c needs: theirs only. The map's lock is held in all. */
#pragma once

#include "mm/guestmap.h"

/* A new region, before it is in the list: all of it counts as written. E_NOMEM. */
enum err guestmap_dirty_add(struct guestmap *map, struct guest_region *region);
void guestmap_dirty_forget(struct guest_region *region);
/* Hardware logs no longer, if it did. */
void guestmap_dirty_unlog(struct guestmap *map);
/* Pages of RAM or ROM regions were written; nothing happens while tracking is off. */
void guestmap_dirty_mark(struct guestmap *map, gpa_t addr, uint64_t size);
