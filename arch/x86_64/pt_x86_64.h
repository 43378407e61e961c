/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page-table formats of x86_64: four levels, for ourselves. [SDM 3, 4.5 4-Level Paging; AMD APM
 * 2, 5.3 Long-Mode Page Translation]
 */
#pragma once

#include "kernel/bits.h"
#include "mm/pt.h"

/* The lower half of the address space: addresses are those of physical memory, and the upper half
 * is negative. */
extern const struct pt_format pt_format_long;

#define LONG_P    BIT(0)
#define LONG_W    BIT(1)
#define LONG_U    BIT(2)
#define LONG_PWT  BIT(3)
#define LONG_PCD  BIT(4)
#define LONG_A    BIT(5)
#define LONG_D    BIT(6)
#define LONG_PS   BIT(7) /* A leaf above level 0. */
#define LONG_G    BIT(8)
#define LONG_NX   BIT(63)
#define LONG_ADDR BITS(51, 12)
