/* SPDX-License-Identifier: Apache-2.0 */
/* An exception without a table to go by, nor one for what follows: the processor shuts down. */
#include "x86.h"

void guest_main(void)
{
    const struct [[gnu::packed]] {
        uint16_t limit;
        uint64_t base;
    } none = {0, 0};

    print("fault: a triple fault\n");
    __asm__ volatile("lidt %0; int3" ::"m"(none));
    check(false, "the guest is stopped at a triple fault");
}
