/* SPDX-License-Identifier: Apache-2.0 */
/* Our own calls. */
#include "vcpu/hypercall.h"

#include "vcpu/vm.h"

#define CALLS 3u

[[gnu::noinline]] uint64_t hypercall_watchdog(struct vcpu *vcpu, uint64_t ms)
{
    if (ms > HYPERCALL_WATCHDOG_MAX)
        return UINT64_MAX;
    vm_feed_watchdog(vcpu->vm, (uint32_t)ms);
    return 0;
}

bool hypercall(struct vcpu *vcpu, uint64_t function, uint64_t arg)
{
    static const uint32_t uid[4] = {0x7c65e5d2, 0x9c3b4a1e, 0x8d0fc415, 0x5017a1b2};

    switch (function) {
    case HYPERCALL_YIELD:
        arch_vcpu_set_return(&vcpu->arch, 0, 0);
        sched_give_way(&vcpu->sched);
        return true;
    case HYPERCALL_WATCHDOG:
        arch_vcpu_set_return(&vcpu->arch, 0, hypercall_watchdog(vcpu, arg));
        return true;
    case HYPERCALL_READY:
        arch_vcpu_set_return(&vcpu->arch, 0, 0);
        vm_ready(vcpu->vm);
        return true;
    case HYPERCALL_COUNT:
        arch_vcpu_set_return(&vcpu->arch, 0, CALLS);
        return true;
    case HYPERCALL_UID:
        for (unsigned i = 0; i < 4; i++)
            arch_vcpu_set_return(&vcpu->arch, i, uid[i]);
        return true;
    case HYPERCALL_REVISION:
        arch_vcpu_set_return(&vcpu->arch, 0, 0);
        arch_vcpu_set_return(&vcpu->arch, 1, 1);
        return true;
    }
    return false;
}
