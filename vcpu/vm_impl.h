/* SPDX-License-Identifier: Apache-2.0 */
/* Between vm.c, vm_create.c, vm_job.c and snapshot*.c. */
#pragma once

#include "vcpu/vm.h"

/* vm.c. What a new VM needs for its life; its vCPUs exist. */
void vm_life_init(struct vm *vm);
/*
 * It may be taken apart: nothing runs in it, or will, and no timer or work of its life is left.
 * E_STATE unless it is created, stopped or failed; E_BUSY while a snapshot of it is being finished.
 * May wait for other pCPUs.
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

/* vm.c, vm->lock held. */
enum err vm_set_state(struct vm *vm, enum vm_state to);
/* Where it is ours to know. */
void vm_must_become(struct vm *vm, enum vm_state to);
/* A vCPU is bound by hand. */
bool vm_is_bound(const struct vm *vm);
/*
 * STOPPING, all vCPUs are held, and the memory is cleared, or kept: STOPPED, or what follows. On
 * the pCPU of vCPU 0, no locks held.
 */
enum err vm_stopped(struct vm *vm, enum err err);
/* From RUNNING. */
enum err vm_pause_for(struct vm *vm, enum vm_stop_reason reason);
/* What a stop that is asked for, or comes, in the present state does. */
enum err vm_stop_locked(struct vm *vm, enum vm_stop_reason reason);
/* RUNNING again: the guest's clock has stood still; or it finds that it was away. */
void vm_go_on(struct vm *vm);

/* snapshot_life.c. Its alarm and work, at its home. */
void snapshot_vm_init(struct vm *vm);
/* snapshot_life.c, where the life of a VM meets its snapshots. vm->lock held in the first seven. */

/* All vCPUs are held: true, if that was for a snapshot, which begins. */
bool snapshot_vm_held(struct vm *vm);
/* They will not be: so none is taken. */
void snapshot_vm_cancel(struct vm *vm);
/* Its memory is being written to a snapshot, or is about to be. */
bool snapshot_vm_busy(const struct vm *vm);
/* The same, or all of it is there and gets its checksum, while the VM does what it wants. */
bool snapshot_vm_used(const struct vm *vm);
/* It has stopped: is there a snapshot to go back to, and, for a crash, is it good? */
bool snapshot_vm_claim(struct vm *vm, bool crash);
void snapshot_vm_unclaim(struct vm *vm);
/* STARTING, no locks held: goes back to the snapshot that is claimed; false: none is. */
bool snapshot_vm_restore(struct vm *vm);
/* No locks held: the VM is about to be taken apart. */
void snapshot_vm_leave(struct vm *vm);
