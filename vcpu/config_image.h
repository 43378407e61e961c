/* SPDX-License-Identifier: Apache-2.0 */
/* Private to vcpu/config_image*.c: a plan while it is made. */
#pragma once

#include "vcpu/config.h"
#include "vcpu/image.h"
#include "vcpu/machine.h"

struct planner {
    const struct config_vm *vm;
    const struct machine_layout *machine;
    struct image_plan *plan;
    char *why;
    size_t why_size;
};

/* What the guests of an architecture may begin with, beside ELF files and raw ones. */
struct image_rules {
    const char *known; /* For messages: "an arm64 Image or ELF". */
    /* Places the kernel, whose file is not empty; *known: it is of a format of this architecture.
     */
    enum err (*kernel)(struct planner *p, bool *known);
    /* The kernel has its place, in RAM: the rest. */
    enum err (*place)(struct planner *p);
};

extern const struct image_rules image_rules_arm64, image_rules_riscv, image_rules_x86;

/* The reason is a phrase that goes on from the file's name. Returns err. */
[[gnu::format(printf, 4, 5)]] enum err image_refuse(struct planner *p, enum err err,
                                                    const char *file, const char *format, ...);
bool image_in_ram(const struct planner *p, uint64_t base, uint64_t size);
