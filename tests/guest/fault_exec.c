/* SPDX-License-Identifier: Apache-2.0 */
/* Jumps into a device's window: the VM must stop there, with a report. */
#include "guest.h"

void guest_main(void)
{
    print("fault: executing at 0x%lx\n", DEVICE_ADDRESS);
    ((void (*)(void))DEVICE_ADDRESS)();
    check(false, "the guest is stopped where it executes from a device");
}
