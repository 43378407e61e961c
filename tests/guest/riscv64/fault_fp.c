/* SPDX-License-Identifier: Apache-2.0 */
/* A load of a device to an FP register: the VM must stop there, with a report. */
#include "riscv.h"

void guest_main(void)
{
    fp_enable();
    print("fault: loading 0x%lx to f0\n", RTC_BASE);
    __asm__ volatile(".option push; .option arch, +d; flw f0, 0(%0); .option pop" ::"r"(RTC_BASE)
                     : "memory");
    check(false, "the guest is stopped at a load of a device to an FP register");
}
