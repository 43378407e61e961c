/* SPDX-License-Identifier: Apache-2.0 */
/* Private to vcpu/: the header of a bzImage, Linux' file for x86. */
#pragma once

#include "kernel/types.h"

#define BZIMAGE_HEADER 0x1f1u /* Where the setup header begins, in the file and in boot_params. */
#define BZIMAGE_ENTRY  0x200u /* Of 64-bit code, from where the code is. */

struct bzimage {
    uint64_t preferred, alignment, memory_size; /* memory_size: all that it uses until it is up. */
    bool relocatable;
    uint64_t initrd_max;  /* Last address that the initrd may have. */
    uint64_t cmdline_max; /* Characters. */
};

bool bzimage_is(const void *data, size_t size);
/* Checks all of it that is used; NULL or what is wrong: "ends inside its setup header". */
const char *bzimage_check(const void *data, size_t size, struct bzimage *image);
/* These want a file that was checked. */
uint64_t bzimage_code_offset(const void *data);
/* First byte behind the setup header. */
unsigned bzimage_header_end(const void *data);
