/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linker sets: tables whose entries are written where the feature is, and which the linker gathers.
 * So core code calls features without naming them. LINKSET_ENTRY(cmd, list_cmd) puts a pointer to
 * list_cmd into the set "cmd"; linkset_for_each visits them in link order.
 */
#pragma once

#define LINKSET_ENTRY(set, object)                                                                 \
    static const void *const set_##set##_##object                                                  \
        __attribute__((used, retain, section("set_" #set))) = &(object)

#define LINKSET_DECLARE(set)                                                                       \
    extern const void *const __start_set_##set[] __attribute__((weak, visibility("hidden")));      \
    extern const void *const __stop_set_##set[] __attribute__((weak, visibility("hidden")))

#define linkset_for_each(set, it)                                                                  \
    for (const void *const *it = __start_set_##set; it < __stop_set_##set; it++)
