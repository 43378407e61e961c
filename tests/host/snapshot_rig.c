/* SPDX-License-Identifier: Apache-2.0 */
/* See snapshot_rig.h. */
#include "tests/host/snapshot_rig.h"

#include "kernel/fmt.h"

uint64_t get(struct vm *vm, uint64_t addr)
{
    uint64_t value;

    ASSERT_OK(guest_read(&vm->map, gpa(addr), &value, sizeof(value)));
    return value;
}

void put(struct vm *vm, uint64_t addr, uint64_t value)
{
    ASSERT_OK(guest_write(&vm->map, gpa(addr), &value, sizeof(value)));
}

struct snapshot *take(struct vm *vm, const char *name, struct snapshot *parent)
{
    char full[SNAPSHOT_NAME_MAX];
    struct snapshot *s;

    ASSERT_OK(vm_snapshot(vm, name, parent));
    rig_turns(6);
    fmt_buf(full, sizeof(full), "%s@%s", vm->config->name, name);
    s = snapshot_find(full);
    ASSERT(s);
    return s;
}

void go_back(struct vm *vm, struct snapshot *s)
{
    ASSERT_OK(vm_restore(vm, s));
    rig_turns(8);
    ASSERT_EQ(vm->state, VM_RUNNING);
}

void end(struct vm *vm, struct snapshot *const *snapshots, unsigned count)
{
    for (unsigned i = count; i-- > 0;)
        ASSERT_OK(snapshot_forget(snapshots[i]));
    if (vm) {
        ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
        rig_turns(4);
        ASSERT_OK(vm_destroy(vm));
    }
    rig_end();
}
