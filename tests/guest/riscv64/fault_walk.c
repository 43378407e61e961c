/* SPDX-License-Identifier: Apache-2.0 */
/* Page tables where no memory is: the VM must stop there, with a report. */
#include "riscv.h"

void guest_main(void)
{
    print("fault: page tables at 0x%lx\n", HOLE_ADDRESS);
    CSR_WRITE(satp, 8ul << 60 | HOLE_ADDRESS >> 12);
    __asm__ volatile("sfence.vma" ::: "memory");
    check(false, "the guest is stopped where its tables are not");
}
