/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory: of the size that the device tree tells, zeroes where nothing was loaded, all of it
 * usable.
 */
#include "guest.h"

extern char _head[], _end[];

static uint64_t page_up(uint64_t address)
{
    return (address + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

/* Words that are not zero in [start, end). */
static uint64_t dirty_words(uint64_t start, uint64_t end)
{
    uint64_t count = 0;

    for (uint64_t at = start; at < end; at += 8)
        count += *(volatile uint64_t *)at != 0;
    return count;
}

/* The same, without image and device tree. */
static uint64_t dirty_outside(uint64_t start, uint64_t end)
{
    uint64_t a = (uint64_t)_head, a_end = page_up((uint64_t)_end);
    uint64_t b = (uint64_t)fdt_start(), b_end = page_up(b + fdt_size());

    b &= ~(uint64_t)(PAGE - 1);
    if (b < a) {
        uint64_t swap = a, swap_end = a_end;

        a = b, a_end = b_end;
        b = swap, b_end = swap_end;
    }
    return dirty_words(start, a) + dirty_words(a_end, b) + dirty_words(b_end, end);
}

/* One word in each page holds its address. */
static uint64_t pages_wrong(uint64_t start, uint64_t end)
{
    uint64_t wrong = 0;

    for (uint64_t at = start; at < end; at += PAGE)
        *(volatile uint64_t *)at = at ^ 0x5a5a5a5a5a5a5a5a;
    for (uint64_t at = start; at < end; at += PAGE)
        wrong += *(volatile uint64_t *)at != (at ^ 0x5a5a5a5a5a5a5a5a);
    return wrong;
}

void guest_main(void)
{
    uint64_t base, size, free;

    fdt_memory(&base, &size);
    free = page_up((uint64_t)_end);
    if (free < (uint64_t)fdt_start() + fdt_size())
        free = page_up((uint64_t)fdt_start() + fdt_size());
    print("# memory: 0x%lx bytes at 0x%lx\n", size, base);
    check(base != 0 && size >= 1 << 20, "the device tree tells of memory");
    if (fdt_argument("mib", 0) != 0)
        check_eq(size, fdt_argument("mib", 0) << 20, "it has the size of the configuration");
    check((uint64_t)_head >= base && (uint64_t)_end <= base + size, "the guest was loaded into it");
    check_eq(dirty_outside(base, base + size), 0, "memory is zeroes where nothing was loaded");
    check_eq(pages_wrong(free, base + size), 0, "each page up to the last keeps what was written");
    *(volatile uint64_t *)(base + size - 8) = 0x1122334455667788;
    check_eq(*(volatile uint8_t *)(base + size - 1), 0x11, "the last byte is there");
}
