/* SPDX-License-Identifier: Apache-2.0 */
/* Page tables where no memory is: the VM must stop there, with a report. */
#include "x86.h"

void guest_main(void)
{
    print("fault: page tables at 0x%lx\n", HOLE_ADDRESS);
    CR_WRITE(3, HOLE_ADDRESS);
    check(false, "the guest is stopped where its page tables are no memory");
}
