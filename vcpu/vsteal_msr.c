/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's MSR for stolen time: a place, and whether it is used. [Linux: virt/kvm/x86/msr.rst] */
#include "kernel/bits.h"
#include "vcpu/vcpu.h"

#define MSR_ON       BIT(0)
#define MSR_RESERVED BITS(5, 1)

uint64_t vsteal_msr_read(const struct vcpu *vcpu)
{
    return vcpu->steal.place | (vcpu->steal.on ? MSR_ON : 0);
}

bool vsteal_msr_write(struct vcpu *vcpu, uint64_t value)
{
    const gpa_t place = gpa(value & ~MSR_ON);

    if (value & MSR_RESERVED)
        return false;
    if (!(value & MSR_ON)) {
        vcpu->steal.on = false;
        vcpu->steal.place = place.v;
        return true;
    }
    if (!vcpu_steal_start(vcpu, place, REGION_RAM))
        return false;
    vcpu_steal_tell(vcpu); /* It goes on counting where it was started before. */
    return true;
}
