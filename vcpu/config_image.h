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

/* The reason is a phrase that goes on from the file's name. Returns err. */
[[gnu::format(printf, 4, 5)]] enum err image_refuse(struct planner *p, enum err err,
                                                    const char *file, const char *format, ...);
bool image_in_ram(const struct planner *p, uint64_t base, uint64_t size);
/* The kernel's file is not empty. *known: the file is of a format of x86's own. */
enum err image_plan_x86(struct planner *p, bool *known);
/* The kernel has its place: the rest. */
enum err image_place_x86(struct planner *p);
