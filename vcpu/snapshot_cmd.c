/* SPDX-License-Identifier: Apache-2.0 */
/* The shell's commands about snapshots. What goes on after them is told by the log. */
#include "kernel/fmt.h"
#include "kernel/shell.h"
#include "kernel/string.h"
#include "vcpu/snapshot_impl.h"

static struct vm *cmd_vm(struct fmt_sink *out, const char *name)
{
    struct vm *vm = vm_find(name);

    if (!vm)
        fmt_print(out, "there is no VM '%s'; 'list' shows those that there are\n", name);
    return vm;
}

/* "name" of that VM, or "vm@name" of any. In use when it is returned. */
static struct snapshot *cmd_snapshot(struct fmt_sink *out, const char *vm, const char *name)
{
    char full[SNAPSHOT_NAME_MAX];
    struct snapshot *snapshot;

    if (vm && !strchr(name, '@'))
        fmt_buf(full, sizeof(full), "%s@%s", vm, name);
    else
        str_copy(full, sizeof(full), name);
    snapshot = snapshot_find(full);
    if (!snapshot)
        fmt_print(out, "there is no snapshot '%s'; 'snapshots' shows those that there are\n", full);
    return snapshot;
}

SHELL_CMD(snapshot, "<vm> [<name> [<parent>]]",
          "Take a snapshot of a VM; with a parent, of what changed since", 1, 3)
{
    struct vm *vm = cmd_vm(out, argv[1]);
    struct snapshot *parent = NULL;

    if (!vm || (argc > 3 && !(parent = cmd_snapshot(out, argv[1], argv[3]))))
        return;
    err_ignore(vm_snapshot(vm, argc > 2 ? argv[2] : NULL, parent)); /* It is logged. */
    if (parent)
        snapshot_put(parent);
}

SHELL_CMD(snapshots, "", "List the snapshots", 0, 0)
{
    snapshot_list(out);
}

SHELL_CMD(restore, "<vm> <snapshot> [as <new-vm>]",
          "Let a VM, or a new one beside it, go on from a snapshot", 2, 4)
{
    struct snapshot *snapshot;
    struct vm *vm;

    if (argc == 4 || (argc == 5 && strcmp(argv[3], "as") != 0)) {
        fmt_print(out, "usage: restore <vm> <snapshot> [as <new-vm>]\n");
        return;
    }
    vm = argc > 3 ? NULL : cmd_vm(out, argv[1]);
    if (argc <= 3 && !vm)
        return;
    snapshot = cmd_snapshot(out, argv[1], argv[2]);
    if (!snapshot)
        return;
    err_ignore(vm ? vm_restore(vm, snapshot) /* Both are logged. */
                  : vm_restore_new(snapshot, argv[4], &vm));
    snapshot_put(snapshot);
}

SHELL_CMD(verify, "<snapshot>", "Check a snapshot against its checksums", 1, 1)
{
    struct snapshot *snapshot = cmd_snapshot(out, NULL, argv[1]);

    if (!snapshot)
        return;
    if (snapshot_check(snapshot) == OK)
        fmt_print(out, "%s is whole\n", argv[1]);
    snapshot_put(snapshot);
}

SHELL_CMD(forget, "<snapshot>", "Forget a snapshot and free its memory", 1, 1)
{
    struct snapshot *snapshot = cmd_snapshot(out, NULL, argv[1]);

    if (snapshot && snapshot_forget(snapshot) != OK)
        fmt_print(out, "%s cannot be forgotten: it is in use, or another builds on it\n", argv[1]);
}
