/* SPDX-License-Identifier: Apache-2.0 */
/* A table of exceptions in a device: the VM must stop at the first, with a report. */
#include "x86.h"

void guest_main(void)
{
    const struct [[gnu::packed]] {
        uint16_t limit;
        uint64_t base;
    } device = {PAGE - 1, DEVICE_ADDRESS};

    print("fault: exceptions by a table at 0x%lx\n", DEVICE_ADDRESS);
    __asm__ volatile("lidt %0; int3" ::"m"(device));
    check(false, "the guest is stopped at an exception by a device");
}
