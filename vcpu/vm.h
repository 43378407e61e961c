/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual machine: memory, devices, vCPUs. vm->lock guards its state and what belongs to a change
 * of it; vm_may_become() has the rules:
 *
 *              .----------------- start ------------------.
 *              v                                          |
 *   CREATED > STARTING --> RUNNING --> PAUSING --> PAUSED |
 *              |  ^           |  ^--------'           |   |
 *              v  |           |  ^----- resume -------'   |
 *             FAILED          '-----> STOPPING <------'   |
 *                   (also from PAUSING and STARTING) `--> STOPPED
 *
 * Both ways out of RUNNING are asynchronous: each vCPU leaves the guest and is held on its own
 * pCPU, and the last one makes the VM paused or stopped. What may be asked when is said at each
 * function; refused, it is E_STATE, nothing has changed, and the log (level debug) names both
 * states.
 */
#pragma once

#include "kernel/ipi.h"
#include "kernel/lock.h"
#include "kernel/long_work.h"
#include "mm/guestmap.h"
#include "vcpu/bus.h"
#include "vcpu/chips/alarm.h"
#include "vcpu/config.h"
#include "vcpu/loader.h"
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

/* Why it stops, or pauses. The last three by the guest: the configuration says what follows. */
enum vm_stop_reason {
    VM_STOP_ASKED,
    VM_STOP_RESTART, /* Asked, to start again at once; */
    VM_STOP_RESTORE, /* to go back to a snapshot: vm_restore(). */
    VM_STOP_POWEROFF,
    VM_STOP_RESET,
    VM_STOP_CRASH,
};

struct config_copy;
struct machine_ops;
struct machine_layout;
struct snapshot_job;

/* vm_job.c: memory that is cleared or loaded, in pieces. */
struct vm_job {
    struct long_work work; /* On the pCPU of vCPU 0. */
    enum err (*done)(struct vm *vm, enum err err);
    enum err err;
    gpa_t cleared; /* Up to here. */
    bool loaded;   /* All but what loader_copy() does. */
    struct loader_job loader;
    struct loader_result boot;
};

struct vm {
    const struct config_vm *config;
    struct config_copy *config_copy; /* NULL: it is one of the configuration. */
    const struct machine_ops *machine;
    const struct machine_layout *layout;
    void *machine_state;
    struct guestmap map;
    struct bus bus;   /* By guest-physical address. */
    struct bus ports; /* x86: by port number. */
    struct lock lock; /* RANK_VM */
    enum vm_state state;
    enum vm_stop_reason reason; /* Of the stop or pause under way, or the last one. */
    unsigned running;           /* vCPUs that have not acknowledged yet. */
    struct work held_work;      /* Runs when all have, on the pCPU of vCPU 0. */
    struct alarm watchdog;      /* When it fires, the guest has crashed. */
    uint64_t watchdog_left;     /* Ticks, while paused; TICKS_NEVER: it is off. */
    struct alarm pause_limit;   /* By then they must have, or it is no pause. */
    uint64_t paused_at;         /* Ticks; when the last one had. */
    uint64_t paused_ticks;      /* What the guest's clock has not seen since the start. */
    bool restart_pending; /* Stopped, but to be started again: until somebody does, or stops it. */
    bool leaving;         /* Being destroyed: nothing else is allowed. */
    struct alarm restart; /* A crashed VM restarts with a delay, which grows. */
    struct work restart_work;
    bool restart_queued;
    bool restarts; /* STARTING by itself, so nobody else tells of a failure. */
    struct vm_job job;
    unsigned restart_count; /* After crashes and quick resets in a row. */
    uint64_t began_ticks;   /* When it was started or restored last. */
    uint64_t held_ticks;    /* Since when it stands still, or stood last. */
    uint64_t started_ticks; /* Of the clock that the guest sees: later by what it was paused. */
    _Atomic bool hole_told; /* An access to the machine's hole was logged; since the start. */
    unsigned start_count;
    bool keeps;         /* Its memory, while it stops, for a snapshot. */
    bool ready_told;    /* By vm_ready(), since the start. */
    struct alarm ready; /* When it fires, vm_ready(), as work. */
    struct work ready_work;
    bool ready_queued;
    struct snapshot_job *snapshot_job; /* NULL: no snapshot was ever taken or restored. */
    uint64_t snapshot_id; /* What is written is counted from this snapshot; 0: it is not. */
    unsigned vcpu_count;
    unsigned home; /* The pCPU of its timers: where vCPU 0 was placed. */
    struct vcpu *vcpus;
};

/*
 * By the index of their configuration; NULL: there is none now. Changed and walked through on the
 * boot pCPU alone.
 */
extern struct vm *vms[CONFIG_VMS_MAX];
extern unsigned vm_count; /* All are below. */

/*
 * The contexts of these: outside of vm->lock and of all locks within it. vm_create() and
 * vm_destroy(): on the boot pCPU, as work (a shell command is), or before the scheduler runs.
 * vm_start(): work. The others: anywhere.
 */

/*
 * Memory, devices, vCPUs on their pCPUs; state CREATED, listed in vms[]. The configuration is
 * looked at for as long as the VM is there. E_EXISTS: a VM of its index is there; E_RANGE,
 * E_UNSUPPORTED, E_NOMEM: as caps_check(), or less was to be had; E_BUSY: a pinned range is in use;
 * E_ABSENT: no pCPU of its affinity runs. Logged with the VM's node; nothing is left. vm_create.c
 */
enum err vm_create(const struct config_vm *config, struct vm **vm);
/*
 * One more, configured as the other but for its name, in a configuration of its own. E_EXISTS:
 * there is a VM of that name, or may be; E_NOMEM; and as vm_create(). vm_create.c
 */
enum err vm_create_like(const struct config_vm *like, const char *name, struct vm **vm);
/*
 * All that it has goes back, the memory zeroed, and vm is no more. CREATED, STOPPED (also one that
 * waits for its restart) or FAILED, no vCPU being bound by hand; else E_STATE. E_BUSY: a snapshot
 * of it is being finished. Waits for other pCPUs to be done with it. vm_create.c
 */
enum err vm_destroy(struct vm *vm);
/* NULL: none has this name now. Boot pCPU. vm_create.c */
struct vm *vm_find(const char *name);
/* Before the first vm_create(), which does not need it; then any context. The configuration that
 * VMs are made from; NULL: it has none of this name. vm_create.c */
void vm_configure(const struct config *config);
const struct config_vm *vm_configured(const char *name);

/*
 * The manual way: devices reset, memory cleared where that is due, images loaded, vCPUs off and as
 * before their first start, the guest's clock at zero; *entry is where vCPU 0 is to begin, for
 * vcpu_set_entry(). The VM stays as it is, CREATED, STOPPED or FAILED, while its vCPUs are run by
 * hand; else E_STATE, as when one is bound. Others are those of the loader (E_INVALID, E_RANGE,
 * E_NOMEM), logged. In one piece: 512 MiB to be cleared keep this pCPU so long. Context as
 * vm_start().
 */
enum err vm_load(struct vm *vm, struct arch_entry *entry);
/*
 * STARTING: clears the memory where that is due, loads the images; RUNNING: vCPU 0 starts. From
 * CREATED, STOPPED, FAILED, no vCPU being bound by hand; other errors than E_STATE, the loader's,
 * make it FAILED, and are logged. OK: it is started, or will be; what large memory and images take
 * is done in pieces, later.
 */
enum err vm_start(struct vm *vm);
/*
 * PAUSING, and PAUSED when all vCPUs have acknowledged: nothing of the guest runs then. From
 * RUNNING, else E_STATE. When one has not after VM_PAUSE_LIMIT_MS, the log says which, and the VM
 * runs on.
 */
enum err vm_pause(struct vm *vm);
/*
 * From PAUSED to RUNNING. Interrupts that came meanwhile are delivered; the guest's clock goes on
 * from where it was, unless it is configured to run on. A VM that paused because the guest wanted
 * off or a reset does that now; one that crashed tries again what it crashed at. E_STATE: it is not
 * PAUSED; E_BUSY, logged: a snapshot of it is being taken.
 */
enum err vm_resume(struct vm *vm);
/*
 * STOPPING, and STOPPED when all vCPUs are out of the guest and the memory is cleared; then what
 * the configuration says for the reason is done, which may also be to pause in place of all that.
 * From RUNNING, PAUSING, PAUSED, and, asked, from STARTING, which comes to nothing then; else
 * E_STATE. Asked, it also keeps a VM stopped that waits for its restart, or was about to stop only
 * to start again.
 */
enum err vm_stop(struct vm *vm, enum vm_stop_reason reason);
/* For a guest's own wish, bound or not. When a stop is under way, that sees to its vCPUs. */
void vm_stop_by_guest(struct vm *vm, enum vm_stop_reason reason);
/* Its watchdog fires ms from now, 0: as the configuration says, or never. From a guest that runs;
 * of a VM that is not up nothing happens. */
void vm_feed_watchdog(struct vm *vm, uint32_t ms);
/* A vCPU acknowledges. vm->lock held, the vCPU's pCPU. */
struct vcpu;
void vm_vcpu_held(struct vcpu *vcpu);

#define VM_PAUSE_LIMIT_MS 1000u

/*
 * The guest says that it is what a crash shall lead back to, where on-crash is "restore": its first
 * golden snapshot is taken. Any context, no locks held. snapshot_job.c
 */
void vm_ready(struct vm *vm);

/* Whether a vCPU may be switched on: its guest runs, or will run on. vm->lock held. */
static inline bool vm_is_up(const struct vm *vm)
{
    return vm->state == VM_RUNNING || vm->state == VM_PAUSING || vm->state == VM_PAUSED;
}

/* Nobody manages it: its vCPUs may be run by hand. vm->lock held. */
static inline bool vm_is_by_hand(const struct vm *vm)
{
    return !vm->leaving && !vm->restart_pending &&
           (vm->state == VM_CREATED || vm->state == VM_STOPPED || vm->state == VM_FAILED);
}

/* Whether the state may follow the other. Any context. */
bool vm_may_become(enum vm_state from, enum vm_state to);

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
/* The VM's slots in time tables become its vCPUs', or nobody's. */
void vm_share_slots(struct vm *vm, bool owned);

struct console_port;
/* The VM's console, for as long as the VM is there. Boot pCPU. */
struct console_port *vm_console(struct vm *vm);
/* "running": for messages. Any context. */
const char *vm_state_text(enum vm_state state);
