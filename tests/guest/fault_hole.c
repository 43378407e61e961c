/* SPDX-License-Identifier: Apache-2.0 */
/* Reads an address where nothing is: the VM must stop there, with a report. */
#include "guest.h"

void guest_main(void)
{
    print("fault: reading 0x%lx\n", HOLE_ADDRESS);
    mmio_read(HOLE_ADDRESS);
    check(false, "the guest is stopped at a read where nothing is");
}
