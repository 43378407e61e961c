/* SPDX-License-Identifier: Apache-2.0 */
/* Writes to a device by an instruction that is not for devices: the VM must stop there. */
#include "x86.h"

void guest_main(void)
{
    fp_enable();
    print("fault: MOVUPS to 0x%lx\n", DEVICE_ADDRESS);
    __asm__ volatile("movups %%xmm0, (%0)" ::"r"(DEVICE_ADDRESS) : "memory");
    check(false, "the guest is stopped at an instruction that is not for devices");
}
