/* SPDX-License-Identifier: Apache-2.0 */
/* Between boot/direct.c and boot/fw_cfg.c. */
#pragma once

#include "kernel/types.h"

/* Whether this is a machine of QEMU's. */
bool fw_cfg_is_there(void);
/* The initrd, brought into memory; false: there is none. */
bool fw_cfg_initrd(uint64_t *addr, uint64_t *size);
