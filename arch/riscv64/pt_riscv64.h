/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page-table formats of riscv64: Sv39 and Sv48 for ourselves, Sv39x4 and Sv48x4 for guests.
 * [RISC-V Privileged Architecture: supervisor.adoc, Sv39 and Sv48; hypervisor.adoc, Guest Physical
 * Address Translation]
 */
#pragma once

#include "mm/pt.h"

/* The lower half of the address space: addresses are those of physical memory, and the upper half
 * is negative. */
extern const struct pt_format pt_format_sv39, pt_format_sv48;
extern const struct pt_format pt_format_sv39x4, pt_format_sv48x4;

/* A page-table entry, the same in all. */
#define PTE_V   BIT(0)
#define PTE_R   BIT(1)
#define PTE_W   BIT(2)
#define PTE_X   BIT(3)
#define PTE_U   BIT(4)
#define PTE_G   BIT(5)
#define PTE_A   BIT(6)
#define PTE_D   BIT(7)
#define PTE_RSW BITS(9, 8) /* Ours: enum pt_memory. Hardware knows it by the address (PMAs). */
#define PTE_PPN BITS(53, 10)
#define PTE_N   BIT(63) /* One of 16 leaves that translate 64 KiB together [svnapot.adoc]. */
