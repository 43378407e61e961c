/* SPDX-License-Identifier: Apache-2.0 */
/* See hand_rig.h. */
#include "tests/host/hand_rig.h"

#include <string.h>

#include "mm/page.h"
#include "tests/host/state_rig.h"
#include "vcpu/console.h"
#include "vcpu/machine_ops.h"
#include "vcpu/vm_impl.h"

#define PCPUS 4u

void hand_rig_start(void)
{
    fake_ram(16 * MIB);
    console_init(NULL);
    for (unsigned i = 0; i < PCPUS; i++) {
        fake_be_cpu(i);
        timer_init_cpu();
        sched_init_cpu();
        pcpus[i].online = true;
    }
    fake_be_cpu(0);
}

void hand_rig_make(struct vm *vm, struct vcpu *vcpus, const struct config_vm *config,
                   const struct machine_ops *machine)
{
    memset(vm, 0, sizeof(*vm));
    vm->config = config;
    vm->machine = machine;
    vm->layout = machine->layout;
    vm->state = VM_RUNNING;
    vm->vcpus = vcpus;
    vm->vcpu_count = config->cpu_count;
    lock_init(&vm->lock, RANK_VM, "vm");
    ASSERT_OK(guestmap_init(&vm->map, arch_stage2_format(), 1));
    ASSERT_OK(guestmap_add(&vm->map, gpa(vm->layout->ram_base), 2 * MIB, REGION_RAM, hpa(0)));
    ASSERT(vm->vcpu_count <= PCPUS);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        ASSERT_OK(vcpu_init(&vcpus[i], vm, i, i, 16, true));
        vcpus[i].held = false;
        atomic_store(&vcpus[i].requests, 0);
    }
    vm_life_init(vm);
    vm->machine_state = vm_alloc(machine->state_size);
    ASSERT(vm->machine_state != NULL);
    ASSERT_OK(machine->create(vm));
    machine->reset(vm);
    state_rig_has_all(vm);
}

void hand_rig_end(struct vm *vm)
{
    if (vcpu_current())
        ASSERT_OK(vcpu_unbind(vcpu_current()));
    vm->machine->destroy(vm);
    guestmap_destroy(&vm->map);
}
