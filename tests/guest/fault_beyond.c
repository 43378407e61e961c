/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the first byte behind its memory: the VM must stop there, with a report. */
#include "guest.h"

void guest_main(void)
{
    uint64_t base, size;

    machine_memory(&base, &size);
    *(volatile uint8_t *)(base + size - 1) = 1;
    print("fault: writing 0x%lx\n", base + size);
    *(volatile uint8_t *)(base + size) = 1;
    check(false, "the guest is stopped at a write behind its memory");
}
