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

SHELL_CMD(start, "<vm>", "Start a VM that is stopped", 1, 1)
{
    struct vm *vm = cmd_vm(out, argv[1]);
    enum err err = vm ? vm_start(vm) : OK;

    if (err == E_STATE)
        fmt_print(out, "%s is %s: only a stopped VM can be started\n", argv[1],
                  vm_state_text(vm->state));
    else if (err != OK)
        fmt_print(out, "%s could not be started: %s\n", argv[1], err_text(err));
}

SHELL_CMD(stop, "<vm>", "Stop a VM at once, as by pulling its plug", 1, 1)
{
    struct vm *vm = cmd_vm(out, argv[1]);

    if (vm && vm_stop(vm, VM_STOP_ASKED) != OK)
        fmt_print(out, "%s is %s: only a running VM can be stopped\n", argv[1],
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
    fmt_print(out, "%llu of %llu MiB free\n",
              (unsigned long long)(page_free_count() * PAGE_SIZE / MIB),
              (unsigned long long)(page_total_count() * PAGE_SIZE / MIB));
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
    arch_machine_off();
}

SHELL_CMD(reboot, "", "Restart the machine, whatever its VMs do", 0, 0)
{
    fmt_print(out, "restarting\n");
    arch_machine_reset();
}
