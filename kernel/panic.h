/* SPDX-License-Identifier: Apache-2.0 */
/* The end: stop all pCPUs, print what happened, registers, a backtrace with names. */
#pragma once

#include "kernel/types.h"

struct arch_trap_frame;

[[gnu::noreturn, gnu::format(printf, 1, 2)]] void panic(const char *format, ...);
/* The same after a trap of our own code; frame may be NULL. */
[[gnu::noreturn, gnu::format(printf, 2, 3)]] void panic_trap(const struct arch_trap_frame *frame,
                                                             const char *format, ...);
/* True once some pCPU panics: others stop at their next IPI. */
bool panic_under_way(void);
/* True on the pCPU that panics: its report takes no lock, because the holders are stopped. */
bool panic_here(void);
