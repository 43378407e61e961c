/* SPDX-License-Identifier: Apache-2.0 */
/* The shell's commands about VMs, and those about the machine. */
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/shell.h"
#include "kernel/string.h"
#include "mm/page.h"
#include "vcpu/vm.h"

static struct vm *cmd_vm(struct fmt_sink *out, const char *name)
{
    struct vm *vm = vm_find(name);

    if (!vm)
        fmt_print(out, "there is no VM '%s'; 'list' shows those that there are\n", name);
    return vm;
}

SHELL_CMD(list, "", "List the VMs, their state and their vCPUs", 0, 0)
{
    fmt_print(out, "%-16s %-9s %6s %10s %7s  %s\n", "NAME", "STATE", "VCPUS", "MEMORY", "STARTS",
              "PCPUS");
    for (unsigned i = 0; i < vm_count; i++) {
        const struct vm *vm = vms[i];

        if (!vm)
            continue;
        fmt_print(out, "%-16s %-9s %6u %6llu MiB %7u ", vm->config->name, vm_state_text(vm->state),
                  vm->vcpu_count, (unsigned long long)(vm->config->memory_size / MIB),
                  vm->start_count);
        for (unsigned v = 0; v < vm->vcpu_count; v++)
            fmt_print(out, " %u", vm->vcpus[v].sched.cpu);
        fmt_print(out, "\n");
    }
}

/* The outcome of a command that wants the VM to become something else. */
static void cmd_tell(struct fmt_sink *out, const struct vm *vm, enum err err, enum vm_state to,
                     const char *only)
{
    if (err == E_STATE)
        fmt_print(out, "%s is %s and cannot become %s: only a VM that is %s can\n",
                  vm->config->name, vm_state_text(vm->state), vm_state_text(to), only);
    else if (err != OK)
        fmt_print(out, "%s could not be started: %s\n", vm->config->name, err_text(err));
}

SHELL_CMD(create, "<vm>", "Make a VM of the configuration that was destroyed", 1, 1)
{
    const struct config_vm *config = vm_configured(argv[1]);
    struct vm *vm;
    enum err err;

    if (!config) {
        fmt_print(out, "the configuration has no VM '%s'\n", argv[1]);
        return;
    }
    err = vm_create(config, &vm);
    if (err == E_EXISTS)
        fmt_print(out, "there is a VM '%s' already\n", argv[1]);
    else if (err != OK)
        fmt_print(out, "%s could not be created: %s\n", argv[1], err_text(err));
}

SHELL_CMD(start, "<vm>", "Start a VM from its images", 1, 1)
{
    struct vm *vm = cmd_vm(out, argv[1]);

    if (vm)
        cmd_tell(out, vm, vm_start(vm), VM_STARTING, "created, stopped or failed");
}

SHELL_CMD(pause, "<vm>", "Pause a VM; its clock stands still, unless configured to run", 1, 1)
{
    struct vm *vm = cmd_vm(out, argv[1]);

    if (vm)
        cmd_tell(out, vm, vm_pause(vm), VM_PAUSING, "running");
}

SHELL_CMD(resume, "<vm>", "Let a paused VM go on", 1, 1)
{
    struct vm *vm = cmd_vm(out, argv[1]);

    if (vm)
        cmd_tell(out, vm, vm_resume(vm), VM_RUNNING, "paused");
}

SHELL_CMD(stop, "<vm>", "Stop a VM at once, as by pulling its plug", 1, 1)
{
    struct vm *vm = cmd_vm(out, argv[1]);

    if (vm)
        cmd_tell(out, vm, vm_stop(vm, VM_STOP_ASKED), VM_STOPPING, "starting, running or paused");
}

SHELL_CMD(reset, "<vm>", "Stop a VM at once and start it again", 1, 1)
{
    struct vm *vm = cmd_vm(out, argv[1]);

    if (vm)
        cmd_tell(out, vm, vm_stop(vm, VM_STOP_RESTART), VM_STOPPING, "starting, running or paused");
}

SHELL_CMD(destroy, "<vm>", "Take a stopped VM apart and free its memory", 1, 1)
{
    struct vm *vm = cmd_vm(out, argv[1]);

    enum err err = vm ? vm_destroy(vm) : OK;

    if (err == E_BUSY)
        fmt_print(out, "%s cannot be destroyed yet: a snapshot of it is being finished\n", argv[1]);
    else if (err != OK)
        fmt_print(out, "%s is %s and cannot be destroyed: stop it first\n", argv[1],
                  vm_state_text(vm->state));
}

SHELL_CMD(stat, "", "Show exits and running time of each vCPU", 0, 0)
{
    fmt_print(out, "%-16s %5s %5s %12s %14s\n", "NAME", "VCPU", "PCPU", "EXITS", "RAN (ms)");
    for (unsigned i = 0; i < vm_count; i++)
        for (unsigned v = 0; vms[i] && v < vms[i]->vcpu_count; v++) {
            struct vcpu *vcpu = &vms[i]->vcpus[v];

            fmt_print(out, "%-16s %5u %5u %12llu %14llu\n", vms[i]->config->name, v,
                      vcpu->sched.cpu, (unsigned long long)vcpu->exit_count,
                      (unsigned long long)(ticks_to_ns(sched_ran_ticks(&vcpu->sched)) / 1000000));
        }
}

SHELL_CMD(memory, "", "Show how much of the machine's memory is free", 0, 0)
{
    fmt_print(out, "%llu of %llu MiB free (%llu pages)\n",
              (unsigned long long)(page_free_count() * PAGE_SIZE / MIB),
              (unsigned long long)(page_total_count() * PAGE_SIZE / MIB),
              (unsigned long long)page_free_count());
}

SHELL_CMD(log, "", "Show the hypervisor's log again, with debug lines", 0, 0)
{
    log_replay(out);
}

SHELL_CMD(panic, "", "Stop the hypervisor with the report of a panic, to see one", 0, 0)
{
    panic("asked for at the prompt");
}

SHELL_CMD(poweroff, "", "Power the machine off, whatever its VMs do", 0, 0)
{
    fmt_print(out, "powering off\n");
    log_flush();
    arch_machine_off();
}

SHELL_CMD(reboot, "", "Restart the machine, whatever its VMs do", 0, 0)
{
    fmt_print(out, "restarting\n");
    log_flush();
    arch_machine_reset();
}
