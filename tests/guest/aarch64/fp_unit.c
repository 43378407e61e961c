/* SPDX-License-Identifier: Apache-2.0 */
/* The FP unit of arm64, as the guest turns it on and off. */
#include "arm.h"

#define CPACR_FPEN (3ull << 20)

void fp_enable(void)
{
    SYSREG_WRITE(cpacr_el1, SYSREG_READ(cpacr_el1) | CPACR_FPEN);
}

void fp_check(void)
{
    struct fault fault;

    SYSREG_WRITE(cpacr_el1, SYSREG_READ(cpacr_el1) & ~CPACR_FPEN);
    fault_expect();
    __asm__ volatile(".inst 0x1e604000"); /* fmov d0, d0 */
    fault = fault_taken();
    check_eq(fault.count, 1, "FP traps to the guest when the guest turned it off");
    check_eq(ESR_EC(fault.cause), EC_FP, "as an FP access");
    hypercall();
    fault_expect();
    __asm__ volatile(".inst 0x1e604000");
    check_eq(fault_taken().count, 1, "and stays off over an exit");
}
