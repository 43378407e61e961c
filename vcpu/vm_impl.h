/* SPDX-License-Identifier: Apache-2.0 */
/* Between vm.c, vm_create.c and vm_job.c. */
#pragma once

#include "vcpu/vm.h"

/* vm.c. What a new VM needs for its life; its vCPUs exist. */
void vm_life_init(struct vm *vm);
/*
 * It may be taken apart: nothing runs in it, or will, and no timer or work of its life is left.
 * E_STATE unless it is created, stopped or failed. May wait for other pCPUs.
 */
enum err vm_leave(struct vm *vm);

/* vm_create.c. Pages, zeroed; NULL may be freed. */
void *vm_alloc(size_t size);
void vm_free(void *object, size_t size);

/*
 * vm_job.c. STARTING or STOPPING, no vCPU runs, no locks held: the memory is cleared; or cleared
 * where that is due, and loaded, so that vm->job.boot says where the guest begins. Then done() is
 * called, as work; at once with an error when the images cannot be loaded. vm_job_load() returns
 * what done() does, or OK when it is yet to be called.
 */
typedef enum err (*vm_job_done)(struct vm *vm, enum err err);
void vm_job_init(struct vm *vm);
void vm_job_clear(struct vm *vm, vm_job_done done);
enum err vm_job_load(struct vm *vm, vm_job_done done);
/* The same in one piece, for the manual way. */
enum err vm_job_load_now(struct vm *vm);
