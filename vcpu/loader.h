/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places a VM's kernel, initrd and device tree in its RAM. Called when the VM is made and at each
 * reset, with the RAM cleared and no vCPU running; nothing is kept between the calls.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"
#include "vcpu/arch_vcpu.h"
#include "vcpu/image.h"

struct config_vm;
struct guestmap;
struct machine_ops;

struct loader_job {
    struct guestmap *map;       /* With the VM's RAM. */
    const struct config_vm *vm; /* Its files' data is known. */
    const struct machine_ops *machine;
    unsigned gic_version; /* aarch64. */
    const char *isa;      /* riscv64, and the four below: as in struct guest_fdt_params. */
    uint64_t timer_hz;
    uint32_t va_bits, cbom_size, cboz_size, cbop_size;
    void *scratch;       /* For the tree, aligned to 8. */
    size_t scratch_size; /* LOADER_SCRATCH_SIZE is enough. */
};

#define LOADER_SCRATCH_SIZE IMAGE_TREE_SIZE

struct loader_result {
    struct arch_entry entry; /* Of vCPU 0; its argument: where the tree is, or its like. */
    struct image_plan plan;
};

/*
 * Everything is checked before anything is written. An error is logged as a sentence that names the
 * VM's node: E_INVALID (a bad image), E_RANGE (does not fit), E_UNSUPPORTED, E_NOMEM (scratch is
 * too small).
 */
enum err loader_load(const struct loader_job *job, struct loader_result *result);

/* For machine_ops.place: the files, and a tree; and on x86_64 what stands in its place. */
enum err loader_place_tree(const struct loader_job *job, struct loader_result *result);
enum err loader_place_x86(const struct loader_job *job, struct loader_result *result);

/* Their parts. loader_fail() logs the sentence and returns err. */
enum err loader_fail(const struct loader_job *job, enum err err, const char *what);
enum err loader_put(const struct loader_job *job, uint64_t address, const void *data, size_t size);
enum err loader_files(const struct loader_job *job, const struct image_plan *plan);
