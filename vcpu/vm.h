/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual machine: memory, devices, vCPUs. Its state changes by vm_start() and vm_stop(), which
 * any pCPU may call outside of locks; vm->lock guards state, reason and the count of vCPUs that
 * have yet to park.
 *
 *     CREATED --start--> RUNNING --stop--> STOPPING --all parked--> STOPPED --start--> RUNNING …
 *                `--could not be started--> FAILED                     `--could not …--> FAILED
 */
#pragma once

#include "kernel/ipi.h"
#include "kernel/lock.h"
#include "mm/guestmap.h"
#include "vcpu/bus.h"
#include "vcpu/config.h"
#include "vcpu/vcpu.h"

enum vm_state {
    VM_CREATED,
    VM_STARTING,
    VM_RUNNING,
    VM_PAUSING,
    VM_PAUSED,
    VM_STOPPING,
    VM_STOPPED,
    VM_FAILED,
};

enum vm_stop_reason { VM_STOP_ASKED, VM_STOP_POWEROFF, VM_STOP_RESET, VM_STOP_CRASH };

struct machine_ops;
struct machine_layout;

struct vm {
    const struct config_vm *config;
    const struct machine_ops *machine;
    const struct machine_layout *layout;
    void *machine_state;
    struct guestmap map;
    struct bus bus;   /* By guest-physical address. */
    struct bus ports; /* x86: by port number. */
    struct lock lock; /* RANK_VM */
    enum vm_state state;
    enum vm_stop_reason reason; /* Of the stop under way, or the last one. */
    _Atomic unsigned running;   /* vCPUs that have not parked. */
    struct work stopped_work;   /* Runs when all have. */
    struct work restart_work;
    bool restart_pending; /* Stopped, but to be started again: until somebody does, or stops it. */
    struct timer
        restart_timer; /* On the pCPU of vCPU 0. A crashed VM restarts with a delay, which grows. */
    unsigned restart_count; /* After crashes and quick resets in a row. */
    uint64_t started_ticks;
    _Atomic bool hole_told; /* An access to the machine's hole was logged; since the start. */
    unsigned start_count;
    unsigned vcpu_count;
    struct vcpu *vcpus;
};

extern struct vm *vms[CONFIG_VMS_MAX]; /* By index; NULL: none. Set up in boot, then constant. */
extern unsigned vm_count;

/* Memory, devices, vCPUs on their pCPUs; state CREATED. Errors are logged with the VM's node. Boot.
 */
enum err vm_create(const struct config_vm *config, struct vm **vm);
struct vm *vm_find(const char *name);

/* Loads the images and starts vCPU 0. E_STATE unless created, stopped or failed; other errors make
 * it FAILED, and are logged. */
enum err vm_start(struct vm *vm);
/*
 * Makes all vCPUs leave the guest; when they have, the VM is stopped and its memory cleared, and
 * then what the configuration says for the reason is done. A stopped VM that waits for its restart
 * stays stopped. Any pCPU, any context without locks. E_STATE otherwise.
 */
enum err vm_stop(struct vm *vm, enum vm_stop_reason reason);
/* A vCPU acknowledges a stop: called by vcpu.c. */
void vm_vcpu_parked(struct vm *vm);

/* The guest did what no hardware would survive: a report on the log, then a stop as a crash. Bound.
 * report.c */
void vm_fault(struct vcpu *vcpu, const char *why, const struct vcpu_exit *exit);

/*
 * How pCPUs are shared, as the configuration says. vm_share.c. Boot: slices before VMs are created,
 * time tables after, and between them each vCPU's share, before it is first woken.
 */
void vm_share_slices(const struct config *config);
void vm_share_vcpu(struct vcpu *vcpu);
void vm_share_tables(const struct config *config);

struct console_port;
/* The VM's console. */
struct console_port *vm_console(struct vm *vm);
const char *vm_state_text(enum vm_state state);
