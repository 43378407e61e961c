/* SPDX-License-Identifier: Apache-2.0 */
/* The shell's command about the registers of a vCPU. */
#include "kernel/shell.h"
#include "kernel/string.h"
#include "vcpu/vm.h"

static bool regs_readable(struct vm *vm)
{
    bool paused;

    lock_take(&vm->lock);
    paused = vm->state == VM_PAUSED; /* Nobody but the prompt ends that. */
    lock_drop(&vm->lock);
    return paused;
}

static struct vcpu *regs_vcpu(struct fmt_sink *out, char **argv)
{
    struct vm *vm = vm_find(argv[1]);
    uint64_t index;

    if (!vm)
        fmt_print(out, "there is no VM '%s'; 'list' shows those that there are\n", argv[1]);
    else if (!str_to_u64(argv[2], &index) || index >= vm->vcpu_count)
        fmt_print(out, "%s has no vCPU %s\n", argv[1], argv[2]);
    else if (!regs_readable(vm))
        fmt_print(out, "%s is %s: registers are shown of a VM that is paused\n", argv[1],
                  vm_state_text(vm->state));
    else
        return &vm->vcpus[index];
    return NULL;
}

/* Whether all comes back out of the file after the vCPU has forgotten it. */
static void regs_again(struct fmt_sink *out, struct arch_vcpu *vcpu)
{
    static struct arch_regs before, after; /* Too large for the stack. */
    enum err err;

    arch_vcpu_get_regs(vcpu, &before);
    arch_vcpu_start(vcpu, arch_entry(gpa(0), 0));
    err = arch_vcpu_set_regs(vcpu, &before);
    arch_vcpu_get_regs(vcpu, &after);
    if (err != OK)
        fmt_print(out, "they are refused: %s\n", err_text(err));
    else
        fmt_print(out, "written anew: %u bytes%s\n", (unsigned)sizeof(before),
                  memcmp(&before, &after, sizeof(before)) == 0 ? "" : ", which have changed");
}

SHELL_CMD(regs, "<vm> <vcpu> [again]", "Show registers of a paused VM; again: write them anew", 2,
          3)
{
    struct vcpu *vcpu = regs_vcpu(out, argv);

    if (!vcpu)
        return;
    if (argc == 2 + 1)
        arch_vcpu_print(&vcpu->arch, out);
    else if (strcmp(argv[3], "again") == 0)
        regs_again(out, &vcpu->arch);
    else
        fmt_print(out, "not '%s': again\n", argv[3]);
}
