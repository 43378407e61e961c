/* SPDX-License-Identifier: Apache-2.0 */
/* The shell's command about the pages that a VM writes. */
#include "kernel/assert.h"
#include "kernel/shell.h"
#include "kernel/string.h"
#include "kernel/timer.h"
#include "vcpu/vm_impl.h"

#define RUNS_SHOWN 512u

static void dirty_show(const struct vm *vm, struct fmt_sink *out, uint64_t ns)
{
    uint64_t pages = 0, size;
    unsigned runs = 0;
    gpa_t start;

    for (gpa_t at = gpa(0); guestmap_dirty_next(&vm->map, at, &start, &size);) {
        if (runs++ < RUNS_SHOWN)
            fmt_print(out, "  %#llx-%#llx\n", (unsigned long long)start.v,
                      (unsigned long long)(start.v + size - 1));
        pages += size / PAGE_SIZE;
        at = gpa(start.v + size);
    }
    if (runs > RUNS_SHOWN)
        fmt_print(out, "  and %u more\n", runs - RUNS_SHOWN);
    fmt_print(out, "%s: %llu pages written, in %u runs; taken in %llu ns\n", vm->config->name,
              (unsigned long long)pages, runs, (unsigned long long)ns);
}

static void dirty_take(struct vm *vm, struct fmt_sink *out)
{
    uint64_t start = arch_ticks();

    if (guestmap_dirty_take(&vm->map) == OK)
        dirty_show(vm, out, ticks_to_ns(arch_ticks() - start));
    else
        fmt_print(out, "%s is not watched: 'dirty %s start' comes first\n", vm->config->name,
                  vm->config->name);
}

static const char *dirty_text(enum virt_dirty kind)
{
    switch (kind) {
    case VIRT_DIRTY_FAULTS:
        return "the faults of first writes";
    case VIRT_DIRTY_BITS:
        return "dirty bits of the hardware";
    case VIRT_DIRTY_LOG:
        return "a log of the hardware";
    }
    unreachable();
}

static void dirty_start(struct vm *vm, struct fmt_sink *out)
{
    enum err err = guestmap_dirty_start(&vm->map);

    if (err == OK)
        fmt_print(out, "%s: what is written is known from now on, by %s\n", vm->config->name,
                  dirty_text(virt_caps.dirty));
    else
        fmt_print(out, "%s cannot be watched: %s\n", vm->config->name, err_text(err));
}

/* There is one user at a time: what snapshots know of written pages is lost. False: they need it.
 */
static bool dirty_claim(struct vm *vm, struct fmt_sink *out)
{
    bool busy;

    lock_take(&vm->lock);
    busy = snapshot_vm_busy(vm);
    if (!busy)
        vm->snapshot_id = 0;
    lock_drop(&vm->lock);
    if (busy)
        fmt_print(out, "%s: a snapshot is under way\n", vm->config->name);
    return !busy;
}

SHELL_CMD(dirty, "<vm> start|take|stop", "Show which pages a VM has written since the last look", 2,
          2)
{
    struct vm *vm = vm_find(argv[1]);

    if (!vm) {
        fmt_print(out, "there is no VM '%s'; 'list' shows those that there are\n", argv[1]);
    } else if (!dirty_claim(vm, out)) {
        return;
    } else if (strcmp(argv[2], "start") == 0) {
        dirty_start(vm, out);
    } else if (strcmp(argv[2], "take") == 0) {
        dirty_take(vm, out);
    } else if (strcmp(argv[2], "stop") == 0) {
        guestmap_dirty_stop(&vm->map);
        fmt_print(out, "%s: what is written is no longer known\n", vm->config->name);
    } else {
        fmt_print(out, "'%s' is none of start, take and stop\n", argv[2]);
    }
}
