/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocator of physical pages: buddies of 2^order pages, from 4 KiB (order 0) to 1 GiB (order 18).
 * Any pCPU, interrupts masked; takes RANK_PAGES. Pages are handed out with undefined contents
 * unless asked to be zeroed.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"

#define PAGE_ORDER_MAX 18u

/*
 * Gives the allocator a range of free RAM (page aligned inside). The first calls place the page
 * descriptors inside the range itself. Ranges never overlap. Boot only.
 */
void page_add(hpa_t base, uint64_t size);

/* Forgets all ranges and blocks: for tests. */
void page_reset(void);

/* NULL when there is no such block. Aligned to its size. */
void *page_alloc(unsigned order);
void *page_alloc_zeroed(unsigned order);
void page_free(void *block, unsigned order);
/* Take exactly this range out of the free memory: E_BUSY when part of it is in use or no RAM. */
enum err page_claim(hpa_t base, uint64_t size);
/*
 * Give back a range page by page, whatever blocks it came in (after page_claim or several allocs).
 */
void page_release(hpa_t base, uint64_t size);

uint64_t page_free_count(void); /* In pages. */
uint64_t page_total_count(void);
