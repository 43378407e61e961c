/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes pages of its memory, which ones is known by their number and the round: for who watches
 * from outside. 'w': a round, by all CPUs at once; 's': the same slowly; 'r': reads all of them;
 * 'b': one CPU writes all, and says how long that took; 'q' ends it. Each page is written once in a
 * round, by different instructions. Command line: slow=MS (8) from page to page, pages=N (1024).
 */
#include "guest.h"

extern char _end[];

static uint64_t window;
static unsigned cpus, round, pages, slow_ms;
static bool slow;
static uint64_t written, sum;

/* tests/boot/test_dirty.py knows it too. */
static bool is_written(unsigned page)
{
    return ((page * 40503u + round * 2654435761u) >> 7 & 3) == 0;
}

static void write_page(unsigned page)
{
    char *at = (char *)window + (uint64_t)page * PAGE;

    switch (page / 4 % 4) {
    case 0:
        *(volatile uint64_t *)at = round;
        break;
    case 1:
        *(volatile char *)(at + PAGE - 1) = (char)round;
        break;
    case 2:
        ADD(*(uint32_t *)(at + PAGE / 2), 1u);
        break;
    default:
        memset(at, (int)round, PAGE);
    }
}

static void write_round(void)
{
    for (unsigned page = cpu_id(); page < pages; page += cpus) {
        if (!is_written(page))
            continue;
        if (slow)
            (void)WAIT_FOR(false, slow_ms);
        write_page(page);
        ADD(written, 1);
    }
}

static void read_all(void)
{
    for (unsigned page = cpu_id(); page < pages; page += cpus)
        ADD(sum, *(volatile uint64_t *)(window + (uint64_t)page * PAGE + 8));
}

static void write_all(void)
{
    uint64_t start = clock_read();

    for (unsigned page = 0; page < pages; page++)
        *(volatile uint64_t *)(window + (uint64_t)page * PAGE) = page;
    print("dirty: %u pages in %lu ticks, %lu a second\n", pages, clock_read() - start, clock_hz());
}

void guest_main(void)
{
    uint64_t base, size;
    bool ok = true;

    cpus = cpus_start(machine_cpu_count());
    pages = (unsigned)machine_argument("pages", 1024);
    slow_ms = (unsigned)machine_argument("slow", 8);
    machine_memory(&base, &size);
    window = ((uint64_t)_end + (1 << 20) - 1) >> 20 << 20;
    check(window + (uint64_t)pages * PAGE <= base + size, "there is memory to be written");
    print("dirty: window 0x%lx, %u CPUs\n", window, cpus);
    for (int c = 0; c != 'q'; c = uart_get()) {
        if (c == 'b')
            write_all();
        if (c != 'w' && c != 's' && c != 'r')
            continue;
        slow = c == 's';
        written = 0;
        if (c == 'r') {
            ok &= cpus_run(cpus, read_all);
            print("dirty: all read\n");
            continue;
        }
        round++;
        print("dirty: round %u\n", round);
        ok &= cpus_run(cpus, write_round);
        print("dirty: round %u, %lu pages written\n", round, written);
    }
    check(ok, "all CPUs have written");
}
