/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: of the size that the machine tells, zeroes where nothing was loaded, all of it usable. */
#include "guest.h"

extern char _head[], _end[];

static uint64_t page_up(uint64_t address)
{
    return (address + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

/* Behind what was loaded there, if something was at this page: the image, or what came with it. */
static uint64_t behind_loaded(uint64_t at)
{
    uint64_t start = (uint64_t)_head & ~(uint64_t)(PAGE - 1), end = page_up((uint64_t)_end);

    for (unsigned i = 0; at < start || at >= end; i++)
        if (!machine_loaded(i, &start, &end))
            return at;
    return end;
}

/* Words that are not zero where nothing was loaded. */
static uint64_t dirty_words(uint64_t at, uint64_t end)
{
    uint64_t count = 0;

    while (at < end) {
        uint64_t page = at;

        at = behind_loaded(page);
        if (at != page)
            continue;
        for (; at < page + PAGE; at += 8)
            count += *(volatile uint64_t *)at != 0;
    }
    return count;
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
    uint64_t base, size, free = page_up((uint64_t)_end), start, end;

    machine_memory(&base, &size);
    for (unsigned i = 0; machine_loaded(i, &start, &end); i++)
        free = free < end ? end : free;
    print("# memory: 0x%lx bytes at 0x%lx\n", size, base);
    check(size >= 1 << 20, "the machine tells of its memory");
    if (machine_argument("mib", 0) != 0)
        check_eq(size, machine_argument("mib", 0) << 20, "it has the size of the configuration");
    check((uint64_t)_head >= base && (uint64_t)_end <= base + size, "the guest was loaded into it");
    check_eq(dirty_words(base, base + size), 0, "memory is zeroes where nothing was loaded");
    check_eq(pages_wrong(free, base + size), 0, "each page up to the last keeps what was written");
    *(volatile uint64_t *)(base + size - 8) = 0x1122334455667788;
    check_eq(*(volatile uint8_t *)(base + size - 1), 0x11, "the last byte is there");
}
