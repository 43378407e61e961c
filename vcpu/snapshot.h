/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of VMs: everything that a guest has, kept in memory, so that it goes on from there and
 * cannot tell, but by the wall clock. A full one stands for itself; an incremental one holds the
 * pages that were written since its parent. Taking and restoring go on as long work at the VM's
 * home, where other VMs' guests get half of the time; the outcome is logged.
 *
 * The format, ours, is what lies in memory, byte by byte; all numbers little-endian:
 *
 *     struct snapshot_header
 *     parts, each a struct snapshot_part and its bytes: "shape", "vm"; for each vCPU "vcpu",
 *         "registers" and the machine's; those of interrupt controllers and devices;
 *         "pages": those that are not zero; "runs": struct snapshot_run, where they belong
 *
 * snapshot.c: names, refusals, the stream. snapshot_parts.c: header and parts. snapshot_vm.c: what
 * a VM consists of. snapshot_pages.c: its memory. snapshot_job.c: when it is done.
 * snapshot_clone.c: new VMs. snapshot_cmd.c: the prompt.
 *
 * Context, unless said: any that holds no lock. Checksums and streams take long, and this pCPU does
 * nothing else meanwhile.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"

struct config_vm;
struct fmt_sink;
struct snapshot;
struct vm;

#define SNAPSHOT_MAJOR    1u
#define SNAPSHOT_MINOR    0u
#define SNAPSHOT_NAME_MAX 48u      /* "web@name", with NUL. */
#define SNAPSHOT_GOLDEN   "golden" /* What on-crash = "restore" goes back to: "web@golden". */

/*
 * Begins to take one, of a VM that runs (it is paused meanwhile, and runs on) or is paused. name:
 * behind the VM's and an @; NULL: the next number. golden replaces the one that there is. parent:
 * NULL, or the last snapshot that was taken of this VM or restored to it, which memory is compared
 * to. A refusal is logged in a sentence: E_STATE, E_BUSY (one is under way), E_EXISTS, E_NOMEM,
 * E_UNSUPPORTED, E_INVALID (the name, the parent). Any context that holds no lock.
 */
enum err vm_snapshot(struct vm *vm, const char *name, struct snapshot *parent);
/*
 * Begins to make the VM what it was, from whatever state it is in, and lets it run on from there.
 * Where what changed since is known, only that is copied. Errors as above; E_INVALID also: it does
 * not fit this VM. When what devices have to load is refused, the VM has failed.
 */
enum err vm_restore(struct vm *vm, struct snapshot *snapshot);
/*
 * A new VM of that name, configured as the one it was taken of, that runs on from the snapshot.
 * E_UNSUPPORTED: it has memory, devices, processors or slots of the host's of its own. The context
 * of vm_create().
 */
enum err vm_restore_new(struct snapshot *snapshot, const char *name, struct vm **vm);

/*
 * "web@name"; only those that are complete. What was found is in use, and cannot be forgotten,
 * until it is put back.
 */
struct snapshot *snapshot_find(const char *name);
void snapshot_put(struct snapshot *snapshot);
/* Whether it is whole: every checksum. Else a sentence is logged: E_INVALID, E_UNSUPPORTED. */
enum err snapshot_check(struct snapshot *snapshot);
/* Gives its memory back, and is put back by that. E_BUSY: others use it, or it has children. On the
 * boot pCPU. */
enum err snapshot_forget(struct snapshot *snapshot);

/*
 * As a stream of bytes, for storage. Reading: everything is checked, the parent must be there, and
 * nothing is kept of what is refused, with a sentence logged: E_INVALID; E_UNSUPPORTED: another
 * version, architecture, or machine.
 */
enum err snapshot_write(const struct snapshot *snapshot,
                        enum err (*put)(void *arg, const void *bytes, size_t size), void *arg);
enum err snapshot_read(enum err (*get)(void *arg, void *bytes, size_t size), void *arg,
                       struct snapshot **snapshot);

/* Forgets all, without giving anything back: for tests. Nothing of them is in use. */
void snapshot_reset(void);
/* A table of all of them, for the prompt: name, VM, size, pages, parent. */
void snapshot_list(struct fmt_sink *out);
