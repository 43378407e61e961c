/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reset: starts the machine from its beginning, with memory as at the first start. The clock,
 * which goes on, says which start this is.
 */
#include "guest.h"

#define FIRST  0x60000000u
#define RESETS 2u
#define MARK   0x6d61726b6d61726bu

extern char _end[];

static uint64_t words_marked(uint64_t start, uint64_t end)
{
    uint64_t count = 0;

    for (uint64_t at = start; at < end; at += PAGE)
        count += *(volatile uint64_t *)at != 0;
    return count;
}

void guest_main(void)
{
    static uint64_t in_data = 1;
    uint64_t base, size, start;
    uint32_t clock = rtc_read();
    unsigned number = clock - FIRST < 0x10000000u ? 1 + (clock - FIRST) / 0x1000000u : 0;

    machine_memory(&base, &size);
    start = ((uint64_t)_end + 0x200000) & ~(uint64_t)(PAGE - 1);
    print("# start %u\n", number);
    if (number > 0) {
        check(true, "a reset starts the machine again");
        check_eq(words_marked(start, base + size), 0, "memory is zeroes again after a reset");
        check_eq(in_data, 1, "the image was loaded again");
    }
    if (number == RESETS)
        return;
    in_data = 2;
    for (uint64_t at = start; at < base + size; at += PAGE)
        *(volatile uint64_t *)at = MARK;
    if (number > 0 || cpus_start(machine_cpu_count()) == machine_cpu_count()) {
        rtc_write(FIRST + number * 0x1000000u);
        machine_reset();
    }
}
