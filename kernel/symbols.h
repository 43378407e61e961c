/* SPDX-License-Identifier: Apache-2.0 */
/* Names of our own functions, for backtraces. The table is made by the build (tools/mksymtab). */
#pragma once

#include "kernel/types.h"

enum { SYMBOL_NAME_MAX = 48 }; /* With its end. */

/*
 * The name of the function that addr lies in, cut when it is longer, and how far inside (*offset);
 * false when addr is not in our text. Needs no lock and touches only read-only data, so a panic may
 * call it.
 */
bool symbol_name(uintptr_t addr, char name[SYMBOL_NAME_MAX], uintptr_t *offset);
