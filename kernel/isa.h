/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ISA strings of RISC-V, in one form: "rv64imafdch_zicsr_sstc", lower case, without versions;
 * extensions of one letter first, longer ones each after '_'. Pure. [RISC-V Unprivileged ISA, "ISA
 * Extension Naming Conventions"]
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"

/* The next extension of a string in that form, NULL at the end. *at: NULL to begin. */
const char *isa_next(const char *isa, const char **at, size_t *length);
/* ext: "h", "sstc". */
bool isa_has(const char *isa, const char *ext);
/* From what firmware writes: any case, with or without versions ("i2p1"). E_INVALID: no ISA string;
 * E_RANGE: too long. */
enum err isa_copy(char *isa, size_t size, const char *from);
/* Adds an extension to a string in that form, unless it is there. E_RANGE: too long. */
enum err isa_add(char *isa, size_t size, const char *ext, size_t length);
/* Leaves of isa only what other has, too. */
void isa_common(char *isa, const char *other);
