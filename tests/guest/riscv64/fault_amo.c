/* SPDX-License-Identifier: Apache-2.0 */
/* An atomic operation on a device: the VM must stop there, with a report. */
#include "riscv.h"

void guest_main(void)
{
    uint64_t value = 1;

    print("fault: an atomic operation on 0x%lx\n", RTC_BASE);
    __asm__ volatile("amoadd.w %0, %0, (%1)" : "+r"(value) : "r"(RTC_BASE) : "memory");
    check(false, "the guest is stopped at an atomic operation on a device");
}
