/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boot options: words GROUP.NAME=on and GROUP.NAME=off of the configuration, and of the text that
 * whoever started us passes (EFI's load options, the command line of multiboot2, PVH, or
 * /chosen/bootargs of a tree). Each belongs to a feature that can be turned off, and is written
 * where that is: BOOT_OPTION(flag, "name", "help"), with `static bool flag = true;`. boot/README.md
 * lists them.
 */
#pragma once

#include "kernel/linkset.h"
#include "kernel/types.h"

struct boot_option {
    const char *name, *help;
    bool *flag;
};

#define BOOT_OPTION(flag_, name_, help_)                                                           \
    static const struct boot_option boot_option_##flag_ = {                                        \
        .name = name_,                                                                             \
        .help = help_,                                                                             \
        .flag = &flag_,                                                                            \
    };                                                                                             \
    LINKSET_ENTRY(boot_option, boot_option_##flag_)

/*
 * Words that do not begin with the group of an option are for somebody else: UEFI's shell passes
 * the program's name, a tree what a kernel wants. Of others that are no option, or have another
 * value, a line of the log warns. Boot processor, before anything asks.
 */
void options_parse(const char *text);
