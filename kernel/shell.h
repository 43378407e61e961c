/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor's prompt: a line editor and a table of commands gathered by the linker. Knows no
 * command but "help". Runs on one pCPU at a time, with interrupts masked.
 */
#pragma once

#include "kernel/fmt.h"
#include "kernel/linkset.h"

struct shell_cmd {
    const char *name, *args, *help; /* args: "<vm> [<count>]", for help and for usage errors. */
    unsigned args_min, args_max;
    void (*run)(struct fmt_sink *out, unsigned argc, char **argv); /* argv[0] is the name. */
};

#define SHELL_ARGS_MAX 8u

/* SHELL_CMD(list, "", "List the VMs", 0, 0) defines a command and its function's head follows. */
#define SHELL_CMD(name_, args_, help_, min_, max_)                                                 \
    static void shell_run_##name_(struct fmt_sink *out, unsigned argc, char **argv);               \
    static const struct shell_cmd shell_cmd_##name_ = {                                            \
        .name = #name_,                                                                            \
        .args = (args_),                                                                           \
        .help = (help_),                                                                           \
        .args_min = (min_),                                                                        \
        .args_max = (max_),                                                                        \
        .run = shell_run_##name_,                                                                  \
    };                                                                                             \
    LINKSET_ENTRY(shell_cmd, shell_cmd_##name_);                                                   \
    static void shell_run_##name_([[maybe_unused]] struct fmt_sink *out,                           \
                                  [[maybe_unused]] unsigned argc, [[maybe_unused]] char **argv)

/* Where echo and output go. Prints the prompt. */
void shell_start(struct fmt_sink *out);
/* One character typed: editing (backspace, ^U, ^W, ^C, arrows left/right, history up/down), Enter
 * runs the line. */
void shell_input(char c);
/* Runs one line (it is cut up in place): also for tests and scripts. */
void shell_run_line(struct fmt_sink *out, char *line);
/* Prints prompt and line typed so far again (after other output). */
void shell_refresh(void);
