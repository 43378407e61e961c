/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places a VM's kernel, initrd and device tree in its RAM, at each start: loader_plan(), then with
 * the RAM cleared and no vCPU running loader_load(), then loader_copy() until nothing is left. What
 * is large is copied by the last one, in pieces, so that a pCPU does not lose its guests for long.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"
#include "vcpu/arch_vcpu.h"
#include "vcpu/image.h"

struct config_vm;
struct guestmap;
struct machine_ops;

/* What is yet to be copied. */
struct loader_copy {
    uint64_t address;
    const char *data;
    size_t size;
};

#define LOADER_COPIES_MAX 20u

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
    unsigned copy_count;
    struct loader_copy copies[LOADER_COPIES_MAX];
};

#define LOADER_SCRATCH_SIZE IMAGE_TREE_SIZE

struct loader_result {
    struct arch_entry entry; /* Of vCPU 0; its argument: where the tree is, or its like. */
    struct image_plan plan;
};

/*
 * Where everything goes. Nothing is written, only job->vm and job->machine are looked at. An error
 * is logged as a sentence that names the VM's node: E_INVALID (a bad image), E_RANGE (does not
 * fit), E_UNSUPPORTED.
 */
enum err loader_plan(const struct loader_job *job, struct loader_result *result);
/* All but what is large. E_NOMEM, logged: scratch is too small. */
enum err loader_load(struct loader_job *job, struct loader_result *result);
/* So many bytes of what is large; false: nothing is left. */
bool loader_copy(struct loader_job *job, size_t size);

/* For machine_ops.place: the files, and a tree; and on x86_64 what stands in its place. */
enum err loader_place_tree(struct loader_job *job, struct loader_result *result);
enum err loader_place_x86(struct loader_job *job, struct loader_result *result);

/* Their parts. loader_fail() logs the sentence and returns err. What is large must stay where it is
 * until it has been copied. */
enum err loader_fail(const struct loader_job *job, enum err err, const char *what);
enum err loader_put(struct loader_job *job, uint64_t address, const void *data, size_t size);
enum err loader_files(struct loader_job *job, const struct image_plan *plan);
