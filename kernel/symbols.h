/* SPDX-License-Identifier: Apache-2.0 */
/* Names of our own functions, for backtraces. The table is made by the build (tools/mksymtab). */
#pragma once

#include "kernel/types.h"

/*
 * The function that addr lies in, and how far inside (*offset); NULL when addr is not in our text.
 * Needs no lock and touches only read-only data, so a panic may call it.
 */
const char *symbol_name(uintptr_t addr, uintptr_t *offset);
