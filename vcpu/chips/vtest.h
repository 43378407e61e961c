/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test device of QEMU's riscv64 virt: a word that powers off or resets. It has no state.
 * [SiFive Test Finisher]
 */
#pragma once

#include "vcpu/bus.h"

/* What is written there, in the low half. */
#define TEST_FAIL     0x3333u
#define TEST_POWEROFF 0x5555u
#define TEST_RESET    0x7777u

extern const struct vdev_ops vtest_ops;
