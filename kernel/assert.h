/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assert(): for mistakes of our own only, on in every build; it stops the machine with a full
 * report. Never for what a guest, a user, firmware or a device may do wrong.
 */
#pragma once

/* Prints where and what, stops all pCPUs. In host tests it ends the program. */
[[gnu::noreturn]] void assert_failed(const char *expr, const char *file, int line);

#define assert(expr)  ((expr) ? (void)0 : assert_failed(#expr, __FILE__, __LINE__))
#define unreachable() assert_failed("unreachable", __FILE__, __LINE__)
